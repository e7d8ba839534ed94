"""The server as a process of its own, as its users start it, and what it costs: processor and memory, from /proc."""

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


class Served:
    """`python -m gmessenger server` with further options: a context, in which it can be killed and started again."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Served:
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
        """Start it, after a kill on the same port, and wait until it listens."""
        command = [sys.executable, "-m", "gmessenger", "server", "--ip", HOST, "--port", str(self.port)]
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
        """As `kill -9` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=60)

    def processor(self) -> float:
        """Seconds of processor it has used, all threads together."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self) -> float:
        """Kilobytes of memory it holds."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return float(status.partition("VmRSS:")[2].split()[0])

    def rested(self, longest: float = 10.0) -> None:
        """Wait until it does nothing any more."""
        deadline, before = time.monotonic() + longest, -1.0
        while self.processor() != before and time.monotonic() < deadline:
            before = self.processor()
            time.sleep(0.25)


def many_files(wanted: int) -> None:
    """Allow this process, and what it starts, so many open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def source(number: int, addresses: int = 250) -> tuple[str, int]:
    """Where connection `number` comes from: loopback has more addresses than one, each with ports of its own."""
    return f"127.0.1.{number % addresses + 1}", 0
