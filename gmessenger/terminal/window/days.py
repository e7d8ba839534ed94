"""When something was said: the time of day as the locale writes it, and the day."""

from __future__ import annotations

import locale
from contextlib import suppress
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from gmessenger.terminal import dates
from gmessenger.terminal.dates import UNKNOWN

BY_TWELVE: Final = ("%r", "%I", "%p")
"""What there is of these in a locale's way to write times says that it counts the hours to twelve."""


def adopt_locale() -> None:
    """Write times as the environment asks for; for the program's start, once. One that is not installed is as none."""
    with suppress(locale.Error):
        locale.setlocale(locale.LC_TIME, "")


class Calendar:
    """Writes moments, which are Unix seconds, in local time and in the locale as it is when this is made."""

    def __init__(self) -> None:
        by_twelve = any(code in locale.nl_langinfo(locale.T_FMT) for code in BY_TWELVE)
        self._clock = "%I:%M %p" if by_twelve else "%H:%M"
        self.columns = max(len(self.clock(hour * 3600)) for hour in (0, 12))

    def clock(self, at: float) -> str:
        """The time of day."""
        then = _local(at)
        return UNKNOWN if then is None else then.strftime(self._clock)

    def day(self, at: float) -> date | None:
        """The day; None where that is no time at all."""
        then = _local(at)
        return then.date() if then is not None else None


@lru_cache(maxsize=8192)
def _local(at: float) -> datetime | None:
    return dates.local(at)
