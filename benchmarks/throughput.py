"""The same workloads on gmessenger and on the other servers that are installed, in interleaved rounds.

    python -m benchmarks.throughput [--rounds 3] [--seconds 1] [--only direct-10,stored] [--peers ngircd,redis]
                                 [--json FILE] [--write]

All servers stay up; in each round each workload runs on one server after the other, so that other load of the machine
affects them alike. Without `--write` the table is printed and the docs stay as they are. `make bench`
installs the peers first and writes. Linux only; a C compiler is needed for the load generator.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.process import BenchmarkError, PeerServer, Result, compile_generator, load
from benchmarks.protocols import TEXT
from benchmarks.report import Results, tables, write
from benchmarks.servers import PEERS, Peer
from benchmarks.setup_steps import TOP
from benchmarks.workloads import WORKLOADS, Workload

WARM_UP: Final = 0.3
SETTLE_TIME: Final = 1.0
"""Seconds after the start, or the last login, before memory is measured."""


class Comparison:
    """The running servers, and the results so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = compile_generator(folder)
        self._servers: dict[tuple[str, bool], PeerServer] = {}
        """The running servers by name, and whether they speak TLS."""
        self.results = Results(defaultdict(list), {}, {})

    def run(self, peer: Peer, work: Workload, seconds: float) -> None:
        """Run a workload on a server once, and record the result or the failure."""
        try:
            if work.shape == "idle":
                self.results.memory[peer.name] = self._memory(peer, work)
            else:
                self.results.runs[work.name, peer.name].append(self._result(peer, work, seconds * work.seconds))
        except BenchmarkError as failure:
            self.results.failures[work.name, peer.name] = str(failure)
            self._stop(peer.name, tls=work.tls)
        self._print_progress(peer, work)

    def close(self) -> None:
        for name, tls in list(self._servers):
            self._stop(name, tls=tls)

    def _result(self, peer: Peer, work: Workload, seconds: float) -> Result:
        server = self._server(peer, tls=work.tls)
        with load(self._program, server, work, work.plan(peer.protocol_for(work))) as driver:
            driver.run(WARM_UP)
            result = driver.run(seconds)
        if work.stored and peer.in_files and server.stored_bytes() < len(TEXT) * result.deliveries:
            raise BenchmarkError("it did not store what it delivered")
        return result

    def _server(self, peer: Peer, *, tls: bool) -> PeerServer:
        server = self._servers.get((peer.name, tls))
        if server is None or not server.alive:
            server = self._servers[peer.name, tls] = PeerServer(peer, self._folder, tls=tls)
        return server

    def _stop(self, name: str, *, tls: bool) -> None:
        if (name, tls) in self._servers:
            self._servers.pop((name, tls)).stop()

    def _memory(self, peer: Peer, work: Workload) -> float:
        """Return the memory per connection of a freshly started server, in kB."""
        server = PeerServer(peer, self._folder)
        try:
            time.sleep(SETTLE_TIME)  # memory that only the start needs is freed: 64 MB for hashing a password
            before = server.memory()
            with load(self._program, server, work, work.plan(peer.protocol_for(work))):
                time.sleep(SETTLE_TIME)
                return (server.memory() - before) / work.size
        finally:
            server.stop()

    def _print_progress(self, peer: Peer, work: Workload) -> None:
        """Print one line on stderr."""
        line = f"{work.name:<11} {peer.name:<17}"
        if (work.name, peer.name) in self.results.failures:
            line += f" failed: {self.results.failures[work.name, peer.name]}"
        elif work.shape == "idle":
            line += f" {self.results.memory[peer.name]:8.1f} kB a connection"
        else:
            result = self.results.runs[work.name, peer.name][-1]
            line += (
                f" {result.rate:12,.0f} a second {result.cost:8.2f} CPU s/M {result.p50:9.2f} ms {result.p99:9.2f} ms"
            )
            line += f"   generator {result.generator_cost:6.2f}"
        print(line, file=sys.stderr, flush=True)


def chosen(text: str, names: list[str]) -> list[str]:
    wanted = text.split(",") if text else names
    if unknown := set(wanted) - set(names):
        raise SystemExit(f"There is no {', '.join(sorted(unknown))}. There are: {', '.join(names)}.")
    return [name for name in names if name in wanted]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run; latency takes twice as long")
    parser.add_argument("--only", default="", help="kinds of work, with commas: " + " ".join(w.name for w in WORKLOADS))
    parser.add_argument("--peers", default="", help="with commas: " + " ".join(peer.name for peer in PEERS))
    parser.add_argument("--folder", type=Path, default=TOP, help="a directory on the disk where stores are kept")
    parser.add_argument("--json", type=Path, help="keep every result here")
    parser.add_argument("--write", action="store_true", help="put table and plot into docs/")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    works = [work for work in WORKLOADS if work.name in chosen(options.only, [work.name for work in WORKLOADS])]
    peers = [peer for peer in PEERS if peer.name in chosen(options.peers, [peer.name for peer in PEERS])]
    folder = Path(tempfile.mkdtemp(prefix="compare.", dir=options.folder))
    comparison = Comparison(folder)
    try:
        for number in range(options.rounds):
            for work in works:
                if work.shape != "idle" or number == 0:
                    for peer in peers:
                        if peer.is_installed and peer.runs(work):
                            comparison.run(peer, work, options.seconds)
    finally:
        comparison.close()
        shutil.rmtree(folder)
    if options.json:
        runs = comparison.results.runs.items()
        results = {f"{work} {peer}": [asdict(result) for result in rounds] for (work, peer), rounds in runs}
        options.json.write_text(json.dumps({"results": results, "memory": comparison.results.memory}, indent=1))
    if options.write:
        write(comparison.results, peers, works, options.rounds, options.seconds)
    else:
        print(tables(comparison.results, peers, works))


if __name__ == "__main__":
    main()
