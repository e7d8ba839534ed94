"""When something was said: the time of day as the locale writes it, and the day."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache

from gmessenger.terminal import dates
from gmessenger.terminal.dates import UNKNOWN


class Calendar:
    """Writes moments, which are Unix seconds, in local time, as the locale has it."""

    def __init__(self) -> None:
        self.columns = max(len(self.clock(hour * 3600)) for hour in (0, 12))

    def clock(self, at: float) -> str:
        """The time of day."""
        then = _local(at)
        return UNKNOWN if then is None else dates.time_of_day(then)

    def day(self, at: float) -> date | None:
        """The day; None where that is no time at all."""
        then = _local(at)
        return then.date() if then is not None else None


@lru_cache(maxsize=8192)
def _local(at: float) -> datetime | None:
    return dates.local(at)
