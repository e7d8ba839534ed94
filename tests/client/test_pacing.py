"""How fast the client sends: as the server has announced, and questions that came too fast are asked again."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from gmessenger.client.pacing import Pace
from tests.client.conftest import Begin
from tests.client.fake_server import TIMEOUT

LIMITS = {"message_rate": 100, "message_burst": 200}


def test_so_many_at_once_then_so_many_a_second() -> None:
    pace = Pace()
    pace.announced(LIMITS)
    assert (pace.allowed(1000.0), pace.next_at()) == (190, [])
    pace.sent(190)
    assert pace.allowed(1000.0) == 0
    assert pace.next_at() == [pytest.approx(1000.0 + 1 / 95)]
    assert pace.allowed(1001.0) == 95
    assert pace.allowed(1100.0) == 190


def test_coming_back_does_not_renew_it() -> None:
    pace = Pace()
    pace.announced(LIMITS)
    pace.allowed(1000.0)
    pace.sent(190)
    pace.announced(LIMITS)
    assert pace.allowed(1001.0) == 95


@pytest.mark.parametrize(
    "limits", [{}, {"message_rate": 0}, {"message_rate": "fast", "message_burst": 3}, {"message_rate": 3}]
)
def test_where_nothing_is_announced_there_is_no_limit(limits: dict[str, Any]) -> None:
    pace = Pace()
    pace.announced(limits)
    pace.sent(10**6)
    assert (pace.allowed(1000.0), pace.next_at()) == (None, [])


def test_a_question_that_came_too_fast_is_asked_again(begin: Begin) -> None:
    owner, peer = begin()
    asked = gevent.spawn(owner.link.users)
    for _ in range(2):
        peer.answer(peer.expect("users"), 429, code="too_fast", error="Too fast.", retry_after=0.01)
    peer.answer(peer.expect("users"), 200, users=[{"account_name": "dale"}])
    assert [card.account_name for card in asked.get(timeout=TIMEOUT)] == ["dale"]
