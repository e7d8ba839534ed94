"""A cluster of three nodes under all faults in random order, and under load."""

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
from tests.chaos.checker import RunStats
from tests.chaos.faults import FAULTS, FaultInjector, make_plan
from tests.chaos.network import Network, unavailable_reason
from tests.chaos.nodes import NODES, ProcessCluster, RoamingClients
from tests.chaos.scale import IS_LONG, SEED, TIMEOUT
from tests.conftest import NO_NETWORK, NOT_INSTALLED

Tabulate = Callable[[RunStats], None]
DELIVERED_WITHIN = 10.0
"""Seconds, without the bus."""

pytestmark = [
    pytest.mark.skipif(service in missing(), reason=NOT_INSTALLED.format(service))
    for service in ("PostgreSQL", "Redis")
]


class FaultRun:
    """Injects faults and measures the recovery from each."""

    def __init__(self, group: RoamingClients, injector: FaultInjector) -> None:
        self._clients, self._injector = group, injector
        self.fault_count = 0
        self.recovery_counts: Counter[str] = Counter()
        self.without_bus = 0.0

    def do(self, names: tuple[str, ...]) -> None:
        started_at, probe_log = time.monotonic(), self._clients.probe_log
        gevent.joinall([gevent.spawn(self._injector, name) for name in names], raise_error=True)
        ended, faults = time.monotonic(), " and ".join(names)
        seconds = probe_log.wait_for_recovery(ended)
        self.fault_count += len(names)
        self.recovery_counts[faults] = max(seconds, self.recovery_counts[faults])
        if all(FAULTS[name].hits_bus_only for name in names):
            self.without_bus = max(self.without_bus, probe_log.max_latency(started_at, ended))
        lasted = ended - started_at
        print(f"{faults}: {lasted:.1f} s, live again {seconds:.2f} s after, {self.without_bus:.2f} s without bus")
        self._clients.check_failures()

    def remarks(self) -> str:
        faults, longest = max(self.recovery_counts.items(), key=lambda pair: pair[1])
        times = f"live again after {longest:.1f} s ({faults}); without bus {self.without_bus:.1f} s"
        log = self._clients.log
        return f"{self.fault_count} faults; {times}; {log.rejected} answered 503, {log.replaced} replaced by themselves"


def run_faults(
    name: str, folder: Path, plan: list[tuple[str, ...]], network: Network | None, tabulate: Tabulate
) -> None:
    """Run a plan of faults, and check what was delivered and stored."""
    with ProcessCluster(folder, network) as nodes:
        with RoamingClients(nodes.servers) as group:
            run = FaultRun(group, FaultInjector(nodes, random.Random(SEED)))
            group.probe_log.wait_for_recovery(time.monotonic())
            for names in plan:
                run.do(names)
            group.finish()
            for server in nodes.servers:
                server.stop()
        kills = sum(server.kills for server in nodes.servers)
        tabulate(group.log.stats(name, server_kills=kills, remarks=run.remarks()))
        group.log.verify_received()
        group.log.verify_database(nodes.store)
        assert run.without_bus < DELIVERED_WITHIN
        assert nodes.complaints() == []


@pytest.mark.timeout(1500 if IS_LONG else TIMEOUT)
def test_whatever_happens_to_a_cluster_it_loses_and_doubles_nothing(tmp_path: Path, tabulate: Tabulate) -> None:
    with ExitStack() as stack:
        network = stack.enter_context(Network(NODES)) if IS_LONG and not unavailable_reason() else None
        plan = make_plan(random.Random(SEED), IS_LONG, network is not None)
        run_faults("cluster", tmp_path, plan, network, tabulate)


@pytest.mark.timeout(TIMEOUT)
def test_a_network_that_is_cut_costs_time_and_nothing_else(tmp_path: Path, tabulate: Tabulate) -> None:
    if reason := unavailable_reason():
        pytest.skip(NO_NETWORK + reason)
    with Network(NODES) as network:
        plan = [("a node is cut off Redis", "a node is cut off PostgreSQL")]
        run_faults("cluster cut", tmp_path, plan, network, tabulate)
