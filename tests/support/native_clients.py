"""The tests' end of a connection: raw bytes (`Wire`), a native session on it (`Native`), and many things at once.
Everything waits for an event with a timeout; nothing sleeps."""

import itertools
import json
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Self

import gevent

from tests.support.course_clients import AT_ONCE, TIMEOUT, Address, CourseClient, Frame, Spelling, calm, dressed


def dumped(**frame: Any) -> bytes:
    return json.dumps(frame, ensure_ascii=False).encode() + b"\n"


class Wire:
    """A connection that reads the server's frames, each of which must be one line of UTF-8."""

    def __init__(self, server: Address, receive_buffer: int = 0) -> None:
        self.server = server
        calm(server)
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect((server.host, server.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = dressed(self.sock, server)
        self.unread = b""

    def send_bytes(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, frame: Frame) -> None:
        calm(self.server)
        self.send_bytes(dumped(**frame))

    def line(self) -> bytes:
        while b"\n" not in self.unread:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"hung up on, after {self.unread!r}")
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        return line

    def recv(self) -> Frame:
        frame = json.loads(self.line())
        assert isinstance(frame, dict), frame
        return frame

    def rest(self) -> list[Frame]:
        """All frames up to the end of the connection, which has to come."""
        frames = []
        try:
            while True:
                frames.append(self.recv())
        except (EOFError, ConnectionError):
            assert self.unread == b"", f"half a frame before the end: {self.unread!r}"
            return frames

    def expect_closed(self) -> None:
        assert self.rest() == []

    def expect_bad(self) -> Frame:
        answer = self.recv()
        assert answer["response"] == 400 and answer["error"] and answer["code"], answer
        return answer

    def close(self) -> None:
        self.sock.close()


class Native(Wire):
    """A session that said `jim: 2`; `events` keeps what came between a request and its answer."""

    def __init__(self, server: Address, receive_buffer: int = 0) -> None:
        super().__init__(server, receive_buffer)
        self.name = ""
        self.events: deque[Frame] = deque()
        self.ids = (f"r{number}" for number in itertools.count())

    def present(self, name: Any, **user: Any) -> Frame:
        """One try to log in, and its answer."""
        self.send({"action": "presence", "jim": 2, "user": {"account_name": name, **user}})
        return self.recv()

    def login(self, name: str, **user: Any) -> Frame:
        answer = self.present(name, **user)
        assert answer["response"] == 200, answer
        assert self.recv()["action"] == "synced"
        self.name = name
        return answer

    def ask(self, action: str, **fields: Any) -> Frame:
        """The answer to one request; events that come first are kept."""
        identity = fields.setdefault("id", next(self.ids))
        self.send({"action": action, **fields})
        while "response" not in (frame := self.recv()):
            self.events.append(frame)
        assert frame.get("id") == identity, f"not the answer to {identity}: {frame}"
        return frame

    def say(self, to: str, text: str) -> Frame:
        return self.ask("msg", to=to, message=text)

    def event(self, action: str | None = None) -> Frame:
        """The next event, or the next with that action, in the order they came."""
        while True:
            frame = self.events.popleft() if self.events else self.recv()
            assert "response" not in frame, f"an answer nobody waits for: {frame}"
            if action in (None, frame["action"]):
                return frame

    def hear(self) -> tuple[str, str]:
        frame = self.event("msg")
        assert frame["to"] == self.name, frame
        return frame["from"], frame["message"]

    def heard_nothing(self) -> None:
        """Nothing but the answer to a probe comes, so nothing was on its way."""
        calm(self.server, always=True)
        assert self.ask("probe")["response"] == 200
        assert not self.events, list(self.events)


class Dial:
    """Opens connections of every sort and closes them all at the end of the test."""

    def __init__(self) -> None:
        self.open: list[Wire | CourseClient] = []

    def wire(self, server: Address, receive_buffer: int = 0) -> Wire:
        self.open.append(wire := Wire(server, receive_buffer))
        return wire

    def native(self, server: Address, name: str | None = None, receive_buffer: int = 0) -> Native:
        self.open.append(native := Native(server, receive_buffer))
        if name is not None:
            native.login(name)
        return native

    def stranger(self, server: Address, spelling: Spelling, name: str) -> CourseClient:
        """A course client that has not said its presence."""
        self.open.append(client := CourseClient(server, spelling, name))
        return client

    def course(self, server: Address, spelling: Spelling, name: str) -> CourseClient:
        return self.stranger(server, spelling, name).enter()

    def courses(self, server: Address, names: Mapping[str, Spelling]) -> list[CourseClient]:
        """Many at once, so that a greeting is waited for once."""
        clients = [self.stranger(server, spelling, name) for name, spelling in names.items()]
        assert together({client.name: client.enter for client in clients}) == {}
        return clients

    def close(self) -> None:
        for connection in self.open:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def together(jobs: Mapping[str, Callable[[], object]], seconds: float = 30) -> dict[str, str]:
    """Runs every job in a greenlet of its own; what went wrong, by name."""
    greenlets = {name: gevent.spawn(job) for name, job in jobs.items()}
    AT_ONCE.update(greenlets.values())
    gevent.joinall(list(greenlets.values()), timeout=seconds)
    wrong = {name: repr(one.exception or "not finished") for name, one in greenlets.items() if not one.successful()}
    gevent.killall([one for one in greenlets.values() if not one.ready()])
    return wrong
