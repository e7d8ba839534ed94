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


def test_its_maker_gives_roles_and_removes(open_to_guests: ChatServer) -> None:
    guest, hank, other = (
        open_to_guests.log_in_guest("guest"),
        open_to_guests.log_in("hank"),
        open_to_guests.log_in_guest("other"),
    )
    assert join(guest, "#tea")["role"] == "owner"
    for client in (hank, other):
        assert "role" not in join(client, "#tea")
    for user in ("other", "hank"):
        assert guest.request("role", room="#tea", user=user, role="moderator")["response"] == 200
        event = hank.next_event("role")
        assert (event["user"]["account_name"], event["role"], event["by"]) == (user, "moderator", "guest")
    roles = {user["account_name"]: user.get("role") for user in hank.request("members", room="#tea")["users"]}
    assert roles == {"guest": "owner", "hank": "moderator", "other": "moderator"}
    assert other.request("remove", room="#tea", user="hank")["code"] == "not_owner"
    assert guest.request("rule", room="#tea", set={"moderated": True})["response"] == 200
    assert guest.request("remove", room="#tea", user="hank")["response"] == 200
    event = hank.next_event("leave")
    assert (event["user"]["account_name"], event["by"]) == ("hank", "guest")
