"""One node and two: stored messages per second, latency across nodes, cost of each hop and of the bus, logins.

    python -m benchmarks.cluster [--rounds 3] [--seconds 5] [--only stored,latency] [--setups sqlite,two] [--write]

Nodes are processes, with a private PostgreSQL that syncs and a private Redis, on loopback. All of them stay up; in each
round each workload runs on one setup after the other. Less than four minutes. Linux only; a C compiler is needed for
the load generator. Without `--write` the tables are printed and the docs stay as they are.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks import login_latency
from benchmarks.cluster_report import tables, write
from benchmarks.cluster_workloads import CASES, PARTS, WORKLOADS, Case, ClusterResults, applies_to
from benchmarks.nodes import SETUPS, Nodes, Services, Usage
from benchmarks.process import Result, compile_generator, load
from benchmarks.protocols import Jim, JimAccounts
from benchmarks.setup_steps import TOP
from benchmarks.throughput import chosen
from benchmarks.workloads import Workload

WARM_UP: Final = 0.5
REPETITIONS: Final = 30
"""Requests of each latency test in a round."""
LATENCY_TESTS: Final[dict[str, Callable[[int, int, int], list[float]]]] = {
    "login": lambda here, there, count: login_latency.login_times(there, count),
    "answer": login_latency.response_times,
    "arrival": login_latency.catch_up_times,
}
"""Tests of sequential requests; they return durations in seconds."""


def plan(work: Workload, ports: list[int], apart: bool) -> str:
    """Return a workload's plan with a port for each connection: the pairs take the nodes in turn."""
    lines, connections = [], 0
    for line in work.plan(JimAccounts() if work.stored else Jim()).splitlines():
        if line.startswith("connect "):
            pair, writer = divmod(connections, 2)
            lines.append(f"port {ports[(pair + (apart and writer)) % len(ports)]}")
            connections += 1
        lines.append(line)
    return "\n".join([*lines, ""])


def measure(program: Path, nodes: Nodes, work: Workload, apart: bool, seconds: float) -> tuple[Result, Usage]:
    with load(program, nodes, work, plan(work, nodes.ports, apart)) as driver:
        driver.run(WARM_UP)
        before = nodes.used()
        result = driver.run(seconds * work.seconds)
        return result, nodes.used() - before


def run(
    options: argparse.Namespace, works: list[Workload], latencies: list[str], setups: list[str], results: ClusterResults
) -> str:
    """Run all rounds; return the versions of the services."""
    folder = Path(tempfile.mkdtemp(prefix="cluster.", dir=options.folder))
    try:
        program = compile_generator(folder)
        with Services() as services, ExitStack() as stack:
            nodes = {
                setup.name: stack.enter_context(Nodes(setup, services, folder))
                for setup in SETUPS
                if setup.name in setups
            }
            for _ in range(options.rounds):
                for case in (case for case in CASES if case.setup in nodes):
                    run_round(program, nodes[case.setup], case, works, latencies, options.seconds, results)
            return services.versions()
    finally:
        shutil.rmtree(folder)


def run_round(
    program: Path,
    nodes: Nodes,
    case: Case,
    works: list[Workload],
    latencies: list[str],
    seconds: float,
    results: ClusterResults,
) -> None:
    for work in (work for work in works if applies_to(work.name, case)):
        result, used = measure(program, nodes, work, case.apart, seconds)
        results.runs[work.name, case.name].append((result, used))
        cost = " ".join(f"{part} {getattr(used, part) * 1e6 / result.deliveries:.1f}" for part in PARTS)
        line = f"{result.rate:9,.0f} a second, p50 {result.p50:.2f} ms, p99 {result.p99:.2f} ms, CPU s/M: {cost}"
        print(f"{work.name:<8} {case.name:<11} {line}, generator {result.generator_cost:.1f}", file=sys.stderr)
    for name in (name for name in latencies if applies_to(name, case)):
        recipient_port = nodes.ports[-1 if case.apart else 0]
        results.times[name, case.name] += LATENCY_TESTS[name](nodes.ports[0], recipient_port, REPETITIONS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each deep pipeline; the others are shorter")
    kinds = [*(work.name for work in WORKLOADS), *LATENCY_TESTS]
    parser.add_argument("--only", default="", help="with commas: " + " ".join(kinds))
    parser.add_argument("--setups", default="", help="with commas: " + " ".join(setup.name for setup in SETUPS))
    parser.add_argument("--folder", type=Path, default=TOP, help="a directory on the disk where SQLite is kept")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args()
    wanted, results = chosen(options.only, kinds), ClusterResults()
    works, latencies = (
        [work for work in WORKLOADS if work.name in wanted],
        [name for name in LATENCY_TESTS if name in wanted],
    )
    versions = run(options, works, latencies, chosen(options.setups, [setup.name for setup in SETUPS]), results)
    text = "\n".join(tables(results))
    if options.write:
        write(text, f"Medians of {options.rounds} rounds. {versions}.")
    else:
        print(f"{versions}\n\n{text}")


if __name__ == "__main__":
    main()
