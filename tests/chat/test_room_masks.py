"""Masks of rooms: who may add them, and whom they keep out, spare or welcome."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest

from gmessenger.chat.room_access import MAX_MASK, MAX_MASKS, RoomMask
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.session import Session
from gmessenger.errors import (
    BadRequest,
    Forbidden,
    InvitedOnly,
    NoSuchRoom,
    NotFound,
    NotMember,
    NotOwner,
    ShutOut,
    Silenced,
    WrongKey,
)
from tests.chat.test_passing_rooms import register
from tests.support.messenger import NOW, InMemoryChat, drain_events


@dataclass
class Dev:
    """A room of hank's with dale in it; here a mask matches the names that are like it."""

    chat: InMemoryChat
    hank: Session
    dale: Session

    def add(self, kind: str, mask: str, by: Session | None = None) -> None:
        self.chat.messenger.room_masks.add_mask(by or self.hank, "#dev", kind, mask)  # type: ignore[arg-type]

    def remove(self, kind: str, mask: str) -> None:
        self.chat.messenger.room_masks.remove_mask(self.hank, "#dev", kind, mask)  # type: ignore[arg-type]

    def join(self, session: Session) -> None:
        self.chat.messenger.room_service.join(session, "#dev")

    def write(self, session: Session) -> None:
        self.chat.messenger.message_service.send(session, "#dev", "hello")

    def events(self, session: Session) -> list[tuple[str, str, str | None, str | None]]:
        return [
            (event.action, event.name, event.mask_kind, event.mask)
            for event in drain_events(session)
            if isinstance(event, RoomEvent)
        ]


@pytest.fixture
def dev() -> Dev:
    chat = InMemoryChat(mask_matcher=lambda mask, session: fnmatchcase(session.name, mask))
    made = Dev(chat, register(chat, "hank"), register(chat, "dale"))
    for session in (made.hank, made.dale):
        made.join(session)
    made.hank.outbox.drain()
    return made


def test_who_is_banned_cannot_join_unless_it_is_spared_or_invited(dev: Dev) -> None:
    dev.add("ban", "g*")
    guest, other, invited = (dev.chat.login(name) for name in ("gast", "gina", "gus"))
    with pytest.raises(ShutOut):
        dev.join(guest)
    dev.add("spared", "gi*")
    dev.join(other)
    dev.chat.messenger.invitations.invite(dev.hank, "#dev", "gus")
    dev.join(invited)
    dev.remove("ban", "g*")
    dev.join(guest)


def test_who_is_banned_stays_but_cannot_write_unless_it_has_a_role(dev: Dev) -> None:
    dev.add("ban", "*")
    with pytest.raises(Silenced):
        dev.write(dev.dale)
    with pytest.raises(Silenced):
        dev.chat.messenger.room_service.set_topic(dev.dale, "#dev", "mine")
    dev.write(dev.hank)
    dev.chat.messenger.room_service.change_role(dev.hank, "#dev", "dale", "speaker")
    dev.write(dev.dale)
    dev.chat.messenger.room_service.change_role(dev.hank, "#dev", "dale", "member")
    dev.add("spared", "dale")
    dev.write(dev.dale)
    dev.remove("spared", "dale")
    dev.remove("ban", "*")
    dev.write(dev.dale)


def test_who_is_silenced_may_join_but_not_write_unless_it_is_heard_or_has_a_role(dev: Dev) -> None:
    dev.add("silenced", "*")
    guest = dev.chat.login("gast")
    dev.join(guest)
    dev.add("spared", "*")  # from bans
    for session in (guest, dev.dale):
        with pytest.raises(Silenced):
            dev.write(session)
        with pytest.raises(Silenced):
            dev.chat.messenger.signals.send(session, "#dev", {"+typing": "active"})
    dev.write(dev.hank)
    dev.add("heard", "g*")
    dev.write(guest)
    dev.chat.messenger.room_service.change_role(dev.hank, "#dev", "dale", "speaker")
    dev.write(dev.dale)
    dev.remove("heard", "g*")
    with pytest.raises(Silenced):
        dev.chat.messenger.rename(guest, "other")
    dev.remove("silenced", "*")
    dev.write(guest)


def test_who_is_silenced_cannot_write_from_outside_either(dev: Dev) -> None:
    dev.chat.messenger.room_service.rules(dev.hank, "#dev", {"outside": True})
    guest = dev.chat.login("gast")
    dev.write(guest)
    dev.add("silenced", "g*")
    with pytest.raises(Silenced):
        dev.write(guest)


def test_of_a_spared_mask_and_what_shuts_a_name_out_the_later_holds(dev: Dev) -> None:
    guest, sanctions = dev.chat.login("gast"), dev.chat.messenger.room_sanctions

    def expect_shut_out() -> None:
        dev.chat.now += 1
        for session in (dev.dale, guest):
            with pytest.raises(ShutOut):
                dev.join(session)

    dev.join(guest)
    for name in ("dale", "gast"):
        sanctions.remove(dev.hank, "#dev", name)
    expect_shut_out()
    dev.add("spared", "*a*")
    for session in (dev.dale, guest):
        dev.join(session)
    dev.chat.now += 1
    for name in ("dale", "gast"):
        sanctions.remove(dev.hank, "#dev", name)
    expect_shut_out()
    dev.add("spared", "*a*")  # it is there: nothing is set
    expect_shut_out()
    dev.remove("spared", "*a*")
    dev.add("spared", "*a*")
    for session in (dev.dale, guest):
        dev.join(session)
        dev.chat.messenger.room_service.leave(session, "#dev")
    dev.remove("spared", "*a*")
    expect_shut_out()


def test_of_a_heard_mask_and_the_silence_of_a_name_the_later_holds(dev: Dev) -> None:
    sanctions = dev.chat.messenger.room_sanctions
    dev.add("heard", "d*")
    dev.chat.now += 1
    sanctions.silence(dev.hank, "#dev", "dale", None, "")
    with pytest.raises(Silenced):
        dev.write(dev.dale)
    dev.chat.now += 1
    dev.add("heard", "dale")
    dev.write(dev.dale)


def test_who_is_welcome_needs_no_invitation_to_a_private_room_but_its_key(dev: Dev) -> None:
    service = dev.chat.messenger.room_service
    service.rules(dev.hank, "#dev", {"invited": True, "hidden": True, "key": "sesame"})
    bill, guest, other = register(dev.chat, "bill"), dev.chat.login("bilbo"), dev.chat.login("other")
    with pytest.raises(NoSuchRoom):
        service.rules(bill, "#dev")
    dev.add("welcome", "bil*")
    with pytest.raises(WrongKey):
        dev.join(bill)
    service.rules(dev.hank, "#dev", {"key": ""})
    for session in (bill, guest):
        dev.join(session)
    with pytest.raises(NoSuchRoom):
        dev.join(other)
    service.rules(dev.hank, "#dev", {"hidden": False})
    with pytest.raises(InvitedOnly):
        dev.join(other)


def test_changes_are_for_moderators_and_told_to_members(dev: Dev) -> None:
    with pytest.raises(NotOwner):
        dev.add("ban", "*", dev.dale)
    dev.add("ban", "g*")
    dev.add("ban", "g*")
    dev.remove("ban", "g*")
    assert dev.events(dev.dale) == [("mask", "hank", "ban", "g*"), ("unmask", "hank", "ban", "g*")]
    assert dev.events(dev.hank) == []
    with pytest.raises(NotFound):
        dev.remove("ban", "g*")


def test_lists_are_for_those_in_the_room(dev: Dev) -> None:
    masks, stranger = dev.chat.messenger.room_masks, dev.chat.login("stranger")
    for mask in ("b*", "a*"):
        dev.add("ban", mask)
    assert masks.masks(dev.dale, "#dev", "ban") == [RoomMask("ban", mask, "hank", NOW) for mask in ("a*", "b*")]
    assert masks.masks(dev.dale, "#dev", "spared") == []
    with pytest.raises(NotMember):
        masks.masks(stranger, "#dev", "ban")


@pytest.mark.parametrize("mask", ["", "two words", "line\n", "x" * (MAX_MASK + 1)])
def test_what_is_no_mask_is_refused(dev: Dev, mask: str) -> None:
    with pytest.raises(BadRequest):
        dev.add("ban", mask)


def test_a_list_is_bounded(dev: Dev) -> None:
    for number in range(MAX_MASKS):
        dev.add("ban", f"x{number}")
    with pytest.raises(Forbidden):
        dev.add("ban", "one-more")


def test_without_a_matcher_masks_match_nobody() -> None:
    chat = InMemoryChat()
    hank, guest = register(chat, "hank"), chat.login("gast")
    chat.messenger.room_service.join(hank, "#dev")
    chat.messenger.room_masks.add_mask(hank, "#dev", "ban", "gast")
    chat.messenger.room_service.join(guest, "#dev")
