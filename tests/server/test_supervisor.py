"""Failures of greenlets are reported: greenlets are spawned by the supervisor, or guarded by their module."""

from __future__ import annotations

import re

import gevent
import pytest

from gmessenger.server.net.supervisor import Supervisor
from tests import ROOT

PACKAGE = ROOT / "gmessenger"
GUARDED = {
    "server/net/supervisor.py": 1,  # the watch itself
    "server/server.py": 1,  # `later`, with a guarded call
    "store/group_commit.py": 3,  # the writer and the delivery tell the store's `failed`; the timer only sets an event
    "store/postgres/indexer.py": 2,  # what it fails at is told that, too; the timer only sets an event
    "store/sqlite/database.py": 2,  # the checkpoint and the rescue of a store that was moved tell it, too
    "store/sqlite/purger.py": 2,  # and so does the purge
    "store/sqlite/erasure.py": 1,  # and so does the pass after erasures
    "bus/redis.py": 1,  # which links it to `failed`
}
"""Modules that spawn greenlets without the supervisor, and how many times."""


def test_greenlets_are_spawned_by_the_watch_or_guarded() -> None:
    found = {}
    for folder in ("server", "chat", "store", "bus", "cluster"):
        for path in (PACKAGE / folder).rglob("*.py"):
            if spawned := len(re.findall(r"gevent\.spawn(?:_later)?\(|Greenlet\.spawn\(", path.read_text("utf-8"))):
                found[str(path.relative_to(PACKAGE))] = spawned
    assert found == GUARDED


def fails() -> None:
    raise LookupError("a mistake")


def test_a_greenlet_that_dies_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    watch = Supervisor()
    watch.spawn("something", fails).join()
    watch.guard("something else", fails)()
    gevent.sleep(0)
    assert watch.failure_count == 2
    assert [(record.getMessage(), record.fields["what"]) for record in caplog.records] == [  # type: ignore[attr-defined]
        ("greenlet_failed", "something"),
        ("greenlet_failed", "something else"),
    ]
