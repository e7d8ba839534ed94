"""Latency of logins by token, of responses, and of the first message after a login."""

from __future__ import annotations

import itertools
import json
import socket
import time
from typing import Any, Final

from benchmarks.protocols import PASSWORD

TIMEOUT: Final = 20.0
PRESENCE_DELAY: Final = 0.5
"""Seconds until each node knows the presences of the other."""
IDS: Final = (f"c{time.time_ns() // 1000:x}.{number}" for number in itertools.count())


class NativeClient:
    """A native session that searches received frames without decoding them."""

    def __init__(self, port: int, name: str, **credential: str) -> None:
        self.name = name
        self._unread = b""
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send({"action": "presence", "jim": 2, "user": {"account_name": name, **credential}})
        self.token = str(json.loads(self.read_until(b'"session"'))["session"])
        self.read_until(b'"synced"')

    def send(self, frame: dict[str, Any]) -> None:
        self._sock.sendall(json.dumps(frame).encode() + b"\n")

    def send_message(self, to: str) -> bytes:
        """Send a message; return its id."""
        id = next(IDS)
        self.send({"action": "msg", "to": to, "message": id, "id": id})
        return id.encode()

    def read_until(self, wanted: bytes) -> bytes:
        """Block until a frame contains `wanted`, and return it."""
        while True:
            line, end, rest = self._unread.partition(b"\n")
            if not end:
                received = self._sock.recv(65536)
                assert received, f"{self.name} was disconnected after: {self._unread[-300:]!r}"
                self._unread += received
                continue
            self._unread = rest
            assert b'"error"' not in line, line
            if wanted in line:
                return line

    def close(self) -> None:
        """Close the connection, and block until the server has closed it too."""
        self._sock.shutdown(socket.SHUT_WR)
        while self._sock.recv(65536):
            pass
        self._sock.close()


def login_times(port: int, count: int) -> list[float]:
    """Return the seconds from connecting to the end of the catch-up, for logins by token."""
    person, durations = NativeClient(port, "b0", password=PASSWORD), []
    for _ in range(count):
        person.close()
        start = time.monotonic()
        person = NativeClient(port, "b0", session=person.token)
        durations.append(time.monotonic() - start)
    person.close()
    return durations


def response_times(sender_port: int, recipient_port: int, count: int) -> list[float]:
    """Return the seconds from sending a message to its response, between guests."""
    sender, recipient = NativeClient(sender_port, "gus"), NativeClient(recipient_port, "joe")
    time.sleep(PRESENCE_DELAY)
    durations = []
    for _ in range(count):
        start = time.monotonic()
        id = sender.send_message("joe")
        sender.read_until(id)
        durations.append(time.monotonic() - start)
        recipient.read_until(id)
    sender.close()
    recipient.close()
    return durations


def catch_up_times(sender_port: int, recipient_port: int, count: int) -> list[float]:
    """Return the seconds from sending a message to its arrival, for a recipient that has just logged in."""
    sender = NativeClient(sender_port, "a0", password=PASSWORD)
    recipient = NativeClient(recipient_port, "b0", password=PASSWORD)
    durations = []
    for _ in range(count):
        recipient.close()
        recipient = NativeClient(recipient_port, "b0", session=recipient.token)
        start = time.monotonic()
        id = sender.send_message("b0")
        recipient.read_until(id)
        durations.append(time.monotonic() - start)
        sender.read_until(id)
    sender.close()
    recipient.close()
    return durations
