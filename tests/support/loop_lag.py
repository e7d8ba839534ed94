"""Lag of the test process: times measured while it had no CPU mean nothing."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import gevent

SAMPLE_INTERVAL: Final = 0.02
MAX_LAG: Final = 0.04
"""Seconds late, of three samples in a row, that make two things which were far apart come together."""


class LoopLag:
    """Samples the lag of the loop from its first use on."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=10_000)
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        if self._greenlet is None:
            self._samples.append((time.monotonic(), 0.0))
            self._greenlet = gevent.spawn(self._run)

    def has_lagged_since(self, since: float) -> bool:
        """Return whether the loop was, or is, late by more than `MAX_LAG` since then."""
        last = self._samples[-1][0]
        lags = [lag for at, lag in self._samples if at >= since]
        added_up = (sum(lags[start : start + 3]) for start in range(len(lags)))
        return time.monotonic() - last - SAMPLE_INTERVAL > MAX_LAG or any(lag > MAX_LAG for lag in added_up)

    def _run(self) -> None:
        while True:
            due = time.monotonic() + SAMPLE_INTERVAL
            gevent.sleep(SAMPLE_INTERVAL)
            now = time.monotonic()
            self._samples.append((now, now - due))


LOOP_LAG: Final = LoopLag()
"""That of this process, whose server and clients share one loop."""
