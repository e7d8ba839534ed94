"""A node's writer of messages and cursors in PostgreSQL: they go into transactions, by group commit.

A transaction is one round trip: its statements go in a pipeline, so conversations are locked only for as long as the
server takes. They are locked in the order of their keys, so nodes do not deadlock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeAlias, TypeVar

import gevent
import psycopg
from gevent.event import AsyncResult

from gmessenger.chat.stats import StoreStats
from gmessenger.errors import NotStorable, StoreUnavailable, WireError
from gmessenger.store.amendments import is_ahead, is_inserted_alone, replies_behind_others
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
ResultT = TypeVar("ResultT")
InsertAll: TypeAlias = Callable[[PgConnection, Sequence[QueuedAppend]], list[AppendResult]]
FlushWaiter: TypeAlias = "AsyncResult[None]"
INDEX_ONLY_SETTINGS: Final = (
    # A plan is made once and cached, perhaps while the tables were empty and sequential scans were cheapest.
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
)
REFUSED_ERRORS: Final = (*BAD_DATA_ERRORS, psycopg.errors.UniqueViolation)
"""Errors of one message of a batch: it is looked for by halves, so the others are stored in few transactions."""
SELECT_HEADS: Final = "SELECT key, head FROM conversations WHERE key = ANY(%s)"
MAX_EARLY_REPLIES: Final = 4
"""Replies to messages of the same batch for which it is cut: only a client that guesses seqs sends them."""
MAX_FLUSH_WAITERS: Final = 10_000  # greenlets that may wait at a time for a database that has stopped


class PostgresWriter(GroupCommitLoop):
    """The writer of a node: one greenlet, one connection of its own."""

    def __init__(
        self,
        pool: ConnectionPool,
        digest_key: bytes,
        on_batch_done: OnBatchDone,
        on_error: Callable[[str, BaseException], None],
        stats: StoreStats,
    ) -> None:
        """Start the greenlet; the connection is opened with the first batch.

        Args:
            digest_key: the secret of the store that keys digests of pruned messages.
            on_batch_done: called with the results of each batch, in order, and when its first message was posted, in
                Unix seconds (None: the batch was refused).
            on_error: called with what failed and the exception, for mistakes of our own.
        """
        self.queue = AppendQueue()
        self.cursors = PendingCursors()
        self._pool = pool
        self._timeout = pool.timeout + SERVER_GRACE
        self._connection: PgConnection | None = None
        self._on_batch_done = on_batch_done
        self._stats = stats
        self._inserter = BatchInserter(digest_key)
        self._flush_waiters: list[FlushWaiter] = []
        super().__init__(on_error)

    def flush(self) -> None:
        """Wait until everything that was queued before is on disk. Blocks. Raises `StoreUnavailable`."""
        if len(self._flush_waiters) >= MAX_FLUSH_WAITERS:
            raise StoreUnavailable
        flushed: FlushWaiter = AsyncResult()
        self._flush_waiters.append(flushed)
        self.wake()
        await_result(flushed, self._timeout, "database")

    def close(self) -> None:
        """Commit what waits, then end the greenlet and close the connection. Blocks."""
        self._stop()
        self._disconnect()

    def _run_batch(self) -> None:
        appends = self.queue.pop_batch()
        flush_waiters: list[FlushWaiter] = []
        if self.queue:
            self._wake_event.set()
        else:
            flush_waiters, self._flush_waiters = self._flush_waiters, []
        error, results = self._insert_batch(appends, self.cursors.take())
        if self.cursors.end_commit(is_committed=error is None):
            self.wake_later()
        posted_at = appends[0][0].time if appends and error is None else None
        self._complete_batch(self.queue.is_worth_a_commit, self._complete, results, posted_at, flush_waiters, error)

    def _complete(
        self,
        results: Sequence[AppendResult],
        posted_at: float | None,
        flush_waiters: list[FlushWaiter],
        error: WireError | None,
    ) -> None:
        try:
            self._on_batch_done(results, posted_at)
        except Exception as mistake:  # the greenlets that wait for a flush must be answered all the same
            self._on_error("delivery", mistake)
        for flushed in flush_waiters:
            if error is None:
                flushed.set(None)
            else:
                flushed.set_exception(error)

    def _insert_batch(
        self, appends: list[QueuedAppend], cursors: CursorsByDevice
    ) -> tuple[WireError | None, Sequence[AppendResult]]:
        """Insert a batch; return the error that refused all of it, and the result of each message."""
        if not appends and not cursors:
            return None, ()
        started = time.monotonic()
        try:
            results = self._insert(appends, cursors)
        except Exception as error:
            if not isinstance(error, (psycopg.Error, WireError)):  # a bug of ours, which must not end the only writer
                self._on_error("commit", error)
            self._disconnect()
            self._stats.failed_commits += 1
            unavailable = error if isinstance(error, StoreUnavailable) else to_store_unavailable(error)
            FAILURE_LOG.log("store_failed", error)
            # Also those that wait: they would wait for as long, and order is kept.
            refused = appends + self.queue.drain()
            return unavailable, [AppendResult(callback, error=unavailable) for _, callback in refused]
        self._stats.commit_seconds.add(time.monotonic() - started)
        return None, results

    def _insert(self, appends: Sequence[QueuedAppend], cursors: CursorsByDevice) -> Sequence[AppendResult]:
        """Insert messages and cursors, each run of amendments or files in a transaction of its own."""
        # (A list is faster.)
        if not any([message.about is not None or message.file is not None for message, _ in appends]):  # noqa: C419
            return self._insert_plain(appends, cursors)
        results: list[AppendResult] = []
        for is_alone, group in groupby(appends, key=lambda queued: is_inserted_alone(queued[0])):
            if is_alone:
                results += self._insert_messages(list(group), self._inserter.insert_alone)
                continue
            for run in self._cut_before_early_replies(list(group)):
                results += self._insert_plain(run, cursors)
                cursors = {}
        if cursors:
            self._insert_plain((), cursors)
        return results

    def _cut_before_early_replies(self, appends: list[QueuedAppend]) -> Iterator[list[QueuedAppend]]:
        """Cut messages so that what a reply is about is stored before it, where that is among them, too."""
        messages = [message for message, _ in appends]
        behind = replies_behind_others(messages)
        keys = sorted({messages[index].conversation for index in behind})
        rows = self._try_run(lambda db: db.execute(SELECT_HEADS, (keys,)).fetchall()) if keys else []
        heads: dict[str, int] = dict(rows)
        early = [index for index in behind if is_ahead(messages[index], heads.get(messages[index].conversation, 0))]
        start = 0
        for index in early[:MAX_EARLY_REPLIES]:
            yield appends[start:index]
            start = index
        yield appends[start:]

    def _insert_plain(self, appends: Sequence[QueuedAppend], cursors: CursorsByDevice) -> Sequence[AppendResult]:
        """Insert messages and cursors; refuse only the messages that this database cannot hold."""
        if not cursors:
            return self._insert_messages(appends)
        try:
            return self._try_run(lambda db: self._inserter.insert(db, appends, cursors))
        except REFUSED_ERRORS as error:
            if not appends:
                FAILURE_LOG.log("store_refused", error)
                return ()
        results = self._insert_messages(appends)
        self._insert_plain((), cursors)
        return results

    def _insert_messages(
        self, appends: Sequence[QueuedAppend], insert_all: InsertAll | None = None
    ) -> Sequence[AppendResult]:
        """Insert messages without those that this database cannot hold; `insert_all` inserts all or none."""
        insert_all = insert_all or self._inserter.insert
        results: list[AppendResult] = []

        def insert(some: Sequence[QueuedAppend]) -> None:
            results.extend(self._try_run(lambda db: insert_all(db, some)))

        def refuse(queued: QueuedAppend, error: Exception) -> None:
            FAILURE_LOG.log("store_refused", error)
            results.append(AppendResult(queued[1], error=NotStorable()))

        bisect_bad(appends, insert, refuse, REFUSED_ERRORS)
        return results

    def _try_run(self, job: Callable[[PgConnection], ResultT]) -> ResultT:
        try:
            return self._run_with_retries(job)
        except REFUSED_ERRORS:
            self._disconnect()
            raise

    def _run_with_retries(self, job: Callable[[PgConnection], ResultT]) -> ResultT:
        for attempt in range(MAX_ATTEMPTS):
            connection = self._connect()
            try:
                with self._pool.deadline(connection):
                    return job(connection)
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
        """Close the connection; the next batch opens another.

        After a pipeline that failed psycopg believes that all of its statements were prepared.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
