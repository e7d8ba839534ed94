"""Token buckets: what is delayed, refused and let through. The time is passed in."""

from __future__ import annotations

import pytest

from gmessenger.chat.ratelimit import NO_LIMIT, Limits, RateLimit, Throttled, TokenBucket, message_cost

TEN_A_SECOND = RateLimit(10, 20, 2)


def count_taken(bucket: TokenBucket, rate: RateLimit, count: int, now: float, cost: float = 1) -> int:
    """Return how many of `count` attempts are neither delayed nor refused."""
    return sum(bucket.spend(cost, rate, now) is None for _ in range(count))


@pytest.mark.parametrize(
    ("spent", "after", "then"),
    [
        (0, 0.0, 20),
        (20, 0.0, 0),
        (20, 0.1, 1),
        (20, 0.95, 9),
        (20, 2.0, 20),
        (20, 1000.0, 20),
        (7, 0.0, 13),
        (7, 0.5, 18),
        (7, 5.0, 20),
    ],
)
def test_so_many_at_once_and_then_so_many_a_second(spent: int, after: float, then: int) -> None:
    bucket, start = TokenBucket(), 1000.0
    assert count_taken(bucket, TEN_A_SECOND, spent, start) == spent
    left = 0
    while bucket.spend(1, TEN_A_SECOND, start + after) is None:
        left += 1
    # Tokens that were drawn ahead come on top: two here.
    assert then <= left <= min(then + 2, 20 + 2)


@pytest.mark.parametrize(("cost", "count"), [(1, 20), (2, 10), (5, 4), (20, 1), (0.5, 40), (0.01, 2000)])
def test_what_costs_more_runs_out_sooner(cost: float, count: int) -> None:
    assert count_taken(TokenBucket(), TEN_A_SECOND, 3000, 1000.0, cost) == pytest.approx(count, abs=1)


def test_where_there_is_no_limit_nobody_is_held_back() -> None:
    bucket = TokenBucket()
    assert count_taken(bucket, NO_LIMIT, 10_000, 0.0) == 10_000
    # Should a limit come later, it holds once what is in hand is spent.
    assert count_taken(bucket, TEN_A_SECOND, 1000, 0.0) <= 120


def flood(bucket: TokenBucket, rate: RateLimit, seconds: float, start: float) -> list[tuple[float, Throttled | None]]:
    """Spend as fast as the delays allow; return the time and result of each attempt."""
    now, seen = start, []
    while now < start + seconds:
        throttled = bucket.spend(1, rate, now)
        seen.append((now - start, throttled))
        now += throttled.delay if throttled else 0.0
    return seen


def test_too_fast_is_slowed_down_then_refused_until_the_debt_is_paid() -> None:
    seen = flood(TokenBucket(), TEN_A_SECOND, 20.0, 1000.0)
    free = [at for at, throttled in seen if throttled is None]
    delays = [at for at, throttled in seen if throttled is not None and throttled.retry_after is None]
    refused = [at for at, throttled in seen if throttled is not None and throttled.retry_after is not None]
    assert free[:20] == [0.0] * 20 and delays[0] == 0.0
    first = refused[0]
    assert 1.5 < first < 2.5, "2 s of debt, at twice the rate"
    gap = [at for at, _ in seen if first < at < first + 1.8]
    assert set(gap) <= set(refused), "the order is kept: nothing gets through in between"
    assert (len(free) + len(delays)) / 20 == pytest.approx(10, rel=0.25), "in the long run it is the rate"
    assert len(seen) / 20 <= 25, "who is refused is read no faster"


def test_the_pause_that_is_asked_for_is_enough() -> None:
    bucket, now, pause = TokenBucket(), 1000.0, None
    while pause is None:
        throttled = bucket.spend(1, TEN_A_SECOND, now)
        now, pause = (now + throttled.delay, throttled.retry_after) if throttled else (now, None)
    assert bucket.spend(1, TEN_A_SECOND, now + pause) is None


def test_something_expensive_is_refused_alone() -> None:
    bucket = TokenBucket()
    assert count_taken(bucket, TEN_A_SECOND, 20, 1000.0) == 20
    assert bucket.spend(20, RateLimit(10, 20, 1), 1000.0).retry_after  # type: ignore[union-attr]
    cheap = bucket.spend(1, RateLimit(10, 20, 1), 1000.0)
    assert cheap is not None and cheap.retry_after is None and cheap.delay > 0


def test_without_patience_nobody_is_held_back_but_refused() -> None:
    bucket, rate = TokenBucket(), RateLimit.per_period(5, 50.0)
    assert count_taken(bucket, rate, 10, 0.0) == 5
    throttled = bucket.spend(1, rate, 0.0)
    assert throttled is not None and (throttled.delay, throttled.retry_after) == (0.0, pytest.approx(10.0))
    assert count_taken(bucket, rate, 10, 10.0) == 1
    assert count_taken(bucket, rate, 10, 60.0) == 5


def test_what_was_not_used_can_be_given_back() -> None:
    bucket, rate = TokenBucket(), RateLimit.per_period(2, 100.0)
    for _ in range(50):
        assert bucket.spend(1, rate, 0.0) is None
        bucket.refund(1)
    assert count_taken(bucket, rate, 5, 0.0) == 2


@pytest.mark.parametrize(
    ("characters", "audience", "cost"),
    [(2, 0, 1), (1023, 9, 1), (1024, 0, 2), (16_384, 0, 17), (2, 10, 2), (16_384, 100, 187)],
)
def test_a_long_text_costs_more_and_for_many_more_still(characters: int, audience: int, cost: int) -> None:
    assert message_cost(characters, audience) == cost


def test_what_clients_can_use_is_announced() -> None:
    announced = Limits(messages=RateLimit(50, 1000), requests=NO_LIMIT).announced
    assert (announced["message_rate"], announced["message_burst"], announced["request_rate"]) == (50, 1000, 0)
    assert "request_burst" not in announced and announced["members"] == 10_000
    assert announced["message_size"] == 1024


def test_a_guest_is_told_what_keeps_to_both_its_own_limit_and_its_address_s() -> None:
    limits = Limits(messages=RateLimit(50, 1000), guest_messages=RateLimit(20, 2000), guest_requests=RateLimit(7, 70))
    announced = limits.for_guests.announced
    assert (announced["message_rate"], announced["message_burst"]) == (20, 1000)
    assert (announced["request_rate"], announced["request_burst"]) == (7, 70)
