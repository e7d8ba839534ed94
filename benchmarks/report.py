"""Medians, ratios, and the generated part of docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import server_configs
from benchmarks.plot import plot
from benchmarks.process import Result
from benchmarks.servers import Peer
from benchmarks.setup_steps import TOP
from benchmarks.workloads import Workload

PAGE: Final = TOP / "docs/benchmarks.md"
PLOT: Final = TOP / "docs/benchmarks.svg"
BEGIN: Final = "<!-- written by `make bench` -->"
END: Final = "<!-- end of what `make bench` writes -->"
OURS: Final = "gmessenger"
OWN: Final = (OURS, "gmessenger-memory")


@dataclass(frozen=True)
class Results:
    """All results: of each round by workload and server; memory in kB by server; failures."""

    runs: dict[tuple[str, str], list[Result]]
    memory: dict[str, float]
    failures: dict[tuple[str, str], str]

    def cost(self, work: str, peer: str) -> float | None:
        return self.median_of(work, peer, "cost")

    def median_of(self, work: str, peer: str, what: str) -> float | None:
        """Return the median of a field over the rounds; None if there is no result."""
        results = self.runs.get((work, peer))
        return median(getattr(result, what) for result in results) if results else None


def losses(results: Results, peers: list[Peer], works: list[Workload]) -> Iterator[str]:
    """Yield a row for each workload in which another server takes less processor time, or memory, than gmessenger."""
    yield "### Where others need less\n"
    yield "| workload | gmessenger takes, as a multiple of |"
    yield "|---|---|"
    for work in works:
        ratios = {peer.title: ratio for peer in peers if (ratio := ratio_to(results, work, peer)) > 1}
        if ratios:
            cells = (f"{title} {ratios[title]:.2f}" for title in sorted(ratios, key=lambda title: -ratios[title]))
            yield f"| {work.title} | {', '.join(cells)} |"
    yield ""


def ratio_to(results: Results, work: Workload, peer: Peer) -> float:
    """Return what gmessenger takes of what another server takes; 0 where one of them was not measured."""
    if peer.name in OWN:
        return 0.0
    if work.shape == "idle":
        ours, theirs = results.memory.get(OURS), results.memory.get(peer.name)
    else:
        ours, theirs = results.cost(work.name, OURS), results.cost(work.name, peer.name)
    return ours / theirs if ours and theirs else 0.0


def tables(results: Results, peers: list[Peer], works: list[Workload]) -> str:
    return "\n".join(
        line
        for work in works
        for line in (memory(results, peers) if work.shape == "idle" else runs(results, peers, work))
    )


def runs(results: Results, peers: list[Peer], work: Workload) -> Iterator[str]:
    yield f"### {work.title[0].upper()}{work.title[1:]}\n"
    yield "| server | CPU s per million | gmessenger takes | deliveries/s | p50 ms | p99 ms | generator, CPU s/M |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    ours = results.cost(work.name, OURS)
    for peer in peers:
        if peer.runs(work):
            yield row(results, peer, work, ours)
    yield ""


def row(results: Results, peer: Peer, work: Workload, ours: float | None) -> str:
    cost = results.cost(work.name, peer.name)
    if cost is None:
        return f"| {peer.title} | {missing_reason(results, peer, work)} | | | | | |"
    medians = {
        what: results.median_of(work.name, peer.name, what) or 0.0 for what in ("rate", "p50", "p99", "generator_cost")
    }
    costs = [result.cost for result in results.runs[work.name, peer.name]]
    spread = f"{cost:.2f} ({min(costs):.2f}–{max(costs):.2f})"
    ratio = f"{ours / cost:.2f} ×" if ours and peer.name != OURS else ""
    cells = (peer.title, spread, ratio, f"{medians['rate']:,.0f}", f"{medians['p50']:.2f}", f"{medians['p99']:.2f}")
    return f"| {' | '.join(cells)} | {medians['generator_cost']:.2f} |"


def memory(results: Results, peers: list[Peer]) -> Iterator[str]:
    yield "### Memory at rest\n"
    yield "| server | kB per connection |"
    yield "|---|--:|"
    for peer in peers:
        if peer.live:
            kilobytes = results.memory.get(peer.name)
            yield f"| {peer.title} | {'not measured' if kilobytes is None else f'{kilobytes:.1f}'} |"
    yield ""


def missing_reason(results: Results, peer: Peer, work: Workload) -> str:
    if not peer.is_installed:
        return "not built here" if peer.path else "not installed here"
    words = results.failures.get((work.name, peer.name), "not measured")
    return "none: " + " ".join(words.split()).replace("|", "¦")[:120]


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} × {model}, Linux {platform.release()}, {python}, {time.strftime('%Y-%m-%d')}"


def versions(peers: list[Peer]) -> Iterator[str]:
    yield "| server | version |"
    yield "|---|---|"
    for peer in peers:
        yield f"| {peer.title} | {peer.installed_version() if peer.is_installed else 'not installed here: left out'} |"
    yield ""


def configurations() -> Iterator[str]:
    yield "<details><summary>The configuration files</summary>\n"
    for name, text in server_configs.ALL.items():
        yield f"{name}:\n"
        yield "\n".join(f"    {line}" for line in text.replace("{{", "{").replace("}}", "}").splitlines()) + "\n"
    yield "</details>\n"


def write(results: Results, peers: list[Peer], works: list[Workload], rounds: int, seconds: float) -> None:
    """Write the plot and the generated part of docs/benchmarks.md."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    how = f"Medians of {rounds} rounds of {seconds:g} s (in brackets the least and the most). {machine()}."
    parts = [BEGIN, "", how, "", "![CPU time per delivery](benchmarks.svg)", "", *losses(results, peers, works)]
    parts += [tables(results, peers, works)]
    parts += ["### Versions\n", *versions(peers), *configurations(), END]
    PAGE.write_text(before + "\n".join(parts) + after)
    PLOT.write_text(plot(results.cost, peers, works))
    print(f"written: {PAGE} {PLOT}", file=sys.stderr)
