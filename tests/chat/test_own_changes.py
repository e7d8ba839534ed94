"""Changes of rooms as who makes them is told of them, and why a member has left or was removed."""

from __future__ import annotations

import pytest

from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.session import Session
from tests.chat.test_passing_rooms import register
from tests.support.messenger import InMemoryChat, drain_events


class Den:
    """A passing room with its guests `maker` and `visitor`, and the account `hank`. `own`: what the maker is told."""

    def __init__(self) -> None:
        self.chat = InMemoryChat(guest_rooms=True)
        self.maker, self.visitor = self.chat.login("maker"), self.chat.login("visitor")
        self.hank = register(self.chat, "hank")
        self.service = self.chat.messenger.room_service
        self.sanctions = self.chat.messenger.room_sanctions
        for session in (self.maker, self.visitor, self.hank):
            self.service.join(session, "#den")
        for session in (self.maker, self.visitor, self.hank):
            session.outbox.drain()
        self.own: list[RoomEvent] = []
        self.maker.on_change_made = self.own.append


def room_events(session: Session) -> list[RoomEvent]:
    return [event for event in drain_events(session) if isinstance(event, RoomEvent)]


@pytest.fixture
def den() -> Den:
    return Den()


def test_who_makes_a_change_is_told_its_event_where_all_others_are_sent_it(den: Den) -> None:
    den.service.rules(den.maker, "#den", {"moderated": True, "guests": True})
    den.service.change_role(den.maker, "#den", "visitor", "speaker")
    den.service.set_topic(den.maker, "#den", "Propane")
    den.sanctions.remove(den.maker, "#den", "visitor", "too loud")
    den.sanctions.let_in(den.maker, "#den", "visitor")
    den.service.leave(den.maker, "#den", "bye")
    assert [event.action for event in den.own] == ["rule", "role", "topic", "shut_out", "leave", "let_in", "leave"]
    assert den.own[0].rules == {"moderated": True}  # what has changed, and not what was asked for
    assert (den.own[1].role, den.own[1].former_role) == ("speaker", "member")
    assert room_events(den.hank) == den.own
    assert room_events(den.maker) == []


def test_others_changes_are_not_told_so(den: Den) -> None:
    den.service.set_topic(den.hank, "#den", "Propane")
    assert den.own == [] and [event.action for event in room_events(den.maker)] == ["topic"]


def test_who_leaves_and_who_removes_may_say_why(den: Den) -> None:
    den.service.leave(den.hank, "#den", "enough")
    den.sanctions.remove(den.maker, "#den", "visitor", "too loud")
    left, shut_out, removed = [*room_events(den.maker), *den.own]
    assert (left.name, left.by, left.reason) == ("hank", None, "enough")
    assert (removed.name, removed.by, removed.reason) == ("visitor", "maker", "too loud")
    assert (shut_out.reason, shut_out.is_removal) == ("too loud", True)


def test_who_is_shut_out_without_being_there_is_not_removed(den: Den) -> None:
    den.service.leave(den.visitor, "#den")
    den.sanctions.shut_out(den.maker, "#den", "visitor", None, "")
    (shut_out,) = den.own
    assert not shut_out.is_removal


def test_owners_of_a_passing_room_act_on_each_other(den: Den) -> None:
    for name in ("visitor", "hank"):
        den.service.change_role(den.maker, "#den", name, "owner")
    den.service.change_role(den.hank, "#den", "maker", "speaker")
    den.service.change_role(den.visitor, "#den", "hank", "member")
    den.service.change_role(den.visitor, "#den", "hank", "owner")
    den.sanctions.remove(den.hank, "#den", "visitor")
    (room,) = den.chat.messenger.rooms
    assert room.named_roles == {"hank": "owner", "maker": "speaker"}
