"""Blocks and operators' commands, at a terminal."""

from __future__ import annotations

import re

from tests.support.pty_client import PtyClient
from tests.support.scripted_server import ClientConnection, FakeServer, Frame
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_rooms_and_history import entry, log_in, next_request


def type_command(
    terminal: PtyClient, peer: ClientConnection, line: str, response: int = 200, **answer: object
) -> Frame:
    """Type a command, and return the request that the server receives."""
    terminal.type_line(line)
    request = next_request(peer)
    peer.respond(request, response, **answer)
    del request["id"]
    return request


def test_an_operator_sees_to_it(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(fake, "--name", "hank")
    peer = fake.accept_and_log_in(account=True, role="operator")
    hank.wait_for(r"/ban NAME\|ADDRESS \[TIME\] \[REASON\]")
    hank.wait_for("begins with a slash")
    kick = type_command(hank, peer, "/kick dale calm\x0bdown", sessions=2)
    assert kick == {"action": "kick", "user": "dale", "reason": "calm\x0bdown"}
    hank.wait_for("-- dale is disconnected: 2 connections closed")
    assert type_command(hank, peer, "/mute dale 10", sessions=0)["for"] == 600
    hank.wait_for("-- dale is muted for 10 minutes; no user of that name is online now")
    assert type_command(hank, peer, "/unmute dale") == {"action": "unmute", "user": "dale"}
    hank.wait_for("-- dale is no longer muted")
    assert type_command(hank, peer, "/ban dale spam", sessions=1) == {"action": "ban", "user": "dale", "reason": "spam"}
    hank.wait_for("-- dale is banned: 1 connection closed")
    ban = type_command(hank, peer, "/ban 2001:db8::1", sessions=0, address="2001:db8::/64")
    assert ban == {"action": "ban", "address": "2001:db8::1"}
    hank.wait_for("-- 2001:db8::/64 is banned: 0 connections closed")
    assert type_command(hank, peer, "/unban 2001:db8::1") == {"action": "unban", "address": "2001:db8::1"}
    hank.wait_for("-- 2001:db8::1 is no longer banned")
    assert type_command(hank, peer, "/ban 127.0.0.1", sessions=0) == {"action": "ban", "user": "127.0.0.1"}
    hank.wait_for("-- that is the name 127.0.0.1; the address is 127.0.0.1/32")
    assert type_command(hank, peer, "/unban 127.0.0.1") == {"action": "unban", "user": "127.0.0.1"}
    assert type_command(hank, peer, "/ban 192.0.2.7/32", sessions=0) == {"action": "ban", "address": "192.0.2.7/32"}
    assert type_command(hank, peer, "/unban dale") == {"action": "unban", "user": "dale"}
    assert type_command(hank, peer, "/close #dev") == {"action": "close", "room": "#dev"}
    hank.wait_for("-- #dev is closed")
    assert type_command(hank, peer, "/open #dev", 404, code="no_such_room", error="There is no such room.")
    hank.wait_for("-- There is no such room")


def test_what_is_imposed_is_listed(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    ban = {"user": "dale\x1b", "by": "hank", "since": 1.0, "reason": "sp\x07am", "until": 2_000_000_000.0}
    assert type_command(hank, peer, "/bans", bans=[ban], more=True) == {"action": "bans"}
    request = next_request(peer)
    assert request["after"] == "dale\x1b"
    peer.respond(request, 200, bans=[{"address": "10.0.0.0/8", "by": "server", "since": 1.0}], more=False)
    peer.respond(peer.expect("mutes"), 200, mutes=[], more=False)
    hank.wait_for(r"-- 2 banned:\r\n   dale\^\[, by hank, until 2033-05-1\d \d\d:\d\d: sp\^Gam\r\n")
    hank.wait_for(r"   10.0.0.0/8, by the owner of the server\r\n")
    hank.type_line("/bans")
    for action in ("bans", "mutes"):
        peer.respond(peer.expect(action), 200, more=False, **{action: []})
    hank.wait_for("-- there are no bans or mutes")


def test_rooms_are_closed_and_opened_before_ones_eyes(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    user = {"account_name": "bob"}
    peer.send({"action": "close", "room": "#dev", "user": user, "reason": "too\x07 loud"})
    hank.wait_for(r"-- bob has closed #dev: too\^G loud\r\n")
    peer.send({"action": "open", "room": "#dev", "user": {"account_name": "server"}})
    hank.wait_for("-- the owner of the server has opened #dev again")
    type_command(hank, peer, "/rooms", rooms=[{"room": "#dev", "members": 2, "topic": "", "closed": True}], more=False)
    hank.wait_for(r"   #dev \(2, closed\)\r\n")


def test_what_blocked_people_say_in_rooms_is_hidden(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(fake, "--name", "hank")
    peer = fake.accept_and_log_in(account=True, blocks=1)
    peer.push_message("Dale", "one", "#dev", seq=1)
    peer.push_message("bob", "two", "#dev", seq=2)
    peer.respond(next_request(peer), 200, users=[{"account_name": "dale"}], more=False)
    hank.wait_for("#dev bob: two")
    assert type_command(hank, peer, "/block bob") == {"action": "block", "user": "bob"}
    hank.wait_for("-- bob is blocked")
    peer.push_message("bob", "three", "#dev", seq=3)
    assert type_command(hank, peer, "/unblock dale") == {"action": "unblock", "user": "dale"}
    hank.wait_for("-- dale is no longer blocked")
    peer.push_message("dale", "four", "#dev", seq=4)
    seen = hank.wait_for("#dev dale: four")
    assert not re.search("one|three", seen.string)
    type_command(hank, peer, "/blocks", users=[{"account_name": "bob"}], more=False)
    hank.wait_for(r"-- you have blocked 1 user:\r\n   bob\r\n")
    hank.type_line("/msg #dev")
    type_command(hank, peer, "/history", messages=[entry(3, "three", "bob"), entry(4, "four")], more=False)
    hank.wait_for(r"-- the last 1 message in #dev:\r\n.* dale: four\r\n")
    type_command(hank, peer, "/blocks", users=[], more=False)
    hank.wait_for("-- you have blocked no users")


def test_who_is_sent_away_leaves_with_the_reason(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    for code in ("kicked", "banned"):
        hank, peer = log_in(fake, open_terminal)
        peer.send({"response": 403, "code": code, "error": "Go: calm\x07 down.", "retry_after": 60, "time": 1.0})
        peer.expect_closed()
        assert hank.wait_for_exit() == 77
        assert "gmessenger-client: Go: calm^G down." in hank.seen
