"""One node and two: stored messages per second, latency across nodes, what each hop and the bus cost, logging in.

    python -m benchmarks.cluster [--rounds 3] [--seconds 5] [--only stored,latency] [--setups sqlite,two] [--write]

A private PostgreSQL that syncs and a private Redis, nodes as processes, loopback. All of them stay up; in each round
each kind of work goes through one setup after the other. Less than four minutes. Linux only; a C compiler is needed for
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
from benchmarks.cluster_workloads import CASES, PARTS, WORKS, Case, Found, works_in
from benchmarks.nodes import SETUPS, Behind, Nodes, Used
from benchmarks.process import Result, compile_load, load
from benchmarks.protocols import Jim, JimAccounts
from benchmarks.setup_steps import TOP
from benchmarks.throughput import chosen
from benchmarks.workloads import Work

WARM: Final = 0.5
TIMES: Final = 30
"""Logins in a round."""
ASKING: Final[dict[str, Callable[[int, int, int], list[float]]]] = {
    "login": lambda here, there, count: login_latency.logins(there, count),
    "answer": login_latency.answers,
    "arrival": login_latency.arrivals,
}
"""What is done one after the other, by how many there are in a round."""


def plan(work: Work, ports: list[int], apart: bool) -> str:
    """What the generator reads: the pairs go to the nodes in turn, and of each the reader first."""
    lines, connections = [], 0
    for line in work.plan(JimAccounts() if work.stored else Jim()).splitlines():
        if line.startswith("connect "):
            pair, writer = divmod(connections, 2)
            lines.append(f"port {ports[(pair + (apart and writer)) % len(ports)]}")
            connections += 1
        lines.append(line)
    return "\n".join([*lines, ""])


def measure(program: Path, nodes: Nodes, work: Work, apart: bool, seconds: float) -> tuple[Result, Used]:
    with load(program, nodes, work, plan(work, nodes.ports, apart)) as driver:
        driver.run(WARM)
        before = nodes.used()
        result = driver.run(seconds * work.seconds)
        return result, nodes.used() - before


def run(options: argparse.Namespace, works: list[Work], asked: list[str], setups: list[str], found: Found) -> str:
    """All rounds; what it was measured with."""
    folder = Path(tempfile.mkdtemp(prefix="cluster.", dir=options.folder))
    try:
        program = compile_load(folder)
        with Behind() as behind, ExitStack() as stack:
            nodes = {
                setup.name: stack.enter_context(Nodes(setup, behind, folder))
                for setup in SETUPS
                if setup.name in setups
            }
            for _ in range(options.rounds):
                for case in (case for case in CASES if case.setup in nodes):
                    one_round(program, nodes[case.setup], case, works, asked, options.seconds, found)
            return behind.versions()
    finally:
        shutil.rmtree(folder)


def one_round(
    program: Path, nodes: Nodes, case: Case, works: list[Work], asked: list[str], seconds: float, found: Found
) -> None:
    for work in (work for work in works if works_in(work.name, case)):
        result, used = measure(program, nodes, work, case.apart, seconds)
        found.runs[work.name, case.name].append((result, used))
        cost = " ".join(f"{part} {getattr(used, part) * 1e6 / result.deliveries:.1f}" for part in PARTS)
        line = f"{result.rate:9,.0f} a second, p50 {result.p50:.2f} ms, p99 {result.p99:.2f} ms, CPU s/M: {cost}"
        print(f"{work.name:<8} {case.name:<11} {line}, generator {result.generator_cost:.1f}", file=sys.stderr)
    for name in (name for name in asked if works_in(name, case)):
        found.times[name, case.name] += ASKING[name](nodes.ports[0], nodes.ports[-1 if case.apart else 0], TIMES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each deep pipeline; the others are shorter")
    kinds = [*(work.name for work in WORKS), *ASKING]
    parser.add_argument("--only", default="", help="with commas: " + " ".join(kinds))
    parser.add_argument("--setups", default="", help="with commas: " + " ".join(setup.name for setup in SETUPS))
    parser.add_argument("--folder", type=Path, default=TOP, help="a directory on the disk where SQLite is kept")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args()
    wanted, found = chosen(options.only, kinds), Found()
    works, asked = [work for work in WORKS if work.name in wanted], [name for name in ASKING if name in wanted]
    versions = run(options, works, asked, chosen(options.setups, [setup.name for setup in SETUPS]), found)
    text = "\n".join(tables(found))
    if options.write:
        write(text, f"Medians of {options.rounds} rounds. {versions}.")
    else:
        print(f"{versions}\n\n{text}")


if __name__ == "__main__":
    main()
