"""Fixtures of all tests: a server on a free port in the test process, PostgreSQL and Redis."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import settings

from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.config.options import ServerOptions
from gmessenger.launcher.services import Postgres, Redis, missing
from gmessenger.server.push.client import PushNetwork
from gmessenger.server.server import Server
from tests.support.scripted_server import FakeServer

# Whoever runs the tests: the client's main chooses its language by these, and tests read English.
os.environ.update(LC_ALL="C.UTF-8", LANGUAGE="")

# Machines are noisy: how long an example took says nothing. The same examples everywhere: new ones are for `make fuzz`.
settings.register_profile("gmessenger", deadline=None, derandomize=True, database=None)
settings.load_profile("gmessenger")


# The right number of rounds of argon2 takes a tenth of a second, and the tests log in a thousand times.
FAST = PasswordVerifier(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cluster",
        nargs="?",
        const="settled",
        choices=["settled", "immediate"],
        help="run tests/protocol on a cluster of two nodes; settled: every message has reached both nodes before the "
        "next request; immediate: without that wait",
    )
    parser.addoption(
        "--wire",
        choices=["plain", "web"],
        default="plain",
        help="run tests/protocol over TCP or over WebSocket",
    )


class RunningServer:
    """A started server: where it listens, and `stop`, which drains as SIGTERM does. `wire`: how clients reach it."""

    host = "127.0.0.1"

    def __init__(self, wire: str = "plain", push_network: PushNetwork | None = None, **options: Any) -> None:
        """`push_network`: how push services are reached."""
        self.wire = wire
        if wire == "web":
            options["web"] = f"{self.host}:0"
        # Tests are faster than people: how fast one may be is for the tests of that.
        shipped = ServerOptions(
            ip=self.host, port=0, close_timeout=0.3, drain_timeout=2.0, message_rate=0, request_rate=0
        )
        self.app = Server(replace(shipped, **options), FAST, push_network)
        self.app.start()

    @property
    def port(self) -> int:
        port = self.app.web_port if self.wire == "web" else self.app.port
        assert port is not None
        return port

    @property
    def failures(self) -> int:
        """What greenlets have failed at."""
        return self.app.supervisor.failure_count

    def limit_send_buffers(self, size: int) -> None:
        """Have the kernel take only so many bytes for clients that connect later, not some megabytes."""
        for sock in (sock for port in self.app.ports for sock in port.sockets):
            sock.setsockopt(SOL_SOCKET, SO_SNDBUF, size)

    def stop(self) -> None:
        self.app.stop("the test is over")


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., RunningServer]:
    """How `start_server` starts one: on a store of the test's own, unless it names another."""
    return lambda **options: RunningServer(**{"store": f"sqlite:///{tmp_path}/messenger.db"} | options)


@pytest.fixture
def start_server(launch: Callable[..., RunningServer]) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers with options by name; all are stopped, and none may have failed at anything."""
    servers: list[RunningServer] = []

    def start(**options: Any) -> RunningServer:
        servers.append(launch(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
    assert sum(server.failures for server in servers) == 0


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server()


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    """Leave the logger as a program finds it, whatever a test had configured.

    pytest takes the records of a logger that does not propagate by a handler of its own: one that begins to, within a
    test, is heard twice.
    """
    yield
    logger = logging.getLogger("gmessenger")
    for handler in [each for each in logger.handlers if not type(each).__module__.startswith("_pytest")]:
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


NOT_INSTALLED = "{} is not installed"
NO_NETWORK = "no network can be cut here: "


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of our own, for all tests of a process. It does not wait for the disk: no test pulls the plug."""
    if "PostgreSQL" in missing():
        pytest.skip(NOT_INSTALLED.format("PostgreSQL"))
    with Postgres(settings={"fsync": "off", "max_connections": "200"}) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis of our own, for all tests of a process."""
    if "Redis" in missing():
        pytest.skip(NOT_INSTALLED.format("Redis"))
    with Redis() as server:
        server.start()
        yield server


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much of a cluster was not tested here."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", ())]
    reasons = Counter(why[2].removeprefix("Skipped: ") for why in skipped if isinstance(why, tuple))
    for why in [*map(NOT_INSTALLED.format, missing()), *(why for why in reasons if why.startswith(NO_NETWORK))]:
        terminalreporter.write_line(f"{reasons[why]} tests of clusters skipped: {why}", yellow=True)
