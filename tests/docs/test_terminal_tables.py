"""The tables of docs/terminal.md match those of commands and keys."""

from __future__ import annotations

from gmessenger.terminal.tui.style import ASCII, UNICODE
from scripts.terminal_tables import DOCUMENT, with_tables


def test_commands_and_keys_are_those_of_the_tables() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == with_tables(text), "run python -m scripts.terminal_tables"
    assert "| `1`, `message`, `/msg [NAME [TEXT]]` |" in text and "| Alt-e |" in text


def test_signs_are_those_of_the_screen() -> None:
    text = DOCUMENT.read_text("utf-8")
    for state in ("waiting", "stored", "delivered", "rejected"):
        assert f"| `{getattr(UNICODE, state)}` | `{getattr(ASCII, state)}` |" in text
