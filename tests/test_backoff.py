"""Backoff: how delays grow, where they end, and how they are spread."""

from __future__ import annotations

import pytest

from gmessenger.backoff import Backoff


def test_delays_double_up_to_the_maximum_and_start_again_after_a_reset() -> None:
    drawn: list[tuple[float, float]] = []

    def draw_highest(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    backoff = Backoff(1.0, 30.0, draw_highest)
    assert [backoff.next_delay() for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert drawn[:3] == [(0.5, 1), (1, 2), (2, 4)]
    backoff.reset()
    assert backoff.next_delay() == 1


def test_without_jitter_nothing_is_drawn() -> None:
    def draw(low: float, high: float) -> float:
        pytest.fail("drawn")

    backoff = Backoff(0.1, 0.5, draw, jitter=0.0)
    assert [backoff.next_delay() for _ in range(4)] == [0.1, 0.2, 0.4, 0.5]


def test_delays_differ() -> None:
    delays = [Backoff(1.0, 30.0).next_delay() for _ in range(20)]
    assert len(set(delays)) > 1 and all(0.5 <= delay <= 1.0 for delay in delays)


def test_a_delay_is_at_least_what_is_demanded_and_grows_on() -> None:
    backoff = Backoff(1.0, 30.0, max)
    assert [backoff.next_delay(at_least=5.0), backoff.next_delay()] == [5.0, 2.0]


def test_a_requested_delay_is_spread_upwards_only() -> None:
    assert all(2.0 <= Backoff(1.0, 30.0).spread_requested(2.0) <= 3.0 for _ in range(20))
    assert Backoff(1.0, 30.0, min).spread_requested(0.0) == 1.0
    late = Backoff(16.0, 30.0, max)
    assert late.spread_requested(2.0) == 24.0
