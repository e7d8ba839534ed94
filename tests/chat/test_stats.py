"""Histograms and their quantiles."""

from __future__ import annotations

from gmessenger.chat.stats import RECENT_VALUES, Histogram


def test_a_value_counts_under_the_first_bound_that_is_not_below_it() -> None:
    histogram = Histogram((1, 5))
    for value, times in ((0.5, 1), (1, 1), (1.1, 2), (5, 1), (9, 1)):
        histogram.add(value, times)
    assert (histogram.counts, histogram.sum) == ([2, 3, 1], 17.7)


def test_only_the_latest_are_remembered_one_by_one() -> None:
    histogram = Histogram((1,))
    assert histogram.quantile(0.5) == 0.0
    for value in range(3 * RECENT_VALUES):
        histogram.add(value)
    assert len(histogram.recent) == RECENT_VALUES
    assert histogram.quantile(0.0) == 2 * RECENT_VALUES
    assert (histogram.quantile(0.5), histogram.quantile(1.0)) == (2.5 * RECENT_VALUES, 3 * RECENT_VALUES - 1)
