"""What members of a room are told of who comes and goes, without protocol and sockets."""

from __future__ import annotations

import pytest

from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.session import Session
from gmessenger.errors import Kicked
from tests.support.messenger import NOW, InMemoryChat, drain_events


@pytest.fixture
def chat() -> InMemoryChat:
    return InMemoryChat()


def register(chat: InMemoryChat, name: str, *rooms: str) -> Session:
    session = chat.login(name)
    chat.messenger.register(session, "a password")
    for room in rooms:
        chat.messenger.room_service.join(session, room)
    drain_events(session)
    return session


def join_as_guest(chat: InMemoryChat, name: str, *rooms: str) -> Session:
    guest = chat.login(name)
    for room in rooms:
        chat.messenger.room_service.join(guest, room)
    return guest


def room_events(session: Session) -> list[RoomEvent]:
    return [event for event in drain_events(session) if isinstance(event, RoomEvent)]


def test_a_guest_that_goes_says_why_to_all_its_rooms(chat: InMemoryChat) -> None:
    hank = register(chat, "hank", "#dev", "#ops")
    gus = join_as_guest(chat, "gus", "#dev", "#ops")
    drain_events(hank)
    assert chat.messenger.logout(gus, "gone fishing")
    assert room_events(hank) == [
        RoomEvent("leave", room, "gus", reason="gone fishing", quit=True) for room in ("#dev", "#ops")
    ]


def test_a_guest_that_is_gone_without_a_word_has_no_reason(chat: InMemoryChat) -> None:
    hank, gus = register(chat, "hank", "#dev"), join_as_guest(chat, "gus", "#dev")
    drain_events(hank)
    chat.messenger.session_closer.close(gus, Kicked())
    assert room_events(hank) == [RoomEvent("leave", "#dev", "gus", quit=True)]


def test_a_guest_that_leaves_a_room_has_not_quit(chat: InMemoryChat) -> None:
    hank, gus = register(chat, "hank", "#dev"), join_as_guest(chat, "gus", "#dev")
    drain_events(hank)
    chat.messenger.room_service.leave(gus, "#dev")
    chat.messenger.logout(gus, "gone fishing")
    assert room_events(hank) == [RoomEvent("leave", "#dev", "gus")]


def test_a_room_knows_who_has_set_its_topic_and_when(chat: InMemoryChat) -> None:
    register(chat, "hank", "#dev")
    room, dale = chat.messenger.rooms.find("#dev"), register(chat, "Dale", "#dev")
    assert (room.topic_by, room.topic_at) == ("", None)
    chat.messenger.room_service.set_topic(dale, "#dev", "work")
    assert (room.topic, room.topic_by, room.topic_at) == ("work", "Dale", NOW)
    (stored,) = chat.store.rooms()
    assert (stored.topic_by, stored.topic_at) == ("Dale", NOW)


def test_of_an_account_that_logs_out_no_room_is_told(chat: InMemoryChat) -> None:
    hank, dale = register(chat, "hank", "#dev"), register(chat, "dale", "#dev")
    drain_events(hank)
    chat.messenger.logout(dale, "good night")
    assert room_events(hank) == []
