"""How late this process has been: what was measured by a clock while somebody else had the processor says nothing."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import gevent

EVERY: Final = 0.02
MUCH: Final = 0.04
"""Seconds late that make two things which were far apart come together."""


class Lateness:
    """Feels the pulse of the loop from its first use on."""

    def __init__(self) -> None:
        self._beats: deque[tuple[float, float]] = deque(maxlen=10_000)
        self._beating: gevent.Greenlet | None = None

    def begin(self) -> None:
        if self._beating is None:
            self._beats.append((time.monotonic(), 0.0))
            self._beating = gevent.spawn(self._beat)

    def much_since(self, then: float) -> bool:
        """Whether somebody who wanted to run since then had to wait for long, or still has."""
        last = self._beats[-1][0]
        return time.monotonic() - last - EVERY > MUCH or any(late > MUCH for at, late in self._beats if at >= then)

    def _beat(self) -> None:
        while True:
            due = time.monotonic() + EVERY
            gevent.sleep(EVERY)
            now = time.monotonic()
            self._beats.append((now, now - due))


LATENESS: Final = Lateness()
"""That of this process, whose server and clients share one loop."""
