"""Absences in a room: merged beyond a number, and the ranges between them."""

from __future__ import annotations

import pytest

from gmessenger.chat.records import ReadRange
from gmessenger.store.absences import (
    MAX_ABSENCES,
    absences_after,
    add_absence,
    first_readable,
    ranges_after,
    ranges_before,
    readable_ranges,
)


def test_beyond_a_number_the_two_closest_absences_become_one() -> None:
    absences = [(index * 10, index * 10 + 2) for index in range(1, MAX_ABSENCES + 1)]
    absences[4] = (50, 58)
    merged = add_absence(absences, 5000, 5001)
    assert len(merged) == MAX_ABSENCES
    assert merged[4] == (50, 62) and merged[-1] == (5000, 5001)


@pytest.mark.parametrize(
    ("first", "stored", "absences"),
    [(3, 1, [(6, 7)]), (8, 4, [(6, 7)]), (8, 6, [(6, 7)]), (9, 9, []), (12, 10, [(10, 11)])],
)
def test_the_first_that_may_be_read_is_no_absent_one(first: int, stored: int, absences: list[tuple[int, int]]) -> None:
    known = {(6, 7): ReadRange(3, 3, [(4, 5), (6, 7)]), (10, 11): ReadRange(3, 3, [(10, 11)])}
    readable = known.get(absences[0] if absences else (6, 7), ReadRange(3, 3))
    assert first_readable(readable, stored) == first


def test_absences_from_what_is_not_stored_any_more_are_left_out() -> None:
    readable = ReadRange(3, 3, [(4, 5), (8, 9)])
    assert absences_after(readable, 1) == [(4, 5), (8, 9)]
    assert absences_after(readable, 5) == [(4, 5), (8, 9)]
    assert absences_after(readable, 6) == [(8, 9)]


def test_ranges_leave_out_absences_and_are_cut_to_a_number_of_messages() -> None:
    ranges = readable_ranges(ReadRange(3, 3, [(5, 6), (9, 12)]), 1, 14)
    assert ranges == [(3, 4), (7, 8), (13, 14)]
    assert ranges_after(ranges, 3, 2) == ([(4, 4), (7, 7)], True)
    assert ranges_after(ranges, 7, 3) == ([(8, 8), (13, 14)], False)
    assert ranges_after(ranges, 14, 3) == ([], False)
    assert ranges_before(ranges, 14, 2) == ([(13, 13), (8, 8)], True)
    assert ranges_before(ranges, 8, 9) == ([(7, 7), (3, 4)], False)
    assert readable_ranges(ReadRange(9, 9, [(9, 12)]), 1, 12) == []
