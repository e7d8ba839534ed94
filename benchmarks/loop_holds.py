"""CPU milliseconds for which one valid frame can hold the server's event loop: a table by field.

    python -m benchmarks.loop_holds [--frames 16] [--folder DIRECTORY]

The server measures the CPU time of each turn of its loop. Each of the worst texts (`benchmarks/texts.py`) is put into
each field that takes text, in several frames at once; the longest turn is shown. The target: none is longer than 50 ms.
About a minute. Linux only.
"""

from __future__ import annotations

import argparse
import json
import mmap
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.accounts import account_name, populate
from benchmarks.attackers import connect, connect_account, connect_native, read_until
from benchmarks.server_process import HOST, TOP
from benchmarks.texts import TEXTS

TARGET: Final = 50.0  # milliseconds
MAX_FRAME: Final = 65_000
ACCOUNTS: Final = 120
LONGEST: Final = struct.Struct("d")
FIELDS: Final[dict[str, Callable[[str, int], dict[str, Any]]]] = {
    "a message to an account": lambda text, number: {
        "action": "msg",
        "to": account_name(ACCOUNTS - 1),
        "message": text,
    },
    "a message to a room": lambda text, number: {"action": "msg", "to": "#hall", "message": text},
    "a message to a guest": lambda text, number: {"action": "msg", "to": "reader", "message": text},
    "a message to all": lambda text, number: {"action": "msg", "to": "#all", "message": text},
    "to": lambda text, number: {"action": "msg", "to": text, "message": "x"},
    "search": lambda text, number: {"action": "search", "text": text[:4096]},
    "search in a name": lambda text, number: {"action": "search", "text": "x", "with": text},
    "history with": lambda text, number: {"action": "history", "with": text},
    "read": lambda text, number: {"action": "read", "with": text, "seq": 1},
    "ack": lambda text, number: {"action": "ack", "with": text, "seq": 1},
    "join": lambda text, number: {"action": "join", "room": f"#{text}"},
    "topic": lambda text, number: {"action": "topic", "room": "#hall", "topic": text},
    "status": lambda text, number: {"action": "status", "status": text},
    "block": lambda text, number: {"action": "block", "user": text},
    "users after": lambda text, number: {"action": "users", "after": text},
    "rooms after": lambda text, number: {"action": "rooms", "after": text},
    "an id": lambda text, number: {"action": "probe", "id": text},
    "a field that is none": lambda text, number: {"action": "probe", "more": text},
    "an action that is none": lambda text, number: {"action": text},
    "a field of another type": lambda text, number: {"action": "msg", "to": [text], "message": 1},
    "a name": lambda text, number: {"action": "presence", "jim": 2, "user": {"account_name": text}},
    "a device": lambda text, number: {
        "action": "presence",
        "jim": 2,
        "user": {"account_name": f"d{number}", "device": text},
    },
    "a course client's name": lambda text, number: {"action": "presence", "user": {"account_name": text}},
    "a course client's message": lambda text, number: {
        "action": "msg",
        "to": account_name(ACCOUNTS - 1),
        "from": "writer",
        "message": text,
    },
}
NEW_CONNECTION_EACH: Final = ("a name", "a device", "a course client's name")
ODD_FRAMES: Final[dict[str, bytes]] = {
    "nested 32,000 deep": b'{"action":"probe","x":' + b"[" * 32_000 + b"]" * 32_000 + b"}\n",
    "6,000 keys": json.dumps({"action": "probe"} | {f"k{n}": n for n in range(6000)}).encode()[:-1] + b"}\n",
    "one key 9,000 times": b'{"action":"probe"' + b',"x":1' * 9_000 + b"}\n",
    "a number of 60,000 digits": b'{"action":"history","with":"x","before":' + b"9" * 60_000 + b"}\n",
    "60,000 spaces": b" " * 60_000 + b'{"action":"probe"}\n',
    "20,000 empty lines": b"\n" * 20_000,
    "20,000 frames of nothing": b"{}\n" * 20_000,
}


def frame(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def fit_frame(field: Callable[[str, int], dict[str, Any]], text: str, number: int) -> bytes:
    """Return a frame with as much of the text as the size limit allows."""
    data = frame(field(text, number))
    while len(data) > MAX_FRAME:
        text = text[: len(text) * MAX_FRAME // len(data) - 1]
        data = frame(field(text, number))
    return data


class MeasuredServer:
    """A server that measures the longest turn of its event loop."""

    def __init__(self, folder: Path, store: str) -> None:
        path = folder / "longest"
        path.write_bytes(LONGEST.pack(0.0))
        command = [sys.executable, "-m", "benchmarks.loop_holds", "--serve", str(path), "--ip", HOST, "--port", "0"]
        command += ["--log-file", str(folder / "log"), "--log-level", "error", "--store", store]
        self._process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self._process.stdout is not None
        found = re.search(r"port (\d+)", self._process.stdout.readline())
        assert found, "the server did not start"
        self.port = int(found[1])
        with path.open("r+b") as file:
            self._longest = mmap.mmap(file.fileno(), LONGEST.size)

    def begin(self) -> None:
        LONGEST.pack_into(self._longest, 0, 0.0)

    @property
    def longest(self) -> float:
        """The longest turn since `begin`, in CPU milliseconds."""
        return float(LONGEST.unpack_from(self._longest)[0]) * 1000

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=60)


@contextmanager
def measured_server(folder: Path, store: str) -> Iterator[MeasuredServer]:
    server = MeasuredServer(folder, store)
    try:
        yield server
    finally:
        server.close()


def send_frames(port: int, data: list[bytes], number: int, name: str) -> None:
    """Send frames, and wait until the server has handled them all."""
    if name in NEW_CONNECTION_EACH:
        for each in data[:4]:
            sock = connect(port)
            sock.sendall(each)
            read_until(sock, b'"response"')
            sock.close()
        return
    if name.startswith("a course"):
        sock = connect(port)
        sock.sendall(frame({"action": "presence", "user": {"account_name": "writer"}}))
        read_until(sock, b'"response"')
        sock.sendall(b"".join(data))
        time.sleep(0.3)
    else:
        sock = (
            connect_native(port, f"guest{number}")
            if name.startswith("a message")
            else connect_account(port, number % 100)
        )
        sock.sendall(b"".join(data) + frame({"action": "probe", "id": "last"}))
        read_until(sock, b'"last"')
    sock.close()


def measure(server: MeasuredServer, frames: int) -> Iterator[tuple[str, str, float]]:
    """Yield each field with its worst text and the longest turn in milliseconds."""
    number = 0
    for name, field in FIELDS.items():
        worst = ("", 0.0)
        for kind, text in TEXTS.items():
            number += 1
            server.begin()
            send_frames(
                server.port, [fit_frame(field, text, number * 100 + each) for each in range(frames)], number, name
            )
            worst = max(worst, (kind, server.longest), key=lambda each: each[1])
        yield name, *worst
    for name, data in ODD_FRAMES.items():
        server.begin()
        send_frames(server.port, [data] * 4, number, "odd")
        yield name, "", server.longest


def serve(path: Path, arguments: list[str]) -> int:
    """Run the server, and write its longest turn into a file."""
    with path.open("r+b") as file:
        longest = mmap.mmap(file.fileno(), LONGEST.size)
    from gevent import get_hub, monkey

    monkey.patch_all()
    from gmessenger.server.start import run

    before = time.thread_time()

    def on_turn() -> None:
        nonlocal before
        now = time.thread_time()
        if now - before > LONGEST.unpack_from(longest)[0]:
            LONGEST.pack_into(longest, 0, now - before)
        before = now

    check = get_hub().loop.check()
    check.start(on_turn)
    return run(arguments)


def main() -> int:
    if sys.argv[1:2] == ["--serve"]:
        return serve(Path(sys.argv[2]), sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=16, help="at once")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="a directory on the disk of the store")
    options = parser.parse_args()
    over_target = 0
    with tempfile.TemporaryDirectory(prefix="holds.", dir=options.folder) as name:
        folder = Path(name)
        populate(folder / "people.db", ACCOUNTS)
        with measured_server(folder, f"sqlite:///{folder}/people.db") as server:
            connections: list[socket.socket] = [connect_account(server.port, 0), connect_native(server.port, "reader")]
            connections[0].sendall(frame({"action": "join", "room": "#hall"}))
            for name, kind, longest in measure(server, options.frames):
                remark = "beyond the target" if longest > TARGET else ""
                over_target += longest > TARGET
                print(f"{name:<28} {kind:<20} {longest:>7.1f}  {remark}", flush=True)
    return 1 if over_target else 0


if __name__ == "__main__":
    raise SystemExit(main())
