"""The writer: every change gets an answer, whatever fails; timeouts of callers stay their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import AsyncResult, Event

from gmessenger.errors import StoreUnavailable
from gmessenger.store import open_store
from gmessenger.store.group_commit import await_result
from gmessenger.store.sqlite.store import SqliteStore
from tests.support.timeouts import TEST_TIMEOUT

NO_TIME = 0.001  # seconds


class Mistake(Exception):
    """Raised by a hook of the writer."""


@pytest.fixture
def failures() -> list[BaseException]:
    return []


@pytest.fixture
def store(tmp_path: Path, failures: list[BaseException]) -> Iterator[SqliteStore]:
    opened = open_store(f"sqlite:///{tmp_path / 'messenger.db'}", lambda what, failure: failures.append(failure))
    assert isinstance(opened, SqliteStore)
    yield opened
    opened.close()


def _fail_once(then: Callable[..., object]) -> Callable[..., object]:
    calls: list[object] = []

    def hook(*args: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise Mistake
        return then(*args)

    return hook


@pytest.mark.parametrize(("hook", "is_refused"), [("on_commit", False), ("find_storage_error", True)])
def test_a_change_is_answered_whatever_hook_of_the_writer_fails(
    store: SqliteStore, failures: list[BaseException], hook: str, is_refused: bool
) -> None:
    setattr(store, hook, _fail_once(getattr(store, hook)))
    with gevent.Timeout(TEST_TIMEOUT):
        if is_refused:
            with pytest.raises(StoreUnavailable):
                store.writer.execute(lambda db: 5)
        else:
            assert store.writer.execute(lambda db: 5) == 5
        assert store.writer.execute(lambda db: 6) == 6
    assert [type(failure) for failure in failures] == [Mistake]


def test_a_timeout_of_the_callers_own_is_not_taken_for_the_writers() -> None:
    with pytest.raises(gevent.Timeout) as raised, gevent.Timeout(NO_TIME) as own:
        await_result(AsyncResult(), TEST_TIMEOUT, "disk")
    assert raised.value is own
    with pytest.raises(StoreUnavailable):
        await_result(AsyncResult(), NO_TIME, "disk")


def test_no_timeout_of_a_caller_becomes_an_answer_about_the_disk(store: SqliteStore) -> None:
    release = Event()
    held = gevent.spawn(store.writer.execute, lambda db: release.wait(TEST_TIMEOUT))
    gevent.idle()
    for wait in (lambda: store.writer.execute(lambda db: None, TEST_TIMEOUT), store.flush):
        with pytest.raises(gevent.Timeout), gevent.Timeout(NO_TIME):
            wait()
    release.set()
    held.get(timeout=TEST_TIMEOUT)


def test_a_job_that_was_given_up_before_it_began_is_not_run_later(store: SqliteStore) -> None:
    release, ran = Event(), []
    held = gevent.spawn(store.writer.execute, lambda db: release.wait(TEST_TIMEOUT))
    gevent.idle()
    with pytest.raises(StoreUnavailable):
        store.writer.run_exclusive(lambda: ran.append("late"), NO_TIME)
    release.set()
    held.get(timeout=TEST_TIMEOUT)
    store.writer.run_exclusive(lambda: ran.append("in time"), TEST_TIMEOUT)
    assert ran == ["in time"]
