"""Guests who take another name: what is refused, and what goes with them."""

from __future__ import annotations

import pytest

from gmessenger.chat.outbound import Message
from gmessenger.chat.records import Sanction
from gmessenger.chat.room_events import RoomEvent, UserRenamed
from gmessenger.chat.session import Session
from gmessenger.errors import (
    BadName,
    Banned,
    Blocked,
    Forbidden,
    Muted,
    NameConfusable,
    NameInUse,
    NotLoggedIn,
    PasswordRequired,
    ShutOut,
    Silenced,
    WireError,
)
from tests.chat.test_passing_rooms import register
from tests.support.messenger import NOW, InMemoryChat, drain_events


@pytest.fixture
def chat() -> InMemoryChat:
    return InMemoryChat(guest_rooms=True)


def renames(session: Session) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the events of other names that a session was sent, and check that it was told of it by no others."""
    events = drain_events(session)
    assert not any(isinstance(event, RoomEvent) for event in events)
    return [(event.former_name, event.name, event.rooms) for event in events if isinstance(event, UserRenamed)]


def test_a_guest_has_another_name_for_all(chat: InMemoryChat) -> None:
    guest, other = chat.login("gast"), chat.login("other")
    assert chat.messenger.rename(guest, "Visitor") == "Visitor"
    assert (guest.name, guest.key) == ("Visitor", "visitor")
    assert set(chat.messenger.router.names.values()) == {"Visitor", "other"}
    chat.messenger.message_service.send(other, "visitor", "hi", "m1")
    (message,) = [event for event in drain_events(guest) if isinstance(event, Message)]
    assert (message.sender, message.to) == ("other", "Visitor")
    chat.login("gast")  # its former name is free
    with pytest.raises(NameInUse):
        chat.login("visitor")
    chat.messenger.logout(guest)
    chat.login("visitor")


def test_who_shares_rooms_is_told_once(chat: InMemoryChat) -> None:
    guest, hank, visitor, stranger = (chat.login(name) for name in ("gast", "hank", "visitor", "stranger"))
    service = chat.messenger.room_service
    for session, rooms in ((guest, ("#a", "#b", "#c")), (hank, ("#a", "#b")), (visitor, ("#c",)), (stranger, ("#d",))):
        for room in rooms:
            service.join(session, room)
    for session in (guest, hank, visitor, stranger):
        session.outbox.drain()
    chat.messenger.rename(guest, "pilgrim")
    assert renames(hank) == [("gast", "pilgrim", ("#a", "#b"))]
    assert renames(visitor) == [("gast", "pilgrim", ("#c",))]
    assert renames(stranger) == renames(guest) == []


def test_its_rooms_role_and_invitations_go_with_it(chat: InMemoryChat) -> None:
    guest, hank = chat.login("gast"), chat.login("hank")
    messenger = chat.messenger
    messenger.room_service.join(guest, "#tea")
    messenger.room_service.join(hank, "#milk")
    messenger.room_service.rules(hank, "#milk", {"invited": True})
    messenger.invitations.invite(hank, "#milk", "gast")
    messenger.rename(guest, "pilgrim")
    tea = messenger.rooms.find("#tea")
    assert (tea.names, tea.guest_roles, tea.role_of(guest)) == (["pilgrim"], {"pilgrim": "owner"}, "owner")
    assert messenger.room_service.join(guest, "#milk").members == ["hank", "pilgrim"]
    messenger.message_service.send(guest, "#tea", "all well?")
    namesake = chat.login("gast")
    messenger.room_service.join(namesake, "#tea")
    assert tea.role_of(namesake) == "member"
    messenger.logout(guest)
    assert tea.names == ["gast"] and tea.guest_roles == {}


def test_a_room_of_its_predecessor_alone_is_left(chat: InMemoryChat) -> None:
    guest = chat.login("gast")
    chat.messenger.room_service.join(guest, "#tea")
    hank = chat.login("hank")
    chat.messenger.room_service.join(hank, "#tea")
    again = chat.login("gast", token=guest.token)
    hank.outbox.drain()
    chat.messenger.rename(again, "pilgrim")
    assert [(event.action, event.name) for event in drain_events(hank) if isinstance(event, RoomEvent)] == [
        ("leave", "gast")
    ]
    assert chat.messenger.rooms.find("#tea").names == ["hank"]


def test_its_blocks_and_its_pace_go_with_it(chat: InMemoryChat) -> None:
    guest, other = chat.login("gast"), chat.login("other")
    chat.messenger.blocks.block(guest, "other")
    guest.buckets.messages.tokens = 3.0
    chat.messenger.rename(guest, "pilgrim")
    assert guest.buckets.messages.tokens <= 3.0
    with pytest.raises(Blocked):
        chat.messenger.message_service.send(other, "pilgrim", "hi")
    assert chat.messenger.blocks.count("gast") == 0
    chat.messenger.logout(guest)
    assert chat.messenger.blocks.by_user == {}


def test_its_token_resumes_it_by_its_new_name(chat: InMemoryChat) -> None:
    guest = chat.login("gast")
    chat.messenger.room_service.join(guest, "#tea")
    chat.messenger.rename(guest, "pilgrim")
    again = chat.login("pilgrim", token=guest.token)
    assert chat.messenger.room_service.join(again, "#tea").role == "owner"


def test_another_case_of_the_same_name_and_one_that_looks_like_it(chat: InMemoryChat) -> None:
    guest = chat.login("goal")
    chat.messenger.room_service.join(guest, "#tea")
    for name in ("GOAL", "Goal", "Goal", "goa1", "goal"):
        assert chat.messenger.rename(guest, name) == name
    assert list(chat.messenger.router.names.values()) == chat.messenger.rooms.find("#tea").names == ["goal"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("two words", BadName),
        ("server", BadName),
        ("hank", PasswordRequired),
        ("HANK", PasswordRequired),
        ("mole", NameInUse),
        ("mo1e", NameConfusable),
        ("banned", Banned),
        ("evicted", ShutOut),
    ],
)
def test_a_name_that_is_not_free_is_refused_and_nothing_is_changed(
    chat: InMemoryChat, name: str, error: type[WireError]
) -> None:
    hank, guest, _, evicted = register(chat, "hank"), chat.login("goal"), chat.login("mole"), chat.login("evicted")
    messenger = chat.messenger
    messenger.sanctions.load(Sanction("name", "banned", "server", "", NOW))
    for session in (hank, guest, evicted):
        messenger.room_service.join(session, "#dev")
    messenger.room_sanctions.shut_out(hank, "#dev", "evicted", None, "")
    messenger.logout(evicted)
    with pytest.raises(error):
        messenger.rename(guest, name)
    assert (guest.name, messenger.router.sessions("goal")) == ("goal", [guest])
    assert messenger.rooms.find("#dev").guests == {"goal": guest}
    with pytest.raises(NameConfusable):  # its name is still guarded
        chat.login("goa1")


def test_who_is_muted_or_silenced_keeps_its_name(chat: InMemoryChat) -> None:
    hank, muted, silenced = register(chat, "hank"), chat.login("muted"), chat.login("silent")
    for session in (hank, silenced):
        chat.messenger.room_service.join(session, "#dev")
    chat.messenger.sanctions.load(Sanction("mute", "muted", "server", "", NOW))
    chat.messenger.room_sanctions.silence(hank, "#dev", "silent", None, "")
    for session, error in ((muted, Muted), (silenced, Silenced)):
        with pytest.raises(error):
            chat.messenger.rename(session, "pilgrim")


def test_an_account_and_who_has_left_have_no_other_name(chat: InMemoryChat) -> None:
    hank, guest = register(chat, "hank"), chat.login("gast")
    with pytest.raises(Forbidden):
        chat.messenger.rename(hank, "Hank")
    chat.messenger.logout(guest)
    with pytest.raises(NotLoggedIn):
        chat.messenger.rename(guest, "pilgrim")
