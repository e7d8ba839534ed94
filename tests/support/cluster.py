"""A cluster in the test process: servers on one PostgreSQL and one Redis, connected to in turn."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event

from gmessenger.cluster.sequencer import Sequencer
from gmessenger.launcher.services import Postgres
from gmessenger.server.server import Server
from tests.conftest import RunningServer
from tests.support.accounts import PopulatedStore
from tests.support.timeouts import TEST_TIMEOUT

NODE_COUNT: Final = 2
RESEND_INTERVAL: Final = 2.0
SENTINEL_NUMBERS: Final = itertools.count()
"""Numbers of the frames that show how far the bus has delivered."""


def is_shared(store: str) -> bool:
    """Return whether several nodes may have that store open."""
    return store.startswith("postgresql:")


class SharedPopulatedStore(PopulatedStore):
    """A populated store in PostgreSQL. The copy made last is dropped with the next one."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(postgres.database())
        self._postgres = postgres
        self._copies: list[str] = []

    def copy(self, folder: Path) -> str:
        while self._copies:
            self._postgres.drop(self._copies.pop())
        self._copies.append(self._postgres.copy(self.store))
        return self._copies[-1]


class RunningCluster:
    """Servers started together. Each connection goes to the next one, so two clients are on two nodes.

    Args of the constructor:
        is_settled: before each request, wait until the earlier ones have reached all nodes.
    """

    host = RunningServer.host

    def __init__(self, *, is_settled: bool, size: int = NODE_COUNT, **options: Any) -> None:
        self._settles = is_settled
        self.nodes = [RunningServer(**options) for _ in range(size)]
        self.wire = self.nodes[0].wire
        self._next_node = itertools.cycle(self.nodes)
        self._awaited_sentinels: dict[bytes, Event] = {}
        for node in self.nodes:
            self._intercept_sentinels(node.app)
        gevent.wait([gevent.spawn(self._wait_for_peers, node.app) for node in self.nodes], timeout=TEST_TIMEOUT)

    @property
    def port(self) -> int:
        return next(self._next_node).port

    @property
    def app(self) -> Server:
        """The first node's, for tests that look inside."""
        return self.nodes[0].app

    @property
    def failures(self) -> int:
        return sum(node.failures for node in self.nodes)

    def limit_send_buffers(self, size: int) -> None:
        """Limit those of all nodes, as `RunningServer.limit_send_buffers`."""
        for node in self.nodes:
            node.limit_send_buffers(size)

    def stop(self) -> None:
        gevent.joinall([gevent.spawn(node.stop) for node in self.nodes], raise_error=True)

    def settle(self, *, always: bool) -> None:
        """Wait until every frame and change has reached all nodes."""
        if always or self._settles:
            self._settle()

    def _settle(self) -> None:
        apps = [node.app for node in self.nodes if not node.app.stopping]
        for _ in range(2):  # what has arrived may have caused further frames
            _run_all([partial(self._wait_for_bus, *pair) for pair in itertools.permutations(apps, 2)])
            _run_all([app.store.flush for app in apps])
            _run_all([app.node._follower.sync for app in apps])
            _run_all([partial(self._wait_for_sequencer, app.node.sequencer) for app in apps])

    def _wait_for_peers(self, app: Server) -> None:
        with gevent.Timeout(TEST_TIMEOUT):
            while len(app.node.bus.nodes) < len(self.nodes) - 1:
                gevent.sleep(0.005)

    def _intercept_sentinels(self, app: Server) -> None:
        """Have a node note the sentinels it receives instead of handling them."""
        handle = app.node.on_data

        def on_data(node: str, data: bytes) -> None:
            if data in self._awaited_sentinels:
                self._awaited_sentinels[data].set()
            else:
                handle(node, data)

        app.node.on_data = on_data

    def _wait_for_bus(self, one: Server, other: Server) -> None:
        """Wait until everything that `one` has sent on the bus has reached `other`."""
        sentinel = f"sentinel {next(SENTINEL_NUMBERS)}".encode()
        arrived = self._awaited_sentinels[sentinel] = Event()
        with gevent.Timeout(2 * TEST_TIMEOUT):
            while not arrived.ready():  # a connection, and the sentinel with it, may be lost on a busy machine
                one.node.bus.send(sentinel, {other.store.node})
                arrived.wait(RESEND_INTERVAL)
        del self._awaited_sentinels[sentinel]

    @staticmethod
    def _wait_for_sequencer(sequencer: Sequencer) -> None:
        with gevent.Timeout(TEST_TIMEOUT):
            while sequencer._unchecked_heads or any(
                state.buffered or state.is_filling for state in sequencer._states.values()
            ):
                gevent.sleep(0.005)


def _run_all(steps: Sequence[Callable[[], None]]) -> None:
    gevent.joinall([gevent.spawn(step) for step in steps], raise_error=True)
