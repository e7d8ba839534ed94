"""Index messages for the search behind their acknowledgement: one greenlet per node, for the messages of all nodes.

Half a second after messages were stored, here or by another node, whichever node comes first indexes them; so what a
killed node has left is indexed by another one, or at its next start. A search does not wait for that: it has the
greenlet index at once what is in the store.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

import gevent
from gevent.event import AsyncResult, Event

from gmessenger.errors import NotStorable, StoreUnavailable
from gmessenger.store.failures import FAILURE_LOG
from gmessenger.store.postgres.pool import ConnectionPool
from gmessenger.store.postgres.search_index import MAX_INDEX_ROWS, index_newest
from gmessenger.store.postgres.settled_ids import SettledIds

IndexWaiter: TypeAlias = "AsyncResult[bool]"
INDEX_DELAY: Final = 0.5  # seconds in which messages gather: adding many entries at a time costs less
RETRY_DELAY: Final = 1.0  # seconds after a failure of the database
CLOSE_TIMEOUT: Final = 10.0  # seconds that closing waits for the step that is under way


class SearchIndexer:
    """The greenlet of a node that adds messages to the search index."""

    def __init__(self, pool: ConnectionPool, on_error: Callable[[str, BaseException], None]) -> None:
        """Start the greenlet; it first indexes messages that other nodes have stored and not indexed.

        Args:
            pool: of one connection, for the greenlet alone.
            on_error: called with what failed and the exception, for mistakes of our own.
        """
        self._pool = pool
        self._on_error = on_error
        self._ids = SettledIds()
        self._max_rows = MAX_INDEX_ROWS
        self._is_due = False
        self._is_closing = False
        self._waiters: list[IndexWaiter] = []
        self._wake_event = Event()
        self._greenlet = gevent.spawn(self._run)
        self.note_messages()

    def note_messages(self) -> None:
        """Have messages indexed soon: there may be some that are not. Does not yield."""
        self._index_after(INDEX_DELAY)

    def catch_up(self, timeout: float) -> bool:
        """Have everything indexed that is in the store by now; return whether that was done in time. Blocks."""
        waiter: IndexWaiter = AsyncResult()
        self._waiters.append(waiter)
        self._wake_event.set()
        try:
            return bool(waiter.wait(timeout))
        finally:
            with suppress(ValueError):  # it was taken
                self._waiters.remove(waiter)

    def close(self) -> None:
        """Index what waits, then end the greenlet. Blocks."""
        self._is_closing = True
        self._wake_event.set()
        self._greenlet.join(CLOSE_TIMEOUT)
        self._greenlet.kill()

    def _index_after(self, delay: float) -> None:
        if not self._is_due:
            self._is_due = True
            gevent.spawn_later(delay, self._wake_event.set)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._wake_event.wait()
            self._wake_event.clear()
            is_last = self._is_closing
            if self._is_due or self._waiters:
                self._is_due = False
                self._index_all()

    def _index_all(self) -> None:
        """Index messages until a step has found no more than it could take."""
        waiters: list[IndexWaiter] = []
        is_complete = False
        try:
            while not is_complete:
                waiters += self._waiters
                self._waiters.clear()
                is_complete = self._run_step()
        except StoreUnavailable as error:
            FAILURE_LOG.log("store_failed", error)
        except Exception as mistake:  # the only indexer of the node must go on
            self._on_error("search index", mistake)
        for waiter in waiters:
            waiter.set(is_complete)
        if not is_complete:
            self._index_after(RETRY_DELAY)

    def _run_step(self) -> bool:
        """Index some messages; return whether that were all. Raises `StoreUnavailable`."""
        limit = self._max_rows
        self._max_rows = max(1, limit // 2)  # where it fails: fewer take less time
        try:
            is_complete = self._pool.run(lambda db: index_newest(db, self._ids, limit))
        except NotStorable:  # one of them has words that the database cannot hold: it will be alone
            if limit > 1:
                return False
            is_complete = self._pool.run(lambda db: index_newest(db, self._ids, limit, with_words=False))
        self._max_rows = min(2 * limit, MAX_INDEX_ROWS)
        return is_complete
