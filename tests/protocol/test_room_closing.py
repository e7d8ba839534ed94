"""Closed rooms: their history can be read, and nothing be sent.

docs/protocol.md, "Moderation and blocks".
"""

import pytest

from tests.support.accounts import ChatServer
from tests.support.course_clients import CLASSIC
from tests.support.moderation import admin_service, expect_error, expect_ok, log_in_operator


@pytest.mark.parametrize("restarted", [False, True])
def test_a_closed_room_is_read_and_left_and_nothing_else(chat_server: ChatServer, restarted: bool) -> None:
    hank, dale = log_in_operator(chat_server), chat_server.log_in("dale")
    for client in (dale, hank):
        expect_ok(client.request("join", room="#Dev"))
    dale.send_messages("#dev", "before")
    expect_ok(hank.request("close", room="#DEV", reason="too loud"))
    expected = {"action": "close", "room": "#Dev", "user": {"account_name": "hank"}, "reason": "too loud"}
    assert dale.next_event("close") == expected and hank.next_event("close") == expected
    if restarted:
        chat_server.restart()
        hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    bobby, course = chat_server.log_in("bobby"), chat_server.log_in_course(CLASSIC, "bill")
    for client in (dale, hank):
        answer = expect_error(client.send_message("#dev", "psst"), "room_closed")
        assert answer["error"] == "An operator has closed this room: too loud."
    expect_error(dale.request("topic", room="#dev", topic="ha"), "room_closed")
    expect_error(bobby.request("join", room="#dev"), "room_closed")
    course.send_message("#dev", "psst")
    assert [frame["message"] for frame in dale.history("#dev")] == ["before"]
    (entries,) = expect_ok(bobby.request("rooms"))["rooms"]
    assert entries == {"room": "#Dev", "topic": "", "members": 2, "closed": True}
    expect_ok(dale.request("join", room="#dev"))  # who is in is in
    expect_ok(dale.request("leave", room="#dev"))
    expect_error(dale.request("join", room="#dev"), "room_closed")


def test_it_is_opened_again(chat_server: ChatServer) -> None:
    hank, dale = log_in_operator(chat_server), chat_server.log_in("dale")
    expect_ok(dale.request("join", room="#dev"))
    expect_ok(hank.request("close", room="#dev"))
    assert dale.next_event("close") == {"action": "close", "room": "#dev", "user": {"account_name": "hank"}}
    expect_ok(hank.request("open", room="#dev"))
    assert dale.next_event("open") == {"action": "open", "room": "#dev", "user": {"account_name": "hank"}}
    dale.send_messages("#dev", "after")
    expect_ok(hank.request("join", room="#dev"))
    assert "closed" not in expect_ok(hank.request("rooms"))["rooms"][0]
    expect_error(hank.request("open", room="#dev"), "never_seen", 404)


def test_a_deleted_room_comes_again_open(chat_server: ChatServer) -> None:
    hank, dale = log_in_operator(chat_server), chat_server.log_in("dale")
    expect_ok(dale.request("join", room="#dev"))
    expect_ok(hank.request("close", room="#dev"))
    admin_service(chat_server).delete_room("#dev")
    expect_ok(dale.request("join", room="#dev"))
    assert dale.send_messages("#dev", "anew") == [1]
