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
from benchmarks.workloads import Work

PAGE: Final = TOP / "docs/benchmarks.md"
PLOT: Final = TOP / "docs/benchmarks.svg"
BEGIN: Final = "<!-- written by `make bench` -->"
END: Final = "<!-- end of what `make bench` writes -->"
OURS: Final = "gmessenger"


@dataclass(frozen=True)
class Found:
    """All that was measured: by kind of work and server, one result of each round; kB by server; what went wrong."""

    results: dict[tuple[str, str], list[Result]]
    memory: dict[str, float]
    failures: dict[tuple[str, str], str]

    def cost(self, work: str, peer: str) -> float | None:
        return self.middle(work, peer, "cost")

    def middle(self, work: str, peer: str, what: str) -> float | None:
        """The median over the rounds."""
        results = self.results.get((work, peer))
        return median(getattr(result, what) for result in results) if results else None


def tables(found: Found, peers: list[Peer], works: list[Work]) -> str:
    return "\n".join(
        line for work in works for line in (memory(found, peers) if work.shape == "idle" else runs(found, peers, work))
    )


def runs(found: Found, peers: list[Peer], work: Work) -> Iterator[str]:
    yield f"### {work.title[0].upper()}{work.title[1:]}\n"
    yield "| server | CPU s per million | gmessenger takes | deliveries/s | p50 ms | p99 ms | generator, CPU s/M |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    ours = found.cost(work.name, OURS)
    for peer in peers:
        if peer.does(work):
            yield row(found, peer, work, ours)
    yield ""


def row(found: Found, peer: Peer, work: Work, ours: float | None) -> str:
    cost = found.cost(work.name, peer.name)
    if cost is None:
        return f"| {peer.title} | {why_not(found, peer, work)} | | | | | |"
    middle = {
        what: found.middle(work.name, peer.name, what) or 0.0 for what in ("rate", "p50", "p99", "generator_cost")
    }
    results = found.results[work.name, peer.name]
    spread = f"{cost:.2f} ({min(result.cost for result in results):.2f}–{max(result.cost for result in results):.2f})"
    ratio = f"{ours / cost:.2f} ×" if ours and peer.name != OURS else ""
    cells = (peer.title, spread, ratio, f"{middle['rate']:,.0f}", f"{middle['p50']:.2f}", f"{middle['p99']:.2f}")
    return f"| {' | '.join(cells)} | {middle['generator_cost']:.2f} |"


def memory(found: Found, peers: list[Peer]) -> Iterator[str]:
    yield "### Memory at rest\n"
    yield "| server | kB per connection |"
    yield "|---|--:|"
    for peer in peers:
        if peer.live:
            kilobytes = found.memory.get(peer.name)
            yield f"| {peer.title} | {'not measured' if kilobytes is None else f'{kilobytes:.1f}'} |"
    yield ""


def why_not(found: Found, peer: Peer, work: Work) -> str:
    if not peer.here:
        return "not installed here"
    words = found.failures.get((work.name, peer.name), "not measured")
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
        yield f"| {peer.title} | {peer.asked_version() if peer.here else 'not installed here: left out'} |"
    yield ""


def configurations() -> Iterator[str]:
    yield "<details><summary>The configuration files</summary>\n"
    for name, text in server_configs.ALL.items():
        yield f"{name}:\n"
        yield "\n".join(f"    {line}" for line in text.replace("{{", "{").replace("}}", "}").splitlines()) + "\n"
    yield "</details>\n"


def write(found: Found, peers: list[Peer], works: list[Work], rounds: int, seconds: float) -> None:
    """Table and plot into docs/; the rest of the page is left as it is."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    how = f"Medians of {rounds} rounds of {seconds:g} s (in brackets the least and the most). {machine()}."
    parts = [BEGIN, "", how, "", "![CPU time per delivery](benchmarks.svg)", "", tables(found, peers, works)]
    parts += ["### Versions\n", *versions(peers), *configurations(), END]
    PAGE.write_text(before + "\n".join(parts) + after)
    PLOT.write_text(plot(found.cost, peers, works))
    print(f"written: {PAGE} {PLOT}", file=sys.stderr)
