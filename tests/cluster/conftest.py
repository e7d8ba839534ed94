"""Servers on one PostgreSQL and one Redis, and people on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from gmessenger.launcher.services import Postgres, Redis
from tests.conftest import RunningServer
from tests.support.accounts import PASSWORD, Person
from tests.support.course_clients import Spelling
from tests.support.native_clients import Dial
from tests.support.timeouts import PATIENCE as TIMEOUT


class Cluster:
    """`nodes`, and whoever comes to them: `here` is the first, `there` the second."""

    def __init__(self, nodes: list[RunningServer], dial: Dial) -> None:
        self.nodes = nodes
        self.here, self.there = nodes[:2]
        self._dial = dial

    def dials(self, node: RunningServer) -> Person:
        self._dial.open.append(person := Person(node))
        return person

    def guest(self, node: RunningServer, name: str) -> Person:
        return self.dials(node).enter(name)

    def registers(self, node: RunningServer, name: str) -> Person:
        person = self.guest(node, name)
        person.register()
        assert person.until_synced() == []
        return person

    def comes(self, node: RunningServer, name: str, device: str = "laptop", **user: Any) -> Person:
        return self.dials(node).enter(name, **{"password": PASSWORD} | user, device=device)

    def course(self, node: RunningServer, spelling: Spelling, name: str) -> Any:
        return self._dial.course(node, spelling, name)


def until(what: Callable[[], object]) -> None:
    """Wait until something is so on a node, as far as nobody is told of it."""
    with gevent.Timeout(TIMEOUT):
        while not what():
            gevent.sleep(0.005)


@pytest.fixture
def start_cluster(
    start_server: Callable[..., RunningServer], postgres: Postgres, redis_server: Redis
) -> Iterator[Callable[..., Cluster]]:
    with Dial() as dial:

        def start(count: int = 2, **options: Any) -> Cluster:
            given = {"store": postgres.database(), "bus": redis_server.url} | options
            nodes = [start_server(**given) for _ in range(count)]
            until(lambda: not given["bus"] or all(len(node.app.node.bus.nodes) == count - 1 for node in nodes))
            return Cluster(nodes, dial)

        yield start


@pytest.fixture
def cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    return start_cluster()
