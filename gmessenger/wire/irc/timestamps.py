"""Timestamps of IRC in ISO 8601 (IRCv3, "server-time"), from and to seconds since 1970 in UTC.

The calendar is the proleptic Gregorian one, counted in years from March, so that the leap day is a year's last.
"""

from __future__ import annotations

import math
import re
from typing import Final

TIMESTAMP: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z")
DAYS_OF_MONTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAYS_OF_ERA: Final = 146_097
"""Days of the 400 years after which the calendar repeats."""
DAYS_BEFORE_1970: Final = 719_468
"""From March 1 of the year 0."""
SECONDS_OF_DAY: Final = 86_400
MILLISECONDS: Final = 1000
NANOSECONDS: Final = 10**9
"""Both of a second."""
MIN_SECONDS: Final = -62_135_596_800
"""The beginning of the year 1."""
MAX_SECONDS: Final = 253_402_300_800
"""The beginning of the year 10000."""


def format_time(seconds: float) -> str:
    """Return a time with its milliseconds, which are cut and not rounded: `2026-11-28T14:05:00.123Z`.

    The milliseconds are those of the decimal number that the float stands for: 1.001 has one, though as a binary number
    it is less. Raises ValueError for what is not within the years 1 to 9999.
    """
    if not MIN_SECONDS <= seconds < MAX_SECONDS:
        raise ValueError(f"not a time: {seconds}")
    days, of_day = divmod(_whole_milliseconds(seconds), SECONDS_OF_DAY * MILLISECONDS)
    year, month, day = _to_date(days)
    of_day, milliseconds = divmod(of_day, MILLISECONDS)
    minutes, second = divmod(of_day, 60)
    hour, minute = divmod(minutes, 60)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"


def parse_time(text: str) -> float | None:
    """Return the seconds of a timestamp, with up to nine decimals; None if it is not a valid one.

    A leap second (`23:59:60`) is the second after it.
    """
    found = TIMESTAMP.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if not (year and 1 <= month <= 12 and 1 <= day <= _days_of_month(year, month) and hour < 24 and minute < 60):
        return None
    if second > 59 and (hour, minute, second) != (23, 59, 60):
        return None
    whole = _to_days(year, month, day) * SECONDS_OF_DAY + (hour * 60 + minute) * 60 + second
    nanoseconds = int((found[7] or "").ljust(9, "0"))
    return (whole * NANOSECONDS + nanoseconds) / NANOSECONDS


def _whole_milliseconds(seconds: float) -> int:
    """Return the highest number of milliseconds that, as seconds in a float, is not above `seconds`."""
    count = math.floor(seconds * MILLISECONDS)
    if (count + 1) / MILLISECONDS <= seconds:
        return count + 1
    return count if count / MILLISECONDS <= seconds else count - 1


def _to_date(days: int) -> tuple[int, int, int]:
    """Return year, month and day of a number of days since 1970."""
    era, of_era = divmod(days + DAYS_BEFORE_1970, DAYS_OF_ERA)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // (DAYS_OF_ERA - 1)) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * of_year + 2) // 153
    month = (from_march + 2) % 12 + 1
    return era * 400 + year + (month <= 2), month, of_year - _days_before(from_march) + 1


def _to_days(year: int, month: int, day: int) -> int:
    """Return the number of days since 1970 of a date."""
    era, of_era = divmod(year - (month <= 2), 400)
    of_year = _days_before((month - 3) % 12) + day - 1
    return era * DAYS_OF_ERA + of_era * 365 + of_era // 4 - of_era // 100 + of_year - DAYS_BEFORE_1970


def _days_before(from_march: int) -> int:
    """Return the days of a year before its month, counted from March: five months have 153 days."""
    return (153 * from_march + 2) // 5


def _days_of_month(year: int, month: int) -> int:
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and is_leap else DAYS_OF_MONTHS[month - 1]
