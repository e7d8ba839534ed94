"""A server process that can be killed and restarted on its store."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests import ROOT
from tests.support.ports import free_port
from tests.support.server import TEST_TIMEOUT

HOST: Final = "127.0.0.1"
SERVER_MODULE: Final = ("-m", "gmessenger", "server")
RESTART_DELAY: Final = 0.2
UNLIMITED_RATES: Final = ("--message-rate", "0", "--request-rate", "0")


@dataclass(frozen=True)
class WebAddress:
    """Where a server takes WebSockets; as text, the value of `--web`."""

    host: str
    port: int
    wire: str = "web"

    @classmethod
    def free(cls) -> WebAddress:
        """Return one with a port that nothing listens on."""
        return cls(HOST, free_port())

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class RestartableServer:
    """A server process; all its runs log to one file beside the store.

    Args of the constructor:
        prefix: beginning of its command line, to start it inside a namespace.
    """

    def __init__(
        self,
        store: str,
        log: Path,
        *options: str,
        program: tuple[str, ...] = SERVER_MODULE,
        host: str = HOST,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.host = host
        self._log = log
        self._command = [*prefix, sys.executable, *program, "--ip", host, "--log-file", str(log), "--store", store]
        self._command += [*UNLIMITED_RATES, *options]
        self._process: subprocess.Popen[str] | None = None
        self.port = free_port()
        """The same in all runs: one that no other server of the tests gets while this one restarts."""
        self.starts = 0
        self.kills = 0

    def __enter__(self) -> RestartableServer:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def launch(self) -> None:
        """Start the process, without waiting until it listens."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
        self._process = subprocess.Popen(
            [*self._command, "--port", str(self.port)], cwd=ROOT, env=clean, stdout=subprocess.PIPE, text=True
        )
        self.starts += 1

    def start(self) -> None:
        self.launch()
        self.wait_until_listening()

    def wait_until_listening(self) -> None:
        """Wait until it does."""
        line = self._read_line()
        assert self._is_listening(line), f"the server says {line!r}, and {self.error_lines()}"

    def restart_until_listening(self) -> None:
        """Start the process until it listens, as a supervisor would."""
        deadline = time.monotonic() + TEST_TIMEOUT
        self.launch()
        while not self._is_listening(line := self._read_line()):
            assert time.monotonic() < deadline, f"the server does not come back: {line!r}, and {self.error_lines()}"
            self.process.communicate(timeout=TEST_TIMEOUT)
            time.sleep(RESTART_DELAY)
            self.launch()

    def _read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def _is_listening(self, line: str) -> bool:
        return re.search(rf"port {self.port}\b", line) is not None

    def kill(self) -> None:
        """End the process as `kill -9` does."""
        self.process.kill()
        self.process.communicate(timeout=TEST_TIMEOUT)
        self.kills += 1

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=TEST_TIMEOUT)
        assert self.process.returncode == 0, self.error_lines()

    def pause(self) -> None:
        """Suspend the process: clients stay connected and get no responses."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def resident_kilobytes(self) -> int:
        """Return the resident memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def error_lines(self) -> list[str]:
        """Return the lines of the log that report errors."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line for line in lines if re.search(r"greenlet_failed|Traceback|\wError\b", line)]
