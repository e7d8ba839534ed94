"""Child processes that never outlive the launcher, not even when it is killed with SIGKILL.

Each program is the child of a *helper*: a process that holds a TCP connection to the launcher and terminates its
program when that connection closes. So no process is ever looked up by its id, and programs in all kinds of windows end
in the same way. The helper of the services runs PostgreSQL and Redis itself.

The helper connects to the launcher, reads one line of JSON (`run_program`), and writes one: the exit code with the last
line of stderr, or the URLs of the services.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from select import select
from threading import Thread
from typing import Any, Final

from gmessenger.launcher.output import fail, safe
from gmessenger.launcher.poll import poll_until
from gmessenger.launcher.windows import DETACHED, Windows
from gmessenger.paths import checkout_root

TOP: Final = checkout_root()
"""The working directory of programs: the checkout, otherwise (None) that of the launcher."""
LAUNCHER: Final = [sys.executable, "-m", "gmessenger.launcher"]
LEASH: Final = "--leash"
"""The first argument of a program's helper; the port and the program's name follow."""
SERVICES: Final = "--services"
"""The first argument of the services' helper; the port and the services' names follow."""
START_TIMEOUT: Final = 20.0  # seconds from the start of a window until its helper connects
GRACE: Final = 15.0  # seconds from SIGTERM to SIGKILL; the server takes up to 10 to deliver what it accepted
END_TIMEOUT: Final = GRACE + 5  # seconds for a helper to end, with its program
SERVICES_TIMEOUT: Final = 60.0  # seconds from the start of PostgreSQL and Redis until both answer
POLL_INTERVAL: Final = 0.05  # seconds
SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
NOT_INSTALLED: Final = (
    "{} is not installed: apt-get install postgresql redis-server (on Debian), or name existing "
    "ones with --store and --bus"
)


def shut_down(connection: socket.socket, how: int) -> None:
    """Shut a connection down in one direction; it may be closed already."""
    with suppress(OSError):
        connection.shutdown(how)


def terminate_on_close(connection: socket.socket, child: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """Block until the connection closes, then send the child SIGTERM and, after `grace` seconds, SIGKILL."""
    with suppress(OSError):
        connection.recv(1)  # no further data is sent
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()


def is_server(name: str) -> bool:
    """Return whether a program's name is that of a server; otherwise it is a client."""
    return name.startswith("server")


def run_program(port: int, name: str) -> None:
    """Run as a program's helper: start it, until it ends or the launcher disconnects."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as connection:
        # Signals end the program through the connection, so that there is one path. Ctrl-C is for a client itself.
        for number in SIGNALS:
            signal.signal(number, lambda *_: shut_down(connection, socket.SHUT_RD))
        if not is_server(name):
            signal.signal(signal.SIGINT, lambda *_: None)
        order = connection.makefile().readline()
        if order:
            run_child(connection, own_session=is_server(name), **json.loads(order))


def run_child(connection: socket.socket, argv: list[str], own_session: bool, stay: bool) -> None:
    """Run `argv`, copy its stderr, and send the launcher its exit code and the last line of stderr.

    Args:
        own_session: no signals from the terminal: a server would get them twice, and drop everything at the second.
        stay: after an error, keep the window open until Enter is pressed or the launcher disconnects.
    """
    child = subprocess.Popen(argv, cwd=TOP, stderr=subprocess.PIPE, start_new_session=own_session)
    Thread(target=terminate_on_close, args=(connection, child), daemon=True).start()
    last_line = b""
    for line in child.stderr or ():
        last_line = line.strip() or last_line
        with suppress(OSError):  # the window is gone already
            os.write(2, safe(line.rstrip(b"\r\n").decode(errors="replace")).encode() + b"\n")
    code = child.wait()
    if is_closed(connection):  # the launcher ended it, whatever its exit code
        code, last_line = 0, b""
    with suppress(OSError):
        connection.sendall(json.dumps([code, last_line.decode(errors="replace")]).encode() + b"\n")
        if stay and code:
            print(f"\n[ended with code {code}; Enter closes this window] ", end="", flush=True)
            select([connection, sys.stdin], [], [])


def is_closed(connection: socket.socket) -> bool:
    """Return whether a connection on which no data is expected was closed. Does not block."""
    return bool(select([connection], [], [], 0)[0])


def run_services(port: int, wanted: list[str]) -> None:
    """Run as the services' helper: start them, send their URLs, until the launcher disconnects."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as connection, ExitStack() as running:
        for number in SIGNALS:
            signal.signal(number, lambda *_: shut_down(connection, socket.SHUT_RD))
        try:
            reply = start_services(running, wanted)
        except (OSError, RuntimeError) as error:
            reply = {"error": " ".join(str(error).split())}
        connection.sendall(json.dumps(reply).encode() + b"\n")
        connection.recv(1)  # no data is sent: it returns when the connection closes


def start_services(running: ExitStack, wanted: list[str]) -> dict[str, str]:
    """Start the services until `running` is closed; return URLs by option, or `{"error": …}`."""
    from gmessenger.launcher.services import Postgres, Redis, missing  # Linux only

    not_installed = [service for service in missing() if service in wanted]
    if not_installed:
        return {"error": NOT_INSTALLED.format(" and ".join(not_installed))}
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


def wait_for_exit(connection: socket.socket) -> tuple[int, str]:
    """Block until a program ends; return its exit code (1 for a signal) and last line on stderr."""
    try:
        code, last_line = json.loads(connection.makefile().readline())
    except (OSError, ValueError):  # the helper itself was killed
        return 1, ""
    return code if code >= 0 else 1, last_line


class ProcessSupervisor:
    """Starts helpers, and ends them with their programs; a program is known by its name."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._connections: dict[str, socket.socket] = {}  # closing one of these ends its program
        self._helpers: list[subprocess.Popen[bytes]] = []

    def is_running(self, name: str) -> bool:
        """Return whether a program was started and has not ended."""
        return name in self._connections and not is_closed(self._connections[name])

    def reap(self) -> None:
        """Collect helpers that have ended, so that none stays a zombie."""
        self._helpers = [helper for helper in self._helpers if helper.poll() is None]

    def start(self, name: str, argv: list[str], *, stay: bool) -> socket.socket:
        """Run `argv` in a new window; return the connection for `wait_for_exit`.

        `stay`: after an error the window is kept open until Enter is pressed. Raises SystemExit if no window opens.
        """
        first = not any(self.is_running(other) for other in self._connections if other != "services")
        prefix, popen_arguments = self._windows.command(name, first=first, background=is_server(name))
        connection = self._spawn(name, [*prefix, *LAUNCHER, LEASH], [name], popen_arguments)
        connection.sendall(json.dumps({"argv": argv, "stay": stay}).encode() + b"\n")
        return connection

    def start_services(self, wanted: list[str]) -> dict[str, str]:
        """Start PostgreSQL, Redis or both; return their URLs by option. Raises SystemExit."""
        connection = self._spawn("services", [*LAUNCHER, SERVICES], wanted, DETACHED)
        connection.settimeout(SERVICES_TIMEOUT)
        try:
            reply: dict[str, str] = json.loads(connection.makefile().readline())
        except (OSError, ValueError):
            reply = {"error": f"{' and '.join(wanted)} did not start"}
        connection.settimeout(None)
        if "error" in reply:
            fail(69, reply["error"])
        return reply

    def close(self) -> None:
        """End all programs, then the services. Blocks, at most END_TIMEOUT seconds for each."""
        for name, connection in self._connections.items():
            if name != "services":
                shut_down(connection, socket.SHUT_WR)
        while self._connections:  # the services, which were started first, come last
            with suppress(OSError), self._connections.popitem()[1] as connection:
                shut_down(connection, socket.SHUT_WR)
                connection.settimeout(END_TIMEOUT)
                while connection.recv(4096):
                    pass
        self._windows.close()
        while self._helpers:
            with suppress(subprocess.TimeoutExpired):
                self._helpers.pop().wait(END_TIMEOUT)

    def _spawn(
        self, name: str, helper: list[str], arguments: list[str], popen_arguments: Mapping[str, Any]
    ) -> socket.socket:
        """Start a helper and wait until it connects. Raises SystemExit."""
        with socket.create_server(("127.0.0.1", 0)) as listener:  # closed in any case, so that a late helper gives up
            argv = [*helper, str(listener.getsockname()[1]), *arguments]
            self._helpers.append(subprocess.Popen(argv, cwd=TOP, **popen_arguments))
            connection = self._connections[name] = self._accept(listener, name)
        return connection

    def _accept(self, listener: socket.socket, name: str) -> socket.socket:
        helper = self._helpers[-1]  # with tmux, the command that opens the window, which ends with 0 at once

        def is_decided() -> bool:
            return bool(select([listener], [], [], POLL_INTERVAL)[0]) or bool(helper.poll())

        poll_until(is_decided, START_TIMEOUT, 0)
        if not select([listener], [], [], 0)[0]:
            fail(1, f"no window opened for {name} ({self._windows.kind}); --window none does without")
        return listener.accept()[0]
