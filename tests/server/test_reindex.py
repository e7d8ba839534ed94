"""The search index of an earlier release is rebuilt while the server runs, with progress in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from gmessenger.errors import StoreUnavailable
from gmessenger.server import maintenance


class Slow:
    """A store that fails once, and then rebuilds its index in three slices."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def reindex(self, progress: Callable[[int], None]) -> int:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("No.")
        for left in (30, 20, 10):
            progress(left)
        return 30


def events(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    return [(record.message, record.fields) for record in caplog.records]  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance.log.LOGGER, "propagate", True)
    caplog.set_level(logging.INFO, "gmessenger")


def test_it_is_tried_again_until_it_is_done(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "PROGRESS_INTERVAL", 0.0)
    waited: list[float] = []
    maintenance.reindex(Slow(2), waited.append)  # type: ignore[arg-type]
    assert waited == [maintenance.REINDEX_RETRY_DELAY] * 2
    names = [name for name, _ in events(caplog)]
    assert names == ["reindex_failed"] * 2 + ["reindexing"] * 3 + ["reindexed"]
    assert events(caplog)[2][1] == {"left": 30} and events(caplog)[-1][1]["count"] == 30


def test_a_server_that_stops_does_not_try_again(caplog: pytest.LogCaptureFixture) -> None:
    maintenance.reindex(Slow(9), lambda seconds: True)  # type: ignore[arg-type]
    assert [name for name, _ in events(caplog)] == ["reindex_failed"]
