"""Rooms to which who is not in them can write. docs/protocol.md, "Rules and roles of a room"."""

from __future__ import annotations

import pytest

from tests.protocol.test_room_rules import OPEN, set_rules
from tests.protocol.test_rooms import log_in_and_join
from tests.support.accounts import ChatServer
from tests.support.moderation import expect_error, expect_ok
from tests.support.native_clients import NativeClient


def say(client: NativeClient, text: str, **more: object) -> dict[str, object]:
    """Write to the room; return the response."""
    return client.request("msg", to="#dev", message=text, **more)


def test_who_is_not_in_the_room_writes_to_it(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    guest = chat_server.log_in_guest("joe")
    expect_error(say(dale, "before"), "not_member")
    assert set_rules(hank, outside=True) == OPEN | {"outside": True}
    assert [expect_ok(say(client, "psst"))["seq"] for client in (dale, guest)] == [1, 2]
    assert [each["from"] for each in hank.receive_messages(2)] == ["dale", "joe"]
    assert [each["message"] for each in hank.history("#dev")] == ["psst", "psst"]
    for client in (dale, guest):
        assert client.take_events() == [], "they are not in it"
    expect_error(dale.request("history", **{"with": "#dev"}), "not_member")
    set_rules(hank, outside=False)
    expect_error(say(dale, "after"), "not_member")


def test_it_is_kept_for_who_is_away(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    set_rules(hank, outside=True)
    hank.close()
    expect_ok(say(dale, "psst"))
    assert [each["message"] for each in chat_server.log_in("hank").backlog] == ["psst"]


def test_who_may_not_write_is_refused(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    set_rules(hank, outside=True, moderated=True)
    expect_error(say(dale, "psst"), "only_speakers")
    set_rules(hank, moderated=False)
    expect_ok(hank.request("silence", room="#dev", user="dale"))
    expect_error(say(dale, "psst"), "silenced")
    expect_ok(hank.request("unsilence", room="#dev", user="dale"))
    expect_ok(say(dale, "psst"))
    expect_ok(hank.request("shut_out", room="#dev", user="dale"))
    expect_error(say(dale, "psst"), "shut_out")


def test_guests_write_only_where_they_can_join(chat_server: ChatServer) -> None:
    (hank,), guest = log_in_and_join(chat_server, "hank"), chat_server.log_in_guest("joe")
    set_rules(hank, outside=True, guests=False)
    expect_error(say(guest, "psst"), "accounts_only")


def test_of_a_private_room_nobody_outside_knows(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    set_rules(hank, outside=True, invited=True, hidden=True)
    expect_error(say(dale, "psst"), "no_such_room", 404)
    expect_ok(hank.request("invite", room="#dev", user="dale"))
    expect_ok(say(dale, "psst"))


@pytest.mark.parametrize("what", ["", "edit", "erase", "react"])
def test_only_messages_about_no_other_come_from_outside(chat_server: ChatServer, what: str) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    set_rules(hank, outside=True)
    seq = expect_ok(say(dale, "psst"))["seq"]
    fields = {"about": seq, **({"what": what} if what else {})}
    expect_error(say(dale, "👍" if what == "react" else "again", **fields), "not_member")
