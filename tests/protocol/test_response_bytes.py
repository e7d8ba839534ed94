"""What each native request is answered, byte for byte, as it was recorded in `response_bytes.txt`.

Only what differs from run to run is masked: secrets, the store's identity and the version. Record again after a change
of the protocol: `GMESSENGER_RECORD=1 python -m pytest tests/protocol/test_response_bytes.py`.
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from gmessenger.server.net.sockets import PeerCredentials
from tests.support.accounts import PASSWORD, ChatServer, UserClient
from tests.support.moderation import admin_service

RECORDED = Path(__file__).with_name("response_bytes.txt")
NOW = 1_763_800_000.25
MASKED = re.compile(rb'"(session|store|server)":"[^"]*"')
LONG = "пол " * 200


class Transcript:
    """Send requests one after the other and keep the lines of their responses."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def ask(self, client: UserClient, action: str, **fields: Any) -> None:
        """Send a request and keep its response, which is the next frame that is one."""
        frame = {"action": action, "id": f"x{len(self.lines)}", **fields}
        client.send({key: value for key, value in frame.items() if value is not None})
        while not (line := client.receive_line()).startswith(b'{"response"'):
            pass
        self.lines.append(action.encode() + b" " + MASKED.sub(rb'"\1":"-"', line))

    def present(self, client: UserClient, name: str, **fields: Any) -> None:
        self.ask(client, "presence", jim=2, user={"account_name": name, **fields})


def record_people(server: ChatServer) -> list[bytes]:
    """Record every request that is not about history, from accounts, guests and an operator."""
    transcript = Transcript()
    ask = transcript.ask
    admin_service(server).grant("hank")
    stranger = server.connect()
    transcript.present(stranger, "hank")
    transcript.present(stranger, "hank", password="wrong")
    ask(stranger, "msg", to="dale", message="hi")
    ask(stranger, "users")
    hank, dale = server.connect(), server.connect()
    transcript.present(hank, "hank", password=PASSWORD, device="desk")
    transcript.present(hank, "hank", password=PASSWORD)
    transcript.present(hank, "dale")
    transcript.present(dale, "dale", password=PASSWORD, device="desk")
    guest = server.connect()
    transcript.present(guest, "Bill")
    for action, fields in (
        ("join", {"room": "#dev"}),
        ("join", {"room": "dev"}),
        ("topic", {"room": "#dev", "topic": "отпуск"}),
        ("rooms", {}),
        ("rooms", {"after": "#dev"}),
        ("status", {"status": "away"}),
        ("status", {"status": "offline"}),
        ("users", {}),
        ("users", {"after": "dale"}),
        ("probe", {}),
        ("probe", {"id": None}),
        ("blocks", {"id": None}),
        ("unblock", {"id": None, "user": "nobody"}),
        ("nonsense", {}),
        ("block", {"user": "Bill"}),
        ("block", {"user": "hank"}),
        ("blocks", {}),
        ("blocks", {"after": "bill"}),
        ("unblock", {"user": "Bill"}),
        ("unblock", {"user": "Bill"}),
        ("register", {"password": PASSWORD}),
    ):
        ask(hank, action, **fields)
    for action, fields in (
        ("join", {"room": "#dev"}),
        ("members", {"room": "#dev"}),
        ("members", {"room": "#dev", "after": "dale"}),
        ("kick", {"user": "hank"}),
        ("remove", {"room": "#dev", "user": "hank"}),
        ("conversations", {}),
    ):
        ask(dale, action, **fields)
    for action, fields in (
        ("join", {"room": "#dev"}),
        ("join", {"room": "#none"}),
        ("conversations", {}),
        ("history", {"with": "#dev"}),
        ("export", {}),
        ("msg", {"to": "nobody", "message": "hi"}),
        ("register", {"password": "short"}),
        ("register", {"password": PASSWORD}),
    ):
        ask(guest, action, **fields)
    record_moderation(transcript, hank, dale)
    for action, fields in (
        ("remove", {"room": "#dev", "user": "dale"}),
        ("leave", {"room": "#dev"}),
        ("leave", {"room": "#dev"}),
        ("forget", {"password": "wrong"}),
        ("forget", {"password": PASSWORD}),
    ):
        ask(hank, action, **fields)
    return transcript.lines


def record_moderation(transcript: Transcript, hank: UserClient, dale: UserClient) -> None:
    for action, fields in (
        ("mute", {"user": "dale", "for": 600, "reason": "пауза"}),
        ("mute", {"user": "peggy"}),
        ("mutes", {}),
        ("mutes", {"after": "dale"}),
        ("unmute", {"user": "peggy"}),
        ("unmute", {"user": "peggy"}),
        ("ban", {"user": "bobby", "for": 60, "reason": "no"}),
        ("ban", {"address": "203.0.113.7/24"}),
        ("ban", {"address": "nonsense"}),
        ("ban", {}),
        ("bans", {}),
        ("unban", {"user": "bobby"}),
        ("unban", {"address": "203.0.113.0/24"}),
        ("close", {"room": "#dev", "reason": "later"}),
        ("rooms", {}),
        ("open", {"room": "#dev"}),
        ("open", {"room": "#dev"}),
        ("kick", {"user": "nobody"}),
        ("kick", {"user": "bill", "reason": "bye"}),
    ):
        transcript.ask(hank, action, **fields)
    transcript.ask(dale, "msg", to="#dev", message="may I?")
    transcript.ask(hank, "unmute", user="dale")


def record_history(server: ChatServer) -> list[bytes]:
    """Record pages of messages, whole and cut to the size of a frame, from either end."""
    transcript = Transcript()
    ask = transcript.ask
    bobby, peggy = server.connect(), server.connect()
    transcript.present(bobby, "bobby", password=PASSWORD, device="desk")
    transcript.present(peggy, "peggy", password=PASSWORD, device="desk")
    ask(bobby, "history", **{"with": "peggy"})
    for number in range(12):
        ask(bobby if number % 2 else peggy, "msg", to="peggy" if number % 2 else "bobby", message=f"{number} {LONG}")
    ask(bobby, "join", room="#dev")
    for number in range(3):
        ask(bobby, "msg", to="#dev", message=f"пол {number}")
    bobby.send({"action": "ack", "with": "peggy", "seq": 12})
    bobby.send({"action": "read", "with": "peggy", "seq": 11})
    for action, fields in (
        ("history", {"with": "peggy"}),
        ("history", {"with": "peggy", "limit": 2}),
        ("history", {"with": "peggy", "limit": 0}),
        ("history", {"with": "peggy", "before": 6}),
        ("history", {"with": "peggy", "after": 3}),
        ("history", {"with": "peggy", "after": 99}),
        ("history", {"with": "peggy", "after": 3, "before": 6}),
        ("history", {"with": "nobody"}),
        ("history", {"with": "#none"}),
        ("history", {"with": "#DEV"}),
        ("search", {"text": "пол"}),
        ("search", {"text": "пол", "with": "#dev"}),
        ("search", {"text": "пол", "with": "peggy", "limit": 1}),
        ("search", {"text": "nothing"}),
        ("conversations", {}),
        ("conversations", {"after": "#dev"}),
        ("export", {}),
        ("export", {"after": 4}),
        ("export", {"after": 14}),
        ("export", {"after": 15}),
        ("export", {"after": 9999}),
    ):
        ask(bobby, action, **fields)
    ask(peggy, "forget", password=PASSWORD)
    ask(bobby, "history", **{"with": "peggy"})
    ask(bobby, "conversations")
    return transcript.lines


CONTROL_REQUESTS: dict[str, dict[str, Any]] = {
    "accounts": {},
    "rooms": {},
    "messages": {"after": 11},
    "ban": {"name": "nobody", "seconds": 60, "reason": "no"},
    "mute": {"name": "nobody"},
    "sanctions": {"kind": "bans"},
    "trace": {"name": "#dev", "seq": 2},
    "trace_id": {"name": "bobby", "id": "x4"},
    "kick": {"name": "bobby"},
    "nonsense": {},
}


LAST_SEEN = re.compile(rb'"seen":[0-9.]+')
"""The accounts were made, once for all tests, before the clock was replaced."""


def record_control(server: ChatServer) -> list[bytes]:
    """Record what the control socket answers, but for `status`, which differs from run to run."""
    control = server.server.app._control
    credentials = PeerCredentials(None, None)
    requests = [(method, json.encode({"verb": method, "arguments": it})) for method, it in CONTROL_REQUESTS.items()]
    answers = [
        (method, LAST_SEEN.sub(b'"seen":0.0', control._respond(line, None, credentials))) for method, line in requests
    ]
    return [method.encode() + b" " + answer.removesuffix(b"\n") for method, answer in answers]


def test_responses_are_the_recorded_bytes(
    start_chat_server: Callable[..., ChatServer], monkeypatch: pytest.MonkeyPatch, as_cluster: str
) -> None:
    if as_cluster:
        pytest.skip("the order of what two servers know is not recorded")
    monkeypatch.setattr(time, "time", lambda: NOW)
    server = start_chat_server()
    lines = [*record_people(server)]
    server.restart(max_frame=4096, retention_days=0)
    lines += record_history(server)
    lines += record_control(server)
    if os.environ.get("GMESSENGER_RECORD"):
        RECORDED.write_bytes(b"\n".join(lines) + b"\n")
    assert lines == RECORDED.read_bytes().splitlines()
