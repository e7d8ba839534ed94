"""The client in a process of its own, without monkey patching, on a pseudo-terminal or pipes.

Everything waits for output with a deadline; nothing sleeps for a fixed time.
"""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any, Self

from gevent import monkey
from gevent.select import select

from tests import ROOT
from tests.support.timeouts import TEST_TIMEOUT as TIMEOUT

# The patched one closes some time later, and only then does the other end notice.
close = monkey.get_original("os", "close")


def command(server: Any, *arguments: str) -> list[str]:
    address = ["--host", server.host, "--port", str(server.port)]
    return [sys.executable, "-m", "gmessenger", "client", *address, *arguments]


def environment(log: Path | str, **more: str) -> dict[str, str]:
    """Return a minimal environment with log, state and home below the folder of the log."""
    return {"PATH": os.environ["PATH"], "HOME": str(Path(log).parent / "home"), "TERM": "xterm", "LANG": "C.UTF-8"} | {
        "MESSENGER_LOG_FILE": str(log),
        "STATE_DIRECTORY": str(Path(log).parent),
        **more,
    }


def become_session_leader() -> None:
    """Make fd 0 the controlling terminal of a new session, so that Ctrl-C reaches only this process."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP):  # nohup and the like may have changed them
        signal.signal(number, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class PtyClient:
    """The client on a pseudo-terminal: type into it and wait for its output."""

    def __init__(self, argv: list[str], log: Path | str, columns: int = 200, *, rows: int = 24, **env: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env=environment(log, **env),
            preexec_fn=become_session_leader,
        )
        close(slave)
        os.set_blocking(self.master, False)
        self.seen = ""

    def type(self, text: str) -> None:
        data = text.encode()
        while data:
            select([], [self.master], [])
            data = data[os.write(self.master, data) :]

    def type_line(self, text: str) -> None:
        self.type(text + "\n")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a pattern in the output; drop the output up to its end."""
        deadline = time.monotonic() + TIMEOUT
        while (found := re.search(pattern, self.seen)) is None:
            assert self._read_more(deadline), f"no {pattern!r} in {self.seen!r}"
        self.seen = self.seen[found.end() :]
        return found

    def wait_for_exit(self) -> int:
        """Wait until the process has ended; return its exit code. The rest of the output stays in `seen`."""
        deadline = time.monotonic() + TIMEOUT
        while self._read_more(deadline):
            pass
        return self.process.wait(timeout=TIMEOUT)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def hang_up(self) -> None:
        close(self.master)
        self.master = -1

    def _read_more(self, deadline: float) -> bool:
        readable, _, _ = select([self.master], [], [], max(0.0, deadline - time.monotonic()))
        try:
            data = os.read(self.master, 65_536) if readable else b""
        except OSError:  # the other end is closed
            return False
        self._on_output(data)
        return bool(data)

    def _on_output(self, data: bytes) -> None:
        self.seen += data.decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.master >= 0:
            close(self.master)
