"""The same work through gmessenger and everybody else that is here, in interleaved rounds.

    python -m benchmarks.throughput [--rounds 3] [--seconds 1] [--only direct-10,stored] [--peers ngircd,redis]
                                 [--json FILE] [--write]

All servers stay up; in each round each kind of work goes through one server after the other, so that what else the
machine does meets them all alike. Without `--write` the table is printed and the docs stay as they are. `make bench`
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

from benchmarks.process import Failed, Result, Server, compile_load, load
from benchmarks.protocols import TEXT
from benchmarks.report import Found, tables, write
from benchmarks.servers import PEERS, Peer
from benchmarks.setup_steps import TOP
from benchmarks.workloads import WORKS, Work

WARM: Final = 0.3
REST: Final = 1.0
"""Seconds after the last login before memory is looked at."""


class Field:
    """The servers that run, and what was found so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = compile_load(folder)
        self._servers: dict[str, Server] = {}
        self.found = Found(defaultdict(list), {}, {})

    def run(self, peer: Peer, work: Work, seconds: float) -> None:
        """One cell of the table, once more."""
        try:
            if work.shape == "idle":
                self.found.memory[peer.name] = self._memory(peer, work)
            else:
                self.found.results[work.name, peer.name].append(self._result(peer, work, seconds * work.seconds))
        except Failed as failure:
            self.found.failures[work.name, peer.name] = str(failure)
            self._stop(peer.name)
        self._tell(peer, work)

    def close(self) -> None:
        for name in list(self._servers):
            self._stop(name)

    def _result(self, peer: Peer, work: Work, seconds: float) -> Result:
        server = self._server(peer)
        with load(self._program, server, work, work.plan(peer.speaks(work))) as driver:
            driver.run(WARM)
            result = driver.run(seconds)
        if work.stored and peer.in_files and server.kept() < len(TEXT) * result.deliveries:
            raise Failed("it did not store what it delivered")
        return result

    def _server(self, peer: Peer) -> Server:
        server = self._servers.get(peer.name)
        if server is None or not server.alive:
            server = self._servers[peer.name] = Server(peer, self._folder)
        return server

    def _stop(self, name: str) -> None:
        if name in self._servers:
            self._servers.pop(name).stop()

    def _memory(self, peer: Peer, work: Work) -> float:
        """kB by connection, of a server that has not done anything else yet."""
        server = Server(peer, self._folder)
        try:
            time.sleep(REST)  # what a start takes for a moment (64 MB for hashing one password, here) is given back
            before = server.memory()
            with load(self._program, server, work, work.plan(peer.speaks(work))):
                time.sleep(REST)
                return (server.memory() - before) / work.size
        finally:
            server.stop()

    def _tell(self, peer: Peer, work: Work) -> None:
        """One line for whoever watches."""
        line = f"{work.name:<11} {peer.name:<17}"
        if (work.name, peer.name) in self.found.failures:
            line += f" failed: {self.found.failures[work.name, peer.name]}"
        elif work.shape == "idle":
            line += f" {self.found.memory[peer.name]:8.1f} kB a connection"
        else:
            result = self.found.results[work.name, peer.name][-1]
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
    parser.add_argument("--only", default="", help="kinds of work, with commas: " + " ".join(w.name for w in WORKS))
    parser.add_argument("--peers", default="", help="with commas: " + " ".join(peer.name for peer in PEERS))
    parser.add_argument("--folder", type=Path, default=TOP, help="a directory on the disk where stores are kept")
    parser.add_argument("--json", type=Path, help="keep every result here")
    parser.add_argument("--write", action="store_true", help="put table and plot into docs/")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    works = [work for work in WORKS if work.name in chosen(options.only, [work.name for work in WORKS])]
    peers = [peer for peer in PEERS if peer.name in chosen(options.peers, [peer.name for peer in PEERS])]
    folder = Path(tempfile.mkdtemp(prefix="compare.", dir=options.folder))
    field = Field(folder)
    try:
        for number in range(options.rounds):
            for work in works:
                if work.shape != "idle" or number == 0:
                    for peer in peers:
                        if peer.here and peer.does(work):
                            field.run(peer, work, options.seconds)
    finally:
        field.close()
        shutil.rmtree(folder)
    if options.json:
        every = {
            f"{work} {peer}": [asdict(each) for each in found] for (work, peer), found in field.found.results.items()
        }
        options.json.write_text(json.dumps({"results": every, "memory": field.found.memory}, indent=1))
    if options.write:
        write(field.found, peers, works, options.rounds, options.seconds)
    else:
        print(tables(field.found, peers, works))


if __name__ == "__main__":
    main()
