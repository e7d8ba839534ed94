"""Write the tables of commands and keys in docs/terminal.md: `python -m scripts.terminal_tables`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gmessenger.terminal.commands import COMMANDS
from gmessenger.terminal.tui.keybindings import KEY_BINDINGS

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "terminal.md"
HEAD: Final = "| {} | what it does |\n|---|---|\n"


def command_rows() -> Iterator[str]:
    """Yield the table of commands: its head, then a row for each."""
    yield HEAD.format("command")
    for command in COMMANDS:
        # A bar would end the cell, in code as well.
        words = ", ".join(f"`{word}`" for word in (*command.bare_words, command.usage)).replace(
            "NAME|ADDRESS", "NAME or ADDRESS"
        )
        operators = " (operators)" if command.operators_only else ""
        yield f"| {words.replace('|', ' or ')} | {command.description}{operators} |\n"


def key_rows() -> Iterator[str]:
    """Yield the table of keys: its head, then a row for each."""
    yield HEAD.format("key")
    for key in KEY_BINDINGS:
        yield f"| {key.label} | {key.description} |\n"


def with_tables(text: str) -> str:
    """Return the document with its tables updated."""
    for table in (list(command_rows()), list(key_rows())):
        before, after = re.split(rf"{re.escape(table[0])}(?:\|.*\n)*", text, maxsplit=1)
        text = before + "".join(table) + after
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8")), "utf-8")
