"""Full screens and clients that are connected to a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gmessenger.client import Client
from tests.client.conftest import Reader
from tests.conftest import RunningServer
from tests.support.tui_client import PASSWORD, SHORT_TIMEOUTS, TuiClient


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "client.log"


@pytest.fixture
def open_tui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TuiClient]]:
    """Open a full screen that is connected to the server."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with ExitStack() as stack:
        yield lambda server, name, **more: stack.enter_context(TuiClient(server, name, **more))


@pytest.fixture
def start_client(server: RunningServer) -> Iterator[Callable[..., Reader]]:
    """Start a client of another user."""
    clients: list[Client] = []

    def start_session(name: str, *, account: bool = True, **more: Any) -> Reader:
        clients.append(Client(server.host, server.port, name, timeouts=SHORT_TIMEOUTS, device="phone", **more))
        clients[-1].start()
        if account:
            clients[-1].register(PASSWORD)
        return Reader(clients[-1])

    yield start_session
    for client in clients:
        client.close()


@pytest.fixture
def hank(server: RunningServer) -> None:
    """Register hank."""
    with Client(server.host, server.port, "hank", timeouts=SHORT_TIMEOUTS) as client:
        client.register(PASSWORD)
