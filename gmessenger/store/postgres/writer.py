"""One writer, group commit: what arrives while a transaction is under way forms the next.

A transaction is one round trip: its statements go in a pipeline, and the conversations that it locks are locked for no
longer than the server takes. They are locked in the order of their keys, so two nodes never wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import gevent
import psycopg
from gevent.event import AsyncResult

from gmessenger.chat.stats import StoreStats
from gmessenger.errors import NotStorable, StoreUnavailable, WireError
from gmessenger.store.common import CursorsByDevice, PendingCursors, bisect_bad
from gmessenger.store.failures import FAILURE_LOG
from gmessenger.store.group_commit import AppendQueue, AppendResult, GroupCommitLoop, QueuedAppend, await_result
from gmessenger.store.postgres.inserter import BatchInserter
from gmessenger.store.postgres.pool import (
    BAD_DATA_ERRORS,
    MAX_ATTEMPTS,
    RETRY_DELAY,
    RETRYABLE,
    SERVER_GRACE,
    ConnectionPool,
    PgConnection,
    is_alive,
    to_store_unavailable,
)

OnBatchDone: TypeAlias = Callable[[Sequence[AppendResult], float | None], None]
FlushWaiter: TypeAlias = "AsyncResult[None]"
INDEX_ONLY_SETTINGS: Final = (
    # A plan is made once and kept, perhaps when the tables were empty and looked through as a whole.
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
)
REFUSED_ERRORS: Final = (*BAD_DATA_ERRORS, psycopg.errors.UniqueViolation)
"""Errors of one message of a batch: it is looked for by halves, so the others are stored in few transactions."""
MAX_FLUSH_WAITERS: Final = 10_000
"""Who may wait at a time for a database that has stopped."""


class PostgresWriter(GroupCommitLoop):
    """Keeps messages and cursors. `settle` is told what became of each batch, in order; `failed` of mistakes."""

    def __init__(
        self,
        pool: ConnectionPool,
        on_batch_done: OnBatchDone,
        on_error: Callable[[str, BaseException], None],
        stats: StoreStats,
    ) -> None:
        self.queue = AppendQueue()
        self.cursors = PendingCursors()
        self._pool = pool
        self._timeout = pool.timeout + SERVER_GRACE
        self._connection: PgConnection | None = None
        self._on_batch_done = on_batch_done
        self._stats = stats
        self._inserter = BatchInserter()
        self._flush_waiters: list[FlushWaiter] = []
        super().__init__(on_error)

    def flush(self) -> None:
        """Wait until everything that was given before is on disk. Raises `StoreUnavailable`."""
        if len(self._flush_waiters) >= MAX_FLUSH_WAITERS:
            raise StoreUnavailable
        flushed: FlushWaiter = AsyncResult()
        self._flush_waiters.append(flushed)
        self.wake()
        await_result(flushed, self._timeout, "database")

    def close(self) -> None:
        """Keep what waits, and end."""
        self._stop()
        self._disconnect()

    def _run_batch(self) -> None:
        posts = self.queue.pop_batch()
        flushing: list[FlushWaiter] = []
        if self.queue:
            self._wake_event.set()
        else:
            flushing, self._flush_waiters = self._flush_waiters, []
        refusal, outcomes = self._insert_batch(posts, self.cursors.take())
        if self.cursors.settle(is_committed=refusal is None):
            self.wake_later()
        began = posts[0][0].time if posts and refusal is None else None
        self._complete_batch(self.queue.is_worth_a_commit, self._complete, outcomes, began, flushing, refusal)

    def _complete(
        self,
        results: Sequence[AppendResult],
        posted_at: float | None,
        flush_waiters: list[FlushWaiter],
        error: WireError | None,
    ) -> None:
        try:
            self._on_batch_done(results, posted_at)
        except Exception as mistake:  # who waits is told all the same
            self._on_error("delivery", mistake)
        for flushed in flush_waiters:
            if error is None:
                flushed.set(None)
            else:
                flushed.set_exception(error)

    def _insert_batch(
        self, posts: list[QueuedAppend], cursors: CursorsByDevice
    ) -> tuple[WireError | None, Sequence[AppendResult]]:
        """Insert a batch; return the error that refused all of it, and the result of each message."""
        if not posts and not cursors:
            return None, ()
        began = time.monotonic()
        try:
            outcomes = self._insert(posts, cursors)
        except Exception as error:
            if not isinstance(error, (psycopg.Error, WireError)):  # a mistake of ours may not end the only writer
                self._on_error("commit", error)
            self._disconnect()
            self._stats.failed_commits += 1
            refusal = error if isinstance(error, StoreUnavailable) else to_store_unavailable(error)
            FAILURE_LOG.log("store_failed", error)
            # Also those that wait: they would wait for as long, and their order is kept.
            return refusal, [AppendResult(done, error=refusal) for _, done in posts + self.queue.drain()]
        self._stats.commit_seconds.add(time.monotonic() - began)
        return None, outcomes

    def _insert(self, posts: Sequence[QueuedAppend], cursors: CursorsByDevice) -> Sequence[AppendResult]:
        """Insert messages and cursors; refuse the messages that this database cannot hold, and no other for them."""
        if not cursors:
            return self._insert_posts(posts)
        try:
            return self._try_insert(posts, cursors)
        except REFUSED_ERRORS as error:
            if not posts:
                FAILURE_LOG.log("store_refused", error)
                return ()
        results = self._insert_posts(posts)
        self._insert((), cursors)
        return results

    def _insert_posts(self, posts: Sequence[QueuedAppend]) -> Sequence[AppendResult]:
        results: list[AppendResult] = []

        def insert(some: Sequence[QueuedAppend]) -> None:
            results.extend(self._try_insert(some, {}))

        def refuse(post: QueuedAppend, error: Exception) -> None:
            FAILURE_LOG.log("store_refused", error)
            results.append(AppendResult(post[1], error=NotStorable()))

        bisect_bad(posts, insert, refuse, REFUSED_ERRORS)
        return results

    def _try_insert(self, posts: Sequence[QueuedAppend], cursors: CursorsByDevice) -> Sequence[AppendResult]:
        try:
            return self._insert_with_retries(posts, cursors)
        except REFUSED_ERRORS:
            self._disconnect()
            raise

    def _insert_with_retries(self, posts: Sequence[QueuedAppend], cursors: CursorsByDevice) -> Sequence[AppendResult]:
        for attempt in range(MAX_ATTEMPTS):
            connection = self._connect()
            try:
                with self._pool.deadline(connection):
                    return self._inserter.insert(connection, posts, cursors)
            except RETRYABLE as error:
                failure: psycopg.Error = error
                self._disconnect()
                gevent.sleep(RETRY_DELAY * attempt)
        raise failure

    def _connect(self) -> PgConnection:
        if self._connection is not None and not is_alive(self._connection):
            self._disconnect()
        if self._connection is None:
            self._connection = self._pool.connect()
            with self._pool.deadline(self._connection):
                self._connection.execute(INDEX_ONLY_SETTINGS)
        return self._connection

    def _disconnect(self) -> None:
        """Go on with another connection: of a pipeline that failed psycopg believes that all of it was prepared."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
