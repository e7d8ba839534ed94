"""Colours of names for light and dark backgrounds, styles, and symbols in Unicode and ASCII."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zlib import crc32

from gmessenger.client import fold
from gmessenger.terminal.tui.conversation import MessageState

NAME_COLOURS: Final = (
    "#d75f5f",
    "#d75f00",
    "#af5f00",
    "#878700",
    "#008700",
    "#00875f",
    "#008787",
    "#0087d7",
    "#5f5fff",
    "#875fd7",
    "#af5fd7",
    "#d700d7",
    "#d700af",
    "#ff005f",
)
"""Those of the 256 terminal colours that stand out on white and on the greys near black.

Their contrast with either is at least 3 to 1.
"""

STYLES: Final = {
    "time": "#767676",
    "gutter": "#767676",
    "notice": "#767676",
    "mark": "#767676",
    "quote": "#767676",
    "reaction": "#767676",
    "marked": "reverse",
    "day": "#767676 bold",
    "unread": "#ff0000 bold",
    "refused": "#ff0000",
    "mention": "reverse",
    "own": "bold",
    "link": "underline",
    "title": "reverse",
    "status": "reverse",
    "lost": "reverse bold",
    "current": "reverse",
    "counted": "bold",
    "border": "#767676",
    "question": "bold",
    "completion-menu": "noreverse",
    "completion-menu.completion": "reverse",
    "completion-menu.completion.current": "noreverse bold",
    "completion-menu.meta.completion": "reverse",
    "completion-menu.meta.completion.current": "noreverse bold",
} | {f"name{number}": colour for number, colour in enumerate(NAME_COLOURS)}
"""All styles. No information is in a colour alone: without colours, the symbols and words say it."""


@lru_cache(maxsize=4096)
def name_style(name: str) -> str:
    """Return the style of a name, the same in every run."""
    return f"class:name{crc32(fold(name).encode(errors='surrogateescape')) % len(NAME_COLOURS)}"


def is_colour_disabled(environment: Mapping[str, str]) -> bool:
    """Return whether the user wants no colours; see https://no-color.org."""
    return bool(environment.get("NO_COLOR"))


@dataclass(frozen=True, slots=True)
class Symbols:
    """The symbols for the states of messages, users and the connection, and for borders and counts."""

    waiting: str = "…"
    stored: str = "✓"
    delivered: str = "✓✓"
    rejected: str = "✗"
    online: str = "●"
    away: str = "◐"
    offline: str = "○"
    vertical_line: str = "│"
    horizontal_line: str = "─"
    above: str = "↑"
    below: str = "↓"
    ellipsis: str = "…"
    quote: str = ">"
    marked: str = "»"

    def state(self, state: MessageState) -> str:
        """Return the symbol for the state of an own message."""
        return {
            MessageState.WAITING: self.waiting,
            MessageState.STORED: self.stored,
            MessageState.RELAYED: self.delivered,
            MessageState.DELIVERED: self.delivered,
            MessageState.REJECTED: self.rejected,
        }[state]


UNICODE: Final = Symbols()
ASCII: Final = Symbols("..", "+", "++", "x", "*", "~", "o", "|", "-", "^", "v", "..", ">", ">")


def symbols_for(encoding: str | None) -> Symbols:
    """Return the Unicode symbols if a terminal with this encoding can show them, otherwise ASCII."""
    try:
        "".join(str(getattr(UNICODE, name)) for name in Symbols.__slots__).encode(
            codecs.lookup(encoding or "ascii").name
        )
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return UNICODE
