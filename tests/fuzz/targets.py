"""What is fuzzed beyond the wire, each with its oracle: folding, names, config files, the control socket, sessions.

A target takes any bytes. It may refuse them with the errors that are meant for that; anything else that is raised, work
that is out of proportion to the input, and whatever is left behind afterwards is a fault.
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
from gmessenger.server.server import Server
from gmessenger.store import search_text
from tests.fuzz.draws import Draw

FAST: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORDS: Final = PasswordVerifier(FAST)
"""Of all servers that are started here: its threads outlive them."""
PASSWORD: Final = "correct horse"
PATIENCE: Final = 20.0
"""Seconds in which a server that is asked has answered."""
CAP_BESIDE: Final = 256
GROWTH: Final = 64
"""Characters that may come of one: NFKC makes 18 of one, and pairs twice as many."""

Try = Callable[[bytes], None]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Target:
    """What is tried with each input, and the `seeds` it begins with; `open` makes ready, and looks at what is left."""

    open: Callable[[], AbstractContextManager[Try]]
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
    """Any text that the wire could let through: UTF-8 without NUL; what is none is taken apart into characters."""
    try:
        return data.decode().replace("\0", "")
    except UnicodeDecodeError:
        drawn = Draw(data)
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
        return "".join(chr(drawn.choice(blocks) + drawn.byte()) for _ in range(len(data) // 2))


def weight(found: object) -> int:
    """How many characters came out."""
    return len(found) if isinstance(found, str) else sum(map(weight, found)) if isinstance(found, Iterable) else 1


FOLDERS: Final = {
    name: function
    for name, function in vars(search_text).items()
    if isfunction(function)
    and not name.startswith("_")
    and function.__module__ == search_text.__name__
    and [each.annotation for each in signature(function).parameters.values()] == ["str"]
}
"""Every public function of folding that takes a text, whatever they are called."""


def fold_text(data: bytes) -> None:
    text = text_of(data)
    for name, function in FOLDERS.items():
        found = function(text)
        assert weight(found) <= GROWTH * len(text) + CAP_BESIDE, f"{name} makes too much of it"
        assert found == function(text), f"{name} is not the same twice"
    asked = {piece for phrase in search_text.parse_query(text) for piece in phrase}
    known = next(FOLDERS[name] for name in ("tokenize", "words") if name in FOLDERS)(text)
    assert len(text) > 500 or asked <= set(known), "what is said is not found by itself"


def need_sentence(error: Exception) -> None:
    """A refusal is one line for a person, of what is not theirs a bounded part."""
    said = str(error)
    assert said.strip() and "\n" not in said.strip() and "Traceback" not in said and len(said) < 20_000, said


def name_text(data: bytes) -> None:
    text = text_of(data)
    assert names.fold(names.fold(text)) == names.fold(text) or len(text) > names.MAX_NORMALIZED, (
        "folding goes on and on"
    )
    try:
        shown = names.check_name(text)
    except BadName as error:
        need_sentence(error)
        return
    assert names.check_name(shown) == shown, "what is taken is not taken again"
    assert 0 < len(shown) <= names.MAX_NAME and unicodedata.is_normalized("NFKC", shown)
    assert shown.isprintable() and not any(unicodedata.bidirectional(char) in ("RLO", "LRO", "RLI") for char in shown)
    assert " " not in shown and names.fold(shown) not in names.RESERVED
    assert names.fold(shown) == names.fold(text)


# Config files: what is written there is taken, or refused with one sentence.


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
PARSED_WHOLE: Final = 48
"""One of so many inputs goes through the whole command line, which takes a hundred times as long."""


def config_seeds() -> Iterator[bytes]:
    for command in COMMANDS:
        yield default_config(command).encode()
        for number, row in enumerate(command.rows):
            for value in (row.default_text, *(VALUES[(number + place) % len(VALUES)] for place in range(4))):
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
def config_file() -> Iterator[Try]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "it.ini")

        def attempt(data: bytes) -> None:
            file.write_bytes(data)
            for command in COMMANDS:
                try:
                    with open_file(str(file)) as stream:
                        section_parser(command.section, command.rows, command.rows)().parse(stream)
                    if sum(data) % PARSED_WHOLE == 0:
                        parse_options(command, ["-c", str(file)], {"HOME": folder})
                except ExitError as error:
                    need_sentence(error)

        yield attempt


# The control socket: any line is answered, and no mistake is the server's.


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
    for name, verb in ADMIN_METHODS.items():
        fields = [field.name for field in verb.fields]
        for value in values:
            yield json.dumps({"verb": name, "arguments": dict.fromkeys(fields, value)}).encode()
        yield json.dumps({"verb": name, "arguments": {}}).encode()
    yield from (b"{}", b"[]", b'{"verb":{}}', b'{"verb":"status","arguments":[]}', b"\xff", b"[" * 5000, b"null")


@contextmanager
def operator() -> Iterator[Try]:
    with tempfile.TemporaryDirectory() as folder, server(store=f"sqlite:///{folder}/fuzzed.db") as app:
        path = str(control_socket(Path(folder, "fuzzed.db"), app.port))

        def attempt(data: bytes) -> None:
            with gevent.Timeout(PATIENCE), socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                sock.sendall(data.replace(b"\n", b" ") + b"\n")
                answer = json.loads(sock.makefile("rb").readline())
            assert set(answer) in ({"answer"}, {"error", "sentence"})
            assert answer.get("error") != "internal_error" and app.supervisor.failure_count == 0, answer

        yield attempt


# Native sessions: legal and illegal requests of several connections to a server of their own.

ODD: Final[tuple[Any, ...]] = (
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
WHO: Final = (
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
SAYS: Final = (
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
WHERE: Final = ("203.0.113.7", "203.0.113.0/24", "2001:db8::/33", "::/0", "127.0.0.1", "1.2.3.4/33", "fe80::1%lo", "x")
COUNTS: Final = (0, 1, 2, 17, 500, 501, -1, 2**31, 2**53, 2**63, 2**64, 1.5, "1")
FIELDS: Final[dict[str, Sequence[Any]]] = {
    **dict.fromkeys(("to", "with", "room", "user", "after"), WHO),
    **dict.fromkeys(
        ("message", "text", "topic", "reason", "status", "invite", "password"), (*SAYS, PASSWORD, "wrong password")
    ),
    **dict.fromkeys(("seq", "before", "limit", "for", "jim"), COUNTS),
    "address": WHERE,
    "id": ("i1", "", "x" * 65, 7, None, "ж" * 40),
    "receive": (True, False),
}
ASKED: Final[dict[str, tuple[str, ...]]] = {
    line.split()[0]: tuple(line.split()[1:])
    for line in """
        presence user jim receive
        register password invite
        msg to message
        ack with seq
        read with seq
        history with before after limit
        search text with limit
        conversations after
        export after
        forget password
        join room
        leave room
        topic room topic
        remove room user
        users after
        members room after
        rooms after
        status status
        probe
        block user
        unblock user
        blocks after
        kick user reason
        mute user for reason
        unmute user
        mutes after
        ban user address for reason
        unban user address
        bans after
        close room reason
        open room
        quit
    """.strip().splitlines()
}
PEOPLE: Final = ("hank", "dale", "oper")
OPENINGS: Final = ("account", "operator", "guest", "silent", "course")
MAX_STEPS: Final = 40
MAX_CONNECTIONS: Final = 3


class Line:
    """One connection: what came is read by a greenlet of its own."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.came: list[dict[str, Any]] = []
        self.reader = gevent.spawn(self._read)

    def _read(self) -> None:
        with suppress(OSError):
            for line in self.socket.makefile("rb"):
                self.came.append(json.loads(line))

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # it was hung up on
            self.socket.sendall(data)

    def finish(self) -> None:
        """Say nothing more, and hear everything up to the end."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.reader.get(timeout=PATIENCE)
        self.socket.close()


def frame(drawn: Draw) -> bytes:
    """A request: most fields as they may be, some odd, some missing."""
    action = drawn.choice(tuple(ASKED))
    fields: dict[str, Any] = {"action": action, "id": f"i{drawn.byte()}"}
    for field in ASKED[action]:
        if (how := drawn.byte()) < 230:
            fields[field] = drawn.choice(ODD if how < 20 or field not in FIELDS else FIELDS[field])
    if action == "presence":
        card = {
            "account_name": drawn.choice(WHO),
            "password": drawn.choice((PASSWORD, "wrong one", None)),
            "device": drawn.choice(SAYS),
        }
        fields["user"] = {key: value for key, value in card.items() if value is not None and drawn.byte() < 220}
    if drawn.byte() < 12:
        fields[drawn.choice(tuple(FIELDS))] = drawn.choice(ODD)
    return json.dumps(fields).encode() + b"\n"


def opened(app: Server, opening: str, number: int) -> Line:
    line = Line(app.port)
    name = {"account": PEOPLE[number % 2], "operator": "oper"}.get(opening, f"gus{number}")
    card: dict[str, Any] = {"account_name": name, "device": f"d{number}"}
    if opening in ("account", "operator"):
        card["password"] = PASSWORD
    if opening == "course":
        line.send(json.dumps({"action": "presence", "user": {"account_name": name}}).encode())
    elif opening != "silent":
        line.send(json.dumps({"action": "presence", "jim": 2, "user": card}).encode() + b"\n")
    return line


def converse(app: Server, drawn: Draw) -> None:
    lines = [opened(app, drawn.choice(OPENINGS), number) for number in range(1 + drawn.byte() % MAX_CONNECTIONS)]
    gevent.sleep(0)
    for _ in range(MAX_STEPS):
        if drawn.is_empty:
            break
        line = lines[drawn.byte() % len(lines)]
        what = drawn.byte()
        said = frame(drawn) if what < 235 else drawn.bytes(drawn.byte())
        if what % 16 == 0:  # in two pieces
            line.send(said[: len(said) // 2])
            gevent.sleep(0)
            said = said[len(said) // 2 :]
        line.send(said)
        if what % 4 == 0:
            gevent.sleep(0)
    for line in lines:
        line.finish()
    for line in lines:
        for answer in line.came:
            assert answer.get("code") != "internal_error", answer
            assert "code" not in answer or answer["code"] in WIRE_ERRORS, answer


def left_over(app: Server) -> dict[str, Any]:
    """What of all that is counted is not back at nothing, though everybody has left."""
    messenger = app.messenger
    rooms = messenger.rooms._quotas
    counted = {
        "connections": app.connection_count,
        "sessions": len(list(messenger.router)),
        "places": len(app.acceptor._limiter),
        "hashes": messenger.authenticator._login_throttle._passwords.pending_count,
        "rooms being made": rooms.pending_creations.total()
        + rooms.pending_joins_by_name.total()
        + rooms.pending_joins_by_room.total(),
        "tokens of guests": len(messenger.authenticator._guests_by_token),
        "guests in rooms": sum(len(room.guests) for room in messenger.rooms),
    }
    return {what: count for what, count in counted.items() if count}


def session(data: bytes) -> None:
    """A server of its own for each input, so that one that breaks it does so again."""
    with gevent.Timeout(4 * PATIENCE), server(store="memory:", message_rate=0, limit_loopback=True) as app:
        for name in PEOPLE:
            account = app.store.create_account(name, name, FAST.hash(PASSWORD), 0.0)
            if name == "oper":
                app.store.set_role(account.id, "operator")
                account.role = "operator"
            app.messenger.authenticator.add_account(account)
        converse(app, Draw(data))
        with gevent.Timeout(PATIENCE):
            while left := left_over(app):
                gevent.sleep(0.005)
                assert app.supervisor.failure_count == 0, left
        with ExitStack() as end:
            line = opened(app, "guest", 99)
            end.callback(line.finish)
            line.send(b'{"action":"probe","id":"last"}\n{"action":"quit"}\n')
        assert any(answer.get("id") == "last" for answer in line.came), "a newcomer is not served"


def session_seeds() -> Iterator[bytes]:
    for first in range(len(OPENINGS)):
        for seed in range(12):
            yield bytes(
                [seed, first, *(((seed * 131 + place * place * (7 + first)) >> 1) % 256 for place in range(200))]
            )


@contextmanager
def simply(attempt: Try) -> Iterator[Try]:
    yield attempt


TARGETS: Final[dict[str, Target]] = {
    "folding": Target(lambda: simply(fold_text), lambda: (text.encode() for text in TEXTS)),
    "names": Target(lambda: simply(name_text), lambda: (text.encode() for text in TEXTS)),
    "config": Target(config_file, config_seeds),
    "control": Target(operator, control_seeds),
    "sessions": Target(lambda: simply(session), session_seeds),
}
