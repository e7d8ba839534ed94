"""What can happen to a cluster, as a table. Each does it, lets it last, and mends it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import gevent

from tests.chaos.nodes import BUS_TIMEOUT, NODES, Nodes
from tests.chaos.process import Server
from tests.chaos.scale import IS_LONG

LEASE: Final = 15.0
"""Seconds that a node's names are its own without a beat."""
SLICE: Final = 0.1
AWAKE: Final = 0.02


@dataclass
class Doings:
    """What is done to a cluster, by chance; a node to which something is done is left alone by all else."""

    nodes: Nodes
    chance: random.Random
    free: set[int] = field(default_factory=lambda: set(range(NODES)))

    def lasts(self, least: float, most: float) -> None:
        gevent.sleep(self.chance.uniform(least, most if IS_LONG else min(most, least + 1.0)))

    def take(self) -> int:
        number = self.chance.choice(sorted(self.free))
        self.free.remove(number)
        return number

    def __call__(self, name: str) -> None:
        """Do one thing."""
        if not WAYS[name].to_a_node:
            WAYS[name].does(self, self.nodes.servers[0], 0)
            return
        number = self.take()
        try:
            WAYS[name].does(self, self.nodes.servers[number], number)
        finally:
            self.free.add(number)


Does: TypeAlias = Callable[[Doings, Server, int], None]


def _kill(doings: Doings, server: Server, number: int) -> None:
    server.kill()
    doings.lasts(0.0, 3.0)
    server.revive()


def _move(doings: Doings, server: Server, number: int) -> None:
    server.stop()
    server.revive()


def _stand_still(least: float, most: float) -> Does:
    def does(doings: Doings, server: Server, number: int) -> None:
        server.pause()
        doings.lasts(least, most)
        server.go_on()

    return does


def _slow_down(doings: Doings, server: Server, number: int) -> None:
    until = time.monotonic() + doings.chance.uniform(3.0, 6.0)
    while time.monotonic() < until:
        server.pause()
        gevent.sleep(SLICE - AWAKE)
        server.go_on()
        gevent.sleep(AWAKE)


def _kill_redis(doings: Doings, server: Server, number: int) -> None:
    doings.nodes.redis.kill()
    doings.lasts(0.0, 6.0)
    doings.nodes.redis.start()


def _pause_redis(doings: Doings, server: Server, number: int) -> None:
    doings.nodes.redis.pause()
    doings.lasts(3.0, 12.0)
    doings.nodes.redis.go_on()


def _abort_postgres(doings: Doings, server: Server, number: int) -> None:
    doings.nodes.postgres.abort()
    doings.lasts(0.0, 3.0)
    doings.nodes.postgres.start()


def _kill_postgres(doings: Doings, server: Server, number: int) -> None:
    doings.nodes.postgres.kill()
    doings.nodes.postgres.start()


def _pause_postgres(doings: Doings, server: Server, number: int) -> None:
    doings.nodes.postgres.pause()
    doings.lasts(2.0, 8.0)
    doings.nodes.postgres.go_on()


def _cut(port: Callable[[Nodes], int | None]) -> Does:
    def does(doings: Doings, server: Server, number: int) -> None:
        network, there = doings.nodes.network, port(doings.nodes)
        assert network is not None
        assert there is not None
        with network.cut(number, there):
            doings.lasts(3.0, 12.0)

    return does


@dataclass(frozen=True)
class Way:
    """`of_the_bus`: all else is well, so what is said meanwhile has to come within the promised time."""

    does: Does
    to_a_node: bool = False
    of_the_bus: bool = False
    needs_network: bool = False
    is_long: bool = False


WAYS: Final[dict[str, Way]] = {
    "a node is killed": Way(_kill, to_a_node=True),
    "a node is restarted": Way(_move, to_a_node=True),
    "a node stands still": Way(_stand_still(2.0, 8.0), to_a_node=True),
    "a node stands still for long": Way(_stand_still(LEASE + 2, LEASE + BUS_TIMEOUT + 3), to_a_node=True, is_long=True),
    "a node is slow": Way(_slow_down, to_a_node=True),
    "Redis is killed": Way(_kill_redis, of_the_bus=True),
    "Redis stands still": Way(_pause_redis, of_the_bus=True),
    "PostgreSQL is stopped": Way(_abort_postgres),
    "PostgreSQL is killed": Way(_kill_postgres),
    "PostgreSQL stands still": Way(_pause_postgres),
    "a node is cut off Redis": Way(
        _cut(lambda nodes: nodes.redis.port), to_a_node=True, of_the_bus=True, needs_network=True
    ),
    "a node is cut off PostgreSQL": Way(_cut(lambda nodes: nodes.postgres.port), to_a_node=True, needs_network=True),
}
SHORT: Final = ("a node is killed", "Redis is killed", "PostgreSQL is killed")
TOGETHER: Final = (
    ("a node is killed", "a node stands still"),
    ("Redis is killed", "a node is restarted"),
    ("PostgreSQL is stopped", "a node is killed"),
    ("Redis is killed", "PostgreSQL is killed"),
    ("a node is slow", "Redis stands still"),
)


def planned(chance: random.Random, is_long: bool, has_network: bool) -> list[tuple[str, ...]]:
    """What is to be done, in random order; two things at once are done at once."""
    if not is_long:
        plan: list[tuple[str, ...]] = [(name,) for name in SHORT]
    else:
        ways = {name: way for name, way in WAYS.items() if has_network or not way.needs_network}
        plan = [(name,) for name, way in ways.items() for _ in range(1 if way.is_long else 3)] + [*TOGETHER]
    chance.shuffle(plan)
    return plan
