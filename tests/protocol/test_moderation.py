"""Moderation by operators: kick, mute, ban, and what users are notified of.

docs/protocol.md, "Moderation and blocks".
"""

from typing import Any

import pytest
from gevent.event import Event

from gmessenger.chat.moderation import Moderation
from tests.support.accounts import PASSWORD, ChatServer
from tests.support.course_clients import CLASSIC, TIMEOUT
from tests.support.moderation import admin_service, as_owner, expect_error, expect_ok, log_in_operator

OPERATOR_REQUESTS: dict[str, dict[str, Any]] = {
    "kick": {"user": "dale"},
    "mute": {"user": "dale"},
    "unmute": {"user": "dale"},
    "mutes": {},
    "ban": {"user": "dale"},
    "unban": {"user": "dale"},
    "bans": {},
    "close": {"room": "#dev"},
    "open": {"room": "#dev"},
}


def test_only_operators_may_and_they_know_it(chat_server: ChatServer) -> None:
    guest, dale = chat_server.log_in_guest("bill"), chat_server.log_in("dale")
    for action, fields in OPERATOR_REQUESTS.items():
        for client in (guest, dale):
            expect_error(client.request(action, **fields), "operators_only")
    assert "role" not in chat_server.connect().try_log_in("joe")
    admin_service(chat_server).grant("dale")
    assert expect_ok(dale.request("bans"))["bans"] == []
    assert chat_server.connect().try_log_in("dale", password=PASSWORD)["role"] == "operator"
    admin_service(chat_server).revoke("dale")
    expect_error(chat_server.log_in("dale").request("bans"), "operators_only")


def test_who_is_kicked_hears_why_and_may_come_again(chat_server: ChatServer) -> None:
    hank, dale, phone = log_in_operator(chat_server), chat_server.log_in("dale"), chat_server.log_in("dale", "phone")
    guest = chat_server.log_in_guest("bill")
    assert expect_ok(hank.request("kick", user="DALE", reason="calm down"))["sessions"] == 2
    for session in (dale, phone):
        *_, last = session.receive_until_closed()
        assert "id" not in expect_error(last, "kicked")
        assert last["error"] == "An operator has disconnected you: calm down."
    assert expect_ok(hank.request("kick", user="bill"))["sessions"] == 1
    expect_error(guest.receive_until_closed()[-1], "kicked")
    assert chat_server.log_in("dale").send_message("hank", "sorry")["response"] == 200
    expect_error(hank.request("kick", user="bill"), "not_here", 410)


def test_a_course_client_is_kicked_without_a_word(chat_server: ChatServer) -> None:
    hank, course = log_in_operator(chat_server), chat_server.log_in_course(CLASSIC, "bill")
    expect_ok(hank.request("kick", user="bill"))
    with pytest.raises(AssertionError, match="hung up on"):
        course.receive()
    assert [entry["account_name"] for entry in hank.request("users")["users"]] == ["hank"]


def test_operators_are_safe_from_each_other(chat_server: ChatServer) -> None:
    hank, dale = log_in_operator(chat_server), log_in_operator(chat_server, "dale")
    for action in ("kick", "mute", "ban"):
        expect_error(hank.request(action, user="dale"), "forbidden")
    expect_error(hank.request("ban", address="127.0.0.1"), "forbidden")
    assert dale.take_events() == []
    assert as_owner(chat_server, Moderation.kick, "dale").sessions == 1
    expect_error(dale.receive_until_closed()[-1], "kicked")


def test_who_is_muted_is_heard_nowhere(chat_server: ChatServer) -> None:
    hank, dale, guest = log_in_operator(chat_server), chat_server.log_in("dale"), chat_server.log_in_guest("bill")
    for client in (hank, dale):
        client.request("join", room="#dev")
    assert expect_ok(hank.request("mute", user="dale", reason="noise", **{"for": 3600}))["sessions"] == 1
    assert expect_ok(hank.request("mute", user="bill"))["sessions"] == 1
    for to in ("hank", "#dev", "#all", "dale"):
        answer = expect_error(dale.send_message(to, "hi"), "muted")
        assert 3500 < answer["retry_after"] <= 3600
        assert answer["error"] == "An operator has muted you for another 60 minutes: noise."
        assert "retry_after" not in expect_error(guest.send_message(to, "hi"), "muted")
    expect_error(dale.request("topic", room="#dev", topic="ha"), "muted")
    expect_error(dale.request("status", status="ha"), "muted")
    assert hank.take_events() == []
    mutes = expect_ok(hank.request("mutes"))["mutes"]
    assert [(each["user"], each["by"], each.get("reason"), "until" in each) for each in mutes] == [
        ("bill", "hank", None, False),
        ("dale", "hank", "noise", True),
    ]
    expect_ok(hank.request("unmute", user="dale"))
    assert dale.send_message("hank", "hi")["response"] == 200
    expect_error(hank.request("unmute", user="dale"), "never_seen", 404)


def test_a_mute_ends_by_itself(chat_server: ChatServer) -> None:
    hank, dale = log_in_operator(chat_server), chat_server.log_in("dale")
    expect_ok(hank.request("mute", user="dale", **{"for": 0.05}))
    while (answer := dale.send_message("hank", "hi"))["response"] != 200:
        expect_error(answer, "muted")
    assert expect_ok(hank.request("mutes"))["mutes"] == []


def test_a_muted_course_client_meets_silence(chat_server: ChatServer) -> None:
    hank, course = log_in_operator(chat_server), chat_server.log_in_course(CLASSIC, "bill")
    expect_ok(hank.request("mute", user="bill"))
    course.send_message("hank", "hi")
    hank.send_messages("bill", "nobody hears you")
    assert course.receive_message() == ("hank", "nobody hears you")
    assert hank.take_events() == []


@pytest.mark.parametrize("restarted", [False, True])
def test_a_banned_name_stays_out(chat_server: ChatServer, restarted: bool) -> None:
    hank, dale = log_in_operator(chat_server), chat_server.log_in("dale")
    assert expect_ok(hank.request("ban", user="dale", reason="spam"))["sessions"] == 1
    expect_error(dale.receive_until_closed()[-1], "banned")
    expect_ok(hank.request("ban", user="Bill", **{"for": 60}))
    if restarted:
        chat_server.restart()
        hank = chat_server.log_in("hank")
    answer = expect_error(chat_server.connect().try_log_in("dale", password=PASSWORD), "banned")
    assert answer["error"] == "An operator has banned you from this server: spam." and "retry_after" not in answer
    session = chat_server.populated_store.sessions["dale", "laptop"]
    expect_error(chat_server.connect().try_log_in("dale", session=session), "banned")
    assert 0 < expect_error(chat_server.connect().try_log_in("BILL"), "banned")["retry_after"] <= 60
    for user in ("dale", "bill"):
        expect_ok(hank.request("unban", user=user))
        expect_error(hank.request("unban", user=user), "never_seen", 404)
    chat_server.log_in("dale")
    chat_server.log_in_guest("bill")


def test_a_banned_course_client_is_told_in_its_form(chat_server: ChatServer) -> None:
    hank = log_in_operator(chat_server)
    expect_ok(hank.request("ban", user="bill", reason="spam"))
    chat_server.connector.open_course(chat_server, CLASSIC, "bill").expect_refused()


def test_a_banned_address_is_turned_away_before_it_says_anything(chat_server: ChatServer) -> None:
    dale = chat_server.log_in("dale")
    admin_service(chat_server).grant("hank")
    assert as_owner(chat_server, Moderation.ban, None, "127.0.0.1", 60, "flood").sessions == 1
    expect_error(dale.receive_until_closed()[-1], "banned")
    line = chat_server.connect()
    assert 0 < expect_error(line.receive(), "banned")["retry_after"] <= 60
    line.expect_closed()
    as_owner(chat_server, Moderation.unban, None, "::ffff:127.0.0.1")
    chat_server.log_in("dale")


def test_a_network_is_banned_and_listed_with_names(chat_server: ChatServer) -> None:
    hank = log_in_operator(chat_server)
    assert expect_ok(hank.request("ban", address="203.0.113.7/24"))["address"] == "203.0.113.0/24"
    assert expect_ok(hank.request("ban", address="2001:db8::5", reason="flood"))["address"] == "2001:db8::/64"
    expect_ok(hank.request("ban", user="bill"))
    entries = expect_ok(hank.request("bans"))
    assert [each.get("user") or each["address"] for each in entries["bans"]] == [
        "2001:db8::/64",
        "203.0.113.0/24",
        "bill",
    ]
    assert entries["more"] is False
    after = expect_ok(hank.request("bans", after="203.0.113.0/24"))["bans"]
    assert [each["user"] for each in after] == ["bill"]
    expect_ok(hank.request("unban", address="203.0.113.99/24"))
    expect_ok(hank.request("unban", address="2001:db8::6"))
    assert [each["user"] for each in expect_ok(hank.request("bans"))["bans"]] == ["bill"]


@pytest.mark.parametrize(
    ("action", "fields", "word"),
    [
        ("ban", {}, "bad_request"),
        ("ban", {"user": "bill", "address": "203.0.113.7"}, "bad_request"),
        ("ban", {"address": "bill"}, "bad_request"),
        ("ban", {"user": "two words"}, "bad_name"),
        ("ban", {"address": "127.0.0.0/8"}, "forbidden"),
        ("ban", {"address": "0.0.0.0/0"}, "forbidden"),
        ("ban", {"address": "::/0"}, "forbidden"),
        ("ban", {"user": "bill", "for": 0}, "bad_request"),
        ("ban", {"user": "bill", "for": "1h"}, "bad_request"),
        ("ban", {"user": "bill", "reason": "x" * 201}, "bad_request"),
        ("mute", {"user": "bill", "reason": "a\nb"}, "bad_request"),
        ("kick", {"user": "nobody"}, "not_here"),
        ("close", {"room": "#nowhere"}, "no_such_room"),
        ("unban", {"user": "bill"}, "never_seen"),
        ("unban", {}, "bad_request"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    chat_server: ChatServer, action: str, fields: dict[str, Any], word: str
) -> None:
    hank = log_in_operator(chat_server)
    assert hank.request(action, **fields)["code"] == word
    assert expect_ok(hank.request("bans"))["bans"] == [] and expect_ok(hank.request("mutes"))["mutes"] == []


def test_a_ban_holds_for_who_is_just_showing_the_password(
    chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested, responses = Event(), Event()

    def verify(*_: object) -> bool:
        requested.set()
        return responses.wait(TIMEOUT)

    dale = chat_server.connect()
    with monkeypatch.context() as patched:
        patched.setattr(chat_server.server.app.messenger.authenticator._login_throttle, "verify", verify)
        dale.send({"action": "presence", "jim": 2, "user": {"account_name": "dale", "password": PASSWORD}})
        assert requested.wait(TIMEOUT)
        as_owner(chat_server, Moderation.ban, "dale", None)
        responses.set()
        expect_error(dale.receive(), "banned")
    assert admin_service(chat_server).accounts()[2].here is False
