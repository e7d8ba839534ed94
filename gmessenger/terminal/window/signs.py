"""The signs on the screen, for terminals that can show them and for those that cannot."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from gmessenger.terminal.window.conversation import State


@dataclass(frozen=True, slots=True)
class Signs:
    """What stands for the states of a message, of people and of the line, what separates, and what is elsewhere."""

    waiting: str = "…"
    stored: str = "✓"
    delivered: str = "✓✓"
    refused: str = "✗"
    here: str = "●"
    away: str = "◐"
    gone: str = "○"
    upright: str = "│"
    level: str = "─"
    above: str = "↑"
    below: str = "↓"
    further: str = "…"

    def state(self, state: State) -> str:
        return {
            State.WAITING: self.waiting,
            State.STORED: self.stored,
            State.HANDED_OVER: self.delivered,
            State.DELIVERED: self.delivered,
            State.REFUSED: self.refused,
        }[state]


UNICODE: Final = Signs()
ASCII: Final = Signs("..", "+", "++", "x", "*", "~", "o", "|", "-", "^", "v", "..")


def signs_for(encoding: str | None) -> Signs:
    """Those that a terminal with this encoding can show."""
    try:
        "".join(str(getattr(UNICODE, name)) for name in Signs.__slots__).encode(codecs.lookup(encoding or "ascii").name)
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return UNICODE
