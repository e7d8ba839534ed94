"""How gmessenger's cost grows: connections, members, messages, conversations, people who know a name.

    python -m benchmarks.growth [--only connections,messages] [--folder DIRECTORY] [--write]

One curve after the other, each point on a server or a store of its own; about ten minutes. `--write` puts the tables
of what was measured, and the plot, into docs/growth.md. Linux only; a C compiler is needed for the load generator.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.growth_plot import plot
from benchmarks.process import PeerServer, compile_generator, load
from benchmarks.protocols import Jim
from benchmarks.report import machine
from benchmarks.servers import PEERS
from benchmarks.setup_steps import TOP
from benchmarks.workloads import Workload

PAGE: Final = TOP / "docs/growth.md"
PLOT: Final = TOP / "docs/growth.svg"
BEGIN: Final = "<!-- written by `python -m benchmarks.growth --write` -->"
END: Final = "<!-- end of what it writes -->"
SETTLE_TIME: Final = 2.0  # seconds after the last login
IDLE_TIME: Final = 4.0  # seconds of rest that are measured
MANY: Final = ("--max-connections", "20000", "--max-members", "20000")
STATUS_CHANGES: Final = 8
STATUS_INTERVAL: Final = 0.5
"""Seconds between two changes of a status, so that each is sent for itself."""

Point = dict[str, float]
"""The measured values at one size, by the name of the metric."""


@dataclass(frozen=True)
class Curve:
    """One benchmark, repeated at several sizes: each run returns a value for each metric."""

    name: str
    title: str
    size: str
    sizes: tuple[int, ...]
    measure: Callable[[int, Path], Point]


@contextmanager
def our_server(folder: Path) -> Iterator[PeerServer]:
    ours = PEERS[0]
    server = PeerServer(dataclasses.replace(ours, command=lambda *place: [*ours.command(*place), *MANY]), folder)
    try:
        yield server
    finally:
        server.stop()


def measure_connections(number: int, folder: Path) -> Point:
    """Measure memory and processor time of so many guests at rest."""
    work = Workload("idle", "", "idle", number)
    with our_server(folder) as server:
        time.sleep(SETTLE_TIME)
        before = server.memory()
        with load(compile_generator(folder), server, work, work.plan(Jim())):
            time.sleep(SETTLE_TIME)
            memory, used = server.memory() - before, server.cpu()
            time.sleep(IDLE_TIME)
            used = server.cpu() - used
    return {
        "kB a connection": round(memory / number, 2),
        "CPU at rest, µs a connection and second": round(used * 1e6 / IDLE_TIME / number, 2),
    }


def measure_members(number: int, folder: Path) -> Point:
    """Measure the processor time of a delivery in a room of so many guests, ten of whom write."""
    work = Workload("room", "", "room", number, window=100)
    with our_server(folder) as server, load(compile_generator(folder), server, work, work.plan(Jim())) as driver:
        driver.run(0.3)
        result = driver.run(2.0)
    return {
        "CPU a delivery, µs": round(result.cost, 3),
        "CPU a message, µs": round(result.cost * number, 1),
    }


def measure_presence(number: int, folder: Path) -> Point:
    """Measure the processor time of a change of status that so many members of a room are told of."""
    work = Workload("room", "", "room", number, window=1)
    with our_server(folder) as server, load(compile_generator(folder), server, work, work.plan(Jim())):
        protocol = Jim()
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            for sent, awaited in [*protocol.login("star"), *protocol.join("star")]:
                sock.sendall(sent)
                received = b""
                while awaited not in received:
                    received += sock.recv(65536)
            time.sleep(SETTLE_TIME)
            used = server.cpu()
            for change in range(STATUS_CHANGES):
                sock.sendall(b'{"action":"status","status":"%s"}\n' % (b"away", b"online")[change % 2])
                time.sleep(STATUS_INTERVAL)
            used = server.cpu() - used
    return {
        "CPU a change, ms": round(used * 1000 / STATUS_CHANGES, 3),
        "CPU a change and member, µs": round(used * 1e6 / STATUS_CHANGES / number, 2),
    }


def measure_store(what: str) -> Callable[[int, Path], Point]:
    def measure(number: int, folder: Path) -> Point:
        command = [sys.executable, "-m", "benchmarks.growth_store", what, str(number), str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=TOP)  # noqa: S603
        point: Point = json.loads(done.stdout)
        return point

    return measure


CURVES: Final = (
    Curve("connections", "Connections at rest", "connections", (1000, 5000, 19_000), measure_connections),
    Curve("members", "Members of a room", "members", (10, 100, 1000, 3000, 10_000), measure_members),
    Curve(
        "messages",
        "Messages stored (milliseconds)",
        "messages",
        (10_000, 100_000, 1_000_000, 10_000_000),
        measure_store("messages"),
    ),
    Curve(
        "conversations",
        "Conversations of one account (milliseconds)",
        "conversations",
        (10, 100, 1000, 10_000),
        measure_store("conversations"),
    ),
    Curve("presence", "Members who see a change of status", "members", (10, 100, 1000, 3000, 10_000), measure_presence),
)


@dataclass(frozen=True)
class MeasuredCurve:
    """The points of a curve, and the machine that they were measured on."""

    points: dict[int, Point]
    machine: str


def table(curve: Curve, measured: MeasuredCurve) -> Iterator[str]:
    """Yield the rows of a table: a row for each figure, a column for each size."""
    points = measured.points
    yield f"### {curve.title}\n"
    yield f"{measured.machine}.\n"
    yield f"| {curve.size} | " + " | ".join(f"{size:,}" for size in points) + " |"
    yield "|---" + "|--:" * len(points) + "|"
    for figure in points[min(points)]:
        yield f"| {figure} | " + " | ".join(f"{point[figure]:,g}" for point in points.values()) + " |"
    yield ""


def read_table(curve: Curve, page: str) -> MeasuredCurve | None:
    """Return the curve as the page has it, written by `table`; None if it is not there."""
    _, found, rest = page.partition(f"### {curve.title}\n\n")
    if not found:
        return None
    on_machine, rows = rest.split("\n\n")[:2]
    (_, *sizes), _, *lines = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.strip().split("\n")]
    points: dict[int, Point] = {}
    for column, size in enumerate(sizes, 1):
        points[int(size.replace(",", ""))] = {line[0]: float(line[column].replace(",", "")) for line in lines}
    return MeasuredCurve(points, on_machine.removesuffix("."))


def measure_curve(curve: Curve, sizes: range, folder: Path) -> dict[int, Point]:
    points = {}
    for size in curve.sizes:
        if size in sizes:
            place = Path(tempfile.mkdtemp(prefix=f"{curve.name}.", dir=folder))
            points[size] = curve.measure(size, place)
            shutil.rmtree(place)
            print(f"{curve.name} {size:,}: {points[size]}", file=sys.stderr, flush=True)
    return points


def write(measured: dict[str, MeasuredCurve]) -> None:
    """Put the tables of these curves between the marks of the page, beside those of the others, and draw the plot."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    known = [(curve, measured.get(curve.name) or read_table(curve, rest)) for curve in CURVES]
    curves = [(curve, found) for curve, found in known if found is not None]
    lines = [line for curve, found in curves for line in table(curve, found)]
    made = "\n".join(["![How cost grows](growth.svg)\n", *lines])
    PAGE.write_text(f"{head}{BEGIN}\n\n{made}\n{END}{tail}", "utf-8")
    PLOT.write_text(plot([(curve.title, curve.size, found.points) for curve, found in curves]), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="curves, with commas: " + " ".join(curve.name for curve in CURVES))
    parser.add_argument("--largest", type=int, default=1_000_000, help="leave out sizes above (1,000,000)")
    parser.add_argument("--smallest", type=int, default=0, help="leave out sizes below")
    parser.add_argument("--folder", type=Path, default=TOP, help="a directory on the disk where stores are kept")
    parser.add_argument("--write", action="store_true", help="put tables and plot into docs/")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [curve.name for curve in CURVES]
    folder = Path(tempfile.mkdtemp(prefix="growth.", dir=options.folder))
    try:
        sizes = range(options.smallest, options.largest + 1)
        curves = [(curve, measure_curve(curve, sizes, folder)) for curve in CURVES if curve.name in wanted]
    finally:
        shutil.rmtree(folder)
    measured = {curve.name: MeasuredCurve(points, machine()) for curve, points in curves if points}
    if options.write:
        write(measured)
    else:
        print(
            "\n".join(
                line for curve, _ in curves if curve.name in measured for line in table(curve, measured[curve.name])
            )
        )


if __name__ == "__main__":
    main()
