"""Catch-ups that are shortened: the newest messages of each conversation, and how many are left out before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from gmessenger.chat.outbound import BacklogSkipped, Message
from gmessenger.chat.session import Session
from gmessenger.errors import StoreUnavailable
from tests.support.messenger import InMemoryChat, drain_events
from tests.support.timeouts import TEST_TIMEOUT

PASSWORD = "a password"


class Absent:
    """hank, whose phone is not connected while dale writes to him and to #Dev."""

    def __init__(self) -> None:
        self.chat = InMemoryChat()
        self.dale, self.hank = self.register("Dale"), self.register("hank")
        for session in (self.dale, self.hank):
            self.chat.messenger.room_service.join(session, "#Dev")
        self.log_out(self.log_in())

    def register(self, name: str) -> Session:
        session = self.chat.login(name)
        self.chat.messenger.register(session, PASSWORD)
        self.chat.messenger.delivery.start_catch_up(session)
        return session

    def log_in(self, most: int | None = None, frames: int = 100) -> Session:
        return self.chat.login("hank", password=PASSWORD, device="phone", most=most, frames=frames)

    def log_out(self, session: Session) -> None:
        wait_until_live(session)
        self.chat.messenger.logout(session)

    def say(self, to: str, *texts: str) -> None:
        for text in texts:
            self.chat.messenger.message_service.send(self.dale, to, text)
        self.chat.store.flush()
        gevent.sleep(0)


@pytest.fixture
def absent() -> Absent:
    return Absent()


def wait_until_live(session: Session) -> None:
    with gevent.Timeout(TEST_TIMEOUT):
        while session.sync.catching_up:
            gevent.sleep(0)


def take(session: Session) -> list[str | tuple[str, int]]:
    """Return what a session is sent when it has caught up: texts, and how many messages of what are left out."""
    wait_until_live(session)
    found: list[str | tuple[str, int]] = []
    for event in drain_events(session):
        if isinstance(event, Message):
            found.append(event.text)
        elif isinstance(event, BacklogSkipped):
            found.append((event.target, event.count))
    return found


def test_the_newest_of_each_conversation_are_sent_after_how_many_were_left_out(absent: Absent) -> None:
    absent.say("#dev", "r1", "r2", "r3", "r4")
    absent.say("hank", "d1", "d2", "d3")
    absent.dale.outbox.drain()
    phone = absent.log_in(most=2)
    assert take(phone) == [("#Dev", 2), "r3", "r4", ("Dale", 1), "d2", "d3"]
    assert (phone.sync.acknowledged("#dev"), phone.sync.acknowledged("dale hank")) == (2, 1)


def test_what_is_left_out_is_not_owed_to_the_device_any_more(absent: Absent) -> None:
    absent.say("#dev", "r1", "r2", "r3")
    absent.log_out(absent.log_in(most=1))
    assert take(absent.log_in()) == ["r3"]


def test_a_session_may_begin_with_what_comes_next(absent: Absent) -> None:
    absent.say("#dev", "r1", "r2")
    absent.say("hank", "d1")
    phone = absent.log_in(most=0)
    assert take(phone) == []
    absent.say("#dev", "r3")
    assert take(phone) == ["r3"]
    absent.log_out(phone)
    assert take(absent.log_in()) == ["r3"]


def test_what_comes_while_a_session_begins_is_sent_and_what_was_before_is_not_counted(absent: Absent) -> None:
    absent.say("#dev", "r1", "r2")
    backlog = absent.chat.store.backlog
    unseen = ["r3"]

    def write_after(*arguments: Any) -> Any:
        heads = backlog(*arguments)
        while unseen:
            absent.say("#dev", unseen.pop())
        return heads

    absent.chat.store.backlog = write_after  # type: ignore[method-assign]
    assert take(absent.log_in(most=0)) == ["r3"]


def test_a_conversation_that_is_short_enough_is_sent_whole(absent: Absent) -> None:
    absent.say("#dev", "r1", "r2")
    assert take(absent.log_in(most=2)) == ["r1", "r2"]


def test_what_was_pruned_or_said_while_it_was_away_from_a_room_is_not_counted(absent: Absent) -> None:
    absent.say("#dev", "r1", "r2", "r3")
    absent.chat.store.prune(float("inf"))
    absent.say("#dev", "r4")
    absent.chat.messenger.room_service.leave(absent.hank, "#dev")
    absent.say("#dev", "not", "for", "hank")
    absent.chat.messenger.room_service.join(absent.hank, "#dev")
    absent.say("#dev", "r8", "r9")
    assert take(absent.log_in(most=1)) == [("#Dev", 1), "r9"]


def test_what_comes_while_it_catches_up_is_never_left_out(absent: Absent) -> None:
    absent.say("#dev", "r1", "r2", "r3")
    page = absent.chat.store.page
    unseen = [("#dev", "r4", "r5", "r6"), ("hank", "d1", "d2", "d3")]

    def write_first(*arguments: Any) -> Any:
        while unseen:
            absent.say(*unseen.pop(0))
        return page(*arguments)

    absent.chat.store.page = write_first  # type: ignore[method-assign]
    phone = absent.log_in(most=1)
    assert take(phone) == [("#Dev", 2), "r3", "r4", "r5", "r6", "d1", "d2", "d3"]


@pytest.mark.parametrize("method", ["backlog", "page", "read_range", "history"])
def test_where_the_store_fails_for_a_while_nothing_is_lost_or_said_twice(
    absent: Absent, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr("gmessenger.chat.delivery.STORE_RETRY_DELAY", 0.0)
    absent.say("#dev", "r1", "r2", "r3")
    failures = [StoreUnavailable(), StoreUnavailable()]
    works: Callable[..., Any] = getattr(absent.chat.store, method)

    def fail_first(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return works(*arguments, **options)

    monkeypatch.setattr(absent.chat.store, method, fail_first)
    phone = absent.log_in(most=1)
    assert take(phone) == [("#Dev", 2), "r3"] and not failures


def test_an_outbox_that_is_full_is_waited_for(absent: Absent) -> None:
    absent.say("#dev", *"abcdefgh")
    phone = absent.log_in(most=4, frames=2)
    taken: list[Any] = []
    with gevent.Timeout(TEST_TIMEOUT):
        while phone.sync.catching_up:
            gevent.sleep(0)
            taken += drain_events(phone)
    taken += drain_events(phone)
    assert [type(each) for each in taken] == [BacklogSkipped, *[Message] * 4]
