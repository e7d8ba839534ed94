"""Heartbeat arithmetic on a monotonic clock: when to probe, when to give up, and detection of suspended machines."""

from __future__ import annotations

import time
from enum import Enum, auto
from math import inf
from typing import Final

from gmessenger.client.config import Timeouts

MIN_SUSPEND: Final = 5.0
"""Seconds; a shorter sleep has broken no line."""


def suspended_seconds() -> float:
    """How many seconds this machine has slept since it started; 0 where the system does not tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) - time.monotonic() if clock is not None else 0.0


class Liveness(Enum):
    """What is to be thought of the other end just now."""

    ALIVE = auto()
    PROBE = auto()
    DEAD = auto()


class Heartbeat:
    """Told of what is heard and asked, it says what the silence since then means. Times are seconds on one clock."""

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._last_frame_at = now
        self._reading_since = now
        self._probed_at = inf
        self._server_closing_at = inf

    def on_frame(self, now: float) -> None:
        self._last_frame_at = now
        self._probed_at = inf

    def on_probe_sent(self, now: float) -> None:
        self._probed_at = now

    def on_reading_resumed(self, now: float) -> None:
        """Nothing was read for a while, on purpose: the silence of that while was ours."""
        self._reading_since = now
        self.on_frame(now)

    def on_suspend(self, now: float) -> None:
        """This machine did, and its clock with it: ask at once, for the silence was longer than it seems."""
        self._last_frame_at = now - self._timeouts.probe_after

    def on_server_closing(self, now: float) -> None:
        """The other end said that it will close the line."""
        self._server_closing_at = now

    def next_check_at(self, oldest_sent: float | None) -> float:
        """When the pulse is worth another look. `oldest_sent` is when the oldest unanswered message went out."""
        probe_at = self._last_frame_at + self._timeouts.probe_after if self._probed_at == inf else inf
        return min(probe_at, self._dead_at(oldest_sent))

    def check(self, now: float, oldest_sent: float | None) -> Liveness:
        if now >= self._dead_at(oldest_sent):
            return Liveness.DEAD
        return Liveness.PROBE if now >= self.next_check_at(oldest_sent) else Liveness.ALIVE

    def _dead_at(self, oldest_sent: float | None) -> float:
        unanswered_since = inf if oldest_sent is None else max(oldest_sent, self._reading_since)
        return min(self._probed_at, unanswered_since, self._server_closing_at) + self._timeouts.response
