"""A server as a process, started as users do, with its CPU time and memory from /proc."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final

TOP: Final = Path(__file__).parent.parent
TICKS: Final = os.sysconf("SC_CLK_TCK")
HOST: Final = "127.0.0.1"


class ServerProcess:
    """A context manager: `python -m gmessenger server` with options; it can be killed and restarted."""

    def __init__(self, *options: str, prefix: tuple[str, ...] = ()) -> None:
        """prefix: a program, with its arguments, that executes the server in its own place."""
        self._options = options
        self._prefix = prefix
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=60)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens; after a kill, on the same port."""
        command = [*self._prefix, sys.executable, "-m", "gmessenger", "server", "--ip", HOST, "--port", str(self.port)]
        command += ["--log-file", "-", "--log-level", "error", *self._options]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
        self._process = subprocess.Popen(  # noqa: S603
            command, cwd=TOP, env=clean, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        found = re.search(r"port (\d+)", self._process.stdout.readline())
        assert found, "the server did not start"
        self.port = int(found[1])

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=60)

    def cpu_seconds(self) -> float:
        """Return its CPU seconds so far, of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def run_time(self) -> float:
        """Return the same, exactly, of the threads that there are."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def memory_kb(self) -> float:
        """Return its resident memory in kB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return float(status.partition("VmRSS:")[2].split()[0])

    def wait_until_idle(self, timeout: float = 10.0) -> None:
        """Block until it uses no more CPU time for 0.25 s, at most `timeout` seconds."""
        deadline, before = time.monotonic() + timeout, -1.0
        while self.cpu_seconds() != before and time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(0.25)


def raise_file_limit(wanted: int) -> None:
    """Raise the limit of open files of this process and its children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def source_address(number: int, addresses: int = 250) -> tuple[str, int]:
    """Return the source address of a connection: each address of loopback has ports of its own."""
    return f"127.0.1.{number % addresses + 1}", 0
