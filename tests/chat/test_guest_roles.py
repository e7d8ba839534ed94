"""Roles of guests in passing rooms: what they allow, and how long they last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gmessenger.chat.room import Room
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.room_rights import SERVER_ACTOR
from gmessenger.chat.session import Session
from gmessenger.errors import AccountsOnly, InvitedOnly, NotMember, NotOwner, OnlySpeakers, ShutOut
from gmessenger.room_roles import RoomRole
from tests.chat.test_passing_rooms import register
from tests.support.messenger import InMemoryChat, drain_events


@dataclass
class TeaRoom:
    """A passing room that the guest `maker` has made, with the guest `visitor` and the account `hank` in it."""

    chat: InMemoryChat
    room: Room
    maker: Session
    visitor: Session
    hank: Session

    def give(self, by: Session, to: Session, role: RoomRole) -> None:
        self.chat.messenger.room_service.change_role(by, "#tea", to.name, role)

    def role_events(self, session: Session) -> list[tuple[str, RoomRole | None, str | None]]:
        events = [event for event in drain_events(session) if isinstance(event, RoomEvent) and event.action == "role"]
        return [(event.name, event.role, event.by) for event in events]


@pytest.fixture
def tea() -> TeaRoom:
    chat = InMemoryChat(guest_rooms=True)
    maker, visitor, hank = chat.login("maker"), chat.login("visitor"), register(chat, "hank")
    for session in (maker, visitor, hank):
        chat.messenger.room_service.join(session, "#tea")
    (room,) = chat.messenger.rooms
    for session in (maker, visitor, hank):
        session.outbox.drain()
    return TeaRoom(chat, room, maker, visitor, hank)


def test_who_makes_it_is_its_owner(tea: TeaRoom) -> None:
    assert tea.room.role_of(tea.maker) == "owner"
    assert tea.room.role_of(tea.visitor) == tea.room.role_of(tea.hank) == "member"
    page = tea.chat.messenger.room_service.members(tea.hank, "#tea")
    assert {user.name: user.role for user in page.users if user.role} == {"maker": "owner"}
    assert tea.chat.messenger.room_service.join(tea.maker, "#tea").role == "owner"


def test_roles_are_given_to_guests_and_accounts_and_told(tea: TeaRoom) -> None:
    tea.give(tea.maker, tea.visitor, "moderator")
    tea.give(tea.maker, tea.hank, "owner")
    expected = [("visitor", "moderator", "maker"), ("hank", "owner", "maker")]
    assert tea.role_events(tea.hank) == tea.role_events(tea.visitor) == expected
    assert tea.role_events(tea.maker) == []
    (stored,) = tea.chat.store.rooms()
    assert stored.roles == {tea.hank.account_id: "owner"}
    tea.give(tea.hank, tea.visitor, "speaker")
    tea.give(tea.visitor, tea.visitor, "member")
    assert tea.room.guest_roles == {"maker": "owner"}
    tea.give(tea.maker, tea.maker, "member")
    tea.give(tea.hank, tea.hank, "member")  # it may lose its last owner
    assert tea.room.guest_roles == tea.room.roles == {}


@pytest.mark.parametrize("role", ["moderator", "owner"])
def test_a_role_is_given_only_by_who_may(tea: TeaRoom, role: RoomRole) -> None:
    tea.give(tea.maker, tea.visitor, "moderator")
    for by, to in ((tea.visitor, tea.hank), (tea.visitor, tea.maker), (tea.hank, tea.visitor), (tea.hank, tea.hank)):
        with pytest.raises(NotOwner):
            tea.give(by, to, role)


CHANGES: dict[str, Callable[[InMemoryChat, Session], Any]] = {
    "rule": lambda chat, by: chat.messenger.room_service.rules(by, "#tea", {"moderated": True}),
    "remove": lambda chat, by: chat.messenger.room_sanctions.remove(by, "#tea", "hank"),
    "shut out": lambda chat, by: chat.messenger.room_sanctions.shut_out(by, "#tea", "hank", None, ""),
    "silence": lambda chat, by: chat.messenger.room_sanctions.silence(by, "#tea", "hank", None, ""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_role_allows_its_guest_may_and_others_may_not(tea: TeaRoom, change: str) -> None:
    with pytest.raises(NotOwner):
        CHANGES[change](tea.chat, tea.visitor)
    CHANGES[change](tea.chat, tea.maker)


def test_a_removed_user_stays_out_until_it_is_let_in(tea: TeaRoom) -> None:
    messenger = tea.chat.messenger
    messenger.room_sanctions.remove(tea.maker, "#tea", "visitor")
    with pytest.raises(ShutOut):
        messenger.room_service.join(tea.visitor, "#tea")
    messenger.room_sanctions.let_in(tea.maker, "#tea", "visitor")
    messenger.room_service.join(tea.visitor, "#tea")


def test_nobody_removes_who_has_as_high_a_role(tea: TeaRoom) -> None:
    tea.give(tea.maker, tea.hank, "moderator")
    for user in ("maker", "visitor"):
        tea.give(tea.maker, tea.visitor, "moderator")
        with pytest.raises(NotOwner):
            tea.chat.messenger.room_sanctions.remove(tea.hank, "#tea", user)


def test_where_it_is_moderated_speakers_write(tea: TeaRoom) -> None:
    messenger = tea.chat.messenger
    messenger.room_service.rules(tea.maker, "#tea", {"moderated": True})
    messenger.message_service.send(tea.maker, "#tea", "hush")
    with pytest.raises(OnlySpeakers):
        messenger.message_service.send(tea.visitor, "#tea", "but")
    tea.give(tea.maker, tea.visitor, "speaker")
    messenger.message_service.send(tea.visitor, "#tea", "thanks")


def test_guests_set_the_topic_where_the_rule_lets_them(tea: TeaRoom) -> None:
    service = tea.chat.messenger.room_service
    service.set_topic(tea.visitor, "#tea", "Assam")
    service.rules(tea.maker, "#tea", {"topic": "moderators"})
    with pytest.raises(NotOwner):
        service.set_topic(tea.visitor, "#tea", "Darjeeling")
    service.set_topic(tea.maker, "#tea", "Ceylon")
    assert tea.room.topic == "Ceylon"


def test_guests_invite_to_it(tea: TeaRoom) -> None:
    chat, late = tea.chat, tea.chat.login("late")
    invitations = chat.messenger.invitations
    invitations.invite(tea.visitor, "#tea", "late")
    chat.messenger.room_service.rules(tea.maker, "#tea", {"invited": True})
    other = chat.login("other")
    with pytest.raises(NotOwner):
        invitations.invite(tea.visitor, "#tea", "other")
    with pytest.raises(InvitedOnly):
        chat.messenger.room_service.join(other, "#tea")
    invitations.invite(tea.maker, "#tea", "other")
    for session in (late, other):
        chat.messenger.room_service.join(session, "#tea")


def test_an_outsider_learns_no_more_of_a_passing_room(tea: TeaRoom) -> None:
    outsider, invitations = tea.chat.login("outsider"), tea.chat.messenger.invitations
    for name in ("#tea", "#none"):
        with pytest.raises(AccountsOnly):
            invitations.invite(outsider, name, "hank")
    with pytest.raises(NotMember):
        tea.chat.messenger.room_service.set_topic(outsider, "#tea", "mine")


def test_a_role_goes_when_its_guest_leaves(tea: TeaRoom) -> None:
    service = tea.chat.messenger.room_service
    service.leave(tea.maker, "#tea")
    service.join(tea.maker, "#tea")
    assert tea.room.role_of(tea.maker) == "member"
    tea.chat.messenger.room_rights.change_role_as(SERVER_ACTOR, tea.room, "visitor", "owner")
    assert tea.room.guest_roles == {"visitor": "owner"}
    tea.chat.messenger.logout(tea.visitor)
    assert tea.room.guest_roles == {}
    namesake = tea.chat.login("visitor")
    service.join(namesake, "#tea")
    assert tea.room.role_of(namesake) == "member"


def test_a_guest_that_resumes_its_session_has_its_role_again(tea: TeaRoom) -> None:
    again = tea.chat.login("maker", token=tea.maker.token)
    assert tea.room.role_of(again) == "member"
    assert tea.chat.messenger.room_service.join(again, "#tea").role == "owner"


def test_a_guest_that_registers_keeps_its_role(tea: TeaRoom) -> None:
    tea.chat.messenger.register(tea.maker, "a long password")
    assert tea.room.role_of(tea.maker) == "owner"
    assert (tea.room.guest_roles, tea.room.roles) == ({}, {tea.maker.account_id: "owner"})
    (stored,) = tea.chat.store.rooms()
    assert stored.roles == tea.room.roles


def test_in_other_rooms_guests_have_none(tea: TeaRoom) -> None:
    service = tea.chat.messenger.room_service
    service.join(tea.hank, "#dev")
    service.join(tea.visitor, "#dev")
    with pytest.raises(AccountsOnly):
        service.change_role(tea.hank, "#dev", "visitor", "speaker")
    with pytest.raises(AccountsOnly):
        service.set_topic(tea.visitor, "#dev", "mine")
    with pytest.raises(NotOwner):
        service.change_role(tea.visitor, "#dev", "visitor", "member")
