"""Helpers of both backends: bad items found by halves, and acknowledgements that are not on disk yet."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.chat.records import DeviceCursor, MessageTrace, ReaderInfo
from gmessenger.store.common import PendingCursors, advance_cursors, bisect_bad, bisect_time


class _Sink:
    """Inserts numbers all together, or none of them where one is bad."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.inserted: list[int] = []
        self.refused: list[int] = []
        self.attempts = 0

    def insert(self, numbers: Sequence[int]) -> None:
        self.attempts += 1
        if self.bad.intersection(numbers):
            raise ValueError(numbers)
        self.inserted += numbers

    def refuse(self, number: int, error: Exception) -> None:
        assert str(error) == str([number])
        self.refused.append(number)


@pytest.mark.parametrize("bad", [set(), {0}, {99}, {41, 42}, set(range(0, 100, 7)), set(range(100))])
def test_bad_items_are_left_out_and_the_others_keep_their_order(bad: set[int]) -> None:
    sink = _Sink(bad)
    bisect_bad(list(range(100)), sink.insert, sink.refuse, (ValueError,))
    assert sink.refused == sorted(bad) and sink.inserted == [n for n in range(100) if n not in bad]
    if len(bad) <= 1:
        assert sink.attempts <= 1 + 2 * 7 * len(bad)  # 7 halvings of 100


def test_nothing_is_inserted_of_nothing_and_other_errors_pass() -> None:
    sink = _Sink(set())
    bisect_bad([], sink.insert, sink.refuse, (ValueError,))
    assert (sink.inserted, sink.refused) == ([], [])

    def fail(numbers: Sequence[int]) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        bisect_bad([1, 2], fail, sink.refuse, (ValueError,))
    bisect_bad([], fail, sink.refuse, (KeyError,))
    assert sink.refused == []


def test_a_cursor_waits_until_a_commit_has_it_on_disk() -> None:
    cursors = PendingCursors()
    cursors.advance(1, "#dev", 5)
    cursors.advance(1, "#dev", 4)
    cursors.advance(2, "#ops", 9)
    assert cursors.uncommitted("#dev") == {1: 5}
    assert cursors.take() == {(1, "#dev"): 5, (2, "#ops"): 9}
    cursors.advance(1, "#dev", 6)
    assert cursors.uncommitted("#dev") == {1: 6} and cursors.uncommitted("#ops") == {2: 9}
    assert cursors.end_commit(is_committed=False)  # both wait again, and what came meanwhile is further
    assert cursors.take() == {(1, "#dev"): 6, (2, "#ops"): 9}
    assert not cursors.end_commit(is_committed=True)
    assert cursors.uncommitted("#dev") == {} and not cursors.end_commit(is_committed=False)


def test_a_trace_has_what_was_acknowledged_and_is_not_on_disk() -> None:
    devices = [DeviceCursor(1, "phone", 3), DeviceCursor(2, "desk", 7)]
    trace = MessageTrace(1, 9, None, [ReaderInfo(1, 1, 0, devices)])
    assert advance_cursors(trace, {1: 5, 2: 4, 8: 8}) is trace
    assert [device.cursor for device in devices] == [5, 7] and advance_cursors(None, {1: 5}) is None


@given(st.dictionaries(st.integers(1, 60), st.floats(0, 9), max_size=20), st.integers(0, 5), st.floats(-1, 10))
def test_the_first_message_from_a_time_on_is_found_across_gaps(
    drawn: dict[int, float], pruned: int, time: float
) -> None:
    times = dict(zip(sorted(drawn), sorted(drawn.values()), strict=True))
    head = max(times, default=pruned)
    expected = min((seq for seq, at in times.items() if at >= time), default=head + 1)

    def find_next(id: int, start: int) -> tuple[int, float] | None:
        nonlocal reads
        reads += 1
        return min(((seq, at) for seq, at in times.items() if seq >= start), default=None)

    reads, first = 0, min(times, default=head + 1)
    assert bisect_time((7, head, first), time, find_next) == expected
    assert reads <= 6  # of at most 60 seqs
    assert bisect_time(None, time, find_next) == 1
