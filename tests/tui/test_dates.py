"""The time of day as the locale has it."""

import locale
import re

import pytest

from gmessenger.terminal.dates import set_time_locale
from gmessenger.terminal.tui.entries import TimeFormatter


@pytest.mark.parametrize(
    ("written", "shape"),
    [("%H:%M:%S", r"\d\d:\d\d"), ("%r", r"\d\d:\d\d [AP]M"), ("%I:%M:%S %p", r"\d\d:\d\d [AP]M"), ("%T", r"\d\d:\d\d")],
)
def test_hours_are_counted_as_the_locale_does(monkeypatch: pytest.MonkeyPatch, written: str, shape: str) -> None:
    monkeypatch.setattr(locale, "nl_langinfo", {locale.T_FMT: written}.__getitem__)
    calendar = TimeFormatter()
    for hour in range(24):
        said = calendar.format_time(hour * 3600.0)
        assert re.fullmatch(shape, said) and len(said) == calendar.width


@pytest.mark.parametrize("at", [1e300, float("nan"), float("inf")])
def test_what_is_no_time(at: float) -> None:
    assert TimeFormatter().format_time(at) == "--:--" and TimeFormatter().date(at) is None


@pytest.mark.parametrize("name", ["C", "C.UTF-8", "xx_YY.UTF-8"])
def test_a_locale_that_is_not_installed_is_as_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = locale.setlocale(locale.LC_TIME)
    monkeypatch.setenv("LC_ALL", name)
    try:
        set_time_locale()
        assert re.fullmatch(r"\d\d:\d\d", TimeFormatter().format_time(0.0))
    finally:
        locale.setlocale(locale.LC_TIME, before)
