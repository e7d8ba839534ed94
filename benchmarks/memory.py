"""Memory of idle connections: what one process holds with 10,000 of them logged in, by kind.

    python -m benchmarks.memory [--connections 10000] [--only KIND]

`silent` has said nothing; `guest` and `account` are native (accounts come with their session's token), `course` is a
client of the course. Loopback only; about a minute. Linux only (/proc).
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

from benchmarks.accounts import name_of, populate, token_of
from benchmarks.server_process import HOST, Served, many_files, source

KINDS: Final = ("silent", "guest", "account", "course")
AT_ONE_TIME: Final = 100
SPARE: Final = 300
WARM: Final = 50
"""Connections before the first measurement: what they make the server load belongs to none of them."""
PATIENCE: Final = 60.0
ROW: Final = "{:<10} {:>12} {:>10} {:>10} {:>14} {:>10} {:>10}"
TITLES: Final = ("kind", "connections", "kB before", "kB after", "kB/connection", "seconds", "CPU s")


def presence(kind: str, number: int) -> bytes:
    """What it says to be let in; nothing where it stays silent."""
    card: dict[str, Any] = {"account_name": f"idle-{number}"}
    frame: dict[str, Any] = {"action": "presence", "user": card}
    if kind in ("guest", "account"):
        frame["jim"] = 2
    if kind == "account":
        card |= {"account_name": name_of(number), "session": token_of(number)}
    return json.dumps(frame).encode() + b"\n" if kind != "silent" else b""


LET_IN: Final = {"silent": b"", "guest": b'"synced"', "account": b'"synced"', "course": b'"OK"'}


def enter(port: int, kind: str, numbers: range) -> list[socket.socket]:
    """Connections of that kind, let in some at a time."""
    let_in = []
    for start in range(numbers.start, numbers.stop, AT_ONE_TIME):
        batch = [
            socket.create_connection((HOST, port), PATIENCE, source(number))
            for number in range(start, min(numbers.stop, start + AT_ONE_TIME))
        ]
        for number, sock in enumerate(batch, start):
            sock.sendall(presence(kind, number))
        until_let_in(batch, LET_IN[kind])
        let_in += batch
    return let_in


def until_let_in(batch: list[socket.socket], sign: bytes) -> None:
    selector = selectors.DefaultSelector()
    heard = dict.fromkeys(batch, b"")
    for sock in batch:
        if sign:
            selector.register(sock, selectors.EVENT_READ)
    while selector.get_map():
        ready = selector.select(PATIENCE)
        assert ready, "nobody was answered"
        for key, _ in ready:
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            data = sock.recv(65536)
            heard[sock] += data
            assert data, heard[sock]
            if sign in heard[sock]:
                selector.unregister(sock)
    selector.close()


def measure(kind: str, connections: int, folder: Path) -> None:
    options = ["--max-connections", str(connections + SPARE), "--login-timeout", "600"]
    store = populate(folder / "people.db", connections + WARM) if kind == "account" else "memory:"
    with Served("--store", store, *options) as server:
        warm = enter(server.port, kind, range(connections, connections + WARM))
        server.rested()
        before, used, began = server.resident(), server.processor(), time.monotonic()
        idle = enter(server.port, kind, range(connections))
        took = time.monotonic() - began
        server.rested()
        after = server.resident()
        each = f"{(after - before) / connections:.1f}"
        row = (kind, connections, f"{before:,.0f}", f"{after:,.0f}", each, f"{took:.1f}")
        print(ROW.format(*row, f"{server.processor() - used:.1f}"), flush=True)
        for sock in warm + idle:
            sock.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args()
    many_files(options.connections + SPARE)
    print(ROW.format(*TITLES))
    for kind in KINDS:
        if options.only in (None, kind):
            with tempfile.TemporaryDirectory(prefix="idle.") as folder:
                measure(kind, options.connections, Path(folder))


if __name__ == "__main__":
    main()
