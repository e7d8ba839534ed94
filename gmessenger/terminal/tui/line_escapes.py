"""Escape line ends, tabs and backslashes, so that any text is one field of one line of a file."""

from __future__ import annotations

from typing import Final

CONTROL_ESCAPES: Final = (("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"))


def escape_line(text: str) -> str:
    """Return the text without line ends and tabs; `unescape_line` restores it."""
    text = text.replace("\\", "\\\\")
    for char, escape in CONTROL_ESCAPES:
        text = text.replace(char, escape)
    return text


def unescape_line(line: str) -> str:
    """Return the text that `escape_line` was given."""
    parts = line.split("\\\\")
    for char, escape in CONTROL_ESCAPES:
        parts = [part.replace(escape, char) for part in parts]
    return "\\".join(parts)
