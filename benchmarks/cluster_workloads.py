"""What a cluster is measured by: kinds of work, the rows of the tables, and what was found."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from benchmarks.nodes import Used
from benchmarks.process import Result
from benchmarks.workloads import Work

RATE: Final = 500.0
WORKS: Final = (
    Work("stored", "stored, 50 pairs, 200 in flight each", "pairs", 50, window=200, stored=True),
    Work("latency", "50 pairs, 500 messages a second", "pairs", 50, rate=RATE, stored=True, seconds=0.25),
    Work("guests", "50 pairs of guests, 500 messages a second", "pairs", 50, rate=RATE, seconds=0.25),
)
PARTS: Final = ("nodes", "postgres", "redis")
"""Of `Used`, those whose processor time is counted."""


@dataclass(frozen=True)
class Case:
    """A row: where the two ends of each pair are, on one node or `apart`."""

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


def works_in(kind: str, case: Case) -> bool:
    """Guests' messages are not stored: for them it matters only whether they are on one node."""
    return case.setup == "two" or kind not in ("guests", "answer")


@dataclass
class Found:
    """By kind of work and case: the result of each round with what was used, or seconds."""

    runs: dict[tuple[str, str], list[tuple[Result, Used]]] = field(default_factory=lambda: defaultdict(list))
    times: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def of(self, work: str, case: str, what: str) -> float | None:
        """The median over the rounds of something about a run: its result, or what was used for each message."""
        runs = self.runs.get((work, case))
        if not runs:
            return None
        if hasattr(runs[0][0], what):
            return median(getattr(result, what) for result, _ in runs)
        return median(getattr(used, what) / result.deliveries for result, used in runs)

    def percentile(self, asked: str, case: str, share: float) -> float | None:
        """In milliseconds."""
        times = sorted(self.times.get((asked, case), ()))
        return times[int(len(times) * share)] * 1000 if times else None
