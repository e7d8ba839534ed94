"""Turns: nothing that is long may keep the loop from everybody else."""

from __future__ import annotations

import time
from typing import Final

import gevent

LONGEST_TURN: Final = 0.002
"""Seconds."""
BEHIND_THE_SOCKETS: Final = 1e-6
"""A timer's pause, as short as can be: the loop looks at its sockets before it comes back. After `sleep(0)` it goes on
at once with whatever called that, fifty times over, and one connection with much to ask held up all others 0.2 s."""


class Turn:
    """What does one thing after the other asks between them whether its turn is over, and then gives way."""

    __slots__ = ("_ends", "_longest")

    def __init__(self, longest: float = LONGEST_TURN) -> None:
        self._longest = longest
        self._ends = time.monotonic() + longest

    @property
    def over(self) -> bool:
        return time.monotonic() > self._ends

    def give_way(self) -> None:
        """Let everybody else have a turn, if this one was long enough."""
        if self.over:
            gevent.sleep(BEHIND_THE_SOCKETS)
            self._ends = time.monotonic() + self._longest
