"""Nodes of a cluster as processes of this machine, the PostgreSQL and the Redis behind them, and what each used."""

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

from benchmarks.server_process import Served
from benchmarks.setup_steps import fill
from gmessenger.launcher.services import Postgres, Redis

TICKS: Final = os.sysconf("SC_CLK_TCK")
UNTHROTTLED: Final = ("--message-rate", "0", "--request-rate", "0", "--connect-rate", "0")


@dataclass(frozen=True)
class Setup:
    """So many nodes on a store, with a bus between them or without."""

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
class Used:
    """Up to now: seconds of processor, what was published through Redis, transactions that kept messages, log bytes."""

    nodes: float = 0.0
    postgres: float = 0.0
    redis: float = 0.0
    published: int = 0
    published_bytes: int = 0
    commits: int = 0
    log: int = 0

    def __sub__(self, before: Used) -> Used:
        return Used(*(getattr(self, each.name) - getattr(before, each.name) for each in fields(self)))


class Behind:
    """A private PostgreSQL, as Debian configures it (`fsync` on), and a private Redis: a context."""

    def __enter__(self) -> Behind:
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
        return (
            f"PostgreSQL {self.postgres.run('SHOW server_version').split()[0]}, Redis {self._told()['redis_version']}"
        )

    def used(self, database: str) -> Used:
        """By both, and by whatever is done in that database."""
        told = self._told()
        published = dict(pair.split("=") for pair in told.get("cmdstat_publish", "calls=0").split(","))
        commits, log = self.postgres.run(
            "SELECT count(*) FROM moves", "SELECT pg_current_wal_insert_lsn() - '0/0'", database=database
        ).split()
        return Used(
            postgres=family(self.postgres.pid),
            redis=family(self.redis.pid),
            published=int(published["calls"]),
            published_bytes=int(told["total_net_input_bytes"]),
            commits=int(commits),
            log=int(log),
        )

    def _told(self) -> dict[str, str]:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.redis.socket))
            line.sendall(b"INFO everything\r\nQUIT\r\n")
            text = b"".join(iter(lambda: line.recv(65536), b"")).decode()
        return dict(row.split(":", 1) for row in text.splitlines() if ":" in row)


class Nodes:
    """A setup that runs, with a hundred accounts in its store: a context."""

    def __init__(self, setup: Setup, behind: Behind, folder: Path) -> None:
        self.setup = setup
        self._behind = behind
        self.folder = Path(tempfile.mkdtemp(prefix=f"{setup.name}.", dir=folder))
        self.store = behind.postgres.database() if setup.shared else f"sqlite:///{self.folder / 'messenger.db'}"
        options = ["--store", self.store, *UNTHROTTLED]
        options += ["--bus", behind.redis.url] if setup.bus else []
        self.servers = [Served(*options) for _ in range(setup.nodes)]

    def __enter__(self) -> Nodes:
        fill(self.store)
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
        """Seconds that its nodes have used so far."""
        return sum(server.processor() for server in self.servers)

    def used(self) -> Used:
        """What everything has used that it works with."""
        nodes = Used(nodes=self.cpu())
        if not self.setup.shared:
            return nodes
        behind = self._behind.used(self.store.partition("?")[0].rpartition("/")[2])
        return replace(behind, nodes=nodes.nodes, **({} if self.setup.bus else {"redis": 0.0}))


def family(pid: int) -> float:
    """Seconds that a process has used, and its children, also those that have ended."""
    own = _fields(pid)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (sum(own[11:15]) + sum(sum(_fields(int(child))[11:13]) for child in children)) / TICKS


def _fields(pid: int) -> list[int]:
    """The numbers of /proc/PID/stat, from the third on; none of a process that has just ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [0, *map(int, text[1:])]
