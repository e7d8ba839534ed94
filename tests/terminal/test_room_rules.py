"""Line mode: rooms that belong to owners, their rules and roles."""

from __future__ import annotations

from typing import Any

import pytest

from gmessenger.room_rules import ROOM_RULES
from gmessenger.terminal.format_rules import rule_sentence, special_rules
from tests.support.scripted_server import FakeServer
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_rooms_and_history import log_in, next_request

OPEN = {key: spec.default for key, spec in ROOM_RULES.items()}


def test_every_value_of_a_rule_has_a_sentence() -> None:
    for key, spec in ROOM_RULES.items():
        for value in spec.choices or (0, 20):
            assert rule_sentence(key, value)
    assert rule_sentence("colour", "green") == ""
    assert special_rules(OPEN) is None and special_rules({}) is None
    assert special_rules(OPEN | {"invited": True, "colour": 1}) == "only who is invited can join"


@pytest.mark.parametrize(
    ("typed", "rules"), [("/make lab", {}), ("/make #lab Private", {"invited": True, "hidden": True})]
)
def test_a_room_is_made(fake: FakeServer, open_terminal: OpenTerminal, typed: str, rules: dict[str, bool]) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line(typed)
    request = peer.expect("join")
    assert (request["room"], request["rules"]) == ("#lab", rules)
    peer.respond(request, 200, members=["hank"], topic="", seq=0, first=1, rules=OPEN | rules, role="owner")
    hank.wait_for("-- you have made #lab")
    hank.wait_for("to #lab> ")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/make lab", "-- #lab was there already, and is yours; its rules are as they were"),
        ("/make lab private", "-- #lab was there already, and is yours: now only who is invited can find it"),
    ],
)
@pytest.mark.parametrize("what_is_there", [{"members": ["dale", "hank"], "seq": 0}, {"members": ["hank"], "seq": 3}])
def test_a_room_that_is_there_is_not_called_made(
    fake: FakeServer, open_terminal: OpenTerminal, typed: str, said: str, what_is_there: dict[str, Any]
) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line(typed)
    request = peer.expect("join")
    peer.respond(request, 200, topic="", first=1, rules=OPEN, role="owner", **what_is_there)
    hank.wait_for(said)


def test_rules_and_roles(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/go #lab")
    hank.type_line("/rules")
    peer.respond(next_request(peer), 200, rules=OPEN | {"moderated": True})
    hank.wait_for(
        r"-- the rules of #lab; owners set them with /rule KEY VALUE:\r\n   invited no +all users can join\r\n"
    )
    hank.wait_for(r"   moderated yes +only speakers, moderators and owners can write\r\n")
    hank.type_line("/rule HISTORY all")
    request = next_request(peer)
    assert request["set"] == {"history": "all"}
    peer.respond(request, 200, rules=OPEN)
    hank.wait_for("-- #lab: who joins can read everything that was sent before\r\n")
    hank.type_line("/rule most 20")
    request = next_request(peer)
    assert request["set"] == {"most": 20}
    peer.respond(request, 403, code="not_owner", error="no")
    hank.wait_for("-- no\r\n")
    for typed, said in (
        ("/rule colour green", "there is no such rule; the rules are: invited, hidden"),
        ("/rule topic cats", "the rule topic is one of: all, moderators"),
        ("/rule guests", "the rule guests is one of: yes, no"),
        ("/rule most many", "the rule most is a number"),
        ("/role dale king", "write it as in /role dale moderator; the roles are: owner, moderator, speaker, member"),
        ("/make lab secret", "write it as in /make #room, or /make #room private"),
    ):
        hank.type_line(typed)
        hank.wait_for(f"-- {said}")
    hank.type_line("/role dale Moderator")
    request = next_request(peer)
    assert (request["user"], request["role"]) == ("dale", "moderator")
    peer.respond(request, 200)
    hank.wait_for("-- dale has the role moderator in #lab now\r\n")


def test_changes_of_rules_and_roles_are_said(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    user = {"account_name": "dale\x1b"}
    peer.send({"action": "rule", "room": "#lab", "user": user, "set": {"guests": False, "colour": "red\x1b"}})
    hank.wait_for(r"-- dale\^\[ has set the rules of #lab: only accounts can join; colour red\^\[\r\n")
    peer.send({"action": "role", "room": "#lab", "user": user, "role": "owner", "by": "bob"})
    hank.wait_for(r"-- dale\^\[ has the role owner in #lab now, given by bob\r\n")
    peer.send({"action": "role", "room": "#lab", "user": user, "role": "owner"})
    hank.wait_for(r"-- dale\^\[ has the role owner in #lab now, as the last owner has gone\r\n")


def test_who_is_let_in_and_kept_out(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/go #lab")
    for typed, action, said in (
        ("/invite dale", "invite", "dale is invited to #lab"),
        ("/uninvite dale", "uninvite", "dale is no longer invited to #lab"),
        ("/letin dale", "let_in", "dale may join #lab again"),
        ("/unsilence dale", "unsilence", "dale may write in #lab again"),
    ):
        hank.type_line(typed)
        request = next_request(peer)
        assert (request["action"], request["room"], request["user"]) == (action, "#lab", "dale")
        peer.respond(request, 200)
        hank.wait_for(f"-- {said}\r\n")
    for typed, action, said in (
        ("/shutout dale 2h caps lock", "shut_out", "dale is kept out of #lab"),
        ("/silence dale 2h caps lock", "silence", "dale is silenced in #lab"),
    ):
        hank.type_line(typed)
        request = next_request(peer)
        assert (request["action"], request["user"], request["for"], request["reason"]) == (
            action,
            "dale",
            7200.0,
            "caps lock",
        )
        peer.respond(request, 200)
        hank.wait_for(f"-- {said}\r\n")
    hank.type_line("/access")
    peer.respond(next_request(peer), 200, invitations=[{"user": "bob", "by": "hank", "since": 1.0}], more=False)
    peer.respond(next_request(peer), 200, shut_outs=[{"user": "eve\x1b", "by": "hank", "reason": "spam"}], more=False)
    peer.respond(next_request(peer), 200, silences=[], more=False)
    hank.wait_for(
        r"-- 1 invited to #lab:\r\n   bob, by hank\r\n-- 1 kept out of #lab:\r\n   eve\^\[, by hank: spam\r\n"
    )
    hank.type_line("/kick dale")
    hank.wait_for("-- only operators of the server do that; in a room of yours use /remove, /shutout or /silence NAME")


def test_invitations_and_bans_are_said(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.send({"action": "invited", "room": "#lab", "from": "dale\x1b"})
    hank.wait_for(r"-- dale\^\[ invites you to #lab: /join #lab joins it, /leave #lab declines\r\n")
    event = {"room": "#lab", "user": {"account_name": "eve"}, "by": "dale"}
    peer.send(event | {"action": "shut_out", "reason": "spam"})
    hank.wait_for("-- dale keeps eve out of #lab: spam\r\n")
    peer.send(event | {"action": "silence", "until": 4_000_000_000.0})
    hank.wait_for("-- dale has silenced eve in #lab until .*\r\n")
    peer.send(event | {"action": "let_in"})
    hank.wait_for("-- dale lets eve join #lab again\r\n")
    peer.send(event | {"action": "unsilence"})
    hank.wait_for("-- dale lets eve write in #lab again\r\n")
