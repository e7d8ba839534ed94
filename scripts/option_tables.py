"""Write the option tables of docs/operations/configuration.md: `python -m scripts.option_tables`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gmessenger.config.options import Option
from gmessenger.config.parser import CLIENT, SERVER, Program

DOCUMENT = Path(__file__).parent.parent / "docs" / "operations" / "configuration.md"
HEAD = "| option | default | what it sets |\n|---|---|---|\n"


def render_row(row: Option) -> str:
    """Return an option as a row of Markdown."""
    names = ", ".join(f"`{name}`" for name in (row.long_name, *row.aliases))
    default = f"`{row.default_text}`" if row.default_text else ""
    return f"| {names} | {default} | {row.description.split(' [default')[0]} |\n"


def with_tables(text: str, *programs: Program[Any]) -> str:
    """Return the document with the tables of these programs updated."""
    for program in programs:
        table = HEAD + "".join(map(render_row, program.rows))
        before, after = re.split(rf"(?<=### {program.name}\n\n)(?:\|.*\n)+", text, maxsplit=1)
        text = before + table + after
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8"), SERVER, CLIENT), "utf-8")
