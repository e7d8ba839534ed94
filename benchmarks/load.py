"""Load from sockets of this process: pairs of native clients, one of which writes to the other.

Received frames are counted without decoding, so that the server is measured and not the generator; its own share of a
core is part of the result.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import json

TEXT: Final = "x" * 100
ACKNOWLEDGE_EVERY: Final = 100
TIMEOUT: Final = 20.0
MESSAGE: Final = b'"action":"msg"'
ANSWER: Final = b'"response":200'


class LoadClient:
    """A native connection that has logged in; as a guest, without a password.

    `partner`: the name at the other end of the conversation.
    """

    def __init__(self, port: int, name: str, partner: str, password: str) -> None:
        self.name = name
        self.partner = partner
        self.unread = b""
        self.unsent = b""
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        user = {"account_name": name} | ({"password": password} if password else {})
        self.sock.sendall(json.encode({"action": "presence", "jim": 2, "user": user}) + b"\n")
        while b'"synced"' not in self.unread:
            self.unread += self.sock.recv(65536)
        assert b'"response":200' in self.unread, self.unread
        self.unread = b""
        self.sock.setblocking(False)

    def count(self, what: bytes) -> int:
        """Return how many received frames contain a sign. Does not block."""
        try:
            data = self.unread + self.sock.recv(1 << 18)
        except BlockingIOError:
            return 0
        end = data.rfind(b"\n") + 1
        self.unread = data[end:]
        whole = data[:end]
        assert b'"error"' not in whole, whole
        return whole.count(what)

    def send(self, data: bytes) -> None:
        self.unsent += data
        with contextlib.suppress(BlockingIOError):
            self.unsent = self.unsent[self.sock.send(self.unsent) :]


@dataclass
class Writer:
    """The sender of a pair."""

    client: LoadClient
    batch: str
    sent: int = 0
    answered: int = 0
    times: deque[float] = field(default_factory=deque)

    def write(self, count: int) -> None:
        head = f'{{"action":"msg","to":"{self.client.partner}","message":"{TEXT}","id":"{self.batch}'
        self.client.send("".join([f'{head}{number}"}}\n' for number in range(self.sent, self.sent + count)]).encode())
        self.sent += count


@dataclass
class PairsResult:
    """The result of a run. `times`: seconds from sending to the response."""

    messages: int
    seconds: float
    generator: float  # its share of a core
    times: list[float]

    def percentile(self, share: float) -> float:
        return sorted(self.times)[int(len(self.times) * share)] * 1000 if self.times else 0.0


class Pairs:
    """Pairs of clients; can be run several times."""

    def __init__(self, port: int, count: int, password: str, batch: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._writers: list[Writer] = []
        self._delivered = 0
        self._due: dict[str, int] = {}
        for number in range(count):
            sender, recipient = f"a{number}", f"b{number}"
            reader = LoadClient(port, recipient, sender, password)
            writer = Writer(LoadClient(port, sender, recipient, password), f"{batch}.{number}.")
            self._writers.append(writer)
            self._selector.register(reader.sock, selectors.EVENT_READ, reader)
            self._selector.register(writer.client.sock, selectors.EVENT_READ, writer)

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def run(self, seconds: float, window: int) -> PairsResult:
        """Keep `window` messages of each pair unanswered for some seconds, then wait for all responses."""
        return self._run(seconds, window=window)

    def run_at(self, seconds: float, rate: float) -> PairsResult:
        """Send messages at a rate per second, from the pairs in turn."""
        return self._run(seconds, rate=rate)

    def _run(self, seconds: float, window: int = 0, rate: float = 0.0) -> PairsResult:
        sent_before, delivered_before = self._sent, self._delivered
        times: list[float] = []
        cpu, start = time.process_time(), time.monotonic()
        end, due = start + seconds, 0
        for writer in self._writers if window else ():
            writer.write(window)
        while True:
            now = time.monotonic()
            while rate and now < end and due <= (now - start) * rate:
                writer = self._writers[due % len(self._writers)]
                writer.times.append(now)
                writer.write(1)
                due += 1
            if now >= end and self._answered == self._sent == self._delivered:
                break
            assert now < end + TIMEOUT, f"sent {self._sent}, answered {self._answered}, delivered {self._delivered}"
            pause = max(0.0, start + due / rate - now) if rate and now < end else 0.1
            for key, _ in self._selector.select(pause):
                self._serve(key.data, window if now < end else 0, times)
        duration = time.monotonic() - start
        assert self._delivered - delivered_before == self._sent - sent_before
        return PairsResult(self._delivered - delivered_before, duration, (time.process_time() - cpu) / duration, times)

    @property
    def _sent(self) -> int:
        return sum(writer.sent for writer in self._writers)

    @property
    def _answered(self) -> int:
        return sum(writer.answered for writer in self._writers)

    def _serve(self, data: Any, window: int, times: list[float]) -> None:
        if isinstance(data, LoadClient):
            count = data.count(MESSAGE)
            self._delivered += count
            self._acknowledge(data, count)
            return
        answered = data.client.count(ANSWER)
        data.answered += answered
        if data.times:
            now = time.monotonic()
            times += [now - data.times.popleft() for _ in range(answered)]
        if data.client.unsent:
            data.client.send(b"")
        if window:
            data.write(data.answered + window - data.sent)

    def _acknowledge(self, reader: LoadClient, count: int) -> None:
        due = self._due.get(reader.name, 0) + count
        if due >= ACKNOWLEDGE_EVERY:
            # A seq above the last one acknowledges everything.
            reader.send(f'{{"action":"ack","with":"{reader.partner}","seq":{2**40}}}\n'.encode())
            due = 0
        self._due[reader.name] = due
