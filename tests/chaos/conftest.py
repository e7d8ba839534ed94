"""Fixtures of the chaos tests; their results are printed as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.accounts import PASSWORD, populate
from tests.chaos.checker import RunStats
from tests.chaos.load import NAMES, ROOMS
from tests.chaos.process import RestartableServer
from tests.chaos.scale import IS_LONG, SEED, TIMEOUT
from tests.support.accounts import UserClient
from tests.support.native_clients import Connector

STATS: list[RunStats] = []
STATS_PROPERTY = "figures"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect results from the reports: they may come from other processes."""
    if report.when == "call":
        STATS.extend(RunStats(**value) for name, value in report.user_properties if name == STATS_PROPERTY)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not STATS:
        return
    titles = [each.name.replace("_", " ") for each in dataclasses.fields(RunStats)]
    rows = [titles, *([str(value) for value in dataclasses.astuple(stats)] for stats in STATS)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminalreporter.section(f"faults, {'long' if IS_LONG else 'short'}, FAULTS_SEED={SEED}")
    for row in rows:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


@pytest.fixture
def tabulate(record_property: Callable[[str, object], None]) -> Callable[[RunStats], None]:
    """Add a row to the table of results."""
    return lambda stats: record_property(STATS_PROPERTY, dataclasses.asdict(stats))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RestartableServer]]:
    """Create servers on a populated store, not started; check at the end that they logged no errors."""
    servers: list[RestartableServer] = []

    def make(*options: str, folder: Path = tmp_path, **more: Any) -> RestartableServer:
        store = populate(f"sqlite:///{folder / 'chat.db'}", NAMES, ROOMS)
        servers.append(RestartableServer(store, tmp_path / "server.log", *options, **more))
        return servers[-1]

    yield make
    for server in servers:
        with server:
            pass
    assert [line for server in servers for line in server.error_lines()] == []


@pytest.fixture
def log_in(start: Callable[..., RestartableServer]) -> Iterator[Callable[..., UserClient]]:
    """`comes(server, name)` is an account, or a guest where it is none, that logged in; hung up on at the end."""
    with Connector() as connector:

        def log_in(server: RestartableServer, name: str, receive_buffer: int = 0) -> UserClient:
            connector.connections.append(client := UserClient(server, receive_buffer))
            return client.start_session(name, **{"password": PASSWORD} if name in NAMES else {})

        yield log_in
