"""The server in a process of its own, as users start it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from typing import Any

from tests import ROOT
from tests.support.timeouts import TEST_TIMEOUT


class ServerProcess:
    """`python -m gmessenger server ARGUMENTS`, with its log on stderr."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        command = [sys.executable, "-m", "gmessenger", "server", "--port", "0", "--log-file", "-"]
        command += ["--close-timeout", "0.3"]
        command += ["--message-rate", "0", "--request-rate", "0", *arguments]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=clean | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for_port(self) -> int:
        """Wait until the server reports its port."""
        assert self.process.stdout is not None
        state = self.process.stdout.readline()
        found = re.search(r"port (\d+)", state)
        assert found, state
        return int(found[1])

    def stop(self, *signals: signal.Signals) -> tuple[int, str]:
        """Send signals; return the exit code and the log."""
        for number in signals:
            self.process.send_signal(number)
        _, log = self.process.communicate(timeout=TEST_TIMEOUT)
        return self.process.returncode, log


def open_connection(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TEST_TIMEOUT)


def run_server(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a server that does not get far."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
    completed = subprocess.run(
        [sys.executable, "-m", "gmessenger", "server", *arguments],
        cwd=ROOT,
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=TEST_TIMEOUT,
    )
    return completed.returncode, completed.stdout, completed.stderr
