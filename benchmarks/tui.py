"""The full screen on a terminal of its own: how soon it is there, how soon it shows what is typed and what arrives.

    python -m benchmarks.tui [--columns 80] [--rows 24] [--times 40]

A real server, a real pty, and bytes as they are written to it; no terminal emulator takes part, so its time is not
counted. Loopback only; half a minute. Linux only (/proc).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.process import times
from benchmarks.server_process import HOST, Served

PATIENCE: Final = 20.0
IDLE: Final = 8.0
BURST: Final = 500
PACE: Final = 0.05


class Terminal:
    """A client in front of which nobody sits but this program."""

    def __init__(self, port: int, folder: Path, columns: int, rows: int) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.began = time.monotonic()
        argv = [sys.executable, "-m", "gmessenger", "client", "--host", HOST, "--port", str(port), "--name", "hank"]
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(  # noqa: S603
            [*argv, "--log-file", str(folder / "log")],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env | {"STATE_DIRECTORY": str(folder)},
            start_new_session=True,
        )
        os.close(slave)

    def until(self, shown: str) -> float:
        """When it had been written, on the monotonic clock."""
        wanted, seen, deadline = shown.encode(), b"", time.monotonic() + PATIENCE
        while wanted not in seen:
            assert select.select([self.master], [], [], deadline - time.monotonic())[0], f"no {shown!r} in {seen!r}"
            seen = seen[-len(wanted) :] + os.read(self.master, 65_536)
        return time.monotonic()

    def drain(self, seconds: float) -> int:
        """How many bytes are written meanwhile."""
        count, deadline = 0, time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                count += len(os.read(self.master, 65_536))
        return count

    def types(self, text: str) -> None:
        os.write(self.master, text.encode())


class Dale:
    """Somebody who writes to Hank."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"dale"}}\n')
        assert b"200" in self._socket.recv(65_536)

    def says(self, *texts: str) -> None:
        frames = (json.dumps({"action": "msg", "to": "hank", "message": text}) + "\n" for text in texts)
        self._socket.sendall("".join(frames).encode())


def milliseconds(count: int, act: Callable[[int], str], terminal: Terminal) -> str:
    """The median and the 95th percentile of the times from what is done until it is on the screen."""
    taken = []
    for number in range(count):
        time.sleep(PACE)
        began = time.monotonic()
        taken.append((terminal.until(act(number)) - began) * 1000)
    return f"{statistics.median(taken):6.1f} / {statistics.quantiles(taken, n=20)[-1]:6.1f} ms"


def measure(port: int, folder: Path, columns: int, rows: int, count: int) -> None:
    terminal = Terminal(port, folder, columns, rows)
    print(f"start to connected screen     {(terminal.until('● connected') - terminal.began) * 1000:6.0f} ms")
    dale = Dale(port)
    terminal.types("/msg dale\r")
    terminal.drain(1.0)
    # Only cells that change are written: each time something that is nowhere else on the screen.
    letters = map(chr, range(0x4E00, 0x9FFF))

    def key(_: int) -> str:
        terminal.types(letter := next(letters))
        return letter

    def message(_: int) -> str:
        dale.says(letter := next(letters))
        return letter

    def message_while_typing(_: int) -> str:
        terminal.types("x")
        return message(0)

    print(f"key to echo, p50 / p95        {milliseconds(count, key, terminal)}")
    terminal.types("\x15")
    terminal.drain(0.5)
    print(f"message to screen, idle       {milliseconds(count, message, terminal)}")
    print(f"message to screen, typing     {milliseconds(count, message_while_typing, terminal)}")
    began = time.monotonic()
    last = next(letters)
    dale.says(*(f"number {number}" for number in range(1, BURST)), last)
    print(f"burst of {BURST}                  {(terminal.until(last) - began) * 1000:6.0f} ms")
    terminal.drain(2.0)
    before = times(terminal.process.pid)
    written = terminal.drain(IDLE)
    share = (times(terminal.process.pid) - before) / IDLE
    print(f"idle for {IDLE:g} s                  {share:6.2%} of a core, {written} bytes written")
    terminal.process.terminate()
    terminal.process.wait(PATIENCE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--times", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Served("--store", "memory:", "--message-rate", "0") as served:
        measure(served.port, Path(folder), given.columns, given.rows, given.times)


if __name__ == "__main__":
    main()
