"""The server as a process that is killed and started again, on the same store."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from tests import ROOT
from tests.support.server import PATIENCE

HOST: Final = "127.0.0.1"
AS_SHIPPED: Final = ("-m", "gmessenger", "server")
AGAIN: Final = 0.2
AS_FAST_AS_YOU_LIKE: Final = ("--message-rate", "0", "--request-rate", "0")


class Server:
    """`start` it, `kill` it or `stop` it, again and again. Its log goes on in one file beside the store.

    `inside` is what its command line begins with, where it is to be started inside something.
    """

    def __init__(
        self,
        store: str,
        log: Path,
        *options: str,
        program: tuple[str, ...] = AS_SHIPPED,
        host: str = HOST,
        inside: tuple[str, ...] = (),
    ) -> None:
        self.host = host
        self._log = log
        self._command = [*inside, sys.executable, *program, "--ip", host, "--log-file", str(log), "--store", store]
        self._command += [*AS_FAST_AS_YOU_LIKE, *options]
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self.starts = 0
        self.kills = 0

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def port(self) -> int:
        """Where it listens; after its first start the same for ever."""
        assert self._port, "not started"
        return self._port

    def launch(self) -> None:
        """Start the process, without waiting until it listens."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
        self._process = subprocess.Popen(
            [*self._command, "--port", str(self._port)], cwd=ROOT, env=clean, stdout=subprocess.PIPE, text=True
        )
        self.starts += 1

    def start(self) -> None:
        self.launch()
        self.listens()

    def listens(self) -> None:
        """Wait until it does."""
        line = self._hears()
        assert self._knows_port(line), f"the server says {line!r}, and {self.complaints()}"

    def revive(self) -> None:
        """Start it again and again, as whoever looks after it would, until it listens."""
        deadline = time.monotonic() + PATIENCE
        self.launch()
        while not self._knows_port(line := self._hears()):
            assert time.monotonic() < deadline, f"the server does not come back: {line!r}, and {self.complaints()}"
            self.process.communicate(timeout=PATIENCE)
            time.sleep(AGAIN)
            self.launch()

    def _hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def _knows_port(self, line: str) -> bool:
        found = re.search(r"port (\d+)", line)
        if found:
            self._port = int(found[1])
        return found is not None

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)
        self.kills += 1

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, self.complaints()

    def pause(self) -> None:
        """It stands still: its clients stay connected and get no answer."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def resident(self) -> int:
        """Kilobytes of memory that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def complaints(self) -> list[str]:
        """Lines of the log that tell of mistakes."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line for line in lines if re.search(r"greenlet_failed|Traceback|\wError\b", line)]
