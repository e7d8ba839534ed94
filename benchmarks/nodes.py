"""Nodes of a cluster as processes, their PostgreSQL and Redis, and the resources that each has used."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Final

from benchmarks.server_process import ServerProcess
from benchmarks.setup_steps import fill_store
from gmessenger.launcher.services import Postgres, Redis

TICKS: Final = os.sysconf("SC_CLK_TCK")
UNTHROTTLED: Final = ("--message-rate", "0", "--request-rate", "0", "--connect-rate", "0")


@dataclass(frozen=True)
class Setup:
    """Nodes on a store, with a bus or without."""

    name: str
    title: str
    nodes: int = 1
    shared: bool = True
    bus: bool = False


SETUPS: Final = (
    Setup("sqlite", "one node, SQLite", shared=False),
    Setup("postgres", "one node, PostgreSQL"),
    Setup("bus", "one node, PostgreSQL, Redis", bus=True),
    Setup("two", "two nodes, PostgreSQL, Redis", nodes=2, bus=True),
)


@dataclass(frozen=True)
class Usage:
    """Resources so far: CPU seconds, Redis's publications and bytes, transactions, bytes of WAL."""

    nodes: float = 0.0
    postgres: float = 0.0
    redis: float = 0.0
    published: int = 0
    published_bytes: int = 0
    commits: int = 0
    log: int = 0

    def __sub__(self, before: Usage) -> Usage:
        return Usage(*(getattr(self, column.name) - getattr(before, column.name) for column in fields(self)))


class Services:
    """A context manager: a private PostgreSQL with Debian's settings (`fsync` on) and a Redis."""

    def __enter__(self) -> Services:
        with ExitStack() as stack:
            self.postgres = stack.enter_context(Postgres())
            self.postgres.start()
            self.redis = stack.enter_context(Redis())
            self.redis.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def versions(self) -> str:
        postgres = self.postgres.run("SHOW server_version").split()[0]
        return f"PostgreSQL {postgres}, Redis {self._redis_info()['redis_version']}"

    def used(self, database: str) -> Usage:
        """Return what both have used, and what was done in a database."""
        info = self._redis_info()
        published = dict(pair.split("=") for pair in info.get("cmdstat_publish", "calls=0").split(","))
        commits, log = self.postgres.run(
            "SELECT count(*) FROM moves", "SELECT pg_current_wal_insert_lsn() - '0/0'", database=database
        ).split()
        return Usage(
            postgres=process_tree_cpu(self.postgres.pid),
            redis=process_tree_cpu(self.redis.pid),
            published=int(published["calls"]),
            published_bytes=int(info["total_net_input_bytes"]),
            commits=int(commits),
            log=int(log),
        )

    def _redis_info(self) -> dict[str, str]:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.redis.socket))
            line.sendall(b"INFO everything\r\nQUIT\r\n")
            text = b"".join(iter(lambda: line.recv(65536), b"")).decode()
        return dict(row.split(":", 1) for row in text.splitlines() if ":" in row)


class Nodes:
    """A context manager: a running setup, with a hundred accounts in its store."""

    def __init__(self, setup: Setup, services: Services, folder: Path) -> None:
        self.setup = setup
        self._services = services
        self.folder = Path(tempfile.mkdtemp(prefix=f"{setup.name}.", dir=folder))
        self.store = services.postgres.database() if setup.shared else f"sqlite:///{self.folder / 'messenger.db'}"
        options = ["--store", self.store, *UNTHROTTLED]
        options += ["--bus", services.redis.url] if setup.bus else []
        self.servers = [ServerProcess(*options) for _ in range(setup.nodes)]

    def __enter__(self) -> Nodes:
        fill_store(self.store)
        with ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def port(self) -> int:
        return self.servers[0].port

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers]

    def cpu(self) -> float:
        """Return the CPU seconds of its nodes so far."""
        return sum(server.cpu_seconds() for server in self.servers)

    def used(self) -> Usage:
        """Return what the nodes, and the services they use, have used so far."""
        nodes = Usage(nodes=self.cpu())
        if not self.setup.shared:
            return nodes
        used = self._services.used(self.store.partition("?")[0].rpartition("/")[2])
        return replace(used, nodes=nodes.nodes, redis=used.redis if self.setup.bus else 0.0)


def process_tree_cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children, including those that have ended."""
    own = _fields(pid)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (sum(own[11:15]) + sum(sum(_fields(int(child))[11:13]) for child in children)) / TICKS


def _fields(pid: int) -> list[int]:
    """Return the numbers of /proc/PID/stat from the third on; none if the process has just ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [0, *map(int, text[1:])]
