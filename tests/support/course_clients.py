"""Minimal course clients, one for each variant of section 3 of the protocol.

They behave as the published ones do: objects are sent without a newline, one recv(1024) and one json.loads are
received.
"""

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, Self
from weakref import WeakSet

import gevent
from gevent.queue import Queue

from tests.support.course_forms import (
    BARE,
    ORDINARY,
    REQUEST,
    TEXT_KEYS,
    UPPERCASE,
    Frame,
    FrameReader,
    ReceivedText,
    ResponseForm,
    ordinary_reader,
    read_request,
    read_status,
    read_uppercase,
)
from tests.support.loop_lag import LOOP_LAG
from tests.support.timeouts import TEST_TIMEOUT as TIMEOUT
from tests.support.web import WebSocketSocket

PUSH_INTERVAL, AFTER_PRESENCE, AFTER_LISTS, TOLERANCE = 0.12, 0.2, 2.4, 0.04

CONCURRENT_GREENLETS: WeakSet[object] = WeakSet()
"""The greenlets of those who do something at the same time as others."""


class Address(Protocol):
    """Where a server listens; one that is reached by TLS has a `context` besides."""

    host: str
    port: int


def wrap_socket(sock: socket.socket, server: Address) -> socket.socket:
    """Return the socket, with TLS if the server's address has a TLS context, or with WebSocket if that is its wire."""
    context = getattr(server, "context", None)
    if context is not None:
        return context.wrap_socket(sock, server_hostname=server.host)
    if getattr(server, "wire", "plain") == "web":
        return WebSocketSocket(sock, server.host)
    return sock


def settle(server: Address, *, always: bool = False) -> None:
    """Wait, in a cluster, until everything sent has reached all nodes.

    Clients that act concurrently, and clusters that are not settled, wait only if `always`.
    """
    if hasattr(server, "settle") and (always or gevent.getcurrent() not in CONCURRENT_GREENLETS):
        server.settle(always=always)


@dataclass(frozen=True)
class CourseVariant:
    """A published variant of the course protocol: what its client sends, and the only frames it accepts."""

    name: str
    presence: Callable[[str], Frame]
    message: Callable[[str, str, str], Frame]
    quit: Callable[[str], Frame | None]
    read: FrameReader
    response_form: ResponseForm = ORDINARY
    max_frame: int = 1000
    is_greeted: bool = False
    is_answered: bool = False
    """It waits for a response to each message it sends, and takes responses among its messages."""


def presence_form(index: str, action: str = "presence", clock: Callable[[], Any] = time.time, **user: Any) -> Any:
    """Return a function that makes presences with the name at `place`, `outer.inner` for nested objects."""
    outer, _, inner = index.partition(".")

    def presence(name: str) -> Frame:
        return {"action": action, "time": clock(), outer: {inner: name, **user} if inner else name}

    return presence


def message_form(
    action: str, to: str, text: str, sender: str = "from", **more: Any
) -> Callable[[str, str, str], Frame]:
    return lambda name, addressee, texts: {
        "action": action,
        "time": time.time(),
        sender: name,
        to: addressee,
        text: texts,
        **more,
    }


def quit_form(action: str, index: str | None = None) -> Callable[[str], Frame]:
    return lambda name: {"action": action, "time": time.time()} | ({index: name} if index else {})


def no_quit(name: str) -> None:
    return None


def clock() -> str:
    return time.strftime("%H:%M:%S")


def plain_variant(
    name: str, presence: Any, own: tuple[str, str, str], leave: Any, form: str = "message", **more: Any
) -> CourseVariant:
    """Create a variant with the ordinary response form; `own` is its action, recipient key and text key."""
    action, to, text = own
    texts = more.pop("texts", TEXT_KEYS if form == "message" else None)
    reading = {key: more.pop(key) for key in ("names_user", "recipient", "own_recipient") if key in more}
    client = {key: more.pop(key) for key in ("response_form", "max_frame", "is_answered") if key in more}
    read = ordinary_reader(form, (action, text), texts, from_user="from_user" in presence("x"), **reading)
    return CourseVariant(name, presence, message_form(action, to, text, **more), leave, read, **client)


def status_variant(name: str, leave: Any, action: str = "presence", encoding: str = "ascii") -> CourseVariant:
    presence = presence_form("user.account_name", action, status="Yep, I am here!")
    message = message_form("msg", "to", "message", encoding=encoding)
    return CourseVariant(
        name, lambda me: {**presence(me), "type": "status"}, message, leave, read_status, ORDINARY, is_greeted=True
    )


def uppercase_variant(name: str, leave: str | None) -> CourseVariant:
    return CourseVariant(
        name,
        lambda me: {"ACTION": "presence", "TIME": time.time(), "USER": {"AUTHUSER": me}},
        lambda me, to, text: {"ACTION": "message", "TIME": time.time(), "FROM": to, "MESSAGE_TEXT": text},
        lambda me: {"ACTION": leave, "TIME": time.time(), "USER": {"AUTHUSER": me}} if leave else None,
        read_uppercase,
        UPPERCASE,
    )


def request_variant(name: str, leave: str | None) -> CourseVariant:
    def framed(action: str, body: Any) -> Frame:
        return {"type": "request", "action": action, "body": body, "time": time.time()}

    return CourseVariant(
        name,
        lambda me: framed("presence", me),
        lambda me, to, text: framed("msg", {"sender": me, "to": to, "text": text}),
        lambda me: framed(leave, me) if leave else None,
        read_request,
        REQUEST,
        500,
    )


def mixed_case_variant(name: str) -> CourseVariant:
    return CourseVariant(
        name,
        lambda me: {"Action": "presence", "Time": time.time(), "User": {"Account_Name": me}},
        lambda me, to, text: {"Action": "message", "Time": time.time(), "To": to, "mess_text": text},
        lambda me: {"Action": "exit", "Account_Name": me},
        ordinary_reader("message", ("message", "mess_text")),
    )


account_presence = presence_form("user.account_name")
ANCESTOR = plain_variant(
    "ancestor",
    presence_form("from_user.account_name"),
    ("message", "to_user", "message_text"),
    quit_form("quit"),
    sender="from_user",
)
CLASSIC = plain_variant(
    "classic",
    account_presence,
    ("message", "destination", "mess_text"),
    quit_form("exit", "account_name"),
    sender="sender",
)
STATUS = status_variant("status", quit_form("quit"))
UPPER = uppercase_variant("upper", "quit")
REQUEST_FORM = request_variant("asking", "quit")
CLOCK = plain_variant(
    "clock", presence_form("user.account_name", clock=clock), ("m", "to", "text"), quit_form("q", "from"), "m"
)
PRESENSE = plain_variant(
    "presense",
    presence_form("user.account_name", "presense"),
    ("message", "to", "msg_txt"),
    quit_form("exit"),
    texts=("msg_txt", "mess_text"),
)
MSG = plain_variant("msg", account_presence, ("msg", "to", "message"), quit_form("quit", "account_name"))
ONLINE_PRESENCE = presence_form("user.account_name", status="online")
DIALECTS = (ANCESTOR, CLASSIC, STATUS, UPPER, REQUEST_FORM, CLOCK, PRESENSE, MSG)
VARIANTS = (
    *DIALECTS,
    plain_variant("receiver", account_presence, ("message", "message_receiver", "message_text"), quit_form("exit")),
    plain_variant(
        "client_name", presence_form("user.client_name"), ("message", "to", "text"), quit_form("quit", "client_name")
    ),
    plain_variant("user", presence_form("user"), ("message", "to", "message"), quit_form("exit", "user")),
    plain_variant("account_name", presence_form("account_name"), ("message", "to", "mess_text"), quit_form("q")),
    plain_variant(
        "from_user.msg",
        presence_form("from_user.account_name"),
        ("msg", "to_user", "text"),
        no_quit,
        sender="from_user",
    ),
    plain_variant("vanishing", account_presence, ("message", "destination", "message_text"), no_quit),
    plain_variant(
        "keyed", presence_form("user.account_name", public_key="MFww"), ("msg", "to", "mess_text"), quit_form("exit")
    ),
    plain_variant(
        "typed",
        lambda name: {**account_presence(name), "type": "presence"},
        ("message", "destination", "text"),
        quit_form("quit"),
    ),
    plain_variant("away", ONLINE_PRESENCE, ("msg", "to", "message"), quit_form("quit"), "msg", names_user=False),
    plain_variant(
        "away.text",
        ONLINE_PRESENCE,
        ("msg", "to", "text"),
        quit_form("exit", "account_name"),
        "msg",
        names_user=False,
    ),
    plain_variant("clock.message", presence_form("account_name", clock=clock), ("m", "to", "message"), no_quit, "m"),
    plain_variant(
        "presense.msg",
        presence_form("user", "presense"),
        ("msg", "to", "msg_txt"),
        quit_form("q", "user"),
        texts=("msg_txt", "mess_text"),
    ),
    plain_variant(
        "presense.mess_text",
        presence_form("user.account_name", "presense"),
        ("message", "to", "mess_text"),
        quit_form("exit"),
        texts=("msg_txt", "mess_text"),
        sender="sender",
    ),
    plain_variant(
        "presenc", presence_form("user.account_name", "presenc"), ("message", "to", "message_text"), quit_form("exit")
    ),
    plain_variant(
        "sender",
        presence_form("sender"),
        ("message", "recipient", "mess_text"),
        quit_form("exit", "sender"),
        sender="sender",
        recipient="recipient",
        response_form=BARE,
    ),
    plain_variant("from", presence_form("from"), ("msg", "to", "message"), quit_form("quit", "from")),
    *(
        plain_variant("text." + key.replace(" ", "_"), account_presence, ("message", "to", key), quit_form("exit"))
        for key in ("message_txt", "message text", "msg_text", "msg")
    ),
    plain_variant(
        "specified",
        presence_form("user.account_name", clock=time.time_ns, status="here"),
        ("msg", "to", "message"),
        quit_form("quit"),
        "msg",
        names_user=False,
        max_frame=640,
        is_answered=True,
    ),
    status_variant("status.presense", quit_form("exit", "account_name"), action="presense", encoding="utf-8"),
    status_variant("status.vanishing", no_quit),
    uppercase_variant("upper.exit", "exit"),
    uppercase_variant("upper.vanishing", None),
    request_variant("asking.vanishing", None),
    mixed_case_variant("mixed"),
)


TALKATIVE = plain_variant(
    "client", account_presence, ("message", "client", "text"), quit_form("exit"), own_recipient="client"
)
"""It needs its own key for the recipient in each frame, which is not known before it has sent a message."""
GUI = CourseVariant(
    "gui",
    presence_form("user.account_name", pubkey="-----BEGIN PUBLIC KEY-----\n" + "M" * 400),
    message_form("message", "destination", "mess_text", "sender"),
    quit_form("exit", "account_name"),
    ordinary_reader("message", ("message", "mess_text"), ("mess_text",)),
    max_frame=10_240,
    is_answered=True,
)
"""A client with windows and encryption: it fetches lists, keys, and waits for an answer to everything."""


class CourseClient:
    """A blocking console client of one variant. A frame that would crash it raises AssertionError.

    A greenlet reads what arrives at once, as the published clients do, so that a test that is busy elsewhere does not
    make two frames arrive together.
    """

    def __init__(self, server: Address, variant: CourseVariant, name: str) -> None:
        self.variant, self.name, self.has_sent = variant, name, False
        self.answers: list[Frame] = []
        """Responses to its messages, of a variant that waits for them."""
        self.arrivals: list[float] = []
        """When each received frame arrived, in seconds of the monotonic clock."""
        self._unread, self._started_at = b"", time.monotonic()
        self._chunks: Queue[tuple[float, bytes | OSError]] = Queue()
        LOOP_LAG.start()
        self.server = server
        settle(server)
        self.sock = wrap_socket(socket.create_connection((server.host, server.port), TIMEOUT), server)
        self._reader = gevent.spawn(self._read)

    def send(self, frame: Frame) -> None:
        settle(self.server)
        self.sock.sendall(json.dumps(frame).encode())

    def receive(self) -> Frame:
        """Receive as a published client does: one recv(1024), one json.loads."""
        data, arrived_at = self._unread, self.arrivals[-1] if self.arrivals else self._started_at
        if not data.endswith(b"\n"):
            arrived_at, chunk = self._next_chunk()
            data += chunk
        data, self._unread = self._split_late(data)
        self.arrivals.append(arrived_at)
        assert data, f"{self.name} was hung up on"
        assert data.endswith(b"\n"), f"{self.name} got a frame without its newline: {data!r}"
        assert len(data) <= self.variant.max_frame, (
            f"{self.name} got {len(data)} bytes, {self.variant.max_frame} at most: {data!r}"
        )
        try:
            frame = json.loads(data)
        except ValueError as error:
            raise AssertionError(f"{self.name} got something else than one object in one recv: {data!r}") from error
        assert isinstance(frame, dict), f"{self.name} got no object: {data!r}"
        return frame

    def receive_bytes(self) -> bytes:
        """Return what one recv(1024) read, or nothing if the connection is closed."""
        return self._next_chunk()[1]

    def expect_closed(self) -> None:
        data = self.receive_bytes()
        assert data == b"", f"{self.name} was not hung up on, but got {data!r}"

    def _next_chunk(self) -> tuple[float, bytes]:
        arrived_at, chunk = self._chunks.get(timeout=TIMEOUT)
        if isinstance(chunk, OSError):
            raise chunk
        return arrived_at, chunk

    def _read(self) -> None:
        """Put what arrives into the queue until the connection ends. Runs in a greenlet."""
        chunk: bytes | OSError = b"\n"
        while chunk and not isinstance(chunk, OSError):
            try:
                chunk = self.sock.recv(max(1024, self.variant.max_frame))
            except TimeoutError:
                continue
            except OSError as error:
                chunk = error
            self._chunks.put((time.monotonic(), chunk))

    def _split_late(self, data: bytes) -> tuple[bytes, bytes]:
        """Split off one object if the test process was late: several may have arrived then."""
        end = data.find(b"\n") + 1
        late = 0 < end < len(data) and LOOP_LAG.has_lagged_since(
            self.arrivals[-1] if self.arrivals else self._started_at
        )
        return (data[:end], data[end:]) if late else (data, b"")

    def log_in(self) -> Self:
        self.send(self.variant.presence(self.name))
        self.variant.response_form.check_accepted(self.receive())
        if self.variant.is_greeted:
            sender, greeting = self.receive_message()
            assert sender == "server" and greeting, f"greeted by {sender!r} with {greeting!r}"
        return self

    def expect_refused(self) -> None:
        """Send a presence; expect an error in its response form and a closed connection."""
        self.send(self.variant.presence(self.name))
        self.variant.response_form.check_rejected(self.receive())
        self.expect_closed()

    def send_message(self, to: str, text: str) -> None:
        self.send(self.variant.message(self.name, to, text))
        self.has_sent = True

    def receive_message(self) -> ReceivedText:
        while True:
            frame = self.receive()
            if self.variant.is_answered and "response" in frame:
                self.answers.append(frame)
            elif (received := self.variant.read(frame, self.name, self.has_sent)) is not None:
                return received

    def receive_answer(self) -> Frame:
        """Return the next response to a message; what is not one would be taken for it."""
        frame = self.receive()
        assert "response" in frame, f"{self.name} waits for an answer, and got {frame}"
        return frame

    def receive_messages(self, expected: Iterable[ReceivedText]) -> None:
        missing = set(expected)
        while missing:
            received = self.receive_message()
            assert received in missing, f"{self.name} heard {received} unasked or twice"
            missing.remove(received)

    def check_pacing(self, since: int = 1, pace: float = PUSH_INTERVAL) -> None:
        """Check that the frames from number `since` on were at least `pace` seconds apart."""
        pushes = self.arrivals[since:]
        if LOOP_LAG.has_lagged_since(self.arrivals[max(0, since - 1)]):  # the first may have come late already
            return  # who was late himself cannot tell how far apart they came
        gaps = [later - earlier for earlier, later in itertools.pairwise(pushes)]
        assert all(gap >= pace - TOLERANCE for gap in gaps), f"{self.name} was pushed frames {min(gaps):.3f} s apart"
        assert sum(gaps) >= pace * len(gaps) - TOLERANCE, f"{self.name} was pushed {len(gaps) + 1} frames too fast"

    def quit(self) -> None:
        if (frame := self.variant.quit(self.name)) is not None:
            self.send(frame)
        self.close()

    def close(self) -> None:
        self._reader.kill()
        self.sock.close()
