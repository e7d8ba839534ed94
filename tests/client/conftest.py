"""A scripted server, and links to it that are impatient and closed when the test ends."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import gevent
import pytest

from gmessenger.client import ChatEvent, Client, Timeouts
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer

IMPATIENT = Timeouts(connect=2, response=2, probe_after=2, retry_for=5, initial_backoff=0.02, max_backoff=0.1)


class Owner:
    """Holds a link and what it told; `next` waits for the next event of a kind and keeps the others in `seen`."""

    def __init__(self, link: Client) -> None:
        self.link = link
        self.seen: list[ChatEvent] = []

    def next(self, kind: type[Any]) -> Any:
        with gevent.Timeout(TIMEOUT):
            for event in self.link:
                self.seen.append(event)
                if isinstance(event, kind):
                    return event
        raise AssertionError(f"the link ended without {kind}")

    def ending(self) -> Exception | None:
        """The error the link ends with; events before it are kept in `seen`."""
        with gevent.Timeout(TIMEOUT):
            try:
                for event in self.link:
                    self.seen.append(event)
            except Exception as error:
                return error
        return None


Begin = Callable[..., tuple[Owner, ClientConnection]]


@pytest.fixture
def make(fake: FakeServer) -> Iterator[Callable[..., Owner]]:
    """A link to the fake server, not started."""
    links: list[Client] = []

    def link(inbox_size: int = 256, outbox_size: int = 1000, **patience: float) -> Owner:
        fitted = replace(IMPATIENT, **patience)
        links.append(
            Client(
                fake.host, fake.port, "hank", timeouts=fitted, event_queue_size=inbox_size, send_queue_size=outbox_size
            )
        )
        return Owner(links[-1])

    yield link
    for each in links:
        each.close()


@pytest.fixture
def begin(fake: FakeServer, make: Callable[..., Owner]) -> Begin:
    """A link that is logged in, and the server's end of it."""

    def started(**options: Any) -> tuple[Owner, ClientConnection]:
        owner = make(**options)
        starting = gevent.spawn(owner.link.start)
        peer = fake.accept_and_log_in()
        starting.get(timeout=TIMEOUT)
        return owner, peer

    return started
