"""The time of day in the locale's format."""

import locale
import re

import pytest

from gmessenger.terminal.dates import format_time_of_day, local_date, set_time_locale, time_of_day_width


@pytest.mark.parametrize(
    ("time_format", "pattern"),
    [("%H:%M:%S", r"\d\d:\d\d"), ("%r", r"\d\d:\d\d [AP]M"), ("%I:%M:%S %p", r"\d\d:\d\d [AP]M"), ("%T", r"\d\d:\d\d")],
)
def test_hours_are_counted_as_the_locale_does(monkeypatch: pytest.MonkeyPatch, time_format: str, pattern: str) -> None:
    monkeypatch.setattr(locale, "nl_langinfo", {locale.T_FMT: time_format}.__getitem__)
    for hour in range(24):
        formatted = format_time_of_day(hour * 3600.0)
        assert re.fullmatch(pattern, formatted) and len(formatted) == time_of_day_width()


@pytest.mark.parametrize("seconds", [1e300, float("nan"), float("inf")])
def test_seconds_out_of_range(seconds: float) -> None:
    assert format_time_of_day(seconds) == "--:--" and local_date(seconds) is None


@pytest.mark.parametrize("name", ["C", "C.UTF-8", "xx_YY.UTF-8"])
def test_a_locale_that_is_not_installed_changes_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = locale.setlocale(locale.LC_TIME)
    monkeypatch.setenv("LC_ALL", name)
    try:
        set_time_locale()
        assert re.fullmatch(r"\d\d:\d\d", format_time_of_day(0.0))
    finally:
        locale.setlocale(locale.LC_TIME, before)
