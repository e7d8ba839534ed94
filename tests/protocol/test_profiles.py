"""Profiles of users and rooms: who may read and change them, and who is told of changes."""

from __future__ import annotations

from typing import Any

import pytest

from gmessenger.profiles import MAX_PROFILE_KEYS
from tests.support.accounts import ChatServer, UserClient
from tests.support.course_clients import settle
from tests.support.moderation import admin_service


def ask_for_events(*clients: UserClient) -> None:
    for client in clients:
        answer = client.request("presence", jim=2, user={"account_name": client.name}, profiles=True)
        assert answer["response"] == 200


def profile(client: UserClient, **target: Any) -> dict[str, str]:
    answer = client.request("profile", **target)
    assert answer["response"] == 200, answer
    shown: dict[str, str] = answer["profile"]
    return shown


def join(room: str, *clients: UserClient) -> None:
    for client in clients:
        assert client.request("join", room=room)["response"] == 200
        settle(client.server, always=True)


def test_a_user_changes_its_profile_key_by_key_and_all_read_it(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert profile(hank) == profile(dale, user="hank") == {}
    assert profile(hank, set={"pronouns": "he/him", "status": "here"}) == {"pronouns": "he/him", "status": "here"}
    answer = hank.request("profile", user="HANK", set={"status": None, "city": "Arlen", "never": None})
    assert (answer["name"], answer["profile"]) == ("hank", {"pronouns": "he/him", "city": "Arlen"})
    assert profile(dale, user="Hank") == profile(chat_server.log_in_guest("gast"), user="hank") == answer["profile"]
    hank.close()
    assert profile(dale, user="hank") == answer["profile"]
    assert dale.request("profile", user="stranger")["code"] == "never_seen"
    assert dale.request("profile", user="hank", room="#dev")["response"] == 400


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"A": "x"}, "bad_request"),
        ({"": "x"}, "bad_request"),
        ({"city": ""}, "bad_request"),
        ({"city": "two\nlines"}, "bad_request"),
        ({"city": "ж" * 151}, "bad_request"),
        ({"city": 1}, "bad_request"),
        ({"x" * 51: None}, "bad_request"),
        ({f"k{number}": "x" for number in range(MAX_PROFILE_KEYS)}, "profile_full"),
        ({f"k{number}": "x" for number in range(101)}, "bad_request"),
    ],
)
def test_a_change_that_is_wrong_in_part_changes_nothing(
    chat_server: ChatServer, changes: dict[str, Any], code: str
) -> None:
    dale = chat_server.log_in("dale")
    profile(dale, set={"kept": "x"})
    for target in ({"user": "dale"}, {}):
        answer = dale.request("profile", set=changes, **target)
        expected = code if code == "profile_full" else answer["code"]
        assert 400 <= answer["response"] < 404 and answer["code"] == expected
    assert profile(dale) == {"kept": "x"}


def test_the_profile_of_another_user_is_changed_by_operators_only(chat_server: ChatServer) -> None:
    hank, dale, guest = chat_server.log_in("hank"), chat_server.log_in("dale"), chat_server.log_in_guest("gast")
    for client in (hank, guest):
        assert client.request("profile", user="dale", set={"city": "x"})["code"] == "operators_only"
    admin_service(chat_server).grant("hank")
    settle(chat_server, always=True)
    assert profile(hank, user="dale", set={"city": "Arlen"}) == profile(dale) == {"city": "Arlen"}


def test_a_guest_has_a_profile_while_it_is_here_and_keeps_it_when_it_registers(chat_server: ChatServer) -> None:
    guest = chat_server.log_in_guest("gast")
    assert profile(guest, set={"city": "Arlen"}) == profile(guest, user="gast") == {"city": "Arlen"}
    guest.register()
    assert guest.receive_until_synced() == []
    assert profile(chat_server.log_in("dale"), user="gast") == {"city": "Arlen"}
    other = chat_server.log_in_guest("other")
    profile(other, set={"city": "Arlen"})
    other.close()
    settle(chat_server, always=True)
    assert chat_server.log_in("dale").request("profile", user="other")["code"] == "never_seen"
    assert profile(chat_server.log_in_guest("third")) == {}


def test_a_guest_who_comes_back_keeps_its_profile(chat_server: ChatServer) -> None:
    guest = chat_server.log_in_guest("gast")
    profile(guest, set={"city": "Arlen"})
    assert profile(chat_server.connect().start_session("gast", session=guest.session)) == {"city": "Arlen"}


def test_who_is_blocked_sees_no_profile(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    ask_for_events(dale)
    join("#dev", hank, dale)
    profile(hank, set={"city": "Arlen"})
    assert dale.next_event("profile")["set"] == {"city": "Arlen"}
    assert hank.request("block", user="dale")["response"] == 200
    settle(chat_server, always=True)
    assert profile(dale, user="hank") == {}
    profile(hank, set={"city": "Paris"})
    assert dale.take_events("profile") == []


def test_the_profile_of_a_room_is_changed_by_moderators_and_owners(chat_server: ChatServer) -> None:
    hank, dale, bobby = (chat_server.log_in(name) for name in ("hank", "dale", "bobby"))
    join("#Dev", hank, dale)
    assert profile(hank, room="#dev", set={"avatar": "https://example.org"}) == {"avatar": "https://example.org"}
    for client in (dale, bobby, chat_server.log_in_guest("gast")):
        assert client.request("profile", room="#dev", set={"avatar": None})["code"] == "not_owner"
    assert hank.request("role", room="#dev", user="dale", role="moderator")["response"] == 200
    settle(chat_server, always=True)
    answer = dale.request("profile", room="#dev", set={"url": "x"})
    assert (answer["name"], answer["profile"]) == ("#Dev", {"avatar": "https://example.org", "url": "x"})
    admin_service(chat_server).grant("bobby")
    settle(chat_server, always=True)
    assert profile(bobby, room="#dev", set={"avatar": None, "url": None}) == {}


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"hidden": True}, "not_member"),
        ({"invited": True}, "not_member"),
        ({"key": "sesame"}, "not_member"),
        ({"hidden": True, "invited": True}, "no_such_room"),
        ({"moderated": True}, None),
    ],
)
def test_a_room_that_is_not_open_shows_its_profile_to_who_is_in_it_or_invited(
    chat_server: ChatServer, rules: dict[str, Any], code: str | None
) -> None:
    hank, dale, guest = chat_server.log_in("hank"), chat_server.log_in("dale"), chat_server.log_in_guest("gast")
    assert hank.request("join", room="#dev", rules=rules)["response"] == 200
    profile(hank, room="#dev", set={"city": "Arlen"})
    settle(chat_server, always=True)
    for client in (dale, guest):
        answer = client.request("profile", room="#dev")
        assert answer.get("code") == code and answer.get("profile") == (None if code else {"city": "Arlen"})
    assert hank.request("invite", room="#dev", user="dale")["response"] == 200
    settle(chat_server, always=True)
    assert profile(dale, room="#dev") == {"city": "Arlen"}
    assert dale.request("profile", room="#nowhere")["code"] == "no_such_room"


def test_who_is_muted_changes_no_profile_nor_anyone_in_a_closed_room(chat_server: ChatServer) -> None:
    admin_service(chat_server).grant("hank")
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    join("#dev", dale)
    assert hank.request("close", room="#dev")["response"] == 200
    settle(chat_server, always=True)
    assert dale.request("profile", room="#dev", set={"city": "x"})["code"] == "room_closed"
    assert hank.request("mute", user="dale")["response"] == 200
    settle(chat_server, always=True)
    assert dale.request("profile", set={"city": "x"})["code"] == "muted"
    assert profile(dale) == profile(dale, room="#dev") == {}


def test_who_has_asked_is_told_of_changes_of_those_it_shares_a_room_with(chat_server: ChatServer) -> None:
    hank, phone = chat_server.log_in("hank"), chat_server.log_in("hank", "phone")
    dale, bobby, peggy = (chat_server.log_in(name) for name in ("dale", "bobby", "peggy"))
    join("#dev", hank, dale, bobby)
    ask_for_events(hank, phone, dale, peggy)
    profile(hank, set={"city": "Arlen"})
    event = {"action": "profile", "user": {"account_name": "hank"}, "set": {"city": "Arlen"}}
    for client in (phone, dale):
        assert client.next_event("profile") == event
    profile(hank, set={"city": "Arlen"})  # as before
    profile(hank, room="#dev", set={"url": "x", "city": "y"})
    profile(hank, room="#dev", set={"url": None})
    for client in (phone, dale):
        changes = [client.next_event("profile") for _ in range(2)]
        assert [(each["room"], each["set"]) for each in changes] == [
            ("#dev", {"url": "x", "city": "y"}),
            ("#dev", {"url": None}),
        ]
    for client in (hank, bobby, peggy, dale, phone):
        assert client.take_events("profile") == []


def test_profiles_survive_a_restart_and_go_with_the_account_and_the_room(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    join("#dev", hank)
    profile(hank, set={"city": "Arlen"})
    profile(hank, room="#dev", set={"url": "x"})
    store = chat_server.server.app.store
    (stored,) = [account.profile for account in store.accounts() if account.key == "hank"]
    assert stored == '{"city":"Arlen"}' and [room.profile for room in store.rooms()] == ['{"url":"x"}']
    admin_service(chat_server).delete_room("#dev")
    settle(chat_server, always=True)
    join("#dev", dale)
    assert profile(dale, room="#dev") == {}
