"""How long it takes to log in with a token, to be asked and answered, and to be reached after having come."""

from __future__ import annotations

import itertools
import json
import socket
import time
from typing import Any, Final

from benchmarks.protocols import PASSWORD

PATIENCE: Final = 20.0
SHOWN_WITHIN: Final = 0.5
"""Seconds until each node knows who is on the other."""
FRESH: Final = (f"c{time.time_ns() // 1000:x}.{number}" for number in itertools.count())


class Person:
    """A native session; what it is sent is looked for, not understood."""

    def __init__(self, port: int, name: str, **proof: str) -> None:
        self.name = name
        self._unread = b""
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send({"action": "presence", "jim": 2, "user": {"account_name": name, **proof}})
        self.token = str(json.loads(self.until(b'"session"'))["session"])
        self.until(b'"synced"')

    def send(self, frame: dict[str, Any]) -> None:
        self._sock.sendall(json.dumps(frame).encode() + b"\n")

    def say(self, to: str) -> bytes:
        """The id of what was said."""
        id = next(FRESH)
        self.send({"action": "msg", "to": to, "message": id, "id": id})
        return id.encode()

    def until(self, wanted: bytes) -> bytes:
        """The first frame with this in it."""
        while True:
            line, end, rest = self._unread.partition(b"\n")
            if not end:
                received = self._sock.recv(65536)
                assert received, f"{self.name} was hung up on, and had: {self._unread[-300:]!r}"
                self._unread += received
                continue
            self._unread = rest
            assert b'"error"' not in line, line
            if wanted in line:
                return line

    def close(self) -> None:
        """And wait until the server has noticed."""
        self._sock.shutdown(socket.SHUT_WR)
        while self._sock.recv(65536):
            pass
        self._sock.close()


def logins(port: int, count: int) -> list[float]:
    """Seconds from dialling until somebody is in and has all that waited."""
    person, took = Person(port, "b0", password=PASSWORD), []
    for _ in range(count):
        person.close()
        began = time.monotonic()
        person = Person(port, "b0", session=person.token)
        took.append(time.monotonic() - began)
    person.close()
    return took


def answers(here: int, there: int, count: int) -> list[float]:
    """Seconds until a guest who says something to another is answered that it was handed over."""
    one, other = Person(here, "gus"), Person(there, "joe")
    time.sleep(SHOWN_WITHIN)
    took = []
    for _ in range(count):
        began = time.monotonic()
        said = one.say("joe")
        one.until(said)
        took.append(time.monotonic() - began)
        other.until(said)
    one.close()
    other.close()
    return took


def arrivals(here: int, there: int, count: int) -> list[float]:
    """Seconds until somebody who has come a moment ago has what is said to them then."""
    one, other, took = Person(here, "a0", password=PASSWORD), Person(there, "b0", password=PASSWORD), []
    for _ in range(count):
        other.close()
        other = Person(there, "b0", session=other.token)
        began = time.monotonic()
        said = one.say("b0")
        other.until(said)
        took.append(time.monotonic() - began)
        one.until(said)
    one.close()
    other.close()
    return took
