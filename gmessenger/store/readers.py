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
from gmessenger.store.commits import in_thread_pool
from gmessenger.store.failures import FAILURES

Result = TypeVar("Result")
INTERRUPT_INTERVAL: Final = 0.05  # seconds after which a query that has begun since the last interrupt is interrupted


class Readers:
    """At most `number` queries at a time. Those of another object never wait for them."""

    def __init__(self, open_: Callable[[], sqlite3.Connection], number: int) -> None:
        self._open = open_
        self._threads = ThreadPool(number)
        self._places = BoundedSemaphore(number)
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False
        self._began: list[float] = []

    def are_busy(self, seconds: float) -> bool:
        """Whether a query has been under way for so long."""
        return any(began < time.monotonic() - seconds for began in self._began)

    def close(self) -> None:
        """Let go of threads and connections; one that is in use is closed when it is given back."""
        self._is_closed = True
        self._threads.kill()
        while self._idle:
            self._idle.pop().close()

    def read(
        self, find: Callable[[sqlite3.Connection], Result], patience: float | None = None, until: float | None = None
    ) -> Result:
        """Run a query in a thread; at the monotonic time `until` its statement is interrupted.

        Raises `StoreUnavailable`, also where it is not its turn within `patience` seconds. Blocks its greenlet.
        """
        if not self._places.acquire(timeout=patience):
            raise StoreUnavailable("Too many searches are running: try again in a moment.")
        try:
            return self._read(find, until)
        finally:
            self._places.release()

    def _read(self, find: Callable[[sqlite3.Connection], Result], until: float | None) -> Result:
        try:
            db = self._idle.pop() if self._idle else self._open()
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        query = _Query(find, db)
        self._began.append(began := time.monotonic())
        try:
            with _interrupting(db, until):
                found = in_thread_pool(self._threads, query.run)
        except MessengerError:
            self._give_back(db)
            raise
        except BaseException as failure:  # also of one that was killed: the thread may be at it still
            query.give_up()
            if isinstance(failure, sqlite3.Error):
                raise _unavailable(failure) from failure
            raise
        finally:
            self._began.remove(began)
        self._give_back(db)
        return cast(Result, found)

    def _give_back(self, db: sqlite3.Connection) -> None:
        if self._is_closed:
            db.close()
        else:
            self._idle.append(db)


class _Query:
    """A query on its way; its connection is closed when both the thread and who asked have done with it."""

    def __init__(self, find: Callable[[sqlite3.Connection], object], db: sqlite3.Connection) -> None:
        self._find = find
        self._db = db
        self._is_done = self._is_given_up = False

    def run(self) -> object:
        try:
            return self._find(self._db)
        finally:
            self._is_done = True
            if self._is_given_up:
                self._db.close()

    def give_up(self) -> None:
        self._is_given_up = True
        if self._is_done:
            self._db.close()


@contextmanager
def _interrupting(db: sqlite3.Connection, until: float | None) -> Iterator[None]:
    """Interrupt what a connection executes from the monotonic time `until` on."""
    if until is None:
        yield
        return
    # Again and again: an interrupt between two statements of a query is lost.
    timer = gevent.get_hub().loop.timer(max(0.0, until - time.monotonic()), INTERRUPT_INTERVAL)
    timer.start(db.interrupt)
    try:
        yield
    finally:
        timer.stop()
        timer.close()


def _unavailable(error: sqlite3.Error) -> StoreUnavailable:
    FAILURES.tell("store_failed", error)
    return StoreUnavailable("The server cannot read its store.", why=str(error))
