"""Latency of well-behaved clients during attacks: a table of attacks, and which of them miss the target.

    python -m benchmarks.attacks [--seconds 5] [--only NAME …] [--folder DIRECTORY]

A server with default options on a store of its own for each attack; two pairs beside it, one of accounts and one of
guests, each sending 50 messages a second. The target: a pair's p99, from writing to reading, stays within five times
the calm p99 or 25 ms, whichever is larger. Loopback only; about five minutes. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.accounts import PASSWORD, account_name, populate
from benchmarks.attackers import ATTACKS, OPTIONS
from benchmarks.pair import Pair, Times
from benchmarks.process import free_port
from benchmarks.server_process import TOP, ServerProcess
from benchmarks.web_attackers import WEB_ATTACKS

NAMES: Final = [*ATTACKS, *WEB_ATTACKS]
RATE: Final = 50.0
ACCOUNTS: Final = 202
WARM_UP: Final = 0.5
"""Seconds of an attack before the measurement."""
MAX_FACTOR: Final = 5.0
MIN_TARGET: Final = 25.0
CALM: Final = "(calm)"
CREDENTIALS: Final = {
    "accounts": (account_name(ACCOUNTS - 2), PASSWORD, account_name(ACCOUNTS - 1), PASSWORD),
    "guests": (),
}
ROW: Final = "{:<24} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>8} {:>8}  {}"
TITLES: Final = ("attack", "acc. p50", "p99 ms", "guest p50", "p99 ms", "factor", "CPU %", "MB", "MB then", "")


@contextmanager
def under_attack(name: str, port: int) -> Iterator[None]:
    """Run an attack meanwhile."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.web_attackers" if name in WEB_ATTACKS else "benchmarks.attackers",
        name,
        str(port),
    ]
    attacker = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == "going\n", "the attack did not begin"
        time.sleep(WARM_UP)
        yield
        assert attacker.poll() is None, "the attack ended by itself"
    finally:
        attacker.kill()
        attacker.communicate()


def measure(name: str, folder: Path, filled: Path, seconds: float) -> tuple[dict[str, Times], float, float, float]:
    """Return the pairs' latencies, the server's CPU in %, and its memory in MB before and after."""
    store = shutil.copy(filled, folder / "attacked.db")
    log = ("--log-file", str(folder / "server.log"), "--log-level", "info")
    web_port = free_port()
    options = ("--web", f"127.0.0.1:{web_port}") if name in WEB_ATTACKS else OPTIONS.get(name, ())
    with ServerProcess("--store", f"sqlite:///{store}", *log, *options) as server:
        pairs = {kind: Pair(server.port, seconds, RATE, *credentials) for kind, credentials in CREDENTIALS.items()}
        before = server.memory_kb() / 1024
        with under_attack(name, web_port if name in WEB_ATTACKS else server.port) if name != CALM else no_attack():
            used, start = server.cpu_seconds(), time.monotonic()
            for pair in pairs.values():
                pair.begin()
            latencies = {kind: pair.result() for kind, pair in pairs.items()}
            used = (server.cpu_seconds() - used) / (time.monotonic() - start)
            after = server.memory_kb() / 1024
    for left in folder.glob("attacked.db*"):
        left.unlink()
    return latencies, used * 100, before, after


@contextmanager
def no_attack() -> Iterator[None]:
    yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="a directory on the disk of the store")
    options = parser.parse_args()
    print(ROW.format(*TITLES))
    calm: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="attacks.", dir=options.folder) as folder:
        populate(filled := Path(folder) / "people.db", ACCOUNTS)
        for name in (CALM, *options.only):
            latencies, used, before, after = measure(name, Path(folder), filled, options.seconds)
            calm = calm or {kind: times.percentile(0.99) for kind, times in latencies.items()}
            factor = max(times.percentile(0.99) / calm[kind] for kind, times in latencies.items())
            broken = any(t.percentile(0.99) > max(MIN_TARGET, MAX_FACTOR * calm[kind]) for kind, t in latencies.items())
            missing = sum(times.missing for times in latencies.values())
            remark = f"{missing} never came" if missing else "beyond the target" if broken else ""
            cells = [f"{latencies[kind].percentile(share):.2f}" for kind in CREDENTIALS for share in (0.5, 0.99)]
            row = (name, *cells, f"{factor:.1f}", f"{used:.0f}", f"{before:.0f}", f"{after:.0f}", remark)
            print(ROW.format(*row), flush=True)


if __name__ == "__main__":
    main()
