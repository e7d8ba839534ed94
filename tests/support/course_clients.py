"""Minimal course clients, one for every spelling of section 3 of the protocol, as a table of `Spelling` rows.
They do what the published ones do: objects without a newline go out, one recv(1024) and one json.loads come in."""

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, Self
from weakref import WeakSet

import gevent

from tests.support.course_forms import (
    ORDINARY,
    REQUEST,
    TEXT_KEYS,
    UPPERCASE,
    Envelope,
    Frame,
    Heard,
    Reader,
    ordinary,
    read_request,
    read_status,
    read_uppercase,
)
from tests.support.loop_lag import LATENESS
from tests.support.timeouts import PATIENCE as TIMEOUT

PACE, AFTER_PRESENCE, AFTER_LISTS, TOLERANCE = 0.12, 0.2, 2.4, 0.04

AT_ONCE: WeakSet[object] = WeakSet()
"""The greenlets of those who do something at the same time as others."""


class Address(Protocol):
    """Where a server listens; one that is reached by TLS has a `context` besides."""

    host: str
    port: int


def dressed(sock: socket.socket, server: Address) -> socket.socket:
    """The connected socket, encrypted where the server wants that."""
    context = getattr(server, "context", None)
    return context.wrap_socket(sock, server_hostname=server.host) if context is not None else sock


def calm(server: Address, *, always: bool = False) -> None:
    """Where the server is several: wait until all that was said has come everywhere, so that one test holds for both.

    Where the cluster is one for hasty people, and for those who do something at once, it only waits `always`.
    """
    if hasattr(server, "calm") and (always or gevent.getcurrent() not in AT_ONCE):
        server.calm(always=always)


@dataclass(frozen=True)
class Spelling:
    """One published way of speaking: what it sends, and the only frames it survives."""

    name: str
    presence: Callable[[str], Frame]
    message: Callable[[str, str, str], Frame]
    leave: Callable[[str], Frame | None]
    read: Reader
    envelope: Envelope = ORDINARY
    cap: int = 1000
    greeted: bool = False


def enters(place: str, action: str = "presence", clock: Callable[[], Any] = time.time, **user: Any) -> Any:
    """A presence with the name at `place`, a dot before the key of a nested object, which `user` adds to."""
    outer, _, inner = place.partition(".")

    def presence(name: str) -> Frame:
        return {"action": action, "time": clock(), outer: {inner: name, **user} if inner else name}

    return presence


def says(action: str, to: str, text: str, sender: str = "from", **more: Any) -> Callable[[str, str, str], Frame]:
    return lambda me, addressee, words: {
        "action": action,
        "time": time.time(),
        sender: me,
        to: addressee,
        text: words,
        **more,
    }


def leaves(action: str, place: str | None = None) -> Callable[[str], Frame]:
    return lambda me: {"action": action, "time": time.time()} | ({place: me} if place else {})


def vanishes(me: str) -> None:
    return None


def clock() -> str:
    return time.strftime("%H:%M:%S")


def plain(
    name: str, presence: Any, own: tuple[str, str, str], leave: Any, form: str = "message", **more: Any
) -> Spelling:
    """A row with the ordinary envelope and frame; `own` is its action, addressee key and text key."""
    action, to, text = own
    texts = more.pop("texts", TEXT_KEYS if form == "message" else None)
    read = ordinary(form, (action, text), texts, from_user="from_user" in presence("x"))
    return Spelling(name, presence, says(action, to, text, **more), leave, read)


def status(name: str, leave: Any, action: str = "presence", encoding: str = "ascii") -> Spelling:
    presence = enters("user.account_name", action, status="Yep, I am here!")
    message = says("msg", "to", "message", encoding=encoding)
    return Spelling(
        name, lambda me: {**presence(me), "type": "status"}, message, leave, read_status, ORDINARY, greeted=True
    )


def uppercase(name: str, leave: str | None) -> Spelling:
    return Spelling(
        name,
        lambda me: {"ACTION": "presence", "TIME": time.time(), "USER": {"AUTHUSER": me}},
        lambda me, to, text: {"ACTION": "message", "TIME": time.time(), "FROM": to, "MESSAGE_TEXT": text},
        lambda me: {"ACTION": leave, "TIME": time.time(), "USER": {"AUTHUSER": me}} if leave else None,
        read_uppercase,
        UPPERCASE,
    )


def request(name: str, leave: str | None) -> Spelling:
    def framed(action: str, body: Any) -> Frame:
        return {"type": "request", "action": action, "body": body, "time": time.time()}

    return Spelling(
        name,
        lambda me: framed("presence", me),
        lambda me, to, text: framed("msg", {"sender": me, "to": to, "text": text}),
        lambda me: framed(leave, me) if leave else None,
        read_request,
        REQUEST,
        500,
    )


def mixed_case(name: str) -> Spelling:
    return Spelling(
        name,
        lambda me: {"Action": "presence", "Time": time.time(), "User": {"Account_Name": me}},
        lambda me, to, text: {"Action": "message", "Time": time.time(), "To": to, "mess_text": text},
        lambda me: {"Action": "exit", "Account_Name": me},
        ordinary("message", ("message", "mess_text")),
    )


account = enters("user.account_name")
ANCESTOR = plain(
    "ancestor",
    enters("from_user.account_name"),
    ("message", "to_user", "message_text"),
    leaves("quit"),
    sender="from_user",
)
CLASSIC = plain(
    "classic", account, ("message", "destination", "mess_text"), leaves("exit", "account_name"), sender="sender"
)
STATUS = status("status", leaves("quit"))
UPPER = uppercase("upper", "quit")
ASKING = request("asking", "quit")
CLOCK = plain("clock", enters("user.account_name", clock=clock), ("m", "to", "text"), leaves("q", "from"), "m")
PRESENSE = plain(
    "presense",
    enters("user.account_name", "presense"),
    ("message", "to", "msg_txt"),
    leaves("exit"),
    texts=("msg_txt",),
)
MSG = plain("msg", account, ("msg", "to", "message"), leaves("quit", "account_name"))
DOTTED = enters("user.account_name", status="online")
DIALECTS = (ANCESTOR, CLASSIC, STATUS, UPPER, ASKING, CLOCK, PRESENSE, MSG)
SPELLINGS = (
    *DIALECTS,
    plain("receiver", account, ("message", "message_receiver", "message_text"), leaves("exit")),
    plain("client_name", enters("user.client_name"), ("message", "to", "text"), leaves("quit", "client_name")),
    plain("user", enters("user"), ("message", "to", "message"), leaves("exit", "user")),
    plain("account_name", enters("account_name"), ("message", "to", "mess_text"), leaves("q")),
    plain("from_user.msg", enters("from_user.account_name"), ("msg", "to_user", "text"), vanishes, sender="from_user"),
    plain("vanishing", account, ("message", "destination", "message_text"), vanishes),
    plain("keyed", enters("user.account_name", public_key="MFww"), ("msg", "to", "mess_text"), leaves("exit")),
    plain("typed", lambda me: {**account(me), "type": "presence"}, ("message", "destination", "text"), leaves("quit")),
    plain("away", DOTTED, ("msg", "to", "message"), leaves("quit"), "msg"),
    plain("away.text", DOTTED, ("msg", "to", "text"), leaves("exit", "account_name"), "msg"),
    plain("clock.message", enters("account_name", clock=clock), ("m", "to", "message"), vanishes, "m"),
    plain(
        "presense.msg", enters("user", "presense"), ("msg", "to", "msg_txt"), leaves("q", "user"), texts=("msg_txt",)
    ),
    status("status.presense", leaves("exit", "account_name"), action="presense", encoding="utf-8"),
    status("status.vanishing", vanishes),
    uppercase("upper.exit", "exit"),
    uppercase("upper.vanishing", None),
    request("asking.vanishing", None),
    mixed_case("mixed"),
)


class CourseClient:
    """A blocking console client of one spelling; whatever it would die of raises AssertionError."""

    def __init__(self, server: Address, spelling: Spelling, name: str) -> None:
        self.spelling, self.name, self.spoken = spelling, name, False
        self.arrivals: list[float] = []
        self._unread, self._began = b"", time.monotonic()
        LATENESS.begin()
        self.server = server
        calm(server)
        self.sock = dressed(socket.create_connection((server.host, server.port), TIMEOUT), server)

    def send(self, frame: Frame) -> None:
        calm(self.server)
        self.sock.sendall(json.dumps(frame).encode())

    def receive(self) -> Frame:
        """What a published client does with what comes: one recv(1024), one json.loads."""
        data = self._unread
        if not data.endswith(b"\n"):
            data += self.sock.recv(1024)
        data, self._unread = self._apart(data)
        self.arrivals.append(time.monotonic())
        assert data, f"{self.name} was hung up on"
        assert data.endswith(b"\n"), f"{self.name} got a frame without its newline: {data!r}"
        assert len(data) <= self.spelling.cap, (
            f"{self.name} got {len(data)} bytes, {self.spelling.cap} at most: {data!r}"
        )
        try:
            frame = json.loads(data)
        except ValueError as error:
            raise AssertionError(f"{self.name} got something else than one object in one recv: {data!r}") from error
        assert isinstance(frame, dict), f"{self.name} got no object: {data!r}"
        return frame

    def _apart(self, data: bytes) -> tuple[bytes, bytes]:
        """One object at a time, where we have been so late that several had come: that is not the server's fault."""
        end = data.find(b"\n") + 1
        late = 0 < end < len(data) and LATENESS.much_since(self.arrivals[-1] if self.arrivals else self._began)
        return (data[:end], data[end:]) if late else (data, b"")

    def enter(self) -> Self:
        self.send(self.spelling.presence(self.name))
        self.spelling.envelope.check_accepted(self.receive())
        if self.spelling.greeted:
            sender, greeting = self.hear()
            assert sender == "server" and greeting, f"greeted by {sender!r} with {greeting!r}"
        return self

    def refused(self) -> None:
        """Says its presence, is refused in its envelope and hung up on."""
        self.send(self.spelling.presence(self.name))
        self.spelling.envelope.check_refused(self.receive())
        assert self.sock.recv(1024) == b"", f"{self.name} was refused but not hung up on"

    def say(self, to: str, text: str) -> None:
        self.send(self.spelling.message(self.name, to, text))
        self.spoken = True

    def hear(self) -> Heard:
        while (heard := self.spelling.read(self.receive(), self.name, self.spoken)) is None:
            pass
        return heard

    def hear_all(self, expected: Iterable[Heard]) -> None:
        missing = set(expected)
        while missing:
            heard = self.hear()
            assert heard in missing, f"{self.name} heard {heard} unasked or twice"
            missing.remove(heard)

    def keeps_pace(self, since: int = 1, pace: float = PACE) -> None:
        """The frames pushed from number `since` on were that far apart, each and all together."""
        pushes = self.arrivals[since:]
        if LATENESS.much_since(pushes[0]):
            return  # who was late himself cannot tell how far apart they came
        gaps = [later - earlier for earlier, later in itertools.pairwise(pushes)]
        assert all(gap >= pace - TOLERANCE for gap in gaps), f"{self.name} was pushed frames {min(gaps):.3f} s apart"
        assert sum(gaps) >= pace * len(gaps) - TOLERANCE, f"{self.name} was pushed {len(gaps) + 1} frames too fast"

    def leave(self) -> None:
        if (frame := self.spelling.leave(self.name)) is not None:
            self.send(frame)
        self.close()

    def close(self) -> None:
        self.sock.close()
