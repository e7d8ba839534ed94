"""Memory of 10,000 idle connections, by kind of client.

    python -m benchmarks.memory [--connections 10000] [--only KIND]

`silent` has not logged in; `guest` and `account` are native (accounts log in with a token), `course` is a course
client. Loopback only; about a minute. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.accounts import account_name, account_token, populate
from benchmarks.server_process import HOST, ServerProcess, raise_file_limit, source_address

KINDS: Final = ("silent", "guest", "account", "course")
BATCH: Final = 100
SPARE_CONNECTIONS: Final = 300
WARM_UP: Final = 50
"""Connections before the first measurement, so that what the server loads on demand is not counted."""
TIMEOUT: Final = 60.0
ROW: Final = "{:<10} {:>12} {:>10} {:>10} {:>14} {:>10} {:>10}"
TITLES: Final = ("kind", "connections", "kB before", "kB after", "kB/connection", "seconds", "CPU s")


def presence(kind: str, number: int) -> bytes:
    """Return the login request of a kind of client; empty for `silent`."""
    user: dict[str, Any] = {"account_name": f"idle-{number}"}
    frame: dict[str, Any] = {"action": "presence", "user": user}
    if kind in ("guest", "account"):
        frame["jim"] = 2
    if kind == "account":
        user |= {"account_name": account_name(number), "session": account_token(number)}
    return json.dumps(frame).encode() + b"\n" if kind != "silent" else b""


LOGIN_SIGNS: Final = {"silent": b"", "guest": b'"synced"', "account": b'"synced"', "course": b'"OK"'}


def log_in(port: int, kind: str, numbers: range) -> list[socket.socket]:
    """Return connections that have logged in, in batches."""
    connections_in = []
    for start in range(numbers.start, numbers.stop, BATCH):
        batch = [
            socket.create_connection((HOST, port), TIMEOUT, source_address(number))
            for number in range(start, min(numbers.stop, start + BATCH))
        ]
        for number, sock in enumerate(batch, start):
            sock.sendall(presence(kind, number))
        wait_for_logins(batch, LOGIN_SIGNS[kind])
        connections_in += batch
    return connections_in


def wait_for_logins(batch: list[socket.socket], sign: bytes) -> None:
    selector = selectors.DefaultSelector()
    received = dict.fromkeys(batch, b"")
    for sock in batch:
        if sign:
            selector.register(sock, selectors.EVENT_READ)
    while selector.get_map():
        ready = selector.select(TIMEOUT)
        assert ready, "no response"
        for key, _ in ready:
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            data = sock.recv(65536)
            received[sock] += data
            assert data, received[sock]
            if sign in received[sock]:
                selector.unregister(sock)
    selector.close()


def measure(kind: str, connections: int, folder: Path) -> None:
    options = ["--max-connections", str(connections + SPARE_CONNECTIONS), "--login-timeout", "600"]
    store = populate(folder / "people.db", connections + WARM_UP) if kind == "account" else "memory:"
    with ServerProcess("--store", store, *options) as server:
        warm = log_in(server.port, kind, range(connections, connections + WARM_UP))
        server.wait_until_idle()
        before, used, start = server.memory_kb(), server.cpu_seconds(), time.monotonic()
        idle = log_in(server.port, kind, range(connections))
        duration = time.monotonic() - start
        server.wait_until_idle()
        after = server.memory_kb()
        per_connection = f"{(after - before) / connections:.1f}"
        row = (kind, connections, f"{before:,.0f}", f"{after:,.0f}", per_connection, f"{duration:.1f}")
        print(ROW.format(*row, f"{server.cpu_seconds() - used:.1f}"), flush=True)
        for sock in warm + idle:
            sock.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args()
    raise_file_limit(options.connections + SPARE_CONNECTIONS)
    print(ROW.format(*TITLES))
    for kind in KINDS:
        if options.only in (None, kind):
            with tempfile.TemporaryDirectory(prefix="idle.") as folder:
                measure(kind, options.connections, Path(folder))


if __name__ == "__main__":
    main()
