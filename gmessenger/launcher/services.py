"""Private servers of PostgreSQL and Redis, each in a temporary directory, which `close` removes.

For `--nodes` of the launcher, for tests and for benchmarks. Standard library only. Calls block.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from gmessenger.launcher.poll import poll_until

START_TIMEOUT: Final = 30.0  # seconds until a service answers, or has ended
POLL_INTERVAL: Final = 0.01  # seconds
LOOPBACK: Final = "127.0.0.1"
DEBIAN: Final = Path("/usr/lib/postgresql")
PROGRAMS: Final = {"PostgreSQL": ("initdb", "postgres", "psql"), "Redis": ("redis-server",)}
SPARE_DATABASES: Final = 8
"""Databases that are created at a time: starting psql takes longer than creating one."""
PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)

Self = TypeVar("Self", bound="Service")


def program(name: str) -> str | None:
    """Return the path of a program, also of PostgreSQL's, which Debian has outside the PATH."""
    newest = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return shutil.which(name) or (str(newest[-1]) if newest else None)


def missing() -> list[str]:
    """Return which of the services are not installed."""
    return [service for service, names in PROGRAMS.items() if not all(map(program, names))]


class Service:
    """A server process in a directory of its own. A context manager: `close` removes the directory.

    Its output goes to the file `log`. The data survive `stop` and `kill`, until `close`.
    """

    def __init__(self, name: str, port: int | None, host: str, settings: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.log = self.folder / "log"
        self.host = host
        self.port = _free_port(host) if port == 0 else port
        self.settings = dict(settings)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers. Raises TimeoutError with the end of its log."""
        if self.running:
            return
        self.launch()
        poll_until(lambda: self.answers() or not self.running, START_TIMEOUT, POLL_INTERVAL)
        if not self.answers():
            log = self.log.read_text(errors="replace")[-1000:]
            raise TimeoutError(f"{type(self).__name__} does not answer: {log}")

    def launch(self) -> None:
        """Start the process, without waiting until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_child_arguments(self.user()),
            )

    def stop(self) -> None:
        """Send SIGINT and wait until it has ended."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill all its processes with SIGKILL."""
        if self.running:
            os.kill(self.pid, signal.SIGSTOP)  # it must not replace children that end first
            for pid in self._processes():
                _signal(pid, signal.SIGKILL)
            self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop all its processes with SIGSTOP: connections stay open and get no response."""
        for pid in (self.pid, *self._processes()):
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Continue after a pause."""
        for pid in (*self._processes(), self.pid):
            _signal(pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its directory."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self) -> list[str]:
        """Return the command that runs it in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Return whether it answers now."""
        raise NotImplementedError

    def user(self) -> str | None:
        """Return the user to run it as; None for the user of this process."""
        return None

    def _processes(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if self.running else []

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            _signal(self.pid, number)
            self._process.wait(START_TIMEOUT)
            self._process = None


class Postgres(Service):
    """A PostgreSQL server on a Unix socket; with a `port` (0: a free one) also on TCP, at `host`.

    Roles log in without a password, except one named `guarded`, which must be created with one. `settings`: as in
    `postgresql.conf`.
    """

    def __init__(self, *, port: int | None = None, host: str = LOOPBACK, settings: Mapping[str, str] | None = None):
        super().__init__("postgres", port, host, settings or {})
        self._data = self.folder / "data"
        self._databases = self._copies = 0
        self._spare_databases: list[str] = []
        if (user := self.user()) is not None:
            shutil.chown(self.folder, user, user)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8")
        rules = ["local all guarded scram-sha-256", "host all guarded all scram-sha-256"]
        rules += ["local all all trust", "host all all all trust"]
        (self._data / "pg_hba.conf").write_text("\n".join(rules) + "\n")

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the URL of a database: over TCP if there is a port, otherwise over the socket."""
        if self.port is None:
            return f"postgresql://{user}@/{database}?host={self.folder}"
        return f"postgresql://{user}@{self.host}:{self.port}/{database}"

    def database(self) -> str:
        """Create an empty database and return its URL."""
        if not self._spare_databases:
            first = self._databases
            self._databases += SPARE_DATABASES  # before they are made: where that fails, some of them may be there
            names = [f"fresh{number}" for number in range(first, self._databases)]
            self.run(*[f"CREATE DATABASE {name}" for name in names])
            self._spare_databases = names
        return self.url(self._spare_databases.pop(0))

    def copy(self, template: str) -> str:
        """Copy a database that has no connections, given by its URL; return the URL of the copy."""
        self._copies += 1
        name = f"copy{self._copies}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {_database(template)} STRATEGY FILE_COPY")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, and close its connections."""
        self.run(f"DROP DATABASE {_database(url)} WITH (FORCE)")

    def run(self, *statements: str, database: str = "postgres") -> str:
        """Execute statements, each in its own transaction, as the superuser; return what psql prints."""
        commands = [word for statement in statements for word in ("-c", statement)]
        return self._run(
            "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", "postgres", *commands, database
        )

    def command(self) -> list[str]:
        address = ["-p", str(self.port), "-h", self.host] if self.port else ["-h", ""]
        settings = {"unix_socket_directories": str(self.folder), "log_min_messages": "fatal"} | self.settings
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [_path("postgres"), "-D", str(self._data), *address, *options]

    def answers(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return self.running and len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        return False

    def abort(self) -> None:
        """Stop it as `pg_ctl stop -m immediate` does, without a checkpoint: the next start recovers."""
        self._end(signal.SIGQUIT)

    def user(self) -> str | None:
        return "postgres" if os.geteuid() == 0 else None  # it refuses to run as root

    def _run(self, name: str, *arguments: str) -> str:
        port = {"PGPORT": str(self.port)} if self.port else {}
        done = subprocess.run(
            [_path(name), *arguments],
            cwd=self.folder,
            env=os.environ | port,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_TIMEOUT,
            check=False,
            **_run_as(self.user()),
        )
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr.decode(errors='replace')}")
        return str(done.stdout.decode())


class Redis(Service):
    """A Redis server without persistence, on a Unix socket and on TCP.

    `port`: 0 for a free one, None for no TCP. `settings`: as in `redis.conf`.
    """

    def __init__(self, *, port: int | None = 0, host: str = LOOPBACK, settings: Mapping[str, str] | None = None):
        super().__init__("redis", port, host, settings or {})
        self.socket = self.folder / "socket"

    @property
    def url(self) -> str:
        """Return its URL: over TCP if there is a port, otherwise over the socket."""
        return f"unix://{self.socket}" if self.port is None else f"redis://{self.host}:{self.port}"

    def command(self) -> list[str]:
        settings = {
            "port": str(self.port or 0),
            "bind": self.host,
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "dir": str(self.folder),
            "protected-mode": "no",
        } | self.settings
        return [_path("redis-server"), *[word for name, value in settings.items() for word in (f"--{name}", value)]]

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(self.socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(100)[:1] in (b"+", b"-")  # an error, if it requires a password, is a response too
        return False


def _database(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _path(name: str) -> str:
    path = program(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed")
    return path


def _free_port(host: str) -> int:
    with socket.socket() as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _run_as(user: str | None) -> dict[str, Any]:
    """Return arguments of Popen that run a process as another user."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _child_arguments(user: str | None) -> dict[str, Any]:
    """Return arguments of Popen: a session of its own, and SIGQUIT when this process dies."""

    def prepare() -> None:
        os.setsid()
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)

    return {"preexec_fn": prepare, **_run_as(user)}
