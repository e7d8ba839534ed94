"""Rooms that guests make: who may, how many, and when they are deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from gmessenger.chat.policy import Policy
from gmessenger.chat.ratelimit import Limits
from gmessenger.chat.session import Session
from gmessenger.errors import NoSuchRoom, StoreUnavailable, TooManyRooms
from gmessenger.room_rules import RoomRules
from tests.support.messenger import InMemoryChat
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture
def chat() -> InMemoryChat:
    return InMemoryChat(guest_rooms=True)


def register(chat: InMemoryChat, name: str) -> Session:
    """Log in a new account."""
    session = chat.login(name)
    chat.messenger.register(session, "a long password")
    return session


def await_none(chat: InMemoryChat, key: str = "#tea") -> None:
    """Wait until a room is deleted."""
    with gevent.Timeout(TEST_TIMEOUT):
        while chat.messenger.rooms.get(key) is not None:
            gevent.sleep(0)
    assert all(room.key != key for room in chat.store.rooms())


def test_a_guest_makes_a_room_where_the_policy_lets_it(chat: InMemoryChat) -> None:
    state = chat.messenger.room_service.join(chat.login("gast"), "#Tea")
    assert (state.name, state.members) == ("#Tea", ["gast"])
    (room,) = chat.messenger.rooms
    assert room.is_passing and room.creator is None
    (stored,) = chat.store.rooms()
    assert stored.passing


def test_a_guest_makes_none_otherwise() -> None:
    chat = InMemoryChat()
    with pytest.raises(NoSuchRoom):
        chat.messenger.room_service.join(chat.login("gast"), "#tea")
    assert list(chat.store.rooms()) == []


def test_its_maker_is_in_whatever_rules_new_rooms_have(chat: InMemoryChat) -> None:
    chat.messenger.policy.new_room_rules = RoomRules(invited=True, hidden=True, guests=False)
    state = chat.messenger.room_service.join(chat.login("gast"), "#tea")
    assert state.members == ["gast"]
    (room,) = chat.messenger.rooms
    assert (room.rules.invited, room.rules.guests) == (True, True)


LEAVING: dict[str, Callable[[InMemoryChat, Session], Any]] = {
    "leave": lambda chat, session: chat.messenger.room_service.leave(session, "#tea"),
    "quit": lambda chat, session: chat.messenger.logout(session),
}


@pytest.mark.parametrize("way", ["leave", "quit"])
def test_it_is_deleted_when_the_last_one_leaves(chat: InMemoryChat, way: str) -> None:
    one, other = chat.login("gast"), chat.login("visitor")
    for session in (one, other):
        chat.messenger.room_service.join(session, "#tea")
    LEAVING[way](chat, one)
    assert chat.messenger.rooms.get("#tea") is not None
    LEAVING[way](chat, other)
    await_none(chat)


def test_an_account_keeps_it_until_it_leaves(chat: InMemoryChat) -> None:
    guest, hank = chat.login("gast"), register(chat, "hank")
    for session in (guest, hank):
        chat.messenger.room_service.join(session, "#tea")
    chat.messenger.logout(guest)
    chat.messenger.logout(hank)
    room = chat.messenger.rooms.get("#tea")
    assert room is not None and not room.is_being_deleted
    hank = chat.login("hank", password="a long password")
    chat.messenger.room_service.leave(hank, "#tea")
    await_none(chat)


def test_an_account_that_is_deleted_leaves_it(chat: InMemoryChat) -> None:
    guest, hank = chat.login("gast"), register(chat, "hank")
    for session in (guest, hank):
        chat.messenger.room_service.join(session, "#tea")
    chat.messenger.room_service.leave(guest, "#tea")
    chat.messenger.account_data.erase(hank, "a long password")
    await_none(chat)


def test_one_that_joins_while_it_is_deleted_makes_it_anew(chat: InMemoryChat) -> None:
    one, other = chat.login("gast"), chat.login("visitor")
    service = chat.messenger.room_service
    service.join(one, "#tea")
    (before,) = chat.store.rooms()
    service.leave(one, "#tea")
    assert before.name not in [entry.name for entry in chat.messenger.listings.rooms(other, None).rooms]
    assert service.join(other, "#Tea").name == "#Tea"  # in its spelling
    (after,) = chat.store.rooms()
    assert after.id != before.id and after.passing


def test_it_stays_where_the_store_fails_until_the_next_one_has_left(
    chat: InMemoryChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, service = chat.login("gast"), chat.messenger.room_service

    def fail(room: str, id: int) -> bool:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(chat.store, "drop_passing_room", fail)
        service.join(guest, "#tea")
        service.leave(guest, "#tea")
        chat.messenger.passing_rooms.await_deletion("#tea")
    assert service.join(guest, "#tea").members == ["gast"]
    service.leave(guest, "#tea")
    await_none(chat)


def test_those_left_over_are_deleted_at_start(chat: InMemoryChat) -> None:
    hank = register(chat, "hank")
    for name in ("#tea", "#milk"):
        chat.messenger.rooms.load(chat.store.create_room(name, name, None, 1.0, passing=True))
    chat.messenger.room_service.join(hank, "#milk")
    chat.messenger.passing_rooms.delete_leftovers(lambda _: False, 0.0)
    await_none(chat)
    assert [room.key for room in chat.store.rooms()] == ["#milk"]


def test_guests_take_only_a_part_of_the_rooms(chat: InMemoryChat) -> None:
    chat.messenger.policy.limits = Limits(max_rooms=8)
    guest, service = chat.login("gast"), chat.messenger.room_service
    for name in ("#one", "#two"):
        service.join(guest, name)
    with pytest.raises(TooManyRooms):
        service.join(guest, "#three")
    service.join(register(chat, "hank"), "#three")


def test_rooms_of_guests_are_limited_by_network() -> None:
    policy = Policy(guest_rooms=True, limits=Limits(max_rooms_created=1))
    chat = InMemoryChat(networks_of=lambda address: [(address.partition(":")[0], 1), ("wide", 2)])
    chat.messenger.policy.update_from(policy)
    near, neighbour, far = (chat.login(name, address=address) for name, address in PLACES.items())
    service = chat.messenger.room_service
    service.join(near, "#one")
    with pytest.raises(TooManyRooms):
        service.join(neighbour, "#two")
    service.join(far, "#two")
    service.leave(near, "#one")
    await_none(chat, "#one")
    service.join(neighbour, "#three")
    service.leave(neighbour, "#three")
    await_none(chat, "#three")
    service.join(neighbour, "#four")


PLACES = {"near": "203.0.113.7:1", "neighbour": "203.0.113.7:2", "far": "203.0.113.8:1"}
