"""Connections that read, each used by one thread at a time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar, cast

import gevent
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from gmessenger.errors import MessengerError, StoreUnavailable
from gmessenger.store.failures import FAILURE_LOG
from gmessenger.store.sqlite.writer import run_in_thread

ResultT = TypeVar("ResultT")
INTERRUPT_INTERVAL: Final = 0.05  # seconds after which a query that has begun since the last interrupt is interrupted


class ReaderPool:
    """At most `number` queries at a time. Those of another object never wait for them."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], size: int) -> None:
        self._connect = connect
        self._pool = ThreadPool(size)
        self._slots = BoundedSemaphore(size)
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False
        self._started: list[float] = []

    def is_busy_for(self, seconds: float) -> bool:
        """Whether a query has been under way for so long."""
        return any(began < time.monotonic() - seconds for began in self._started)

    def close(self) -> None:
        """Let go of threads and connections; one that is in use is closed when it is given back."""
        self._is_closed = True
        self._pool.kill()
        while self._idle:
            self._idle.pop().close()

    def read(
        self,
        query: Callable[[sqlite3.Connection], ResultT],
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> ResultT:
        """Run a query in a thread; at the monotonic time `until` its statement is interrupted.

        Raises `StoreUnavailable`, also where it is not its turn within `patience` seconds. Blocks its greenlet.
        """
        if not self._slots.acquire(timeout=timeout):
            raise StoreUnavailable("Too many searches are running: try again in a moment.")
        try:
            return self._run(query, deadline)
        finally:
            self._slots.release()

    def _run(self, function: Callable[[sqlite3.Connection], ResultT], deadline: float | None) -> ResultT:
        try:
            db = self._idle.pop() if self._idle else self._connect()
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        query = _Query(function, db)
        self._started.append(began := time.monotonic())
        try:
            with _interrupt_at(db, deadline):
                found = run_in_thread(self._pool, query.run)
        except MessengerError:
            self._put_back(db)
            raise
        except BaseException as failure:  # also of one that was killed: the thread may be at it still
            query.abandon()
            if isinstance(failure, sqlite3.Error):
                raise _unavailable(failure) from failure
            raise
        finally:
            self._started.remove(began)
        self._put_back(db)
        return cast(ResultT, found)

    def _put_back(self, db: sqlite3.Connection) -> None:
        if self._is_closed:
            db.close()
        else:
            self._idle.append(db)


class _Query:
    """A query on its way; its connection is closed when both the thread and who asked have done with it."""

    def __init__(self, function: Callable[[sqlite3.Connection], object], db: sqlite3.Connection) -> None:
        self._function = function
        self._db = db
        self._is_done = self._is_abandoned = False

    def run(self) -> object:
        try:
            return self._function(self._db)
        finally:
            self._is_done = True
            if self._is_abandoned:
                self._db.close()

    def abandon(self) -> None:
        self._is_abandoned = True
        if self._is_done:
            self._db.close()


@contextmanager
def _interrupt_at(db: sqlite3.Connection, deadline: float | None) -> Iterator[None]:
    """Interrupt what a connection executes from the monotonic time `until` on."""
    if deadline is None:
        yield
        return
    # Again and again: an interrupt between two statements of a query is lost.
    timer = gevent.get_hub().loop.timer(max(0.0, deadline - time.monotonic()), INTERRUPT_INTERVAL)
    timer.start(db.interrupt)
    try:
        yield
    finally:
        timer.stop()
        timer.close()


def _unavailable(error: sqlite3.Error) -> StoreUnavailable:
    FAILURE_LOG.log("store_failed", error)
    return StoreUnavailable("The server cannot read its store.", detail=str(error))
