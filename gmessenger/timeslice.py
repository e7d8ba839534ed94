"""Turns: nothing that is long may keep the loop from everybody else."""

from __future__ import annotations

import time
from typing import Final

import gevent

MAX_SLICE: Final = 0.002
"""Seconds."""
YIELD_DELAY: Final = 1e-6
"""A timer's pause, as short as can be: the loop looks at its sockets before it comes back. After `sleep(0)` it goes on
at once with whatever called that, fifty times over, and one connection with much to ask held up all others 0.2 s."""


class TimeSlice:
    """What does one thing after the other asks between them whether its turn is over, and then gives way."""

    __slots__ = ("_deadline", "_duration")

    def __init__(self, duration: float = MAX_SLICE) -> None:
        self._duration = duration
        self._deadline = time.monotonic() + duration

    @property
    def expired(self) -> bool:
        return time.monotonic() > self._deadline

    def yield_if_expired(self) -> None:
        """Let everybody else have a turn, if this one was long enough."""
        if self.expired:
            gevent.sleep(YIELD_DELAY)
            self._deadline = time.monotonic() + self._duration
