"""Messages stored and delivered per second: with an empty store, with a million messages, and with `memory:`.

    python -m benchmarks.storage [--seconds 4] [--messages 1000000] [--folder DIRECTORY] [--only NAME]

50 pairs of accounts over loopback; SQLite with every commit synced. About a minute. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from argon2 import PasswordHasher

from benchmarks.commit_counter import read_count
from benchmarks.load import TEXT, Pairs, PairsResult

TOP: Final = Path(__file__).parent.parent
PAIRS: Final = 50
MAX_IN_FLIGHT: Final = 200
RATE: Final = 500.0
PASSWORD: Final = "correct horse battery staple"  # noqa: S105
TICKS: Final = os.sysconf("SC_CLK_TCK")
ROW: Final = "{:<16} {:<16} {:>9} {:>10} {:>8} {:>8} {:>8} {:>9} {:>9} {:>10}"
TITLES: Final = ("store", "load", "messages", "a second", "CPU s/M", "loop", "batch", "p50 ms", "p99 ms", "generator")


def fill_store(url: str, messages: int) -> None:
    """Fill a store with accounts in pairs and messages between them, without a server."""
    from gevent import monkey, sleep

    monkey.patch_all()
    from gmessenger.chat.records import Credential, DeviceLogin, NewMessage
    from gmessenger.names import direct_key
    from gmessenger.store import open_store

    store = open_store(url)
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    ids = {name: store.create_account(name, name, hashed, 0.0).id for pair in range(PAIRS) for name in pair_names(pair)}
    portion = 5000
    for start in range(0, messages, portion):
        for number in range(start, min(messages, start + portion)):
            sender, recipient = pair_names(number % PAIRS)
            text = f"{number} {TEXT[:60]} message number {number % 9973}"
            message = NewMessage(direct_key(sender, recipient), sender, recipient, text, 0.0, ids[sender])
            store.append(message, lambda *_: None)
        store.flush()
        sleep(0)
    for pair in range(PAIRS):
        for name in pair_names(pair):  # nothing waits for delivery
            device = store.begin_session(
                ids[name], DeviceLogin("default", name), 0.0, Credential(password_hash=hashed)
            ).id
            store.acknowledge(device, direct_key(*pair_names(pair)), 2**40)
    store.close()


def pair_names(pair: int) -> tuple[str, str]:
    return f"a{pair}", f"b{pair}"


@contextmanager
def running_server(store: str, counter_file: Path) -> Iterator[tuple[int, int]]:
    """Run a server; yield its process id and port."""
    command = [sys.executable, "-m", "benchmarks.commit_counter", str(counter_file), "--ip", "127.0.0.1", "--port", "0"]
    command += ["--log-file", "-", "--log-level", "error", "--store", store]
    command += ["--message-rate", "0", "--request-rate", "0"]
    process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert process.stdout is not None
        found = re.search(r"port (\d+)", process.stdout.readline())
        assert found
        yield process.pid, int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=60)


def cpu(pid: int, thread: int | None = None) -> float:
    """Return the CPU seconds of a process, or of one of its threads."""
    place = f"/proc/{pid}/stat" if thread is None else f"/proc/{pid}/task/{thread}/stat"
    fields = Path(place).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(name: str, store: str, folder: Path, seconds: float) -> None:
    counter_file = folder / "commits"
    with running_server(store, counter_file) as (pid, port):
        if store == "memory:":
            register(port)
        pairs = Pairs(port, PAIRS, PASSWORD, f"{time.time_ns() % 10**9}")
        loads = (
            (f"{MAX_IN_FLIGHT} in flight", lambda: pairs.run(seconds, MAX_IN_FLIGHT)),
            ("one in flight", lambda: pairs.run(seconds, 1)),
            (f"{RATE:g} a second", lambda: pairs.run_at(seconds, RATE)),
        )
        pairs.run(0.5, MAX_IN_FLIGHT)  # warm-up
        for load, run in loads:
            used, loop, commits = cpu(pid), cpu(pid, pid), read_count(counter_file)
            result: PairsResult = run()
            used, loop, commits = cpu(pid) - used, cpu(pid, pid) - loop, read_count(counter_file) - commits
            row = (
                name,
                load,
                result.messages,
                f"{result.messages / result.seconds:,.0f}",
                f"{used * 1e6 / result.messages:.1f}",
                f"{loop / result.seconds:.0%}",
                f"{result.messages / max(1, commits):.1f}",
                f"{result.percentile(0.5):.2f}",
                f"{result.percentile(0.99):.2f}",
                f"{result.generator:.0%}",
            )
            print(ROW.format(*row), flush=True)
        pairs.close()


def register(port: int) -> None:
    """Register the accounts over the wire, for a store in memory."""
    import socket
    from concurrent.futures import ThreadPoolExecutor

    from msgspec import json

    def register_account(name: str) -> None:
        presence: dict[str, Any] = {"action": "presence", "jim": 2, "user": {"account_name": name}}
        request = {"action": "register", "id": "r", "password": PASSWORD}
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(json.encode(presence) + b"\n" + json.encode(request) + b"\n")
            answer = b""
            while b"201" not in answer:
                answer += sock.recv(65536)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(register_account, [name for pair in range(PAIRS) for name in pair_names(pair)]))


def sync_latency(folder: Path) -> str:
    """Measure the disk: time to append and sync three pages of 4 kB."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(300):
            file.write(bytes(3 * 4096))
            start = time.monotonic()
            os.fdatasync(file.fileno())
            times.append((time.monotonic() - start) * 1000)
    times.sort()
    return f"fdatasync of 12 kB appended: p50 {times[150]:.2f} ms, p99 {times[297]:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=TOP, help="a directory on the disk to measure")
    parser.add_argument("--only", choices=("empty", "million", "memory"))
    parser.add_argument("--fill", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fill:
        return fill_store(options.fill, options.messages)
    folder = Path(tempfile.mkdtemp(prefix="stored.", dir=options.folder))
    try:
        print(sync_latency(folder))
        print(ROW.format(*TITLES))
        for name, messages in (("empty", 0), ("million", options.messages)):
            if options.only in (None, name):
                path = folder / f"{name}.db"
                # In a process of its own, because gevent must patch it.
                url = f"sqlite:///{path}"
                command = [sys.executable, "-m", "benchmarks.storage", "--fill", url, "--messages", str(messages)]
                subprocess.run(command, cwd=TOP, check=True)  # noqa: S603
                measure(f"sqlite, {name}", url, folder, options.seconds)
        if options.only in (None, "memory"):
            measure("memory:", "memory:", folder, options.seconds)
        print(sync_latency(folder))
    finally:
        shutil.rmtree(folder)
    return None


if __name__ == "__main__":
    main()
