"""The tables of `python -m benchmarks.cluster`, and their part of docs/benchmarks.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.cluster_workloads import CASES, PARTS, Case, ClusterResults
from benchmarks.report import PAGE, machine

BEGIN: Final = "<!-- written by `python -m benchmarks.cluster --write` -->"
END: Final = "<!-- end of what `python -m benchmarks.cluster` writes -->"
SHARED: Final = (
    "All of it shares one machine of two cores: nodes, PostgreSQL, Redis and the generator. So messages a second say "
    "little: here two nodes take from PostgreSQL what they gain; **processor time by message is the figure to go by**."
)
HOPS: Final = (
    ("guest to guest on one node: sockets, the loop, the messenger", ("guests", "two"), None),
    ("a hint through Redis, to a guest on another node", ("guests", "two, apart"), ("guests", "two")),
    ("SQLite's commit", ("latency", "sqlite"), ("guests", "two")),
    ("PostgreSQL's commit", ("latency", "postgres"), ("guests", "two")),
    ("the same with a bus and another busy node", ("latency", "two"), ("guests", "two")),
    ("a hint through Redis, for a stored message", ("latency", "two, apart"), ("latency", "two")),
)
"""Title of a hop, the run whose latency has it, and the run to subtract."""
LATENCY_TITLES: Final = (
    ("login", "a login with a token"),
    ("answer", "a guest's message to a guest is answered"),
    ("arrival", "a message to a user who has just logged in has arrived"),
)


def tables(results: ClusterResults) -> Iterator[str]:
    """Yield the lines of all tables, without rows that were not measured."""
    yield from (*stored(results), *latency(results), *hops(results), *bus(results), *latencies(results))


def stored(results: ClusterResults) -> Iterator[str]:
    cases = measured(results, "stored")
    if not cases:
        return
    parts = ["nodes", "PostgreSQL", "Redis", "together", "generator"]
    yield from head("Stored, 50 pairs, 200 in flight each", ["messages/s", *(f"CPU s/M: {parts[0]}", *parts[1:])])
    for case in cases:
        costs = [cost(results, "stored", case, part) for part in PARTS]
        cells = [f"{results.of('stored', case.name, 'rate'):,.0f}", *(f"{each:.1f}" for each in (*costs, sum(costs)))]
        yield row(case.title, [*cells, f"{results.of('stored', case.name, 'generator_cost'):.1f}"])
    yield ""
    behind = [case for case in cases if results.of("stored", case.name, "commits")]
    if behind:
        yield from head("Load on PostgreSQL", ["messages per transaction", "bytes of log per message"])
    for case in behind:
        commits, log = (results.of("stored", case.name, what) or 0.0 for what in ("commits", "log"))
        yield row(case.title, [f"{1 / commits:,.0f}", f"{log:,.0f}"])
    yield from [""] if behind else []


def latency(results: ClusterResults) -> Iterator[str]:
    for work, title in (("latency", "Stored and delivered"), ("guests", "From guest to guest, not stored")):
        cases = measured(results, work)
        if cases:
            columns = ["p50 ms", "p99 ms", "CPU s/M: nodes", "PostgreSQL", "Redis"]
            yield from head(f"{title}, 50 pairs, 500 messages a second", columns)
        for case in cases:
            times = [f"{results.of(work, case.name, what):.2f}" for what in ("p50", "p99")]
            yield row(case.title, [*times, *(f"{cost(results, work, case, part):.0f}" for part in PARTS)])
        yield from [""] if cases else []


def hops(results: ClusterResults) -> Iterator[str]:
    rows = []
    for title, whole, less in HOPS:
        have, without = results.of(*whole, "p50"), results.of(*less, "p50") if less else 0.0
        if have is not None and without is not None:
            rows.append(row(title, [f"{have - without:.2f}"]))
    if rows:
        yield from (*head("Cost of each hop", ["p50 ms"]), *rows, "")


def bus(results: ClusterResults) -> Iterator[str]:
    rows = []
    for work in ("stored", "latency"):
        publishes, size = (results.of(work, "two, apart", what) for what in ("published", "published_bytes"))
        if publishes and size:
            rows.append(row(work, [f"{1 / publishes:.1f}", f"{size:.0f}"]))
    if rows:
        yield from (*head("Bus traffic", ["hints per publication", "bytes per hint"]), *rows, "")


def latencies(results: ClusterResults) -> Iterator[str]:
    rows = []
    for name, title in LATENCY_TITLES:
        for case in CASES:
            half, most = (results.percentile(name, case.name, share) for share in (0.5, 0.95))
            if half is not None and most is not None:
                rows.append(row(f"{title}: {case.title}", [f"{half:.2f}", f"{most:.2f}"]))
    if rows:
        yield from (*head("Sequential requests", ["p50 ms", "p95 ms"]), *rows, "")


def measured(results: ClusterResults, work: str) -> list[Case]:
    return [case for case in CASES if results.runs.get((work, case.name))]


def cost(results: ClusterResults, work: str, case: Case, part: str) -> float:
    """Return CPU seconds per million messages."""
    return (results.of(work, case.name, part) or 0.0) * 1e6


def head(title: str, columns: Sequence[str]) -> Iterator[str]:
    yield f"### {title}\n"
    yield row("", columns)
    yield row("---", ["--:"] * len(columns)).replace(" ", "")


def row(title: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([title, *cells])} |"


def write(text: str, how: str) -> None:
    """Replace the generated part of docs/benchmarks.md."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + "\n".join([BEGIN, "", f"{how} {machine()}.", "", SHARED, "", text, END]) + after)
    print(f"written: {PAGE}", file=sys.stderr)
