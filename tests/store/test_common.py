"""What both backends share: bad items are found by halves, and the others are inserted in their order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gmessenger.store.common import bisect_bad


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
