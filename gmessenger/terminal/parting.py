"""How a conversation ends by will: what was said is waited for, for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gmessenger.client import Link
from gmessenger.errors import NotAllSent
from gmessenger.terminal import render
from gmessenger.terminal.words import N_, _

KEPT: Final = N_("Messages without an answer, saved and sent at the next start: {count}.")
UNCERTAIN: Final = N_("Messages without an answer, which may be lost: {count}.")
AT_ONCE: Final = 0.3
"""Seconds that answers usually take; waiting any longer is worth a word."""


def await_answers(link: Link, seconds: float, say: Callable[[str], object]) -> NotAllSent | None:
    """Wait until everything is answered, for at most so long; returns what the program ends with if it is not."""
    left = link.flush(AT_ONCE)
    if left:
        say(render.leaving(left))
        left = link.flush(seconds)
    return NotAllSent(_(KEPT if link.keeping else UNCERTAIN, count=left)) if left else None
