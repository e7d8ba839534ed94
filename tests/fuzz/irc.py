"""The fuzz target of IRC: hostile lines of several clients of one server, beside members who only want to talk."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Final, Protocol

import gevent
from gevent import socket

from gmessenger.errors import InternalError
from gmessenger.server.irc.capabilities import FLAGS
from gmessenger.server.irc.commands import COMMANDS
from gmessenger.server.irc.history import SUBCOMMANDS
from gmessenger.server.irc.network import IrcNetwork
from gmessenger.server.irc.protocol import IrcProtocol
from gmessenger.server.irc.services import SERVICE_COMMANDS
from gmessenger.server.server import Server
from gmessenger.wire.irc.lines import MAX_BODY, MAX_TAGS, Line, LineDecoder
from tests.fuzz.draws import Draw

TIMEOUT: Final = 20.0
"""Seconds in which the server must answer."""
PASSWORD: Final = "correct horse"
LONG_NAME: Final = "\U00020000" * 32
"""The name with the most bytes."""
ACCOUNTS: Final = ("hank", "dale", LONG_NAME, "oper")
ROOMS: Final = ("#dev", f"#{LONG_NAME}")
NAMES: Final = (
    *("hank", "dale", "gus0", "gus1", "HANK", "ＨＡＮＫ", "peggy", "bill", LONG_NAME, "nobody", "NickServ", "irc.fuzz"),
    *(
        "#dev",
        "#DEV",
        "@#dev",
        f"#{LONG_NAME}",
        "#new",
        "#all",
        "$*",
        "#",
        "##x",
        "&x",
        "0",
        "*",
        "",
        "hank!*@*",
        "*!*@*.user",
    ),
    *("h?nk", "*" * 60, "a,b,c", "#dev,#new,#dev", "hank,dale,#dev", "," * 20, ",".join("abcdefgh" * 12), ":x"),
)
WORDS: Final = (
    *(
        "hi",
        "",
        "x" * 300,
        "x" * 500,
        "\U0001f600" * 100,
        "\x01ACTION waves\x01",
        "\x01VERSION\x01",
        "\x01DCC SEND x\x01",
    ),
    *(
        "\x01",
        "a b c",
        ":)",
        ": :",
        "\u00a0",
        "\u202e",
        "\x034red",
        "w " * 200,
        "\t",
        "\ufdfa" * 60,
        "\x7f",
        "e\u0301" * 90,
    ),
    *("PLAIN", "+", "-", "*", "302", "LS", "LIST", "REQ", "END", "C", "L", "S", "0", "1", "-1", "500", "9" * 30),
    *("timestamp=2026-11-30T10:00:00.000Z", "timestamp=9999-12-31T23:59:59.999Z", "timestamp=0001-01-01T00:00:00.000Z"),
    *(
        "timestamp=x",
        "msgid=x-1",
        f"msgid=x-{'9' * 18}",
        "msgid=",
        "*",
        "%tcuihsnfdlaor,123",
        "o%cr",
        "<5,>0,!#d*",
        "u",
    ),
    *(
        "+o",
        "-o",
        "+ov-v",
        "+qaohv",
        "+b",
        "-b",
        "b",
        "+e",
        "+I",
        "e",
        "+k",
        "-k",
        "+l",
        "+imstnR",
        "-imstnR",
        "+kl",
        "+bbbbbb",
    ),
    *(f"IDENTIFY hank {PASSWORD}", f"REGISTER {PASSWORD}", f"REGISTER {PASSWORD} x", "INFO hank", "DROP x"),
    *(f"DROP {PASSWORD}", f"SET PASSWORD {PASSWORD} {PASSWORD}x", *SERVICE_COMMANDS),
    *(
        PASSWORD,
        f"hank:{PASSWORD}",
        f"hank@phone:{PASSWORD}",
        "draft/multiline",
        "+m",
        "-m",
        "+0",
        "in=#dev;text=hi",
        "text=",
    ),
    *SUBCOMMANDS,
)
MORE: Final = (
    "NOSUCHCOMMAND",
    "ÄRGER",
    "001",
    "PRIVMSG",
    "PRIVMSG",
    "NOTICE",
    "TAGMSG",
    "MODE",
    "JOIN",
    "BATCH",
    "CHATHISTORY",
)
TAGS: Final = (
    *("label=1", "label=2", f"label={'x' * 64}", f"label={'x' * 65}", "label", "batch=m", "batch=0", "batch"),
    *("draft/multiline-concat", "msgid=x", "time=x", "account=x", "bot", "+typing=active", "+draft/react=\U0001f600"),
    *(
        "+draft/react=lol",
        "+draft/reply=x-1",
        "+reply=%(msgid)s",
        "+draft/reply=%(msgid)s",
        "+draft/unreact=\U0001f600",
    ),
    *(
        "+",
        "+=",
        "=",
        "cuts=1",
        "reason=x",
        "+a=\\",
        "+a=\\s\\:\\r\\n\\\\",
        "+b\x01=ж",
        f"+{'k' * 500}={'v' * 3000}",
        ";" * 500,
    ),
)
CAPS: Final = tuple(FLAGS)
ALL_CAPS: Final = " ".join(FLAGS)
NATIVE_SHARE: Final = 40
"""Of 256 steps, how many are a request of the native protocol."""
MAX_STEPS: Final = 250
MAX_CLIENTS: Final = 3
OPENINGS: Final = ("account", "plain account", "guest", "plain guest", "silent")
INTERNAL_ERROR: Final = str(InternalError())


def plain(name: str, password: str) -> str:
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()


RESPONSES: Final = (
    *(plain("hank", PASSWORD), plain("hank@phone", PASSWORD), plain(LONG_NAME, PASSWORD), plain("dale", "wrong one")),
    *("=", "AAAA", "A" * 400, "A" * 401, "\U0001f600", base64.b64encode(b"\0\0\0\0").decode(), "!"),
)


class NativeConnection(Protocol):
    """A connection of the native protocol."""

    def send(self, data: bytes) -> None:
        """Send bytes."""

    def finish(self) -> None:
        """Close the sending side, and read up to the end."""


class HostileClient:
    """One connection; a greenlet reads, and checks that what comes are lines."""

    def __init__(self, port: int, caps: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.received: list[Line] = []
        self.msgids: list[str] = []
        self.caps = caps
        self._syncs = 0
        self._fault: BaseException | None = None
        self._answered = gevent.event.Event()
        self.reader = gevent.spawn(self._read)

    def _read(self) -> None:
        with suppress(OSError):
            for data in self.socket.makefile("rb"):
                tags, _, body = data.partition(b" ") if data[:1] == b"@" else (b"", b"", data)
                assert data.endswith(b"\r\n") and len(body) <= MAX_BODY + 2 and len(tags) <= MAX_TAGS, data
                self._take(parse(data))

    def _take(self, line: Line) -> None:
        self.received.append(line)
        if "msgid" in line.tags:
            self.msgids.append(line.tags["msgid"])
        if line.command == "PONG":
            self._answered.set()
        if line.command == "PING" and len(self.received) % 3:  # some are not answered
            self.send(f"PONG :{line.params[-1]}\r\n".encode())

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # the server has closed it
            self.socket.sendall(data)

    def log_in(self, nick: str, password: str | None) -> HostileClient:
        lines = ["CAP LS 302", f"CAP REQ :{self.caps}"] if self.caps or password else []
        if password is not None:
            lines += ["CAP REQ sasl", "AUTHENTICATE PLAIN", f"AUTHENTICATE {plain(nick, password)}"]
        lines += [f"NICK {nick}", "USER u 0 * :A real name", "CAP END", *(f"JOIN {room}" for room in ROOMS)]
        self.send("".join(f"{line}\r\n" for line in lines).encode())
        return self

    def is_answered(self) -> bool:
        """Return whether a PING is answered."""
        self._answered.clear()
        self.send(b"PING sync\r\n")
        return self._answered.wait(TIMEOUT)

    def finish(self) -> None:
        """Close the sending side, and read up to the end."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.reader.get(timeout=TIMEOUT)
        self.socket.close()


def parse(data: bytes) -> Line:
    """Return the line that the server has sent."""
    tags, _, body = data.decode().partition(" ") if data[:1] == b"@" else ("", "", data.decode())
    (line,) = LineDecoder().feed(body.encode())
    assert isinstance(line, Line), data
    for tag in tags[1:].split(";"):
        key, _, value = tag.partition("=")
        line.tags = {**line.tags, key: value}
    return line


FORMS: Final[dict[str, tuple[str, ...]]] = {
    "AWAY": ("w", ""),
    "BATCH": ("Btr", "b"),
    "CHATHISTORY": ("hrzn", "hrzzn", "hnzn", "hzzn"),
    "HISTORY": ("rn", "nn"),
    "INVITE": ("nr", ""),
    "JOIN": ("r", "rw", "n"),
    "CLOSE": ("rw",),
    "KICK": ("rn", "rnw"),
    "KILL": ("nw",),
    "KLINE": ("n", "xn", "xnw"),
    "LIST": ("n", "w", ""),
    "MARKREAD": ("rz", "nz", "r"),
    "MODE": ("rm", "rmn", "rmnnn", "rmw", "nm", "r"),
    "MONITOR": ("mn", "w"),
    "MUTE": ("n", "xn"),
    "NAMES": ("r",),
    "NICK": ("n",),
    "NOTICE": ("rw", "nw"),
    "NS": ("w", "ww"),
    "OPEN": ("r",),
    "OPER": ("op",),
    "PART": ("r", "rw"),
    "PRIVMSG": ("rw", "nw", "rw"),
    "REDACT": ("ri", "nix", "riw"),
    "SEARCH": ("w",),
    "SETNAME": ("w",),
    "SILENCE": ("n", ""),
    "TAGMSG": ("r", "n"),
    "TOPIC": ("r", "rw"),
    "WALLOPS": ("w",),
    "WHO": ("r", "n", "nw", "rw"),
    "WHOIS": ("n", "nn"),
    "WHOWAS": ("n",),
}
"""Forms of commands, each letter a parameter: `n` a name, `r` a room, `w` words and so on."""
MODES: Final = tuple(word for word in WORDS if word[:1] in "+-be")
TIMES: Final = tuple(word for word in WORDS if word.startswith(("timestamp", "msgid")))


def draw_form(draw: Draw, form: str, msgid: str) -> list[str]:
    """Return the parameters of a form."""
    pools: dict[str, Sequence[str]] = {
        "n": NAMES,
        "r": ROOMS,
        "w": WORDS,
        "m": MODES,
        "h": tuple(SUBCOMMANDS),
        "i": (msgid, "x-1"),
        "z": (f"msgid={msgid}", "*", *TIMES),
        "B": ("+m",),
        "b": ("-m",),
        "t": ("draft/multiline",),
        "x": ("5",),
        "o": ("oper", "hank"),
        "p": (PASSWORD.replace(" ", "-"), PASSWORD),
    }
    return [draw.choice(pools.get(letter, ("10",))) for letter in form]


def draw_params(draw: Draw, count: int) -> list[str]:
    """Return parameters of which only the last may be what no other can be."""
    params = [
        draw.choice(NAMES if draw.byte() < 150 else WORDS if draw.byte() < 230 else RESPONSES) for _ in range(count)
    ]
    middle = [param for param in params[:-1] if param and " " not in param and param[0] != ":"]
    return middle + [f":{param}" if draw.byte() < 128 or not param or " " in param else param for param in params[-1:]]


def draw_line(draw: Draw, client: HostileClient) -> bytes:
    """Return a line: most parameters are possible ones of some command."""
    command = draw.choice((*COMMANDS, *MORE))
    if command == "QUIT" and draw.byte() < 240:
        command = "PRIVMSG"
    msgid = draw.choice(client.msgids[-200:]) if client.msgids else "x-1"
    if command in FORMS and draw.byte() < 190:
        params = draw_form(draw, draw.choice(FORMS[command]), msgid)
        middle = [param for param in params[:-1] if param and " " not in param and param[0] != ":"]
        params = middle + [f":{param}" for param in params[-1:]]
    else:
        params = draw_params(draw, draw.byte() % 5)
    tags = ""
    if (chance := draw.byte()) < 100:
        tags = f"@{';'.join(draw.choice(TAGS).replace('%(msgid)s', msgid) for _ in range(1 + chance % 3))} "
    if command == "CAP" and chance % 2:
        params = ["REQ", f":{' '.join(('-' if draw.byte() < 60 else '') + draw.choice(CAPS) for _ in range(3))}"]
    return f"{tags}{' '.join([command, *params])}\r\n".encode()


def draw_data(draw: Draw, client: HostileClient) -> bytes:
    """Return a line, several, or bytes that are none."""
    kind = draw.byte()
    if kind < 200:
        return draw_line(draw, client)
    if kind < 215:
        return b"PRIVMSG #dev :one\r\nPRIVMSG #dev :two\nPRIVMSG dale :three\r\n" * (1 + kind % 4)
    if kind < 225:
        return b"BATCH +m draft/multiline #dev\r\n" + b"@batch=m PRIVMSG #dev :line\r\n" * (kind % 110)
    if kind < 235:
        return b"".join(draw_line(draw, client) for _ in range(kind % 8))
    if kind < 240:
        return draw_line(draw, client)[:-2]
    if kind < 245:
        return draw_line(draw, client).replace(b" ", bytes([draw.byte()]) + b" ", 1)
    return draw.bytes(draw.byte()) + b"\n"


def open_client(port: int, draw: Draw, number: int) -> HostileClient:
    opening = draw.choice(OPENINGS)
    client = HostileClient(port, "" if opening.startswith("plain") else ALL_CAPS)
    if opening.endswith("account"):
        return client.log_in(draw.choice(ACCOUNTS), PASSWORD)
    return client.log_in(f"gus{number}", None) if opening.endswith("guest") else client


def exchange(port: int, draw: Draw, native: NativeConnection, draw_frame: Callable[[Draw], bytes]) -> None:
    """Open some clients, send what is drawn, also by the native connection, and read all that the server answers."""
    clients = [open_client(port, draw, number) for number in range(1 + draw.byte() % MAX_CLIENTS)]
    gevent.sleep(0)
    for _ in range(MAX_STEPS):
        if draw.is_empty:
            break
        client = clients[draw.byte() % len(clients)]
        if draw.byte() < NATIVE_SHARE:
            native.send(draw_frame(draw))
        else:
            client.send(draw_data(draw, client))
        if draw.byte() % 4 == 0:
            gevent.sleep(0)
    native.finish()
    for client in clients:
        client.finish()
    for client in clients:
        check_received(client.received)


def check_received(lines: Sequence[Line]) -> None:
    """Check that no batch is begun twice, or ends that was not begun, and nothing failed."""
    opened: set[str] = set()
    for line in lines:
        assert INTERNAL_ERROR not in line.params[-1:], line
        assert "batch" not in line.tags or line.tags["batch"] in opened, line
        if line.command == "BATCH":
            (opened.add if line.params[0][0] == "+" else opened.remove)(line.params[0][1:])
    assert not opened or lines[-1].command != "PONG", "a batch has no end"


def leaks(app: Server, network: IrcNetwork) -> dict[str, int]:
    """Return the counts that are not zero after all connections have ended."""
    counts = {
        "connections": app.connection_count,
        "sessions": len(list(app.messenger.router)),
        "clients": len(list(network.clients)),
        "names with clients": len(network.clients._clients),
        "monitored": len(network.clients._monitoring),
        "cards": len(network.users._cards),
        "latest cards": len(network.users._latest_cards),
        "not registered": network.unregistered_count,
        "guests in rooms": sum(len(room.guests) for room in app.messenger.rooms),
    }
    return {kind: count for kind, count in counts.items() if count}


def network_of(app: Server) -> IrcNetwork:
    protocols = (connection.protocol for connection in app.acceptor.connections)
    return next(protocol._network for protocol in protocols if isinstance(protocol, IrcProtocol))


def run_session(
    start: Callable[[], AbstractContextManager[Server]],
    add_account: Callable[[Server, str], None],
    open_native: Callable[[Server], NativeConnection],
    draw_frame: Callable[[Draw], bytes],
    data: bytes,
) -> None:
    """Run one input on a server of its own, so that failures are reproducible.

    `open_native` opens a connection of the native protocol, which is logged in; `draw_frame` draws a request.
    """
    with gevent.Timeout(4 * TIMEOUT), start() as app, ExitStack() as stack:
        for name in ACCOUNTS:
            add_account(app, name)
        assert app.ports.irc is not None and app.ports.irc.number is not None
        port = app.ports.irc.number
        native = open_native(app)  # the rooms are its account's
        for number, room in enumerate(ROOMS):
            native.send(json.dumps({"action": "join", "room": room, "id": f"j{number}"}).encode() + b"\n")
        members = [HostileClient(port, ALL_CAPS).log_in("watcher", None), HostileClient(port).log_in("listener", None)]
        for member in members:
            stack.callback(member.socket.close)
            assert member.is_answered()
        network = network_of(app)
        exchange(port, Draw(data), native, draw_frame)
        for member in members:
            assert member.is_answered(), "a member is not answered"
            member.send(b"QUIT\r\n")
            member.finish()
            check_received(member.received)
        with gevent.Timeout(TIMEOUT):
            while leaked := leaks(app, network):
                gevent.sleep(0.005)
                assert app.supervisor.failure_count == 0, leaked


def seeds() -> Iterator[bytes]:
    for first in range(len(OPENINGS)):
        for seed in range(4):
            yield bytes(
                [seed, first, *(((seed * 131 + index * index * (7 + first)) >> 1) % 256 for index in range(400))]
            )
