"""A cluster in the process of the tests: several servers on one PostgreSQL and one Redis, dialled in turn."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event

from gmessenger.cluster.sequencing import Sequencer
from gmessenger.launcher.services import Postgres
from gmessenger.server.server import Server
from tests.conftest import RunningServer
from tests.support.accounts import Population
from tests.support.timeouts import PATIENCE

SIZE: Final = 2
RESENT_AFTER: Final = 2.0
SENTINELS: Final = itertools.count()
"""What is sent on the bus to see how far it has come."""


def is_shared(store: str) -> bool:
    """Whether several nodes may have that store open."""
    return store.startswith("postgresql:")


class SharedPopulation(Population):
    """One whose store is a database; the copy that was given last is dropped with the next."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(postgres.database())
        self._postgres = postgres
        self._given: list[str] = []

    def copied(self, folder: Path) -> str:
        while self._given:
            self._postgres.drop(self._given.pop())
        self._given.append(self._postgres.copy(self.store))
        return self._given[-1]


class RunningCluster:
    """Servers that were started together. Whoever dials comes to the next one: two people are on two of them.

    `is_calm`: before anybody says anything, what was said before has come everywhere, as it has when people type.
    """

    host = RunningServer.host

    def __init__(self, is_calm: bool, size: int = SIZE, **options: Any) -> None:
        self._is_calm = is_calm
        self.nodes = [RunningServer(**options) for _ in range(size)]
        self._doors = itertools.cycle(self.nodes)
        self._passed: dict[bytes, Event] = {}
        for node in self.nodes:
            self._listens(node.app)
        gevent.wait([gevent.spawn(self._meets, node.app) for node in self.nodes], timeout=PATIENCE)

    @property
    def port(self) -> int:
        return next(self._doors).port

    @property
    def app(self) -> Server:
        """The first node's, for tests that look inside."""
        return self.nodes[0].app

    @property
    def failures(self) -> int:
        return sum(node.failures for node in self.nodes)

    def stop(self) -> None:
        gevent.joinall([gevent.spawn(node.stop) for node in self.nodes], raise_error=True)

    def calm(self, *, always: bool) -> None:
        """Wait until everything that was said and done has come everywhere."""
        if always or self._is_calm:
            self._rest()

    def _rest(self) -> None:
        apps = [node.app for node in self.nodes if not node.app.stopping]
        for _ in range(2):  # what has come may have had something said
            _together([partial(self._hears, *pair) for pair in itertools.permutations(apps, 2)])
            _together([app.store.flush for app in apps])
            _together([app.node._follower.sync for app in apps])
            _together([partial(self._brings, app.node.sequencer) for app in apps])

    def _meets(self, app: Server) -> None:
        with gevent.Timeout(PATIENCE):
            while len(app.node.bus.nodes) < len(self.nodes) - 1:
                gevent.sleep(0.005)

    def _listens(self, app: Server) -> None:
        """Have a node say which sentinels it has heard; it does nothing else with them."""
        hear = app.node.on_data

        def received(node: str, data: bytes) -> None:
            if data in self._passed:
                self._passed[data].set()
            else:
                hear(node, data)

        app.node.on_data = received

    def _hears(self, one: Server, other: Server) -> None:
        """Whatever `one` has said on the bus until now has come to `other`."""
        sentinel = f"sentinel {next(SENTINELS)}".encode()
        passed = self._passed[sentinel] = Event()
        with gevent.Timeout(2 * PATIENCE):
            while not passed.ready():  # a link may be lost on a machine that has much to do, and the sentinel with it
                one.node.bus.send(sentinel, {other.store.node})
                passed.wait(RESENT_AFTER)
        del self._passed[sentinel]

    @staticmethod
    def _brings(ordering: Sequencer) -> None:
        with gevent.Timeout(PATIENCE):
            while ordering._unchecked_heads or any(
                line.buffered or line.is_filling for line in ordering._states.values()
            ):
                gevent.sleep(0.005)


def _together(steps: Sequence[Callable[[], None]]) -> None:
    gevent.joinall([gevent.spawn(step) for step in steps], raise_error=True)
