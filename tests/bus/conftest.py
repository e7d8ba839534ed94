"""Buses between nodes in one process, over a real Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis as Client

from gmessenger.bus import open_bus
from gmessenger.cluster.interfaces import Bus
from gmessenger.launcher.services import Redis, missing
from tests.conftest import NOT_INSTALLED
from tests.support.bus import CLUSTER, KEY, TEST_TIMEOUT, RecordingListener

LONG, SHORT = 5.0, 2.0
"""Node timeouts: one that no node exceeds on a busy machine, and one for nodes that are to time out."""


class BusGroup:
    """Opens buses with listeners. Their errors are in `failures`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.failures: list[BaseException] = []
        self._buses: list[Bus] = []

    def open(self, node: str, cluster: str = CLUSTER, url: str = "", key: bytes = KEY, **more: Any) -> Bus:
        """Open a bus without starting it."""
        options = {"timeout": LONG, "on_error": lambda what, failure: self.failures.append(failure)} | more
        bus = open_bus(url or self.url, node, cluster, key, **options)
        self._buses.append(bus)
        return bus

    def start_bus(self, node: str, **more: Any) -> tuple[Bus, RecordingListener]:
        """Open a bus and wait until it is connected."""
        bus, listener = self.open(node, **more), RecordingListener()
        bus.start(listener)
        listener.wait_until(lambda: listener.connect_count)
        return bus, listener

    def close(self) -> None:
        for bus in self._buses:
            bus.close()
            if (greenlet := getattr(bus, "_connect_greenlet", None)) is not None:
                greenlet.join(TEST_TIMEOUT)  # it may be about to connect, and the Redis about to go


@pytest.fixture
def redis_installed() -> None:
    """Skip tests that start a Redis with settings of their own where there is none."""
    if "Redis" in missing():
        pytest.skip(NOT_INSTALLED.format("Redis"))


@pytest.fixture
def private_redis(redis_installed: None) -> Iterator[Redis]:
    """A Redis that may be killed."""
    with Redis() as server:
        server.start()
        yield server


@pytest.fixture
def start_group() -> Iterator[Callable[[str], BusGroup]]:
    groups: list[BusGroup] = []

    def start(url: str) -> BusGroup:
        groups.append(BusGroup(url))
        return groups[-1]

    yield start
    for group in groups:
        group.close()


@pytest.fixture
def group(redis_server: Redis, start_group: Callable[[str], BusGroup], client: Client) -> BusGroup:
    """A group at the shared Redis, which is empty."""
    client.flushall()
    return start_group(redis_server.url)


@pytest.fixture
def client(redis_server: Redis) -> Iterator[Client]:
    """Another client of the shared Redis."""
    with Client.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[dict[str, Any]]]:
    caplog.set_level(logging.INFO, "gmessenger")
    return lambda word: [record.fields for record in caplog.records if record.message == word]  # type: ignore[attr-defined]
