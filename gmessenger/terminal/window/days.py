"""Days and times as the user's locale writes them; whoever starts the program has set it."""

from __future__ import annotations

import locale
from datetime import date, datetime
from functools import lru_cache
from typing import Final

NO_TIME: Final = "--:--"
BY_TWELVE: Final = ("%r", "%I", "%p")
"""What there is of these in a locale's way to write times says that it counts the hours to twelve."""


class Calendar:
    """Writes moments, which are Unix seconds, in local time and in the locale as it is when this is made."""

    def __init__(self) -> None:
        by_twelve = any(code in locale.nl_langinfo(locale.T_FMT) for code in BY_TWELVE)
        self._clock = "%I:%M %p" if by_twelve else "%H:%M"
        named = locale.setlocale(locale.LC_TIME) not in ("C", "POSIX", "C.UTF-8")
        self._day = "%A, %x" if named else "%A, %d %B %Y"
        self.columns = max(len(self.clock(hour * 3600)) for hour in (0, 12))

    def clock(self, at: float) -> str:
        """The time of day."""
        then = _local(at)
        return NO_TIME if then is None else then.strftime(self._clock)

    def day(self, at: float) -> date | None:
        """The day; None where that is no time at all."""
        then = _local(at)
        return then.date() if then is not None else None

    def day_in_words(self, day: date) -> str:
        return day.strftime(self._day)


@lru_cache(maxsize=8192)
def _local(at: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(at).astimezone()
    except (ValueError, OverflowError, OSError):
        return None
