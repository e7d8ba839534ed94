"""Rooms that guests make, as native clients see them: docs/protocol.md, "Passing rooms"."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from tests.protocol.test_rooms import join, member_names, room_names
from tests.support.accounts import ChatServer
from tests.support.native_clients import NativeClient
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture
def open_to_guests(start_chat_server: Callable[..., ChatServer]) -> ChatServer:
    return start_chat_server(irc_guest_rooms=True)


def await_no_rooms(client: NativeClient) -> None:
    """Wait until no room is listed any more: one is deleted behind the response to the last member's request."""
    with gevent.Timeout(TEST_TIMEOUT):
        while room_names(client.request("rooms")):
            gevent.sleep(0.01)


def test_a_guest_makes_a_room_that_others_join(open_to_guests: ChatServer) -> None:
    guest, hank = open_to_guests.log_in_guest("guest"), open_to_guests.log_in("hank")
    assert member_names(join(guest, "#tea")) == {"guest"}
    assert room_names(hank.request("rooms")) == ["#tea"]
    assert member_names(join(hank, "#tea")) == {"guest", "hank"}
    assert guest.next_event("join")["user"]["account_name"] == "hank"
    assert hank.send_messages("#tea", "milk?") == [1]
    assert guest.receive_messages(1)[0]["message"] == "milk?"


def test_it_is_gone_with_its_messages_when_the_last_one_leaves(open_to_guests: ChatServer) -> None:
    guest, hank = open_to_guests.log_in_guest("guest"), open_to_guests.log_in("hank")
    join(guest, "#tea")
    join(hank, "#tea")
    hank.send_messages("#tea", "milk?")
    guest.send({"action": "quit"})
    guest.receive_until_closed()
    assert hank.next_event("leave")["user"]["account_name"] == "guest"
    assert room_names(hank.request("rooms")) == ["#tea"]
    assert hank.request("leave", room="#tea")["response"] == 200
    await_no_rooms(hank)
    again = join(hank, "#tea")
    assert (again["seq"], again["role"]) == (0, "owner")


def test_a_guest_that_drops_its_connection_leaves_no_room_behind(open_to_guests: ChatServer) -> None:
    guest, hank = open_to_guests.log_in_guest("guest"), open_to_guests.log_in("hank")
    join(guest, "#tea")
    assert room_names(hank.request("rooms")) == ["#tea"]
    guest.close()
    await_no_rooms(hank)


def test_a_passing_room_has_no_hook(open_to_guests: ChatServer) -> None:
    guest, hank = open_to_guests.log_in_guest("guest"), open_to_guests.log_in("hank")
    join(guest, "#tea")
    assert guest.request("hook", room="#tea", name="bot")["code"] == "accounts_only"
    join(hank, "#tea")
    assert hank.request("hook", room="#tea", name="bot")["code"] == "not_owner"
