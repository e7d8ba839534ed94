"""Workloads of the cluster benchmark, the cases (rows of the tables), and the results."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benchmarks.nodes import Usage
from benchmarks.process import Result
from benchmarks.workloads import Workload

RATE: Final = 500.0
WORKLOADS: Final = (
    Workload("stored", "stored, 50 pairs, 200 in flight each", "pairs", 50, window=200, stored=True),
    Workload("latency", "50 pairs, 500 messages a second", "pairs", 50, rate=RATE, stored=True, seconds=0.25),
    Workload("guests", "50 pairs of guests, 500 messages a second", "pairs", 50, rate=RATE, seconds=0.25),
)
PARTS: Final = ("nodes", "postgres", "redis")
"""The fields of `Usage` that are CPU seconds."""


@dataclass(frozen=True)
class Case:
    """A row of the tables. `apart`: sender and recipient of a pair are on different nodes."""

    setup: str
    title: str
    apart: bool = False

    @property
    def name(self) -> str:
        return f"{self.setup}, apart" if self.apart else self.setup


CASES: Final = (
    Case("sqlite", "one node, SQLite"),
    Case("postgres", "one node, PostgreSQL, no bus"),
    Case("bus", "one node, PostgreSQL, Redis"),
    Case("two", "two nodes, both ends of a pair on one"),
    Case("two", "two nodes, the ends of each pair on different ones", apart=True),
)


def applies_to(kind: str, case: Case) -> bool:
    """Return whether a workload is run for a case: guests' messages do not depend on the store."""
    return case.setup == "two" or kind not in ("guests", "answer")


@dataclass
class ClusterResults:
    """Results by workload and case: of each round, with its resources; seconds of sequential requests."""

    runs: dict[tuple[str, str], list[tuple[Result, Usage]]] = field(default_factory=lambda: defaultdict(list))
    times: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def of(self, work: str, case: str, what: str) -> float | None:
        """Return the median over the rounds of a field of `Result`, or of `Usage` per message."""
        runs = self.runs.get((work, case))
        if not runs:
            return None
        if hasattr(runs[0][0], what):
            return median(getattr(result, what) for result, _ in runs)
        return median(getattr(used, what) / result.deliveries for result, used in runs)

    def percentile(self, latencies: str, case: str, share: float) -> float | None:
        """Return a percentile of durations, in milliseconds."""
        times = sorted(self.times.get((latencies, case), ()))
        return times[int(len(times) * share)] * 1000 if times else None
