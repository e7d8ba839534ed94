"""Run programs so that none outlives the launcher, not even one that is killed with SIGKILL.

Each program is the child of a *helper*: a process that holds a connection to the launcher and ends its program when
that connection closes. No process id is ever guessed at, and every kind of window is ended in the same way. The helper
of the services runs PostgreSQL and Redis itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from select import select
from threading import Thread
from typing import Any, Final

from gmessenger.launcher.output import fail, safe
from gmessenger.launcher.windows import DETACHED, Windows
from gmessenger.paths import checkout_root

TOP: Final = checkout_root()
"""Where programs are started: None, which is here, where this is no checkout."""
LAUNCHER: Final = [sys.executable, "-m", "gmessenger.launcher"]
LEASH: Final = "--leash"
"""The first argument of the helper of a program; a port and the program's name follow."""
SERVICES: Final = "--services"
"""The first argument of the helper of the services; a port and their names follow."""
START_TIMEOUT: Final = 20.0  # seconds from the start of a window until its helper answers
GRACE: Final = 15.0  # seconds from SIGTERM to SIGKILL; the server takes up to 10 to deliver what it accepted
END_TIMEOUT: Final = GRACE + 5  # seconds until a helper has let go, its program being gone
SERVICES_TIMEOUT: Final = 60.0  # seconds from the start of PostgreSQL and Redis until both answer
POLL_INTERVAL: Final = 0.05  # seconds
SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
NOT_INSTALLED: Final = (
    "{} is not installed: apt-get install postgresql redis-server (on Debian), or name existing "
    "ones with --store and --bus"
)


def hang_up(line: socket.socket, how: int) -> None:
    """Shut a connection down in one direction; it may be closed already."""
    with suppress(OSError):
        line.shutdown(how)


def end_with(line: socket.socket, child: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """Block until the line ends, then end the child: with SIGTERM and, after `grace` seconds, with SIGKILL."""
    with suppress(OSError):
        line.recv(1)  # nothing else ever comes
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()


def is_server(name: str) -> bool:
    """Tell the name of a server from that of a client."""
    return name.startswith("server")


def run_program(port: int, name: str) -> None:
    """Be the helper of a program: run what the launcher orders until it ends, or the launcher hangs up or dies."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as line:
        for number in SIGNALS:  # all go through the line, so that nothing is torn; but Ctrl-C is a client's own
            signal.signal(number, lambda *_: hang_up(line, socket.SHUT_RD))
        if not is_server(name):
            signal.signal(signal.SIGINT, lambda *_: None)
        order = line.makefile().readline()
        if order:
            obey(line, apart=is_server(name), **json.loads(order))


def obey(line: socket.socket, argv: list[str], apart: bool, stay: bool) -> None:
    """Run `argv` and tell the launcher how it ended. `stay`: after an error the window waits until it was read.

    `apart`: it gets no signal from the terminal beside the one from here; at a second one a server drops everything.
    """
    child = subprocess.Popen(argv, cwd=TOP, stderr=subprocess.PIPE, start_new_session=apart)
    Thread(target=end_with, args=(line, child), daemon=True).start()
    last = b""
    for text in child.stderr or ():
        last = text.strip() or last
        with suppress(OSError):  # the window is gone already
            os.write(2, safe(text.rstrip(b"\r\n").decode(errors="replace")).encode() + b"\n")
    code = child.wait()
    if select([line], [], [], 0)[0]:  # ended as asked, however that looked
        code, last = 0, b""
    with suppress(OSError):
        line.sendall(json.dumps([code, last.decode(errors="replace")]).encode() + b"\n")
        if stay and code:
            print(f"\n[ended with code {code}; Enter closes this window] ", end="", flush=True)
            select([line, sys.stdin], [], [])


def run_services(port: int, wanted: list[str]) -> None:
    """Be the helper of the services that nodes share: run them until the launcher hangs up; tell it the URLs."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as line, ExitStack() as running:
        for number in SIGNALS:
            signal.signal(number, lambda *_: hang_up(line, socket.SHUT_RD))
        try:
            answer = start_services(running, wanted)
        except (OSError, RuntimeError) as error:
            answer = {"error": " ".join(str(error).split())}
        line.sendall(json.dumps(answer).encode() + b"\n")
        line.recv(1)  # nothing ever comes


def start_services(running: ExitStack, wanted: list[str]) -> dict[str, str]:
    """Start those of PostgreSQL and Redis that are wanted, until `running` is closed; return their URLs or an error."""
    from gmessenger.launcher.services import Postgres, Redis, missing  # not every system has what this needs

    lacking = [service for service in missing() if service in wanted]
    if lacking:
        return {"error": NOT_INSTALLED.format(" and ".join(lacking))}
    urls = {}
    if "PostgreSQL" in wanted:
        postgres = running.enter_context(Postgres())
        postgres.start()
        urls["store"] = postgres.url()
    if "Redis" in wanted:
        redis = running.enter_context(Redis(port=None))
        redis.start()
        urls["bus"] = redis.url
    return urls


def outcome(line: socket.socket) -> tuple[int, str]:
    """Wait for a program's own end: return its exit code (1 if a signal ended it) and its last line on stderr."""
    try:
        code, last = json.loads(line.makefile().readline())
    except (OSError, ValueError):  # the helper itself was killed
        return 1, ""
    return code if code >= 0 else 1, last


class Supervisor:
    """The launcher's end of the connections to its helpers, by the names of what they run."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._lines: dict[str, socket.socket] = {}  # losing one of these ends its program
        self._spawned: list[subprocess.Popen[bytes]] = []

    def runs(self, name: str) -> bool:
        """Whether a program was started and has not ended."""
        return name in self._lines and not select([self._lines[name]], [], [], 0)[0]

    def reap(self) -> None:
        """Let no helper that has ended stay a zombie."""
        self._spawned = [child for child in self._spawned if child.poll() is None]

    def start(self, name: str, argv: list[str], *, stay: bool) -> socket.socket:
        """Run `argv` in a new window, and return the connection on which `outcome` waits for its end.

        `stay`: after an error the window is kept open until Enter is pressed. Raises SystemExit where none opens.
        """
        first = not any(self.runs(other) for other in self._lines if other != "services")
        before, how = self._windows.command(name, first=first, background=is_server(name))
        line = self._spawn(name, [*before, *LAUNCHER, LEASH], [name], how)
        line.sendall(json.dumps({"argv": argv, "stay": stay}).encode() + b"\n")
        return line

    def start_services(self, wanted: list[str]) -> dict[str, str]:
        """Start PostgreSQL, Redis or both in a temporary directory; return their URLs. Raises SystemExit."""
        line = self._spawn("services", [*LAUNCHER, SERVICES], wanted, DETACHED)
        line.settimeout(SERVICES_TIMEOUT)
        try:
            answer: dict[str, str] = json.loads(line.makefile().readline())
        except (OSError, ValueError):
            answer = {"error": f"{' and '.join(wanted)} did not start"}
        line.settimeout(None)
        if "error" in answer:
            fail(69, answer["error"])
        return answer

    def close(self) -> None:
        """End all that was started; it is gone when this returns."""
        for line in [line for name, line in self._lines.items() if name != "services"]:
            hang_up(line, socket.SHUT_WR)
        while self._lines:  # what others need, which was started first, comes last
            with suppress(OSError), self._lines.popitem()[1] as line:
                hang_up(line, socket.SHUT_WR)
                line.settimeout(END_TIMEOUT)
                while line.recv(4096):
                    pass
        self._windows.close()
        while self._spawned:
            with suppress(subprocess.TimeoutExpired):
                self._spawned.pop().wait(END_TIMEOUT)

    def _spawn(self, name: str, helper: list[str], arguments: list[str], how: Mapping[str, Any]) -> socket.socket:
        with socket.create_server(("127.0.0.1", 0)) as listener:  # closed in any case: a late helper gives up then
            argv = [*helper, str(listener.getsockname()[1]), *arguments]
            self._spawned.append(subprocess.Popen(argv, cwd=TOP, **how))
            line = self._lines[name] = self._accept(listener, name)
        return line

    def _accept(self, listener: socket.socket, name: str) -> socket.socket:
        deadline = time.monotonic() + START_TIMEOUT
        while not select([listener], [], [], POLL_INTERVAL)[0]:
            if time.monotonic() >= deadline or self._spawned[-1].poll():
                fail(1, f"no window opened for {name} ({self._windows.kind}); --window none does without")
        return listener.accept()[0]
