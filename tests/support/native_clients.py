"""Native clients: a raw connection, a session on it, and helpers to run many at once.

Everything waits for an event with a timeout; nothing sleeps.
"""

import itertools
import json
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Self

import gevent

from tests.support.course_clients import (
    CONCURRENT_GREENLETS,
    TIMEOUT,
    Address,
    CourseClient,
    CourseVariant,
    Frame,
    settle,
    wrap_socket,
)


def encode_frame(**frame: Any) -> bytes:
    return json.dumps(frame, ensure_ascii=False).encode() + b"\n"


class RawConnection:
    """A connection that reads the server's frames, each of which must be a line of UTF-8."""

    def __init__(self, server: Address, receive_buffer: int = 0) -> None:
        self.server = server
        settle(server)
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect((server.host, server.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = wrap_socket(self.sock, server)
        self.unread = b""

    def send_bytes(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, frame: Frame) -> None:
        settle(self.server)
        self.send_bytes(encode_frame(**frame))

    def receive_line(self) -> bytes:
        while b"\n" not in self.unread:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"hung up on, after {self.unread!r}")
            self.unread += data
        state, _, self.unread = self.unread.partition(b"\n")
        return state

    def receive(self) -> Frame:
        frame = json.loads(self.receive_line())
        assert isinstance(frame, dict), frame
        return frame

    def receive_until_closed(self) -> list[Frame]:
        """Receive all frames up to the end of the connection, which has to come."""
        frames = []
        try:
            while True:
                frames.append(self.receive())
        except (EOFError, ConnectionError):
            assert self.unread == b"", f"half a frame before the end: {self.unread!r}"
            return frames

    def expect_closed(self) -> None:
        assert self.receive_until_closed() == []

    def expect_error(self) -> Frame:
        answer = self.receive()
        assert answer["response"] == 400 and answer["error"] and answer["code"], answer
        return answer

    def close(self) -> None:
        self.sock.close()


class NativeClient(RawConnection):
    """A native session. Events that arrive while a request is open are kept in `events`."""

    def __init__(self, server: Address, receive_buffer: int = 0) -> None:
        super().__init__(server, receive_buffer)
        self.name = ""
        self.events: deque[Frame] = deque()
        self.ids = (f"r{number}" for number in itertools.count())

    def try_log_in(self, name: Any, **user: Any) -> Frame:
        """Request a login; return the response."""
        self.send({"action": "presence", "jim": 2, "user": {"account_name": name, **user}})
        return self.receive()

    def log_in(self, name: str, **user: Any) -> Frame:
        answer = self.try_log_in(name, **user)
        assert answer["response"] == 200, answer
        assert self.receive()["action"] == "synced"
        self.name = name
        return answer

    def request(self, action: str, **fields: Any) -> Frame:
        """Send a request; return its response. Events before it are kept."""
        identity = fields.setdefault("id", next(self.ids))
        self.send({"action": action, **fields})
        while "response" not in (frame := self.receive()):
            self.events.append(frame)
        assert frame.get("id") == identity, f"not the answer to {identity}: {frame}"
        return frame

    def send_message(self, to: str, text: str) -> Frame:
        return self.request("msg", to=to, message=text)

    def next_event(self, action: str | None = None) -> Frame:
        """Return the next event in order, or the next with that action."""
        while True:
            frame = self.events.popleft() if self.events else self.receive()
            assert "response" not in frame, f"an answer nobody waits for: {frame}"
            if action in (None, frame["action"]):
                return frame

    def receive_message(self) -> tuple[str, str]:
        frame = self.next_event("msg")
        assert frame["to"] == self.name, frame
        return frame["from"], frame["message"]

    def expect_no_events(self) -> None:
        """Check that no event is on the way: a probe is answered without one before."""
        settle(self.server, always=True)
        assert self.request("probe")["response"] == 200
        assert not self.events, list(self.events)


class Connector:
    """Opens connections of all kinds and closes them at the end of the test."""

    def __init__(self) -> None:
        self.connections: list[RawConnection | CourseClient] = []

    def open_raw(self, server: Address, receive_buffer: int = 0) -> RawConnection:
        self.connections.append(connection := RawConnection(server, receive_buffer))
        return connection

    def open_native(self, server: Address, name: str | None = None, receive_buffer: int = 0) -> NativeClient:
        self.connections.append(client := NativeClient(server, receive_buffer))
        if name is not None:
            client.log_in(name)
        return client

    def open_course(self, server: Address, variant: CourseVariant, name: str) -> CourseClient:
        """Connect a course client without logging it in."""
        self.connections.append(client := CourseClient(server, variant, name))
        return client

    def log_in_course(self, server: Address, variant: CourseVariant, name: str) -> CourseClient:
        return self.open_course(server, variant, name).log_in()

    def log_in_courses(self, server: Address, names: Mapping[str, CourseVariant]) -> list[CourseClient]:
        """Log in many course clients concurrently."""
        clients = [self.open_course(server, variant, name) for name, variant in names.items()]
        assert run_together({client.name: client.log_in for client in clients}) == {}
        return clients

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_together(jobs: Mapping[str, Callable[[], object]], seconds: float = 30) -> dict[str, str]:
    """Run each job in a greenlet of its own; return the failures by name."""
    greenlets = {name: gevent.spawn(job) for name, job in jobs.items()}
    CONCURRENT_GREENLETS.update(greenlets.values())
    gevent.joinall(list(greenlets.values()), timeout=seconds)
    failures = {name: repr(one.exception or "not finished") for name, one in greenlets.items() if not one.successful()}
    gevent.killall([one for one in greenlets.values() if not one.ready()])
    return failures
