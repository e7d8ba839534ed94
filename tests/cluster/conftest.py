"""Clusters in the test process, and clients of their nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from gmessenger.launcher.services import Postgres, Redis
from tests.conftest import RunningServer
from tests.support.accounts import PASSWORD, UserClient
from tests.support.course_clients import CourseVariant
from tests.support.native_clients import Connector
from tests.support.timeouts import TEST_TIMEOUT as TIMEOUT


class Cluster:
    """Nodes of a cluster and their clients."""

    def __init__(self, nodes: list[RunningServer], connector: Connector) -> None:
        self.nodes = nodes
        self.first, self.second = nodes[:2]
        self._connector = connector

    def connect(self, node: RunningServer) -> UserClient:
        self._connector.connections.append(client := UserClient(node))
        return client

    def log_in_guest(self, node: RunningServer, name: str) -> UserClient:
        return self.connect(node).start_session(name)

    def register(self, node: RunningServer, name: str) -> UserClient:
        client = self.log_in_guest(node, name)
        client.register()
        assert client.receive_until_synced() == []
        return client

    def log_in(self, node: RunningServer, name: str, device: str = "laptop", **user: Any) -> UserClient:
        return self.connect(node).start_session(name, **{"password": PASSWORD} | user, device=device)

    def log_in_course(self, node: RunningServer, variant: CourseVariant, name: str) -> Any:
        return self._connector.log_in_course(node, variant, name)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds that no client is notified of."""
    with gevent.Timeout(TIMEOUT):
        while not condition():
            gevent.sleep(0.005)


@pytest.fixture
def start_cluster(
    start_server: Callable[..., RunningServer], postgres: Postgres, redis_server: Redis
) -> Iterator[Callable[..., Cluster]]:
    with Connector() as connector:

        def start(count: int = 2, **options: Any) -> Cluster:
            settings = {"store": postgres.database(), "bus": redis_server.url} | options
            nodes = [start_server(**settings) for _ in range(count)]
            wait_until(lambda: not settings["bus"] or all(len(node.app.node.bus.nodes) == count - 1 for node in nodes))
            return Cluster(nodes, connector)

        yield start


@pytest.fixture
def cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    return start_cluster()
