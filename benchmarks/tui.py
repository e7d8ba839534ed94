"""Latency of the full-screen client on a terminal: start, typed keys, arriving messages.

    python -m benchmarks.tui [--columns 80] [--rows 24] [--times 40]

A real server and a real pty, from which the written bytes are read; the time of a terminal emulator is not counted.
Loopback only; half a minute. Linux only (/proc).
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

from benchmarks.process import cpu_times
from benchmarks.server_process import HOST, ServerProcess

TIMEOUT: Final = 20.0
IDLE: Final = 8.0
BURST: Final = 500
INTERVAL: Final = 0.05


class Terminal:
    """A client on a pty."""

    def __init__(self, port: int, folder: Path, columns: int, rows: int) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.started = time.monotonic()
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

    def wait_for(self, text: str) -> float:
        """Block until the client has written a text; return the monotonic time."""
        wanted, seen, deadline = text.encode(), b"", time.monotonic() + TIMEOUT
        while wanted not in seen:
            assert select.select([self.master], [], [], deadline - time.monotonic())[0], f"no {text!r} in {seen!r}"
            seen = seen[-len(wanted) :] + os.read(self.master, 65_536)
        return time.monotonic()

    def drain(self, seconds: float) -> int:
        """Read for some seconds; return the number of bytes."""
        count, deadline = 0, time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                count += len(os.read(self.master, 65_536))
        return count

    def type_text(self, text: str) -> None:
        os.write(self.master, text.encode())


class MessageWriter:
    """A native connection that sends messages to the client."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"dale"}}\n')
        assert b"200" in self._socket.recv(65_536)

    def send(self, *texts: str) -> None:
        frames = (json.dumps({"action": "msg", "to": "hank", "message": text}) + "\n" for text in texts)
        self._socket.sendall("".join(frames).encode())


def milliseconds(count: int, act: Callable[[int], str], terminal: Terminal) -> str:
    """Repeat an action; return median and 95th percentile of the time until its text is on the screen."""
    durations = []
    for number in range(count):
        time.sleep(INTERVAL)
        started = time.monotonic()
        durations.append((terminal.wait_for(act(number)) - started) * 1000)
    return f"{statistics.median(durations):6.1f} / {statistics.quantiles(durations, n=20)[-1]:6.1f} ms"


def measure(port: int, folder: Path, columns: int, rows: int, count: int) -> None:
    terminal = Terminal(port, folder, columns, rows)
    print(f"start to connected screen     {(terminal.wait_for('● connected') - terminal.started) * 1000:6.0f} ms")
    writer = MessageWriter(port)
    terminal.type_text("/msg dale\r")
    terminal.drain(1.0)
    # Only changed cells are written, so each text must be new on the screen.
    letters = map(chr, range(0x4E00, 0x9FFF))

    def key(_: int) -> str:
        terminal.type_text(letter := next(letters))
        return letter

    def message(_: int) -> str:
        writer.send(letter := next(letters))
        return letter

    def message_while_typing(_: int) -> str:
        terminal.type_text("x")
        return message(0)

    print(f"key to echo, p50 / p95        {milliseconds(count, key, terminal)}")
    terminal.type_text("\x15")
    terminal.drain(0.5)
    print(f"message to screen, idle       {milliseconds(count, message, terminal)}")
    print(f"message to screen, typing     {milliseconds(count, message_while_typing, terminal)}")
    started = time.monotonic()
    last = next(letters)
    writer.send(*(f"number {number}" for number in range(1, BURST)), last)
    print(f"burst of {BURST}                  {(terminal.wait_for(last) - started) * 1000:6.0f} ms")
    terminal.drain(2.0)
    before = cpu_times(terminal.process.pid)
    written = terminal.drain(IDLE)
    share = (cpu_times(terminal.process.pid) - before) / IDLE
    print(f"idle for {IDLE:g} s                  {share:6.2%} of a core, {written} bytes written")
    terminal.process.terminate()
    terminal.process.wait(TIMEOUT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--times", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ServerProcess("--store", "memory:", "--message-rate", "0") as server:
        measure(server.port, Path(folder), options.columns, options.rows, options.times)


if __name__ == "__main__":
    main()
