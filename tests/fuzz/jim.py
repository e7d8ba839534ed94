"""The fuzz target of native sessions: valid and invalid requests of several connections to one server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

import gevent
import msgspec.inspect
from gevent import socket

from gmessenger.errors import WIRE_ERRORS
from gmessenger.server.jim.commands import COMMANDS
from gmessenger.server.server import Server
from tests.fuzz.draws import Draw
from tests.fuzz.servers import PASSWORD, TIMEOUT, add_account, leaks, server

ODD_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**53,
    2**63,
    1e308,
    [],
    {},
    [[[[]]]],
    "",
    " ",
    "x" * 40,
    {"account_name": "hank"},
)
NAMES: Final = (
    "hank",
    "dale",
    "oper",
    "gus",
    "#dev",
    "#all",
    "#",
    "ALL",
    "server",
    "ＨＡＮＫ",
    "h\u0430nk",
    "\u202ehank",
    "nobody",
    "'",
    "%",
)
MESSAGES: Final = (
    "hi",
    "",
    "x" * 16_384,
    "x" * 16_385,
    "\ufdfa" * 300,
    "\0",
    "\ud800",
    '"AND OR(*',
    "a* NEAR b",
    "😀" * 50,
    "w " * 500,
)
BANNED: Final = (
    "203.0.113.7",
    "203.0.113.0/24",
    "2001:db8::/33",
    "::/0",
    "127.0.0.1",
    "1.2.3.4/33",
    "fe80::1%lo",
    "x",
)
COUNTS: Final = (0, 1, 2, 17, 500, 501, -1, 2**31, 2**53, 2**63, 2**64, 1.5, "1")
RULES: Final[tuple[dict[str, Any], ...]] = (
    {"invited": True, "hidden": True},
    {"moderated": True},
    {"history": "joined", "most": 1, "guests": False},
    {"key": "a:b", "most": 5, "topic": "moderators"},
    {"key": ":x\n"},
    {"colour": "red"},
    {"notify": {"#dev": {"level": "none"}, "dale": None}, "highlights": ["deploy"], "joins": "hidden"},
    {},
)
"""Rules of rooms, and settings."""
FIELDS: Final[dict[str, Sequence[Any]]] = {
    **dict.fromkeys(("to", "with", "room", "user", "after"), NAMES),
    **dict.fromkeys(("old", "new"), (PASSWORD, "wrong password")),
    **dict.fromkeys(("rules", "set"), RULES),
    **dict.fromkeys(("receive", "all", "amendments"), (True, False)),
    "about": (1, 2, 3, 17, 0, -1, 2**53),
    "what": ("edit", "erase", "react", "unreact", "delete"),
    "kind": ("action", "notice", "shout"),
    "role": ("owner", "moderator", "speaker", "member", "king"),
    "device": ("d0", "d1", "nowhere"),
    **dict.fromkeys(
        ("message", "text", "topic", "reason", "status", "note", "invite", "password"),
        (*MESSAGES, PASSWORD, "wrong password"),
    ),
    **dict.fromkeys(("seq", "before", "limit", "for", "jim"), COUNTS),
    "address": BANNED,
    "id": ("i1", "", "x" * 65, 7, None, "ж" * 40),
}
REQUEST_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    info.tag: tuple(field.encode_name for field in info.fields if field.encode_name != "id")
    for info in map(msgspec.inspect.type_info, COMMANDS)
    if isinstance(info, msgspec.inspect.StructType) and isinstance(info.tag, str)
}
"""The fields of all requests of the command table, by action."""
ACCOUNTS: Final = ("hank", "dale", "oper")
OPENINGS: Final = ("account", "operator", "guest", "silent", "course")
MAX_STEPS: Final = 40
MAX_CONNECTIONS: Final = 3


class RawConnection:
    """One connection; a greenlet reads all that arrives."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.received: list[dict[str, Any]] = []
        self.reader = gevent.spawn(self._read)

    def _read(self) -> None:
        with suppress(OSError):
            for line in self.socket.makefile("rb"):
                self.received.append(json.loads(line))

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # the server has closed it
            self.socket.sendall(data)

    def finish(self) -> None:
        """Close the sending side, and read up to the end."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.reader.get(timeout=TIMEOUT)
        self.socket.close()


def frame(draw: Draw) -> bytes:
    """Return a request: most fields valid, some odd, some missing."""
    action = draw.choice(tuple(REQUEST_FIELDS))
    fields: dict[str, Any] = {"action": action, "id": f"i{draw.byte()}"}
    for field in REQUEST_FIELDS[action]:
        if (chance := draw.byte()) < 230:
            fields[field] = draw.choice(ODD_VALUES if chance < 20 or field not in FIELDS else FIELDS[field])
    if "user" in fields and action in ("presence", "register"):
        user = {
            "account_name": draw.choice(NAMES),
            "password": draw.choice((PASSWORD, "wrong one", None)),
            "device": draw.choice(MESSAGES),
        }
        fields["user"] = {key: value for key, value in user.items() if value is not None and draw.byte() < 220}
    if draw.byte() < 12:
        fields[draw.choice(tuple(FIELDS))] = draw.choice(ODD_VALUES)
    return json.dumps(fields).encode() + b"\n"


def open_connection(app: Server, opening: str, number: int) -> RawConnection:
    connection = RawConnection(app.port)
    name = {"account": ACCOUNTS[number % 2], "operator": "oper"}.get(opening, f"gus{number}")
    user: dict[str, Any] = {"account_name": name, "device": f"d{number}"}
    if opening in ("account", "operator"):
        user["password"] = PASSWORD
    if opening == "course":
        connection.send(json.dumps({"action": "presence", "user": {"account_name": name}}).encode())
    elif opening != "silent":
        connection.send(json.dumps({"action": "presence", "jim": 2, "user": user}).encode() + b"\n")
    return connection


def exchange(app: Server, draw: Draw) -> None:
    connections = [
        open_connection(app, draw.choice(OPENINGS), number) for number in range(1 + draw.byte() % MAX_CONNECTIONS)
    ]
    gevent.sleep(0)
    for _ in range(MAX_STEPS):
        if draw.is_empty:
            break
        connection = connections[draw.byte() % len(connections)]
        kind = draw.byte()
        data = frame(draw) if kind < 235 else draw.bytes(draw.byte())
        if kind % 16 == 0:  # in two pieces
            connection.send(data[: len(data) // 2])
            gevent.sleep(0)
            data = data[len(data) // 2 :]
        connection.send(data)
        if kind % 4 == 0:
            gevent.sleep(0)
    for connection in connections:
        connection.finish()
    for connection in connections:
        for response in connection.received:
            assert response.get("code") != "internal_error", response
            assert "code" not in response or response["code"] in WIRE_ERRORS, response


def run_session(data: bytes) -> None:
    """Run one input on a server of its own, so that failures are reproducible."""
    with gevent.Timeout(4 * TIMEOUT), server(store="memory:", message_rate=0, limit_loopback=True) as app:
        for name in ACCOUNTS:
            add_account(app, name)
        exchange(app, Draw(data))
        with gevent.Timeout(TIMEOUT):
            while leaked := leaks(app):
                gevent.sleep(0.005)
                assert app.supervisor.failure_count == 0, leaked
        with ExitStack() as stack:
            connection = open_connection(app, "guest", 99)
            stack.callback(connection.finish)
            connection.send(b'{"action":"probe","id":"last"}\n{"action":"quit"}\n')
        assert any(response.get("id") == "last" for response in connection.received), "a newcomer is not served"


def seeds() -> Iterator[bytes]:
    for first in range(len(OPENINGS)):
        for seed in range(12):
            yield bytes(
                [seed, first, *(((seed * 131 + index * index * (7 + first)) >> 1) % 256 for index in range(200))]
            )
