"""People at full screens, and people on links."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gmessenger.client import Link
from tests.client.conftest import Owner
from tests.conftest import RunningServer
from tests.terminal.window.seats import IMPATIENT, PASSWORD, Seat


@pytest.fixture
def seat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Seat]]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    with ExitStack() as people:
        yield lambda server, name, **more: people.enter_context(Seat(server, name, **more))


@pytest.fixture
def link(server: RunningServer) -> Iterator[Callable[..., Owner]]:
    links: list[Link] = []

    def start(name: str, *, account: bool = True, **more: Any) -> Owner:
        links.append(Link(server.host, server.port, name, patience=IMPATIENT, device="phone", **more))
        links[-1].start()
        if account:
            links[-1].register(PASSWORD)
        return Owner(links[-1])

    yield start
    for each in links:
        each.close()


@pytest.fixture
def hank(server: RunningServer) -> None:
    """Hank is an account."""
    with Link(server.host, server.port, "hank", patience=IMPATIENT) as once:
        once.register(PASSWORD)
