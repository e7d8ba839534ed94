"""A cluster of three nodes to which everything happens, in random order, while everybody talks."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import gevent
import pytest

from gmessenger.launcher.services import missing
from tests.chaos.checker import Figures
from tests.chaos.faults import WAYS, Doings, planned
from tests.chaos.network import Network, cannot
from tests.chaos.nodes import NODES, Nodes, Travellers
from tests.chaos.scale import IS_LONG, SEED
from tests.conftest import NO_NETWORK, NOT_INSTALLED

Tabulate = Callable[[Figures], None]
DELIVERED_WITHIN = 10.0
"""Seconds, without the bus."""

pytestmark = [
    pytest.mark.skipif(service in missing(), reason=NOT_INSTALLED.format(service))
    for service in ("PostgreSQL", "Redis")
]


class Run:
    """What was done, and how long which of it took."""

    def __init__(self, crowd: Travellers, doings: Doings) -> None:
        self._crowd, self._doings = crowd, doings
        self.count = 0
        self.live_again: Counter[str] = Counter()
        self.without_bus = 0.0

    def do(self, names: tuple[str, ...]) -> None:
        began, crossings = time.monotonic(), self._crowd.crossings
        gevent.joinall([gevent.spawn(self._doings, name) for name in names], raise_error=True)
        ended, what = time.monotonic(), " and ".join(names)
        took = crossings.wait(ended)
        self.count += len(names)
        self.live_again[what] = max(took, self.live_again[what])
        if all(WAYS[name].of_the_bus for name in names):
            self.without_bus = max(self.without_bus, crossings.slowest(began, ended))
        print(f"{what}: {ended - began:.1f} s, live again {took:.2f} s after, {self.without_bus:.2f} s without bus")
        self._crowd.check()

    def remarks(self) -> str:
        what, longest = max(self.live_again.items(), key=lambda pair: pair[1])
        said = f"{self.count} faults; live again after {longest:.1f} s ({what}); without bus {self.without_bus:.1f} s"
        ledger = self._crowd.ledger
        return f"{said}; {ledger.refused} answered 503, {ledger.replaced} replaced by themselves"


def breaks(name: str, folder: Path, plan: list[tuple[str, ...]], network: Network | None, tabulate: Tabulate) -> None:
    """Do all that, and look what has become of what was said."""
    with Nodes(folder, network) as nodes:
        with Travellers(nodes.servers) as crowd:
            run = Run(crowd, Doings(nodes, random.Random(SEED)))
            crowd.crossings.wait(time.monotonic())
            for names in plan:
                run.do(names)
            crowd.settle()
            for server in nodes.servers:
                server.stop()
        kills = sum(server.kills for server in nodes.servers)
        tabulate(crowd.ledger.figures(name, server_kills=kills, remarks=run.remarks()))
        crowd.ledger.verify_heard()
        crowd.ledger.verify_database(nodes.store)
        assert run.without_bus < DELIVERED_WITHIN
        assert nodes.complaints() == []


@pytest.mark.timeout(1500 if IS_LONG else 90)
def test_whatever_happens_to_a_cluster_it_loses_and_doubles_nothing(tmp_path: Path, tabulate: Tabulate) -> None:
    with ExitStack() as stack:
        network = stack.enter_context(Network(NODES)) if IS_LONG and not cannot() else None
        plan = planned(random.Random(SEED), IS_LONG, network is not None)
        breaks("cluster", tmp_path, plan, network, tabulate)


@pytest.mark.timeout(90)
def test_a_network_that_is_cut_costs_time_and_nothing_else(tmp_path: Path, tabulate: Tabulate) -> None:
    if why := cannot():
        pytest.skip(NO_NETWORK + why)
    with Network(NODES) as network:
        plan = [("a node is cut off Redis", "a node is cut off PostgreSQL")]
        breaks("cluster cut", tmp_path, plan, network, tabulate)
