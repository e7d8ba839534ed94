"""When to ask the other end whether it is there, and when to take it for gone: arithmetic on a monotonic clock."""

from __future__ import annotations

from enum import Enum, auto
from math import inf

from gmessenger.client.patience import Patience


class Pulse(Enum):
    """What is to be thought of the other end just now."""

    BEATING = auto()
    PROBE = auto()
    GONE = auto()


class Heartbeat:
    """Told of what is heard and asked, it says what the silence since then means. Times are seconds on one clock."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._heard_at = now
        self._listening_since = now
        self._probed_at = inf
        self._last_orders_at = inf

    def heard(self, now: float) -> None:
        self._heard_at = now
        self._probed_at = inf

    def probed(self, now: float) -> None:
        self._probed_at = now

    def listening_again(self, now: float) -> None:
        """Nothing was read for a while, on purpose: the silence of that while was ours."""
        self._listening_since = now
        self.heard(now)

    def slept(self, now: float) -> None:
        """This machine did, and its clock with it: ask at once, for the silence was longer than it seems."""
        self._heard_at = now - self._patience.probe_after

    def last_orders(self, now: float) -> None:
        """The other end said that it will close the line."""
        self._last_orders_at = now

    def look_again_at(self, oldest_sent: float | None) -> float:
        """When the pulse is worth another look. `oldest_sent` is when the oldest unanswered message went out."""
        probe_at = self._heard_at + self._patience.probe_after if self._probed_at == inf else inf
        return min(probe_at, self._gone_at(oldest_sent))

    def pulse(self, now: float, oldest_sent: float | None) -> Pulse:
        if now >= self._gone_at(oldest_sent):
            return Pulse.GONE
        return Pulse.PROBE if now >= self.look_again_at(oldest_sent) else Pulse.BEATING

    def _gone_at(self, oldest_sent: float | None) -> float:
        unanswered_since = inf if oldest_sent is None else max(oldest_sent, self._listening_since)
        return min(self._probed_at, unanswered_since, self._last_orders_at) + self._patience.answer
