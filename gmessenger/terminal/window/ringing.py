"""What asks a terminal to say something on the desktop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gmessenger.terminal_text import visible

LONGEST: Final = 120
"""Characters; a notification is a glance."""


def notification(words: str, environment: Mapping[str, str]) -> str:
    """OSC 9 with these words; in tmux wrapped, which passes it on if `allow-passthrough` is on."""
    sequence = f"\x1b]9;{visible(words)[:LONGEST]}\x07"
    if environment.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
