"""How fast messages may be sent: as fast as the server has announced, so that it need not refuse any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SAFE: Final = 0.95
"""Of the announced rate: two clocks are never quite alike."""


class Pace:
    """So many at once, then so many a second, a long text counting as several; no limit before the server says one."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._burst = 0.0
        self._size: int | None = None
        self._left = 0.0
        self._wanted = 0.0  # by a message that has to wait
        self._at: float | None = None

    def announced(self, limits: Mapping[str, Any]) -> None:
        """What the server said when it let us in. Coming back does not renew what was used up."""
        rate, burst, size = (limits.get(f"message_{what}") for what in ("rate", "burst", "size"))
        self._rate = self._burst = 0.0
        self._size = size if isinstance(size, int) and size > 0 else None
        if isinstance(rate, int) and isinstance(burst, int) and rate > 0 and burst > 0:
            self._rate, self._burst = rate * SAFE, max(1.0, burst * SAFE)

    def look(self, now: float) -> None:
        """Time has passed: more may be sent. Call it before `spend`."""
        gained = self._burst if self._at is None else (now - self._at) * self._rate
        self._left = min(self._burst, self._left + gained)
        self._wanted = 0.0
        self._at = now if self._rate else None

    def spend(self, characters: int) -> bool:
        """Whether a text of that length may be sent now; then it counts as sent."""
        if not self._rate:
            return True
        # What costs more than can ever be there costs all of it, as it does the server.
        price = min(self._burst, 1 + characters // self._size if self._size else 1)
        if self._left < price:
            self._wanted = price
            return False
        self._left -= price
        return True

    def next_at(self) -> list[float]:
        """When the message may be sent that has to wait, where there is one."""
        if not self._wanted or self._at is None:
            return []
        return [self._at + (self._wanted - self._left) / self._rate]
