"""The writer of a connection sends everything once and in order, also where the socket takes only a part of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.socket import wait_read

from gmessenger.server.net.supervisor import Supervisor
from gmessenger.server.net.transport import TcpTransport
from gmessenger.server.net.writer import ConnectionWriter, FlushScheduler
from tests.support.timeouts import TEST_TIMEOUT

LARGE = b"x" * 4_000_000  # more than a socket takes at once


class Client:
    """One end of a pair of sockets; the other end belongs to a writer."""

    def __init__(self) -> None:
        server, self.socket = socket.socketpair()
        for each in (server, self.socket):
            each.setblocking(False)
        self._server = server
        self.lost: list[str] = []
        self.pending: list[bytes | Callable[[], bytes]] = []
        supervisor = Supervisor()
        scheduler = FlushScheduler(gevent.get_hub(), supervisor, lambda: TEST_TIMEOUT)
        self.writer = ConnectionWriter(TcpTransport(server), scheduler, supervisor, self.lost.append)
        self.writer.set_source(self._pull)

    def read(self, size: int) -> bytes:
        received = b""
        with gevent.Timeout(TEST_TIMEOUT):
            while len(received) < size:
                wait_read(self.socket.fileno())
                received += self.socket.recv(1_000_000)
        return received

    def close(self) -> None:
        self.writer.close()
        self.socket.close()
        self._server.close()

    def _pull(self) -> bytes:
        pending, self.pending = self.pending, []
        return b"".join(each if isinstance(each, bytes) else each() for each in pending)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr("gmessenger.server.net.transport.set_socket_options", lambda sock: None)
    client = Client()
    yield client
    client.close()


def test_what_waits_is_sent_at_once(client: Client) -> None:
    client.pending = [b"one ", b"two"]
    client.writer.flush()
    assert client.read(7) == b"one two" and client.writer.pending_bytes == 0 and not client.writer.is_blocked


def test_what_the_socket_does_not_take_follows_in_order(client: Client) -> None:
    client.pending = [LARGE]
    client.writer.flush()
    assert client.writer.is_blocked and 0 < client.writer.pending_bytes < len(LARGE)
    client.writer.write(b"written")
    client.pending = [b" waiting"]
    client.writer.flush()
    assert client.read(len(LARGE) + 15) == LARGE + b"written waiting"


def test_a_source_may_write_itself(client: Client) -> None:
    """Bytes that a source passes to `write` are sent before the bytes it returns, even when the socket is full."""

    def write() -> bytes:
        client.writer.write(LARGE)
        return b" returned"

    for first in (b"", b"before "):
        client.pending = [write]
        client.writer.write(first)
        assert client.read(len(first + LARGE) + 9) == first + LARGE + b" returned"
        with gevent.Timeout(TEST_TIMEOUT):
            client.writer.drain()


@pytest.mark.parametrize("is_blocked", [False, True])
def test_a_client_that_is_gone_is_lost_once(is_blocked: bool, client: Client) -> None:
    if is_blocked:
        client.writer.write(LARGE)
    drained: list[bool] = []
    client.socket.close()
    client.writer.call_when_drained(lambda: drained.append(True))
    client.writer.write(b"text")
    with gevent.Timeout(TEST_TIMEOUT):
        client.writer.drain()
    assert len(client.lost) == 1 and client.writer.pending_bytes == 0 and not client.writer.is_blocked and drained
