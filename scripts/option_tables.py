"""Write the option tables of docs/operations/configuration.md: `python -m scripts.option_tables`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gmessenger.commandline import CLIENT, SERVER, Command
from gmessenger.options import Option

DOCUMENT = Path(__file__).parent.parent / "docs" / "operations" / "configuration.md"
HEAD = "| option | default | what it sets |\n|---|---|---|\n"


def row_of(row: Option) -> str:
    names = ", ".join(f"`{name}`" for name in (row.long, *row.spellings))
    default = f"`{row.shown}`" if row.shown else ""
    return f"| {names} | {default} | {row.what.split(' [default')[0]} |\n"


def with_tables(text: str, *commands: Command[Any]) -> str:
    """Replace the tables of these commands in the document by what the table of options says."""
    for command in commands:
        table = HEAD + "".join(map(row_of, command.rows))
        before, rest = re.split(rf"(?<=### {command.program}\n\n)(?:\|.*\n)+", text, maxsplit=1)
        text = before + table + rest
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8"), SERVER, CLIENT), "utf-8")
