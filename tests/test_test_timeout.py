"""Tests that hang: the timeout ends them, wherever its signal strikes, and a worker goes on with the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gevent.event
import gevent.lock
import pytest
from execnet.gateway_base import get_execmodel

from tests.gevent_patch import NativeEvent
from tests.support.timeouts import TEST_TIMEOUT

HANGING = """
import gevent
from gevent.event import Event

def compute():
    while True:
        sum(range(10_000))
        gevent.sleep(0)

def test_it_waits_while_another_greenlet_computes():
    busy = gevent.spawn(compute)
    try:
        Event().wait()
    finally:
        busy.kill()

def test_it_waits_while_a_callback_of_the_loop_computes():
    timer = gevent.get_hub().loop.timer(0.0, 0.001)
    timer.start(lambda: sum(range(1_000_000)))
    try:
        Event().wait()
    finally:
        timer.close()

def test_it_computes():
    while True:
        pass

def test_it_ends():
    pass
"""


def test_a_test_that_hangs_is_ended_and_the_next_runs(tmp_path: Path) -> None:
    (tmp_path / "test_hanging.py").write_text(HANGING)
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "pytest", "-c", str(root / "pyproject.toml"), "--rootdir", str(root)]
    options = ["-n", "1", "--timeout", "1", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    run = subprocess.run(
        [*command, *options], cwd=root, env=environment, capture_output=True, text=True, timeout=TEST_TIMEOUT
    )
    assert "3 failed, 1 passed" in run.stdout, run.stdout
    assert run.stdout.count("Timeout (>1.0s)") >= 3


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="no worker runs this")
def test_workers_are_given_their_orders_through_locks_of_the_system() -> None:
    model = get_execmodel("thread")
    assert not isinstance(model.RLock(), gevent.lock.RLock)
    assert not isinstance(model.Event(), gevent.event.Event)


def test_an_event_between_threads_is_set_and_cleared_as_often_as_one_likes() -> None:
    event = NativeEvent()
    assert not event.is_set() and not event.wait(0.001)
    event.set()
    event.set()
    assert event.is_set() and event.wait() and event.wait(0.001)
    event.clear()
    event.clear()
    assert not event.is_set()
