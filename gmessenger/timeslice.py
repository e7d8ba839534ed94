"""Time slices: long work on the event loop yields to other greenlets."""

from __future__ import annotations

import time
from typing import Final

import gevent

MAX_SLICE: Final = 0.002  # seconds
YIELD_DELAY: Final = 1e-6
"""The shortest timer: the loop polls sockets before it resumes the greenlet. `sleep(0)` resumes it up to fifty times
without polling; one connection with many requests delayed all others by 0.2 s."""


class TimeSlice:
    """The time that one greenlet has been running; call `yield_if_expired` between two pieces of work."""

    __slots__ = ("_deadline", "_duration")

    def __init__(self, duration: float = MAX_SLICE) -> None:
        self._duration = duration
        self._deadline = time.monotonic() + duration

    @property
    def expired(self) -> bool:
        """Whether the greenlet should yield now."""
        return time.monotonic() > self._deadline

    def yield_if_expired(self) -> None:
        """Let other greenlets run if the slice has expired, and begin a new one. Blocks the greenlet only then."""
        if self.expired:
            gevent.sleep(YIELD_DELAY)
            self._deadline = time.monotonic() + self._duration
