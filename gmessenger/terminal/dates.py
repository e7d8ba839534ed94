"""Format times, days and durations in the language that was chosen.

The C library's locales are not used, because the language's locale may not be installed; only whether hours count to 12
or to 24 is read from the locale, because that depends on the country.
"""

from __future__ import annotations

import locale
from contextlib import suppress
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from gmessenger.terminal.i18n import N_, _

UNKNOWN_TIME: Final = "--:--"
WEEKDAYS: Final = (
    *(N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday"), N_("Saturday"), N_("Sunday")),
)
MONTHS: Final = (
    *(N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June"), N_("July")),
    *(N_("August"), N_("September"), N_("October"), N_("November"), N_("December")),
)
"""Month names as they are written beside the number of a day; in some languages that is another case."""
TWELVE_HOUR_CODES: Final = ("%r", "%I", "%p")
"""Codes in a locale's time format that mean that hours count to 12."""


def set_time_locale() -> None:
    """Use the time format of the environment's locale, if installed. Call it when the program starts."""
    with suppress(locale.Error):
        locale.setlocale(locale.LC_TIME, "")


@lru_cache(maxsize=8192)
def local_time(seconds: float) -> datetime | None:
    """Convert Unix seconds to local time; None if they are out of range."""
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def local_date(seconds: float) -> date | None:
    """Convert Unix seconds to the local day; None if they are out of range."""
    moment = local_time(seconds)
    return moment.date() if moment is not None else None


def format_time_of_day(seconds: float) -> str:
    """Format Unix seconds as `21:05`, or as `09:05 PM` where the locale counts hours to 12."""
    moment = local_time(seconds)
    if moment is None:
        return UNKNOWN_TIME
    if any(code in locale.nl_langinfo(locale.T_FMT) for code in TWELVE_HOUR_CODES):
        return f"{moment:%I:%M} {'AM' if moment.hour < 12 else 'PM'}"
    return f"{moment:%H:%M}"


def time_of_day_width() -> int:
    """Return the columns of a time of day in this locale."""
    return max(len(format_time_of_day(hour * 3600)) for hour in (0, 12))


def format_time(seconds: float) -> str:
    """Format Unix seconds as the time of day, with the date before it unless that is today."""
    moment, time = local_time(seconds), format_time_of_day(seconds)
    if moment is None or moment.date() == datetime.now().astimezone().date():
        return time
    return _("{year:04}-{month:02}-{day:02} {time}", year=moment.year, month=moment.month, day=moment.day, time=time)


def format_day(day: date) -> str:
    """Format a day in full: `Monday, 23 November 2026`."""
    weekday, month = _(WEEKDAYS[day.weekday()]), _(MONTHS[day.month - 1])
    return _("{weekday}, {day} {month} {year}", weekday=weekday, day=day.day, month=month, year=day.year)


def format_duration(seconds: float) -> str:
    """Format a duration as `0.8 s` or `25 s`."""
    if round(seconds, 1) >= 10:
        return _("{seconds} s", seconds=f"{seconds:.0f}")
    whole, tenths = f"{seconds:.1f}".split(".")
    return _("{whole}.{tenths} s", whole=whole, tenths=tenths)
