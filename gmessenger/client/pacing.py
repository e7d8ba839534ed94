"""How fast messages may be sent: as fast as the server has announced, so that it need not refuse any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SAFE: Final = 0.95
"""Of the announced rate: two clocks are never quite alike."""


class Pace:
    """So many at once, then so many a second. Before the server has said anything there is no limit."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._burst = 0.0
        self._left = 0.0
        self._at: float | None = None

    def announced(self, limits: Mapping[str, Any]) -> None:
        """What the server said when it let us in. Coming back does not renew what was used up."""
        rate, burst = limits.get("message_rate"), limits.get("message_burst")
        self._rate = self._burst = 0.0
        if isinstance(rate, int) and isinstance(burst, int) and rate > 0 and burst > 0:
            self._rate, self._burst = rate * SAFE, max(1.0, burst * SAFE)

    def allowed(self, now: float) -> int | None:
        """How many may be sent now; None where there is no limit."""
        if not self._rate:
            return None
        gained = self._burst if self._at is None else (now - self._at) * self._rate
        self._left = min(self._burst, self._left + gained)
        self._at = now
        return int(self._left)

    def sent(self, count: int) -> None:
        """So many have been sent."""
        if self._rate:
            self._left -= count

    def next_at(self) -> list[float]:
        """When the next one may be sent, where none may be now."""
        if not self._rate or self._at is None or self._left >= 1:
            return []
        return [self._at + (1 - self._left) / self._rate]
