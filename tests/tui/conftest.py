"""People at full screens, and people on links."""

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
def seat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TuiClient]]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with ExitStack() as people:
        yield lambda server, name, **more: people.enter_context(TuiClient(server, name, **more))


@pytest.fixture
def link(server: RunningServer) -> Iterator[Callable[..., Reader]]:
    links: list[Client] = []

    def start(name: str, *, account: bool = True, **more: Any) -> Reader:
        links.append(Client(server.host, server.port, name, timeouts=SHORT_TIMEOUTS, device="phone", **more))
        links[-1].start()
        if account:
            links[-1].register(PASSWORD)
        return Reader(links[-1])

    yield start
    for each in links:
        each.close()


@pytest.fixture
def hank(server: RunningServer) -> None:
    """Hank is an account."""
    with Client(server.host, server.port, "hank", timeouts=SHORT_TIMEOUTS) as once:
        once.register(PASSWORD)
