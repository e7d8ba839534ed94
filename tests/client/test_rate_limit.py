"""The client's rate limit: messages at the announced rate; requests that were too fast are sent again."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from gmessenger.chat.ratelimit import Limits, RateLimit, TokenBucket, message_cost
from gmessenger.client.sender import SendRateLimiter
from tests.client.conftest import Begin
from tests.support.scripted_server import TIMEOUT

LIMITS = {"message_rate": 100, "message_burst": 200}


def sent(limiter: SendRateLimiter, now: float, characters: int = 2) -> int:
    """Send as many messages as are allowed now; return how many."""
    limiter.refill(now)
    count = 0
    while limiter.try_acquire(characters):
        count += 1
    return count


def test_so_many_at_once_then_so_many_a_second() -> None:
    limiter = SendRateLimiter()
    limiter.set_limits(LIMITS)
    assert sent(limiter, 1000.0) == 190
    assert sent(limiter, 1000.0) == 0
    assert limiter.next_at() == pytest.approx(1000.0 + 1 / 95)
    assert sent(limiter, 1001.0) == 95
    assert sent(limiter, 1100.0) == 190


def test_a_long_text_counts_as_the_server_counts_it() -> None:
    limiter = SendRateLimiter()
    limiter.set_limits(LIMITS | {"message_size": 1000})
    assert sent(limiter, 1000.0, 999) == 190
    assert sent(limiter, 1100.0, 9500) == 19
    assert limiter.next_at() == pytest.approx(1100.0 + 10 / 95)
    assert sent(limiter, 1200.0, 10**9) == 1, "never more than what can be there at all"


def test_where_all_may_be_sent_nothing_is_waited_for() -> None:
    limiter = SendRateLimiter()
    limiter.set_limits(LIMITS)
    limiter.refill(1000.0)
    assert limiter.try_acquire(2) and limiter.next_at() is None


def test_what_the_client_sends_is_never_more_than_the_server_takes() -> None:
    rate, bucket, limiter, refused = RateLimit(100, 200), TokenBucket(), SendRateLimiter(), 0
    limiter.set_limits(Limits(messages=rate).announced)
    for step in range(2000):
        now = 1000.0 + step * 0.037
        limiter.refill(now)
        for number in range(step % 7, 40):
            characters = (number * 997) % 20_000
            if not limiter.try_acquire(characters):
                break
            refused += bucket.spend(min(message_cost(characters), rate.burst), rate, now) is not None
    assert refused == 0


def test_coming_back_does_not_renew_it() -> None:
    limiter = SendRateLimiter()
    limiter.set_limits(LIMITS)
    assert sent(limiter, 1000.0) == 190
    limiter.set_limits(LIMITS)
    assert sent(limiter, 1001.0) == 95


@pytest.mark.parametrize(
    "limits", [{}, {"message_rate": 0}, {"message_rate": "fast", "message_burst": 3}, {"message_rate": 3}]
)
def test_where_nothing_is_announced_there_is_no_limit(limits: dict[str, Any]) -> None:
    limiter = SendRateLimiter()
    limiter.set_limits(limits | {"message_size": 1})
    limiter.refill(1000.0)
    assert all(limiter.try_acquire(10**6) for _ in range(1000)) and limiter.next_at() is None


def test_a_question_that_came_too_fast_is_asked_again(begin: Begin) -> None:
    reader, connection = begin()
    request = gevent.spawn(reader.client.users)
    for _ in range(2):
        connection.respond(connection.expect("users"), 429, code="too_fast", error="Too fast.", retry_after=0.01)
    connection.respond(connection.expect("users"), 200, users=[{"account_name": "dale"}])
    assert [card.account_name for card in request.get(timeout=TIMEOUT)] == ["dale"]
