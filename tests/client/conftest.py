"""Fixtures for the client library: a scripted server, and clients with short timeouts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gevent
import pytest

from gmessenger.client import ChatEvent, Client, Timeouts
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer, Frame

SHORT_TIMEOUTS = Timeouts(connect=2, response=2, probe_after=2, retry_for=5, initial_backoff=0.02, max_backoff=0.1)


BOTH_WIRES = ("test_handshake", "test_journal", "test_receiver", "test_reconnect", "test_sender", "test_session_closed")
"""Modules whose tests of the scripted server run over TCP and over WebSocket."""
PLAIN_WIRE_TESTS = {
    "test_a_server_of_another_kind_that_closes_without_a_newline": "a message ends where it ends",
}
"""Tests that do not hold for a WebSocket, and why."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "wire" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in BOTH_WIRES:
        wires = ["plain"] if metafunc.function.__name__ in PLAIN_WIRE_TESTS else ["plain", "web"]
        metafunc.parametrize("wire", wires)


@pytest.fixture
def wire() -> str:
    """How clients reach the scripted server."""
    return "plain"


@pytest.fixture
def fake(wire: str) -> Iterator[FakeServer]:
    with FakeServer(wire=wire) as server:
        yield server


class Reader:
    """Reads the events of a client and keeps them in `seen`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seen: list[ChatEvent] = []

    def next(self, kind: type[Any]) -> Any:
        """Wait for the next event of a class and return it."""
        with gevent.Timeout(TIMEOUT):
            for event in self.client:
                self.seen.append(event)
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"the client ended without {kind}")

    def wait_for_end(self) -> Exception | None:
        """Wait until the client ends, and return its error."""
        with gevent.Timeout(TIMEOUT):
            try:
                for event in self.client:
                    self.seen.append(event)
            except Exception as error:
                return error
        return None


Begin = Callable[..., tuple[Reader, ClientConnection]]


@pytest.fixture
def make(fake: FakeServer) -> Iterator[Callable[..., Reader]]:
    """Make a client of the scripted server, not started; timeouts can be overridden."""
    clients: list[Client] = []

    def client(event_queue_size: int = 256, send_queue_size: int = 1000, **overrides: float) -> Reader:
        timeouts = replace(SHORT_TIMEOUTS, **overrides)
        clients.append(
            Client(
                fake.host,
                fake.port,
                "hank",
                timeouts=timeouts,
                event_queue_size=event_queue_size,
                send_queue_size=send_queue_size,
            )
        )
        return Reader(clients[-1])

    yield client
    for item in clients:
        item.close()


@pytest.fixture
def begin(fake: FakeServer, make: Callable[..., Reader]) -> Begin:
    """Make a client that is logged in; return its reader and the server's end of its connection."""

    def started(welcome: Frame | None = None, **options: Any) -> tuple[Reader, ClientConnection]:
        reader = make(**options)
        starting = gevent.spawn(reader.client.start)
        connection = fake.accept_and_log_in(**(welcome or {}))
        starting.get(timeout=TIMEOUT)
        return reader, connection

    return started
