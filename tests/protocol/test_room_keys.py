"""Rooms with a key: who must give it, and who is told it. docs/protocol.md, "Rules and roles of a room"."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.test_room_rules import OPEN, set_rules
from tests.protocol.test_rooms import log_in_and_join, member_names
from tests.support.accounts import ChatServer
from tests.support.moderation import admin_service, expect_error, expect_ok, log_in_operator

KEY = "Открой-Sesame"


def test_who_joins_must_give_the_key(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    assert set_rules(hank, key=KEY) == OPEN | {"key": KEY}
    for given in ({}, {"key": ""}, {"key": KEY.upper()}, {"key": f"{KEY}2"}):
        expect_error(dale.request("join", room="#dev", **given), "wrong_key")
    guest = chat_server.log_in_guest("joe")
    expect_error(guest.request("join", room="#dev"), "wrong_key")
    for client in (dale, guest):
        joined = expect_ok(client.request("join", room="#dev", key=KEY))
        assert joined["rules"]["key"] == KEY
    expect_ok(dale.request("join", room="#dev"))  # it is in it
    set_rules(hank, key="")
    assert member_names(expect_ok(chat_server.log_in_guest("ann").request("join", room="#dev"))) >= {"ann"}


def test_a_room_is_made_with_a_key(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert expect_ok(hank.request("join", room="#dev", rules={"key": "k1"}))["rules"]["key"] == "k1"
    expect_error(dale.request("join", room="#dev", key="k2"), "wrong_key")


def test_who_is_invited_needs_no_key(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    set_rules(hank, key=KEY)
    expect_ok(hank.request("invite", room="#dev", user="dale"))
    expect_ok(dale.request("join", room="#dev"))


def test_only_members_are_told_the_key(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    stranger, operator = chat_server.log_in("bobby"), log_in_operator(chat_server, "peggy")
    set_rules(hank, key=KEY)
    assert dale.next_event("rule")["set"] == {"key": KEY}
    assert expect_ok(dale.request("rule", room="#dev"))["rules"]["key"] == KEY
    for outsider in (stranger, operator):
        assert expect_ok(outsider.request("rule", room="#dev"))["rules"]["key"] is True
    assert set_rules(operator, most=5)["key"] is True
    assert set_rules(operator, key="mine")["key"] == "mine"
    service = admin_service(chat_server)
    (row,) = service.rooms()
    assert (row.rules["key"], service.room("#dev").rules["key"]) == (True, True)
    service.set_rule("#dev", "key", "")
    assert "key" not in expect_ok(stranger.request("rule", room="#dev"))["rules"]


@pytest.mark.parametrize("key", ["two words", "a,b", "tab\t", "\u202e", "x" * 33, 7, True, None])
def test_what_is_no_key_is_refused(chat_server: ChatServer, key: Any) -> None:
    (hank,) = log_in_and_join(chat_server, "hank")
    assert hank.request("rule", room="#dev", set={"key": key})["response"] == 400
    assert expect_ok(hank.request("rule", room="#dev"))["rules"] == OPEN
