"""Text that would control a terminal, hide in it or forge other users' lines; checks for it."""

from __future__ import annotations

import contextlib
import re
import time
from threading import Thread
from typing import Any, Final

from gmessenger.sanitize import unicode16
from tests.support.scripted_server import ClientConnection, FakeServer, Frame

CONTROLS: Final = "".join(map(chr, (*range(1, 32), *range(0x7F, 0xA0))))
HIDDEN: Final = (
    "\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u061c\ufeff\u00ad\U000e0041"
)
MARK: Final = "OWNED"
FORGED: Final = "FORGED"
STEERING: Final = f"\x1b]0;{MARK}\x07\x1b[31;42;77m\x9b31;42;77m\r{MARK}\u202e{MARK}\u2028{MARK}"
HOSTILE: Final = f"{STEERING}{''.join(f'{char}{MARK}' for char in CONTROLS + HIDDEN)}\n{FORGED}\t{FORGED}\0{MARK}"
TYPED: Final = f"x\u202e{MARK}\u009b31;42;77m{MARK}\u2066\u200b{MARK}"
"""The same of what a terminal's own line discipline leaves as it is."""
LONG: Final = "W" * 4000
OWN_SEQUENCES: Final = re.compile(r"\x1b(?:\[[0-9;?<>=]*[A-Za-z]|[=>78]|\][0-9;]*\x07)")
HARMLESS: Final = "\u200c\u200d"


def unsafe(text: str, allowed: str = "\n") -> list[str]:
    """Return the characters that could control a terminal or hide there, except `but`, with their context."""
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return [
        f"{char!r} in {text[max(index - 20, 0) : index + 20]!r}"
        for index, char in enumerate(text)
        if char not in allowed + HARMLESS and unicode16.category(char) in bad
    ]


def check(text: str, allowed: str = "\n") -> None:
    """Check that nothing of HOSTILE or TYPED got through, and no line is forged."""
    check_characters(text, allowed)
    assert not [state for state in re.split("[\r\n]+", text) if state.startswith(FORGED)]


def check_characters(text: str, allowed: str) -> None:
    """Check that no controlling or hidden character got through."""
    assert not unsafe(text, allowed), unsafe(text, allowed)[:3]
    assert f"\r{MARK}" not in text


def check_drawn(raw: str) -> None:
    """Check the output of the full screen, which has control sequences of its own."""
    assert "\x1b[31;42;77m" not in raw and "\x9b31;42;77m" not in raw  # (a line may end between ^[[ and the rest)
    assert f"\x1b]0;{MARK}" not in raw
    check_characters(OWN_SEQUENCES.sub("", raw), "\r\n\x07\x08")


EVENTS: Final[tuple[Frame, ...]] = (
    {"action": "msg", "from": HOSTILE, "to": "hank", "time": 1.0, "message": HOSTILE + LONG, "id": HOSTILE},
    {"action": "msg", "from": HOSTILE, "to": "hank", "time": 1.0, "message": HOSTILE, "broadcast": True},
    {"action": "msg", "from": HOSTILE, "to": f"#{HOSTILE}", "time": 1.0, "message": f"hank {HOSTILE}"},
    {"action": "msg", "from": "hank", "to": HOSTILE, "time": 1.0, "message": HOSTILE, "id": HOSTILE},
    {"action": "presence", "user": {"account_name": HOSTILE, "status": HOSTILE}},
    {"action": "delivered", "with": HOSTILE, "seq": 1},
    {"action": "join", "room": f"#{HOSTILE}", "user": {"account_name": HOSTILE}},
    {"action": "topic", "room": f"#{HOSTILE}", "user": {"account_name": HOSTILE}, "topic": HOSTILE},
    {"action": "close", "room": f"#{HOSTILE}", "user": {"account_name": HOSTILE}, "reason": HOSTILE},
    {"action": "open", "room": f"#{HOSTILE}", "user": {"account_name": HOSTILE}},
    {"action": "leave", "room": f"#{HOSTILE}", "user": {"account_name": HOSTILE}, "by": HOSTILE},
    {"response": 400, "error": HOSTILE, "code": "bad_request"},
    {"response": 499, "error": HOSTILE, "code": HOSTILE},
    {"action": HOSTILE},
)
LISTS: Final[Frame] = {
    "alert": HOSTILE,
    "user": {"account_name": HOSTILE, "status": HOSTILE, "note": HOSTILE},
    "since": 1.0,
    "users": [{"account_name": HOSTILE, "status": HOSTILE}, {"account_name": "hank", "status": HOSTILE}],
    "members": [HOSTILE, "hank"],
    "rooms": [{"room": f"#{HOSTILE}", "topic": HOSTILE, "members": 3, "closed": True}],
    "conversations": [{"with": HOSTILE, "seq": 3, "read": 0, "first": 1, "time": 1.0, "unread": 3}],
    "messages": [{"from": HOSTILE, "to": "hank", "time": 1.0, "message": HOSTILE, "seq": 7, "with": HOSTILE}],
    "topic": HOSTILE,
    "sessions": 2,
    "address": HOSTILE,
    "bans": [{"user": HOSTILE, "by": HOSTILE, "reason": HOSTILE, "since": 1.0, "until": 2.0}],
    "mutes": [{"user": HOSTILE, "by": HOSTILE, "reason": HOSTILE, "since": 1.0}],
    "seq": 0,
    "session": HOSTILE,
    "hooks": [{"name": HOSTILE, "room": HOSTILE, "by": HOSTILE, "since": 1.0, "used": 2.0, "inactive": True}],
    "name": HOSTILE,
    "token": HOSTILE,
    "url": HOSTILE,
}
WELCOME: Final[Frame] = {
    "response": 200,
    "jim": 2,
    "account": False,
    "role": "operator",
    "blocks": 1,
    "registration": "invite",
    "session": HOSTILE,
    "server": HOSTILE,
    "store": HOSTILE,
    "time": 1.0,
    "alert": f"{HOSTILE.replace(FORGED, MARK)}",  # it may have lines of its own
    "limits": {"frame": 65_536, "text": 16_384, HOSTILE: HOSTILE},
}
LAST_MESSAGE: Final = "nothing more follows"


class HostileServer(FakeServer):
    """A server that accepts every login and answers every request, or refuses it, with HOSTILE texts.

    A message to `end` is answered with a message `LAST_MESSAGE`.
    """

    def __init__(self, *, refuses: bool = False, account: bool = False) -> None:
        super().__init__()
        self.refuses, self.account = refuses, account
        self.actions: list[str] = []
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self.listener.settimeout(60)
        while True:
            try:
                peer = self.accept()
            except OSError:
                return
            Thread(target=self._serve_connection, args=(peer,), daemon=True).start()

    def _serve_connection(self, peer: ClientConnection) -> None:
        peer.sock.settimeout(60)
        with contextlib.suppress(OSError, EOFError, ValueError):
            while True:
                self._on_frame(peer, peer.receive())

    def _on_frame(self, peer: ClientConnection, frame: Frame) -> None:
        action = frame.get("action", "")
        self.actions.append(action)
        if action == "presence":
            peer.send({**WELCOME, "account": self.account}, {"action": "synced"}, *EVENTS)
        elif action == "msg" and frame["to"] == "end":
            peer.respond(frame)
            peer.push_message("end", LAST_MESSAGE)
        elif "id" in frame:
            rejection = {"response": 400, "code": "bad_request", "error": HOSTILE}
            answer: dict[str, Any] = rejection if self.refuses else {"response": 200, **LISTS}
            peer.send({**answer, "id": frame["id"], "time": time.time()})


READER: Final[Frame] = {
    "name": HOSTILE,
    "guest": False,
    "may_read": True,
    "read": 1,
    "session": {"handed_over": True, "behind": True, "waiting": 1},
    "devices": [{"name": HOSTILE, "sender": False, "acknowledged": True, "session": None}],
}
TRACE: Final[Frame] = {
    "conversation": HOSTILE,
    "seq": 1,
    "time": 1.0,
    "device": HOSTILE,
    "from": HOSTILE,
    "id": HOSTILE,
    "to": HOSTILE,
    "erased": False,
    "size": 3,
    "readers": [READER, READER | {"guest": True}],
}
SANCTION: Final[Frame] = {"user": HOSTILE, "by": HOSTILE, "reason": HOSTILE, "until": 2.0}
CONTROL_ANSWERS: Final[Frame] = {
    "accounts": [{"name": HOSTILE, "disabled": False, "here": True, "role": HOSTILE}],
    "rooms": [
        {"name": HOSTILE, "members": 1, "guests": 1, "closed": True, "seq": 1, "topic": HOSTILE, "creator": HOSTILE},
    ],
    "room": {
        "name": HOSTILE,
        "topic": HOSTILE,
        "members": 1,
        "guests": 1,
        "rules": {HOSTILE: HOSTILE, "topic": HOSTILE},
        "roles": {HOSTILE: HOSTILE},
        "shut_outs": [SANCTION | {"since": 1.0}],
        "silences": [SANCTION | {"since": 1.0}],
        "invitations": [{"user": HOSTILE, "by": HOSTILE, "since": 1.0}],
    },
    "add_invite": HOSTILE,
    "invites": [{"id": HOSTILE, "by": HOSTILE, "created": 1.0, "expires": 2.0, "uses": 3}],
    "add_hook": {"name": HOSTILE, "room": HOSTILE, "token": HOSTILE, "url": HOSTILE},
    "hooks": [{"name": HOSTILE, "room": HOSTILE, "by": HOSTILE, "since": 1.0, "used": 2.0, "inactive": True}],
    "backup": 17,
    "prune": 3,
    "messages": {"messages": [{"id": HOSTILE, "from": HOSTILE, "text": HOSTILE + "\x7f\u202e"}], "after": None},
    "sanctions": {"bans": [SANCTION], "mutes": [SANCTION], "more": False},
    "trace": TRACE,
    "trace_id": [TRACE, TRACE],
    "kick": 1,
    "ban": None,
    "status": {
        "version": HOSTILE,
        "pid": 1,
        "port": 1,
        "uptime": 3.0,
        "draining": True,
        "connections": [[HOSTILE, HOSTILE, 3]],
        "most_connections": 3,
        "behind": 1,
        "waiting": 1,
        "longest": 1,
        "store": {"url": HOSTILE, "bytes": 3, "identity": HOSTILE, "failed": 0},
        "cluster": {"bus": True, "bus_for": 3, "nodes": 1, "names": 1, "filled": 1},
        "commits": {"count": 1, "p50": 0.1, "p99": 0.1},
        "lag": {"p50": 0.1, "p99": 0.1},
        "certificate": 1.0,
        "failures": 1,
    },
}
