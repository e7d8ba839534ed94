"""Write the tables of docs/terminal.md anew, from those of commands and keys: `python -m scripts.terminal_tables`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gmessenger.terminal.commands import COMMANDS
from gmessenger.terminal.tui.keybindings import KEY_BINDINGS

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "terminal.md"
HEAD: Final = "| {} | what it does |\n|---|---|\n"


def commands() -> Iterator[str]:
    yield HEAD.format("command")
    for command in COMMANDS:
        # A bar would end the cell, in code as well.
        words = ", ".join(f"`{word}`" for word in (*command.bare_words, command.usage)).replace(
            "NAME|ADDRESS", "NAME or ADDRESS"
        )
        operators = " (operators)" if command.operators_only else ""
        yield f"| {words.replace('|', ' or ')} | {command.description}{operators} |\n"


def keys() -> Iterator[str]:
    yield HEAD.format("key")
    for key in KEY_BINDINGS:
        yield f"| {key.label} | {key.description} |\n"


def with_tables(text: str) -> str:
    """The document with its tables as they should be."""
    for rows in (commands(), keys()):
        head, *others = rows
        table = head + "".join(others)
        before, rest = re.split(rf"{re.escape(head)}(?:\|.*\n)*", text, maxsplit=1)
        text = before + table + rest
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8")), "utf-8")
