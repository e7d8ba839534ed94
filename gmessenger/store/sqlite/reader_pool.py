"""Connections for queries, each used by one thread of a pool at a time."""

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
INTERRUPT_INTERVAL: Final = 0.05  # seconds between interrupts of a query after its deadline


class ReaderPool:
    """Runs up to `size` queries at a time in threads; opens connections as needed. Used on the loop only."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], size: int) -> None:
        self._connect = connect
        self._pool = ThreadPool(size)
        self._slots = BoundedSemaphore(size)
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False
        self._started: list[float] = []

    def is_busy_for(self, seconds: float) -> bool:
        """Return whether a query has been running for so long."""
        return any(started < time.monotonic() - seconds for started in self._started)

    def close(self) -> None:
        """Close idle connections and end the threads; a connection in use is closed when its query ends."""
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
        """Run a query in a thread and return its result. Blocks the greenlet.

        Args:
            timeout: seconds to wait for a free thread.
            deadline: monotonic time from which its statements are interrupted.

        Raises:
            StoreUnavailable: the database failed, or no thread was free in time.
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
        self._started.append(started := time.monotonic())
        try:
            with _interrupt_at(db, deadline):
                result = run_in_thread(self._pool, query.run)
        except MessengerError:
            self._put_back(db)
            raise
        except BaseException as failure:  # also where the greenlet was killed: the thread may go on
            query.abandon()
            if isinstance(failure, sqlite3.Error):
                raise _unavailable(failure) from failure
            raise
        finally:
            self._started.remove(started)
        self._put_back(db)
        return cast(ResultT, result)

    def _put_back(self, db: sqlite3.Connection) -> None:
        if self._is_closed:
            db.close()
        else:
            self._idle.append(db)


class _Query:
    """A running query. Once abandoned, its connection is closed when the thread has finished with it."""

    def __init__(self, function: Callable[[sqlite3.Connection], object], db: sqlite3.Connection) -> None:
        self._function = function
        self._db = db
        self._is_done = self._is_abandoned = False

    def run(self) -> object:
        """Run the query. Called in a thread."""
        try:
            return self._function(self._db)
        finally:
            self._is_done = True
            if self._is_abandoned:
                self._db.close()

    def abandon(self) -> None:
        """Close the connection as soon as the thread does not use it. Called on the loop."""
        self._is_abandoned = True
        if self._is_done:
            self._db.close()


@contextmanager
def _interrupt_at(db: sqlite3.Connection, deadline: float | None) -> Iterator[None]:
    """Interrupt what a connection executes from the monotonic time `deadline` on; never for None."""
    if deadline is None:
        yield
        return
    # Repeatedly: an interrupt between two statements of a query is lost.
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
