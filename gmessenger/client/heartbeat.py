"""Liveness of a server: when to probe it, and when it counts as dead. Pure, but for the time spent suspended."""

from __future__ import annotations

import time
from enum import Enum, auto
from math import inf
from typing import Final

from gmessenger.client.config import Timeouts

MIN_SUSPEND: Final = 5.0
"""Seconds; connections survive a shorter suspension."""


def suspended_seconds() -> float:
    """Return the seconds that this machine was suspended since its start; 0 if the system does not tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) - time.monotonic() if clock is not None else 0.0


class Liveness(Enum):
    """What the silence of a server means."""

    ALIVE = auto()
    PROBE = auto()
    DEAD = auto()


class Heartbeat:
    """Decides what the silence of a server means, from the times of frames and probes.

    All times are seconds on one monotonic clock.
    """

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._last_frame_at = now
        self._reading_since = now
        self._probed_at = inf
        self._server_closing_at = inf

    def on_frame(self, now: float) -> None:
        """Note that a frame has arrived."""
        self._last_frame_at = now
        self._probed_at = inf

    def on_probe_sent(self, now: float) -> None:
        """Note that the server was probed: it counts as dead `timeouts.response` seconds later."""
        self._probed_at = now

    def on_reading_resumed(self, now: float) -> None:
        """Note that reading was paused until now: the silence was not the server's."""
        self._reading_since = now
        self.on_frame(now)

    def on_suspend(self, now: float) -> None:
        """Have the server probed at once: the clock stood still while the machine was suspended."""
        self._last_frame_at = now - self._timeouts.probe_after

    def on_server_closing(self, now: float) -> None:
        """Note that the server has announced to close the connection."""
        self._server_closing_at = now

    def next_check_at(self, oldest_sent: float | None) -> float:
        """Return when to call `check` next. `oldest_sent`: when the oldest unanswered message was sent, if any."""
        probe_at = self._last_frame_at + self._timeouts.probe_after if self._probed_at == inf else inf
        return min(probe_at, self._dead_at(oldest_sent))

    def check(self, now: float, oldest_sent: float | None) -> Liveness:
        """Return whether to go on, to probe, or to give up. `oldest_sent` is as for `next_check_at`."""
        if now >= self._dead_at(oldest_sent):
            return Liveness.DEAD
        return Liveness.PROBE if now >= self.next_check_at(oldest_sent) else Liveness.ALIVE

    def _dead_at(self, oldest_sent: float | None) -> float:
        unanswered_since = inf if oldest_sent is None else max(oldest_sent, self._reading_since)
        return min(self._probed_at, unanswered_since, self._server_closing_at) + self._timeouts.response
