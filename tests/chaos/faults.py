"""Faults of a cluster. Each is injected, lasts a while, and is repaired."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import gevent

from tests.chaos.nodes import BUS_TIMEOUT, NODES, ProcessCluster
from tests.chaos.process import RestartableServer
from tests.chaos.scale import IS_LONG

LEASE_SECONDS: Final = 15.0
"""Seconds that a node's names are its own without a beat."""
SLICE: Final = 0.1
AWAKE: Final = 0.02


@dataclass
class FaultInjector:
    """Injects faults at random; a node has only one at a time."""

    nodes: ProcessCluster
    rng: random.Random
    free_nodes: set[int] = field(default_factory=lambda: set(range(NODES)))

    def sleep(self, min_seconds: float, max_seconds: float) -> None:
        gevent.sleep(self.rng.uniform(min_seconds, max_seconds if IS_LONG else min(max_seconds, min_seconds + 1.0)))

    def take_node(self) -> int:
        number = self.rng.choice(sorted(self.free_nodes))
        self.free_nodes.remove(number)
        return number

    def __call__(self, name: str) -> None:
        """Inject a fault and repair it."""
        if not FAULTS[name].hits_node:
            FAULTS[name].run(self, self.nodes.servers[0], 0)
            return
        number = self.take_node()
        try:
            FAULTS[name].run(self, self.nodes.servers[number], number)
        finally:
            self.free_nodes.add(number)


FaultAction: TypeAlias = Callable[[FaultInjector, RestartableServer, int], None]


def _kill_node(injector: FaultInjector, server: RestartableServer, number: int) -> None:
    server.kill()
    injector.sleep(0.0, 3.0)
    server.restart_until_listening()


def _restart_node(injector: FaultInjector, server: RestartableServer, number: int) -> None:
    server.stop()
    server.restart_until_listening()


def _pause_node(min_seconds: float, max_seconds: float) -> FaultAction:
    def run(injector: FaultInjector, server: RestartableServer, number: int) -> None:
        server.pause()
        injector.sleep(min_seconds, max_seconds)
        server.resume()

    return run


def _slow_node(injector: FaultInjector, server: RestartableServer, number: int) -> None:
    deadline = time.monotonic() + injector.rng.uniform(3.0, 6.0)
    while time.monotonic() < deadline:
        server.pause()
        gevent.sleep(SLICE - AWAKE)
        server.resume()
        gevent.sleep(AWAKE)


def _kill_redis(injector: FaultInjector, server: RestartableServer, number: int) -> None:
    injector.nodes.redis.kill()
    injector.sleep(0.0, 6.0)
    injector.nodes.redis.start()


def _pause_redis(injector: FaultInjector, server: RestartableServer, number: int) -> None:
    injector.nodes.redis.pause()
    injector.sleep(3.0, 12.0)
    injector.nodes.redis.resume()


def _abort_postgres(injector: FaultInjector, server: RestartableServer, number: int) -> None:
    injector.nodes.postgres.abort()
    injector.sleep(0.0, 3.0)
    injector.nodes.postgres.start()


def _kill_postgres(injector: FaultInjector, server: RestartableServer, number: int) -> None:
    injector.nodes.postgres.kill()
    injector.nodes.postgres.start()


def _pause_postgres(injector: FaultInjector, server: RestartableServer, number: int) -> None:
    injector.nodes.postgres.pause()
    injector.sleep(2.0, 8.0)
    injector.nodes.postgres.resume()


def _cut(port: Callable[[ProcessCluster], int | None]) -> FaultAction:
    def run(injector: FaultInjector, server: RestartableServer, number: int) -> None:
        network, service_port = injector.nodes.network, port(injector.nodes)
        assert network is not None
        assert service_port is not None
        with network.cut(number, service_port):
            injector.sleep(3.0, 12.0)

    return run


@dataclass(frozen=True)
class Fault:
    """A fault. `hits_bus_only`: the store works, so messages must arrive within the promised time."""

    run: FaultAction
    hits_node: bool = False
    hits_bus_only: bool = False
    needs_network: bool = False
    is_long: bool = False


FAULTS: Final[dict[str, Fault]] = {
    "a node is killed": Fault(_kill_node, hits_node=True),
    "a node is restarted": Fault(_restart_node, hits_node=True),
    "a node stands still": Fault(_pause_node(2.0, 8.0), hits_node=True),
    "a node stands still for long": Fault(
        _pause_node(LEASE_SECONDS + 2, LEASE_SECONDS + BUS_TIMEOUT + 3), hits_node=True, is_long=True
    ),
    "a node is slow": Fault(_slow_node, hits_node=True),
    "Redis is killed": Fault(_kill_redis, hits_bus_only=True),
    "Redis stands still": Fault(_pause_redis, hits_bus_only=True),
    "PostgreSQL is stopped": Fault(_abort_postgres),
    "PostgreSQL is killed": Fault(_kill_postgres),
    "PostgreSQL stands still": Fault(_pause_postgres),
    "a node is cut off Redis": Fault(
        _cut(lambda nodes: nodes.redis.port), hits_node=True, hits_bus_only=True, needs_network=True
    ),
    "a node is cut off PostgreSQL": Fault(_cut(lambda nodes: nodes.postgres.port), hits_node=True, needs_network=True),
}
SHORT_PLAN: Final = ("a node is killed", "Redis is killed", "PostgreSQL is killed")
SIMULTANEOUS: Final = (
    ("a node is killed", "a node stands still"),
    ("Redis is killed", "a node is restarted"),
    ("PostgreSQL is stopped", "a node is killed"),
    ("Redis is killed", "PostgreSQL is killed"),
    ("a node is slow", "Redis stands still"),
)


def make_plan(rng: random.Random, is_long: bool, has_network: bool) -> list[tuple[str, ...]]:
    """Choose the faults of a run in random order; those of one tuple are injected at the same time."""
    if not is_long:
        plan: list[tuple[str, ...]] = [(name,) for name in SHORT_PLAN]
    else:
        faults = {name: fault for name, fault in FAULTS.items() if has_network or not fault.needs_network}
        plan = [(name,) for name, fault in faults.items() for _ in range(1 if fault.is_long else 3)] + [*SIMULTANEOUS]
    rng.shuffle(plan)
    return plan
