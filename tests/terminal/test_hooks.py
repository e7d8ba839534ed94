"""Line mode: hooks of a room."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.scripted_server import FakeServer
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_rooms_and_history import log_in, next_request

HOOK: dict[str, Any] = {"name": "ci", "room": "#lab", "by": "hank", "since": 1.0, "used": 2.0}


def test_the_url_of_a_hook_is_shown_once_it_is_made(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/go #lab")
    hank.type_line("/hook add ci")
    request = next_request(peer)
    assert (request["action"], request["room"], request["name"]) == ("hook", "#lab", "ci")
    peer.respond(request, 200, name="ci", room="#lab", token="t0ken", url="https://chat.example/hook/t0ken\x1b")
    hank.wait_for("-- the hook ci posts to #lab what is sent to this URL:")
    hank.wait_for(r"   https://chat\.example/hook/t0ken\^\[\r\n")
    hank.wait_for("-- keep it secret; it is not shown again\r\n")
    hank.type_line("/hook add ci")
    peer.respond(next_request(peer), 200, name="ci", room="#lab", token="t0ken")
    hank.wait_for("   /hook/t0ken\r\n")
    hank.wait_for("-- what comes before it is not known: the server takes no HTTP requests")


def test_hooks_are_listed_and_revoked(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/go #lab")
    hank.type_line("/hook list")
    peer.respond(next_request(peer), 200, hooks=[])
    hank.wait_for("-- #lab has no hooks; /hook add NAME makes one")
    hank.type_line("/hook list")
    request = next_request(peer)
    assert (request["action"], request["room"]) == ("hooks", "#lab")
    peer.respond(request, 200, hooks=[HOOK, HOOK | {"name": "old", "inactive": True}])
    hank.wait_for("-- 2 hooks of #lab:\r\n")
    hank.wait_for(r"   ci, made by hank \(used last: ")
    hank.wait_for("   old, made by hank: inactive, as it was removed, or hank owns the room no more\r\n")
    hank.type_line("/hook revoke ci")
    request = next_request(peer)
    assert (request["action"], request["room"], request["name"]) == ("unhook", "#lab", "ci")
    peer.respond(request, 200)
    hank.wait_for("-- the hook ci of #lab is revoked\r\n")


@pytest.mark.parametrize("typed", ["/hook add", "/hook list ci", "/hook revoke", "/hook make ci"])
def test_what_cannot_be_understood_is_said(fake: FakeServer, open_terminal: OpenTerminal, typed: str) -> None:
    hank, _ = log_in(fake, open_terminal)
    hank.type_line("/go #lab")
    hank.type_line(typed)
    hank.wait_for("-- write it as in /hook add NAME, /hook list, or /hook revoke NAME")


def test_members_that_are_hooks_are_marked(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/members #lab")
    users = [
        {"account_name": "ci", "status": "offline", "role": "speaker", "bot": True},
        {"account_name": "dale", "status": "offline"},
    ]
    peer.respond(next_request(peer), 200, users=users, more=False, topic="")
    hank.wait_for(r"   ci \(hook\)\r\n")
    hank.wait_for(r"   dale \(offline\)\r\n")
    hank.type_line("/whois ci")
    peer.respond(next_request(peer), 200, user=users[0], account=True, rooms=[])
    hank.wait_for("-- ci, a hook: other programs post by it\r\n")
