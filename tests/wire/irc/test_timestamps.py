"""Timestamps: exact to the millisecond, and the same as those of Python's calendar."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gmessenger.wire.irc.timestamps import MAX_SECONDS, MIN_SECONDS, format_time, parse_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS = st.integers(MIN_SECONDS * 1000, MAX_SECONDS * 1000 - 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1.001, "1970-01-01T00:00:01.001Z"),
        (0.0019, "1970-01-01T00:00:00.001Z"),
        (0.9999999, "1970-01-01T00:00:00.999Z"),
        (0.11699999999999999, "1970-01-01T00:00:00.116Z"),
        (-0.0005, "1969-12-31T23:59:59.999Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (4_107_542_399.5, "2100-02-28T23:59:59.500Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (1_796_133_900.123, "2026-12-01T14:05:00.123Z"),
        (MIN_SECONDS, "0001-01-01T00:00:00.000Z"),
        (MAX_SECONDS - 0.001, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_is_written_with_its_milliseconds_cut(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


@given(MILLISECONDS)
@example(1_796_133_900_123)
def test_a_time_is_read_as_it_was_written(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    text = format_time(seconds)
    assert text == f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    assert parse_time(text) == seconds


@given(st.floats(0, 4e9))
def test_a_time_is_within_its_millisecond(seconds: float) -> None:
    shown = parse_time(format_time(seconds))
    assert shown is not None and shown <= seconds < (round(shown * 1000) + 1) / 1000


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, MIN_SECONDS - 1, MAX_SECONDS, 1e300])
def test_what_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError):
        format_time(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01T00:00:00.5Z", 0.5),
        ("1970-01-01T00:00:00.000000001Z", 1e-9),
        ("1970-01-01T00:00:01.001Z", 1.001),
        ("1969-12-31T23:59:59.250Z", -0.75),
        ("2012-06-30T23:59:60.419Z", 1_341_100_800.419),
        ("2000-02-29T00:00:00Z", 951_782_400.0),
    ],
)
def test_a_timestamp_is_read(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.0123456789Z",
        "1970-01-01T00:00:00.000+00:00",
        "1970-01-01 00:00:00Z",
        "1970-01-01t00:00:00z",
        " 1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z\n",
        "1970-1-1T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "1970-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "1970-01-01T23:59:61Z",
        "١٩٧٠-01-01T00:00:00Z",
        "-970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z" * 100,
    ],
)
def test_what_is_no_timestamp_is_none(text: str) -> None:
    assert parse_time(text) is None
