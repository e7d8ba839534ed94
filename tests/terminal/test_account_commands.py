"""Commands of the user's own account in line mode: the password, devices, and being away."""

from __future__ import annotations

import pytest

from tests.support.pty_client import PtyClient
from tests.support.scripted_server import ClientConnection, FakeServer
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_line_mode import READY

DEVICES = [
    {"device": "desk", "used": 1.0, "here": True, "this": True},
    {"device": "phone", "used": 1.0, "here": True},
    {"device": "old \x1b[31mphone", "used": 1_763_812_800.0, "here": False, "certificate": "12ab\x1b[31m"},
]


@pytest.fixture
def session(fake: FakeServer, open_terminal: OpenTerminal) -> tuple[PtyClient, ClientConnection]:
    """Log in to an account in line mode."""
    hank = open_terminal(fake, "--name", "hank", "--device", "desk", MESSENGER_PASSWORD="correct horse")
    peer = fake.accept()
    peer.accept_login(account=True)
    hank.wait_for(READY)
    return hank, peer


def test_the_password_is_changed_and_not_shown(session: tuple[PtyClient, ClientConnection]) -> None:
    hank, peer = session
    hank.type_line("/password")
    for prompt, answer in (
        (r"Your password now \(empty to cancel\): $", "correct horse"),
        ("The new password: $", "battery staple"),
        ("Repeat the password: $", "battery staple"),
    ):
        hank.wait_for(prompt)
        hank.type_line(answer)
    request = peer.expect("password")
    assert (request["old"], request["new"]) == ("correct horse", "battery staple")
    peer.respond(request, 200)
    hank.wait_for("-- the password is changed; your other devices are logged out")
    assert "horse" not in hank.seen and "staple" not in hank.seen


@pytest.mark.parametrize(
    ("answers", "reason"),
    [([""], "cancelled"), (["correct horse", ""], "cancelled"), (["correct horse", "one", "two"], "differ")],
)
def test_a_password_that_is_not_repeated_is_not_sent(
    session: tuple[PtyClient, ClientConnection], answers: list[str], reason: str
) -> None:
    hank, peer = session
    hank.type_line("/password")
    for answer in answers:
        hank.wait_for(": $")
        hank.type_line(answer)
    hank.wait_for(f"{reason}; the password is as it was")
    hank.type_line("/quit")
    assert peer.receive() == {"action": "quit"}


def test_devices_are_listed_and_logged_out(session: tuple[PtyClient, ClientConnection]) -> None:
    hank, peer = session
    hank.type_line("/devices")
    peer.respond(peer.expect("devices"), 200, devices=DEVICES)
    hank.wait_for(r"-- 3 devices are logged in:\r\n   desk \(this one\)\r\n   phone \(connected now\)")
    hank.wait_for(r"phone \(used last: 2025-11-22 [^)]*\), logs in by certificate 12ab")
    assert "\x1b[31m" not in hank.seen
    hank.type_line("/logout old phone")
    peer.respond(peer.expect("devices"), 200, devices=DEVICES)
    request = peer.expect("drop")
    assert request["device"] == "old phone"
    peer.respond(request, 404, code="no_such_device", error="There is no such device.")
    hank.wait_for("-- There is no such device")
    hank.type_line("/logout all")
    request = peer.expect("drop")
    assert request["all"] is True
    peer.respond(request, 200)
    hank.wait_for("-- your other devices are logged out")


@pytest.mark.parametrize("line", ["/logout", "/logout desk"])
def test_logging_out_here_ends_the_program(session: tuple[PtyClient, ClientConnection], line: str) -> None:
    hank, peer = session
    hank.type_line(line)
    for _ in line.split():  # the device that was named is compared with this one
        peer.respond(peer.expect("devices"), 200, devices=DEVICES)
    request = peer.expect("drop")
    assert request["device"] == "desk"
    peer.respond(request, 200)
    hank.wait_for("-- logged out here; the next start needs the password")
    assert hank.wait_for_exit() == 0


def test_away_with_a_note_and_back(session: tuple[PtyClient, ClientConnection]) -> None:
    hank, peer = session
    hank.type_line("/away back at three")
    request = peer.expect("status")
    assert (request["status"], request["note"]) == ("away", "back at three")
    peer.respond(request, 200)
    hank.wait_for(r"-- your status is now: away: back at three \(/status online clears it\)")
    hank.type_line("/back")
    request = peer.expect("status")
    assert (request["status"], request.get("note", "")) == ("online", "")
    peer.respond(request, 200)
    hank.wait_for("-- your status is online again")


def test_the_notes_of_others_are_shown(session: tuple[PtyClient, ClientConnection]) -> None:
    hank, peer = session
    peer.send({"action": "presence", "user": {"account_name": "dale", "status": "away", "note": "lunch\x1b[31m"}})
    hank.wait_for("-- dale is away: lunch")
    hank.type_line("/users")
    peer.respond(
        peer.expect("users"), 200, users=[{"account_name": "dale", "status": "away", "note": "lunch"}], more=False
    )
    hank.wait_for(r"dale \(away: lunch\)")
    assert "\x1b[31m" not in hank.seen


def test_what_is_known_of_a_user(session: tuple[PtyClient, ClientConnection]) -> None:
    hank, peer = session
    hank.type_line("/whois dale")
    request = peer.expect("whois")
    user = {"account_name": "Dale", "status": "away", "note": "lunch"}
    rooms = [{"room": "#dev"}, {"room": "#ops"}]
    peer.respond(request, 200, user=user, account=True, since=1_763_812_800.0, rooms=rooms)
    assert request["user"] == "dale"
    hank.wait_for(r"-- Dale, an account: away: lunch, since 2025-11-22 .*\r\n-- rooms you share: #dev, #ops")
    hank.type_line("/whois guest")
    peer.respond(
        peer.expect("whois"), 200, user={"account_name": "guest", "status": "offline"}, account=False, rooms=[]
    )
    hank.wait_for(r"-- guest, a guest: offline\r\n")


def test_profiles_are_shown_and_changed(session: tuple[PtyClient, ClientConnection]) -> None:
    hank, peer = session
    for line, request, profile, shown in (
        ("/profile", {"user": "hank"}, {}, "-- the profile of hank is empty"),
        (
            "/profile Dale",
            {"user": "Dale"},
            {"url": "x\x1b[31m", "city": "Arlen"},
            r"of Dale:\r\n   city: Arlen\r\n   url: x",
        ),
        ("/profile city=Arlen, Texas", {"user": "hank", "set": {"city": "Arlen, Texas"}}, {}, "of hank is empty"),
        ("/profile #dev city=", {"room": "#dev", "set": {"city": None}}, {}, "of #dev is empty"),
    ):
        hank.type_line(line)
        asked = peer.expect("profile")
        assert asked.items() >= request.items() and asked.keys() == {"action", "id", *request}
        peer.respond(asked, 200, name="x", profile=profile)
        hank.wait_for(shown)
    hank.type_line("/profile dale Arlen")
    hank.wait_for("write it as in /profile")
    assert "\x1b[31m" not in hank.seen
