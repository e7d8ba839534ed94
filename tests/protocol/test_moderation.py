"""Operators: who is sent away, kept out or silenced, and what they and everybody else are told.
docs/protocol.md, "Moderation and blocks"."""

from typing import Any

import pytest
from gevent.event import Event

from gmessenger.chat.moderation import Moderation
from tests.support.accounts import PASSWORD, Town
from tests.support.course_clients import CLASSIC, TIMEOUT
from tests.support.moderation import admin_service, as_owner, done, operator, refused

OPERATING: dict[str, dict[str, Any]] = {
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


def test_only_operators_may_and_they_know_it(town: Town) -> None:
    guest, dale = town.guest("bill"), town.comes("dale")
    for action, fields in OPERATING.items():
        for person in (guest, dale):
            refused(person.ask(action, **fields), "operators_only")
    assert "role" not in town.dials().present("joe")
    admin_service(town).grant("dale")
    assert done(dale.ask("bans"))["bans"] == []
    assert town.dials().present("dale", password=PASSWORD)["role"] == "operator"
    admin_service(town).revoke("dale")
    refused(town.comes("dale").ask("bans"), "operators_only")


def test_who_is_kicked_hears_why_and_may_come_again(town: Town) -> None:
    hank, dale, phone = operator(town), town.comes("dale"), town.comes("dale", "phone")
    guest = town.guest("bill")
    assert done(hank.ask("kick", user="DALE", reason="calm down"))["sessions"] == 2
    for session in (dale, phone):
        *_, last = session.rest()
        assert "id" not in refused(last, "kicked")
        assert last["error"] == "An operator has disconnected you: calm down."
    assert done(hank.ask("kick", user="bill"))["sessions"] == 1
    refused(guest.rest()[-1], "kicked")
    assert town.comes("dale").say("hank", "sorry")["response"] == 200
    refused(hank.ask("kick", user="bill"), "not_here", 410)


def test_a_course_client_is_kicked_without_a_word(town: Town) -> None:
    hank, course = operator(town), town.course(CLASSIC, "bill")
    done(hank.ask("kick", user="bill"))
    with pytest.raises(AssertionError, match="hung up on"):
        course.receive()
    assert [card["account_name"] for card in hank.ask("users")["users"]] == ["hank"]


def test_operators_are_safe_from_each_other(town: Town) -> None:
    hank, dale = operator(town), operator(town, "dale")
    for action in ("kick", "mute", "ban"):
        refused(hank.ask(action, user="dale"), "forbidden")
    refused(hank.ask("ban", address="127.0.0.1"), "forbidden")
    assert dale.unheard() == []
    done(as_owner(town, Moderation.kick, "dale") | {"response": 200})
    refused(dale.rest()[-1], "kicked")


def test_who_is_muted_is_heard_nowhere(town: Town) -> None:
    hank, dale, guest = operator(town), town.comes("dale"), town.guest("bill")
    for person in (hank, dale):
        person.ask("join", room="#dev")
    assert done(hank.ask("mute", user="dale", reason="noise", **{"for": 3600}))["sessions"] == 1
    assert done(hank.ask("mute", user="bill"))["sessions"] == 1
    for to in ("hank", "#dev", "#all", "dale"):
        answer = refused(dale.say(to, "hi"), "muted")
        assert 3500 < answer["retry_after"] <= 3600
        assert answer["error"] == "An operator has muted you for another 60 minutes: noise."
        assert "retry_after" not in refused(guest.say(to, "hi"), "muted")
    refused(dale.ask("topic", room="#dev", topic="ha"), "muted")
    refused(dale.ask("status", status="ha"), "muted")
    assert hank.unheard() == []
    mutes = done(hank.ask("mutes"))["mutes"]
    assert [(each["user"], each["by"], each.get("reason"), "until" in each) for each in mutes] == [
        ("bill", "hank", None, False),
        ("dale", "hank", "noise", True),
    ]
    done(hank.ask("unmute", user="dale"))
    assert dale.say("hank", "hi")["response"] == 200
    refused(hank.ask("unmute", user="dale"), "never_seen", 404)


def test_a_mute_ends_by_itself(town: Town) -> None:
    hank, dale = operator(town), town.comes("dale")
    done(hank.ask("mute", user="dale", **{"for": 0.05}))
    while (answer := dale.say("hank", "hi"))["response"] != 200:
        refused(answer, "muted")
    assert done(hank.ask("mutes"))["mutes"] == []


def test_a_muted_course_client_meets_silence(town: Town) -> None:
    hank, course = operator(town), town.course(CLASSIC, "bill")
    done(hank.ask("mute", user="bill"))
    course.say("hank", "hi")
    hank.sends("bill", "nobody hears you")
    assert course.hear() == ("hank", "nobody hears you")
    assert hank.unheard() == []


@pytest.mark.parametrize("restarted", [False, True])
def test_a_banned_name_stays_out(town: Town, restarted: bool) -> None:
    hank, dale = operator(town), town.comes("dale")
    assert done(hank.ask("ban", user="dale", reason="spam"))["sessions"] == 1
    refused(dale.rest()[-1], "banned")
    done(hank.ask("ban", user="Bill", **{"for": 60}))
    if restarted:
        town.restarts()
        hank = town.comes("hank")
    answer = refused(town.dials().present("dale", password=PASSWORD), "banned")
    assert answer["error"] == "An operator has banned you from this server: spam." and "retry_after" not in answer
    session = town.population.sessions["dale", "laptop"]
    refused(town.dials().present("dale", session=session), "banned")
    assert 0 < refused(town.dials().present("BILL"), "banned")["retry_after"] <= 60
    for user in ("dale", "bill"):
        done(hank.ask("unban", user=user))
        refused(hank.ask("unban", user=user), "never_seen", 404)
    town.comes("dale")
    town.guest("bill")


def test_a_banned_course_client_is_told_in_its_form(town: Town) -> None:
    hank = operator(town)
    done(hank.ask("ban", user="bill", reason="spam"))
    town.dial.stranger(town, CLASSIC, "bill").refused()


def test_a_banned_address_is_turned_away_before_it_says_anything(town: Town) -> None:
    dale = town.comes("dale")
    admin_service(town).grant("hank")
    assert as_owner(town, Moderation.ban, None, "127.0.0.1", 60, "flood")["sessions"] == 1
    refused(dale.rest()[-1], "banned")
    line = town.dials()
    assert 0 < refused(line.recv(), "banned")["retry_after"] <= 60
    line.expect_closed()
    as_owner(town, Moderation.unban, None, "::ffff:127.0.0.1")
    town.comes("dale")


def test_a_network_is_banned_and_listed_with_names(town: Town) -> None:
    hank = operator(town)
    assert done(hank.ask("ban", address="203.0.113.7/24"))["address"] == "203.0.113.0/24"
    assert done(hank.ask("ban", address="2001:db8::5", reason="flood"))["address"] == "2001:db8::/64"
    done(hank.ask("ban", user="bill"))
    listed = done(hank.ask("bans"))
    assert [each.get("user") or each["address"] for each in listed["bans"]] == [
        "2001:db8::/64",
        "203.0.113.0/24",
        "bill",
    ]
    assert listed["more"] is False
    after = done(hank.ask("bans", after="203.0.113.0/24"))["bans"]
    assert [each["user"] for each in after] == ["bill"]
    done(hank.ask("unban", address="203.0.113.99/24"))
    done(hank.ask("unban", address="2001:db8::6"))
    assert [each["user"] for each in done(hank.ask("bans"))["bans"]] == ["bill"]


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
    town: Town, action: str, fields: dict[str, Any], word: str
) -> None:
    hank = operator(town)
    assert hank.ask(action, **fields)["code"] == word
    assert done(hank.ask("bans"))["bans"] == [] and done(hank.ask("mutes"))["mutes"] == []


def test_a_ban_holds_for_who_is_just_showing_the_password(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = Event(), Event()

    def verify(*_: object) -> bool:
        asked.set()
        return answered.wait(TIMEOUT)

    dale = town.dials()
    with monkeypatch.context() as patched:
        patched.setattr(town.server.app.messenger.authenticator._login_throttle, "verify", verify)
        dale.send({"action": "presence", "jim": 2, "user": {"account_name": "dale", "password": PASSWORD}})
        assert asked.wait(TIMEOUT)
        as_owner(town, Moderation.ban, "dale", None)
        answered.set()
        refused(dale.recv(), "banned")
    assert admin_service(town).accounts()[2]["here"] is False
