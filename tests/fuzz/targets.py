"""Fuzz targets beyond the wire, each with its oracle: folding, names, config files, control socket, sessions.

A target takes any bytes. It may refuse them with the errors that are meant for that. Any other exception, work out of
proportion to the input, and anything that is left afterwards is a defect.
"""

from __future__ import annotations

import json
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from inspect import isfunction, signature
from pathlib import Path
from typing import Any, Final, TypeVar

import gevent
import msgspec.inspect
from argon2 import PasswordHasher
from gevent import socket

from gmessenger import names
from gmessenger.chat.admin import ADMIN_METHODS
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.config.files import open_file, section_parser
from gmessenger.config.options import ServerOptions
from gmessenger.config.parser import CLIENT, SERVER, default_config, parse_options
from gmessenger.errors import WIRE_ERRORS, BadName, ExitError
from gmessenger.paths import control_socket
from gmessenger.server.jim.commands import COMMANDS as REQUESTS
from gmessenger.server.server import Server
from gmessenger.store import search_text
from tests.fuzz.draws import Draw
from tests.fuzz.irc import run_session
from tests.fuzz.irc import seeds as irc_seeds
from tests.fuzz.web import seeds as web_seeds
from tests.fuzz.web import web_endpoint

FAST_HASHER: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORDS: Final = PasswordVerifier(FAST_HASHER)
"""Shared by all servers that are started here, as its threads outlive them."""
PASSWORD: Final = "correct horse"
TIMEOUT: Final = 20.0
"""Seconds in which a server must respond."""
GROWTH_MARGIN: Final = 256
GROWTH: Final = 64
"""Characters that one may become: NFKC makes 18 of one, and bigrams twice as many."""

Attempt = Callable[[bytes], None]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Target:
    """What is run for each input, and the first inputs; `open` sets up, and checks afterwards that nothing is left."""

    open: Callable[[], AbstractContextManager[Attempt]]
    seeds: Callable[[], Iterable[bytes]]


# Folding and names: texts.

TEXTS: Final = (
    *(
        "hello world",
        "grüße Łódź smørrebrød",
        "ЁЖИК їжак",
        "東京都 今日は",
        "ภาษาไทย",
        "हिन्दी",
        "한국어 가각",
        "é" * 9,
        "İıſß",
    ),
    *(
        "\ufdfa" * 64,
        "\uac01" * 64,
        "e\u0301\u0323" * 64,
        "\u0e33\u0eb3" * 32,
        "\U0001f1e6\U0001f1e7" * 32,
        "👩\u200d👩\u200d👧",
    ),
    *(
        "a" * 400,
        "a b " * 200,
        "\u3300" * 64,
        "\u202eabc\u2066",
        "\x00\x1b[2J",
        "hаnk",
        "ＨＡＮＫ",
        "paypa1",
        "a\u200bb",
        "-._",
    ),
)


def text_of(data: bytes) -> str:
    """Return a text as the wire may accept: UTF-8 without NUL; other bytes choose characters."""
    try:
        return data.decode().replace("\0", "")
    except UnicodeDecodeError:
        draw = Draw(data)
        blocks = (
            0x20,
            0x300,
            0x590,
            0x900,
            0xE00,
            0x1100,
            0x3040,
            0x4E00,
            0xAC00,
            0xFB00,
            0xFDF0,
            0xFF00,
            0x1F1E6,
            0x1D400,
        )
        return "".join(chr(draw.choice(blocks) + draw.byte()) for _ in range(len(data) // 2))


def weight(result: object) -> int:
    """Return the number of characters of a result."""
    return len(result) if isinstance(result, str) else sum(map(weight, result)) if isinstance(result, Iterable) else 1


FOLDERS: Final = {
    name: function
    for name, function in vars(search_text).items()
    if isfunction(function)
    and not name.startswith("_")
    and function.__module__ == search_text.__name__
    and [parameter.annotation for parameter in signature(function).parameters.values()] == ["str"]
}
"""All public functions of search_text that take a text."""


def fold_text(data: bytes) -> None:
    text = text_of(data)
    for name, function in FOLDERS.items():
        result = function(text)
        assert weight(result) <= GROWTH * len(text) + GROWTH_MARGIN, f"{name} makes too much of it"
        assert result == function(text), f"{name} is not the same twice"
    query_words = {piece for phrase in search_text.parse_query(text) for piece in phrase}
    words = next(FOLDERS[name] for name in ("tokenize", "words") if name in FOLDERS)(text)
    assert len(text) > 500 or query_words <= set(words), "what is said is not found by itself"


def require_message_for_people(error: Exception) -> None:
    """Check that an error is one line for people, of bounded length."""
    message = str(error)
    assert message.strip() and "\n" not in message.strip() and "Traceback" not in message, message
    assert len(message) < 20_000, message


def name_text(data: bytes) -> None:
    text = text_of(data)
    assert names.fold(names.fold(text)) == names.fold(text) or len(text) > names.MAX_RAW_NAME, "folding goes on and on"
    try:
        name = names.check_name(text)
    except BadName as error:
        require_message_for_people(error)
        return
    assert names.check_name(name) == name, "what is taken is not taken again"
    assert 0 < len(name) <= names.MAX_NAME and unicodedata.is_normalized("NFKC", name)
    assert name.isprintable() and not any(unicodedata.bidirectional(char) in ("RLO", "LRO", "RLI") for char in name)
    assert " " not in name and names.fold(name) not in names.RESERVED | names.SERVICE_NAMES
    assert names.fold(name) == names.fold(text)


# Config files: their content is accepted, or refused with one line.


COMMANDS: Final = (SERVER, CLIENT)
VALUES: Final = (
    "",
    "yes",
    "-1",
    "1e309",
    "9" * 400,
    "x\0y",
    "[::1]:7",
    "~",
    "%(x)s",
    "\n  a\n  b",
    "ж # ;",
    "\u202e",
    "1 ; 2",
)
FULL_PARSE_INTERVAL: Final = 48
"""One of so many inputs is parsed with the whole command line, which takes a hundred times as long."""


def config_seeds() -> Iterator[bytes]:
    for command in COMMANDS:
        yield default_config(command).encode()
        for number, row in enumerate(command.rows):
            for value in (row.default_text, *(VALUES[(number + index) % len(VALUES)] for index in range(4))):
                yield f"[{command.section}]\n{row.key.replace('_', '-')} = {value}\n".encode()
    yield from (
        b"",
        b"[server",
        b"port=1",
        b"[server]\nport=1\nport=2",
        b"\xef\xbb\xbf[server]\n",
        b"\xff\xfe",
        b"[DEFAULT]\nx=1",
    )


@contextmanager
def config_file() -> Iterator[Attempt]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "it.ini")

        def attempt(data: bytes) -> None:
            file.write_bytes(data)
            for command in COMMANDS:
                try:
                    with open_file(str(file)) as stream:
                        section_parser(command.section, command.rows, command.rows)().parse(stream)
                    if sum(data) % FULL_PARSE_INTERVAL == 0:
                        parse_options(command, ["-c", str(file)], {"HOME": folder})
                except ExitError as error:
                    require_message_for_people(error)

        yield attempt


# The control socket: any line gets a response, and none causes an internal error.


@contextmanager
def server(**options: Any) -> Iterator[Server]:
    app = Server(ServerOptions(ip="127.0.0.1", port=0, close_timeout=0.2, drain_timeout=1.0, **options), PASSWORDS)
    app.start()
    try:
        yield app
        assert app.supervisor.failure_count == 0, "something failed"
    finally:
        app.stop("the fuzzer is done")


def control_seeds() -> Iterator[bytes]:
    values: tuple[Any, ...] = ("hank", "#dev", "", "1.2.3.4", "x\0", "\ud7ff", 0, -1, 2**63, 1e308, None, True, [], {})
    for name, method in ADMIN_METHODS.items():
        fields = [field.name for field in method.fields]
        for value in values:
            yield json.dumps({"verb": name, "arguments": dict.fromkeys(fields, value)}).encode()
        yield json.dumps({"verb": name, "arguments": {}}).encode()
    yield from (b"{}", b"[]", b'{"verb":{}}', b'{"verb":"status","arguments":[]}', b"\xff", b"[" * 5000, b"null")


@contextmanager
def operator() -> Iterator[Attempt]:
    with tempfile.TemporaryDirectory() as folder, server(store=f"sqlite:///{folder}/fuzzed.db") as app:
        path = str(control_socket(Path(folder, "fuzzed.db"), app.port))

        def attempt(data: bytes) -> None:
            with gevent.Timeout(TIMEOUT), socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                sock.sendall(data.replace(b"\n", b" ") + b"\n")
                response = json.loads(sock.makefile("rb").readline())
            assert set(response) in ({"answer"}, {"error", "sentence"})
            assert response.get("error") != "internal_error" and app.supervisor.failure_count == 0, response

        yield attempt


# Native sessions: valid and invalid requests of several connections to one server.

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
    for info in map(msgspec.inspect.type_info, REQUESTS)
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


def leaks(app: Server) -> dict[str, Any]:
    """Return the counts that are not zero after all connections have ended."""
    messenger = app.messenger
    rooms = messenger.membership._quotas
    counts = {
        "connections": app.connection_count,
        "sessions": len(list(messenger.router)),
        "places": len(app.acceptor._limiter),
        "hashes": messenger.authenticator._login_throttle._passwords.pending_count,
        "rooms being made": rooms.pending_creations.total()
        + rooms.pending_joins_by_name.total()
        + rooms.pending_joins_by_room.total(),
        "tokens of guests": len(messenger.authenticator.guests),
        "guests in rooms": sum(len(room.guests) for room in messenger.rooms),
    }
    return {kind: count for kind, count in counts.items() if count}


def add_account(app: Server, name: str) -> None:
    """Make an account of a server, with PASSWORD."""
    account = app.store.create_account(names.fold(name), name, FAST_HASHER.hash(PASSWORD), 0.0)
    if name == "oper":
        app.store.set_role(account.id, "operator")
        account.role = "operator"
    app.messenger.authenticator.add_account(account)


def session(data: bytes) -> None:
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


def irc_session(data: bytes) -> None:
    """Run one input on a server of its own."""
    options = {"irc_port": 0, "irc_name": "irc.fuzz", "irc_guest_rooms": True, "message_rate": 0, "request_rate": 0}
    run_session(
        lambda: server(store="memory:", **options),
        add_account,
        lambda app: open_connection(app, "account", 0),
        frame,
        data,
    )


def session_seeds() -> Iterator[bytes]:
    for first in range(len(OPENINGS)):
        for seed in range(12):
            yield bytes(
                [seed, first, *(((seed * 131 + index * index * (7 + first)) >> 1) % 256 for index in range(200))]
            )


@contextmanager
def without_setup(attempt: Attempt) -> Iterator[Attempt]:
    yield attempt


TARGETS: Final[dict[str, Target]] = {
    "folding": Target(lambda: without_setup(fold_text), lambda: (text.encode() for text in TEXTS)),
    "names": Target(lambda: without_setup(name_text), lambda: (text.encode() for text in TEXTS)),
    "config": Target(config_file, config_seeds),
    "control": Target(operator, control_seeds),
    "sessions": Target(lambda: without_setup(session), session_seeds),
    "irc": Target(lambda: without_setup(irc_session), irc_seeds),
    "web": Target(lambda: web_endpoint(lambda: server(store="memory:", web="127.0.0.1:0", web_timeout=1.0)), web_seeds),
}
