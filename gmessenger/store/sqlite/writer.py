"""The one writer of a SQLite store: messages and other changes go into transactions, by group commit.

Rows are inserted on the loop's thread, a time slice at a time; the COMMIT and what takes as long runs in a thread, the
commit thread. (Inserting row by row in a thread while the loop is busy is two hundred times slower: each row gives up
the interpreter lock and waits for it.) Of a large batch, chunks of five hundred messages are inserted in the commit
thread, by one statement each; where that fails, the batch begins anew on the loop's thread, row by row. While the
commit thread is at work nothing on the loop may use its connection.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

import gevent
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from gmessenger.chat.stats import StoreStats
from gmessenger.errors import NotStorable, StoreUnavailable, WireError
from gmessenger.store.failures import FAILURE_LOG
from gmessenger.store.group_commit import GroupCommitLoop, await_result
from gmessenger.store.sqlite.inserter import BAD_MESSAGE_ERRORS, RowsRefused
from gmessenger.timeslice import TimeSlice

ResultT = TypeVar("ResultT")
TransactionBody = Callable[[sqlite3.Connection], Any]
"""Changes the database inside the transaction of a batch; what it returns or raises goes to its caller."""
QueuedChange: TypeAlias = "tuple[TransactionBody, AsyncResult[Any]]"
ChangeOutcome: TypeAlias = tuple[Any, Exception | None]
"""What a change returned, and what it raised."""
BUSY_TIMEOUT: Final = 5.0  # seconds to wait for another process that writes, such as the sqlite3 command
BUSY_RETRY_DELAY: Final = 0.02  # seconds
CALLER_ERRORS: Final = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError)
"""Errors of the database that are a mistake of one change; any other fails the whole batch: the disk's, say."""
MAX_QUEUED_CHANGES: Final = 10_000  # changes that may wait for a disk that has stopped


class BatchHooks(Protocol):
    """What `SqliteWriter` calls for each batch, in this order; all in its greenlet on the loop's thread."""

    def exceeds_batch(self) -> bool:
        """Return whether messages must wait for a later batch: then changes do, too. MUST NOT yield or raise."""

    def find_storage_error(self) -> WireError | None:
        """Return why nothing may be stored now, or None. MUST NOT yield; an exception refuses the batch."""

    def on_begin(self, db: sqlite3.Connection, *, may_defer: bool) -> None:
        """Insert messages, in the transaction before its changes. May yield; an exception refuses the batch.

        With `may_defer` the job of `before_commit` may insert them, and raise `RowsRefused`.
        """

    def put_back(self) -> None:
        """Have messages wait again: the transaction was rolled back, and begins anew. MUST NOT yield or raise."""

    def on_rollback(self) -> None:
        """Drop caches of the database: a change of the batch was rolled back. MUST NOT yield or raise."""

    def before_commit(self, db: sqlite3.Connection, *, has_changes: bool) -> Callable[[], None]:
        """Return a job that the commit thread runs first. MUST NOT yield; an exception refuses the batch."""

    def on_commit(self, error: WireError | None) -> Callable[[], None]:
        """Take the outcome of a batch (`error` None: it is on disk) and return the completion that reports it.

        MUST NOT yield; an exception of either is logged. The completion may yield, and may run in a greenlet beside
        the next batch, but after the completion of the batch before.
        """

    def is_worth_a_commit(self) -> bool:
        """Return whether enough waits to run the completion beside the next batch. MUST NOT yield or raise."""


class SqliteWriter(GroupCommitLoop):
    """The one writer of a store: gathers messages and other changes into transactions, one fsync each."""

    def __init__(
        self,
        hooks: BatchHooks,
        connect: Callable[[], sqlite3.Connection],
        on_error: Callable[[str, BaseException], None],
        stats: StoreStats,
        *,
        threaded: bool,
    ) -> None:
        """Open the connection and start the greenlet.

        Args:
            connect: opens a connection that can write; called again after a failure.
            on_error: called with what failed and the exception, for mistakes that belong to no caller.
            threaded: wait for the disk in a thread; False for a store in memory.
        """
        self._hooks = hooks
        self._connect = connect
        self._stats = stats
        self._db: sqlite3.Connection | None = connect()
        self._pool = ThreadPool(1) if threaded else None
        self._queue: list[QueuedChange] = []
        self._exclusive_jobs: list[tuple[Callable[[], Any], AsyncResult[Any]]] = []
        super().__init__(on_error)

    def execute(self, body: Callable[[sqlite3.Connection], ResultT], timeout: float | None = None) -> ResultT:
        """Run a change in the next batch, after what was queued before; return its result once it is on disk.

        Blocks the greenlet, for `timeout` seconds at most; after that the change may still be made.

        Raises:
            StoreUnavailable: it cannot be stored, too many changes wait, or the time is over.
            Exception: what `body` raises, after its changes were rolled back.
        """
        if len(self._queue) >= MAX_QUEUED_CHANGES:
            raise StoreUnavailable
        result: AsyncResult[ResultT] = AsyncResult()
        self._queue.append((body, result))
        self._wake_event.set()
        return await_result(result, timeout, "disk")

    def run_exclusive(self, job: Callable[[], ResultT], timeout: float) -> ResultT:
        """Run a job between two batches, in the writer's greenlet, while the writer's connection is closed.

        So no connection caches a page that the job changes. Blocks the greenlet, for `timeout` seconds at most: a job
        that has not begun by then is dropped. Raises what the job raises, or `StoreUnavailable`.
        """
        result: AsyncResult[ResultT] = AsyncResult()
        queued = (job, result)
        self._exclusive_jobs.append(queued)
        self._wake_event.set()
        try:
            return await_result(result, timeout, "disk")
        finally:
            if queued in self._exclusive_jobs:
                self._exclusive_jobs.remove(queued)

    def close(self) -> None:
        """Commit what waits, then end the greenlet and close the connection. Blocks."""
        self._stop()
        if self._pool is not None:
            self._pool.kill()
        if self._db is not None:
            self._db.close()
            self._db = None

    def _run_batch(self) -> None:
        while self._exclusive_jobs:
            self._run_job(*self._exclusive_jobs.pop(0))
        changes: list[QueuedChange] = []
        if self._hooks.exceeds_batch():
            self._wake_event.set()
        else:
            changes, self._queue = self._queue, []
        error, outcomes = self._run_changes(changes)
        notify = self._prepare_completion(error)
        self._complete_batch(self._hooks.is_worth_a_commit, self._complete, notify, changes, outcomes)

    def _prepare_completion(self, error: WireError | None) -> Callable[[], None]:
        try:
            return self._hooks.on_commit(error)
        except Exception as mistake:  # the callers of this batch must be answered all the same
            self._on_error("delivery", mistake)
            return lambda: None

    def _run_job(self, job: Callable[[], Any], result: AsyncResult[Any]) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        try:
            result.set(job())
        except Exception as failure:
            result.set_exception(failure)

    def _complete(
        self, notify: Callable[[], None], changes: Sequence[QueuedChange], outcomes: Sequence[ChangeOutcome]
    ) -> None:
        try:
            notify()
        except Exception as mistake:  # the callers of the changes must be answered all the same
            self._on_error("delivery", mistake)
        for (_, result), (value, failure) in zip(changes, outcomes, strict=True):
            if failure is None:
                result.set(value)
            else:
                result.set_exception(failure)

    def _run_changes(self, changes: Sequence[QueuedChange]) -> tuple[WireError | None, Sequence[ChangeOutcome]]:
        """Commit a batch; return the error that refused all of it, if any, and the outcome of each change."""
        started = time.monotonic()
        try:
            if (storage_error := self._hooks.find_storage_error()) is not None:
                self._stats.failed_commits += 1
                return storage_error, [(None, storage_error)] * len(changes)
            outcomes = self._commit(changes)
        except Exception as error:
            if not isinstance(error, (sqlite3.Error, OSError)):  # a bug of ours, which must not end the only writer
                self._on_error("commit", error)
            self._discard_connection()
            self._stats.failed_commits += 1
            FAILURE_LOG.log("store_failed", error)
            unavailable = StoreUnavailable("The server cannot store anything now.", detail=str(error))
            return unavailable, [(None, unavailable)] * len(changes)
        self._stats.commit_seconds.add(time.monotonic() - started)
        return None, outcomes

    def _commit(self, changes: Sequence[QueuedChange]) -> list[ChangeOutcome]:
        if self._db is None:
            self._db = self._connect()
        try:
            # A change may look at the messages before it.
            return self._run_transaction(self._db, changes, may_defer=self._pool is not None and not changes)
        except RowsRefused:  # hardly ever: a message was sent again
            self._db.execute("ROLLBACK")
            self._hooks.put_back()
            return self._run_transaction(self._db, changes, may_defer=False)

    def _run_transaction(
        self, db: sqlite3.Connection, changes: Sequence[QueuedChange], *, may_defer: bool
    ) -> list[ChangeOutcome]:
        _begin_immediate(db)
        self._hooks.on_begin(db, may_defer=may_defer)
        outcomes, time_slice = [], TimeSlice()
        for body, _ in changes:
            outcomes.append(self._apply(body, db))
            time_slice.yield_if_expired()  # what arrives meanwhile waits for the next batch
        job = self._hooks.before_commit(db, has_changes=bool(changes))

        def finish() -> None:
            job()
            db.execute("COMMIT")

        if self._pool is None:
            finish()
        else:
            run_in_thread(self._pool, finish)
        return outcomes

    def _apply(self, body: TransactionBody, db: sqlite3.Connection) -> ChangeOutcome:
        """Run a change in a savepoint; roll it back where it raises, without harm to the rest of the batch."""
        db.execute("SAVEPOINT change")
        try:
            value = body(db)
        except Exception as error:
            if isinstance(error, OSError | sqlite3.Error) and not isinstance(error, CALLER_ERRORS):
                raise
            db.execute("ROLLBACK TO change")
            db.execute("RELEASE change")
            self._hooks.on_rollback()
            if isinstance(error, BAD_MESSAGE_ERRORS):
                FAILURE_LOG.log("store_refused", error)
                return None, NotStorable()
            return None, error
        db.execute("RELEASE change")
        return value, None

    def _discard_connection(self) -> None:
        """Roll back by closing the connection: after an I/O error nothing that it has cached can be trusted."""
        if self._db is None:
            return
        if self._pool is None:  # in memory the connection is the database, and no error is a disk's
            self._db.rollback()
            return
        self._db.close()
        self._db = None


def _begin_immediate(db: sqlite3.Connection) -> None:
    """Begin a write transaction; wait for another process here, as SQLite would block the loop for it."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            gevent.sleep(BUSY_RETRY_DELAY)


def run_in_thread(pool: ThreadPool, function: Callable[[], ResultT]) -> ResultT:
    """Run a function in a thread of the pool; return or raise what it does. Blocks the greenlet.

    gevent prints what a thread's job raises on stderr, and never ends the job where that cannot be written, as on a
    full disk: so the exception is passed as a value.
    """

    def attempt() -> tuple[ResultT | None, Exception | None]:
        try:
            return function(), None
        except Exception as failure:
            return None, failure

    result, failure = pool.apply(attempt)
    if failure is not None:
        raise failure
    return cast(ResultT, result)
