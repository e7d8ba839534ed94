"""Times, days and durations, as the language that was chosen writes them.

Without the C library's locales, as the language may be there where its locale is not installed; but for whether the
hours are counted to twelve or to twenty-four, which goes by the country.
"""

from __future__ import annotations

import locale
from contextlib import suppress
from datetime import date, datetime
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
"""As they stand beside a day's number: in some languages that is another case."""
TWELVE_HOUR_CODES: Final = ("%r", "%I", "%p")
"""What there is of these in a locale's way to write times says that it counts the hours to twelve."""


def set_time_locale() -> None:
    """Count the hours as the environment's locale does; for the program's start. One not installed is as none."""
    with suppress(locale.Error):
        locale.setlocale(locale.LC_TIME, "")


def local_time(seconds: float) -> datetime | None:
    """Unix seconds where one is; None for what is no time."""
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def format_time_of_day(then: datetime) -> str:
    """`21:05`, or `09:05 PM` where the locale has it so."""
    by_twelve = any(code in locale.nl_langinfo(locale.T_FMT) for code in TWELVE_HOUR_CODES)
    return f"{then:%I:%M} {'AM' if then.hour < 12 else 'PM'}" if by_twelve else f"{then:%H:%M}"


def format_time(seconds: float) -> str:
    """The time of day, with the date unless it is today."""
    then = local_time(seconds)
    if then is None:
        return UNKNOWN_TIME
    time = format_time_of_day(then)
    if then.date() == datetime.now().astimezone().date():
        return time
    return _("{year:04}-{month:02}-{day:02} {time}", year=then.year, month=then.month, day=then.day, time=time)


def format_day(then: date) -> str:
    """A day in full: `Monday, 23 November 2026`."""
    weekday, month = _(WEEKDAYS[then.weekday()]), _(MONTHS[then.month - 1])
    return _("{weekday}, {day} {month} {year}", weekday=weekday, day=then.day, month=month, year=then.year)


def format_duration(seconds: float) -> str:
    """A duration as people say it: `0.8 s`, `25 s`."""
    if round(seconds, 1) >= 10:
        return _("{seconds} s", seconds=f"{seconds:.0f}")
    whole, tenths = f"{seconds:.1f}".split(".")
    return _("{whole}.{tenths} s", whole=whole, tenths=tenths)
