"""One writer, group commit: what arrives while a commit is on its way forms the next batch.

Rows are inserted on the loop's thread, in slices; only what waits for the disk runs in a thread, the commits' own.
(Inserting in a thread while the loop is busy is two hundred times slower: each row gives up the interpreter lock and
waits for it.) While a commit is in flight nothing on the loop may touch its connection.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast

import gevent
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

from gmessenger.chat.tally import StoreTally
from gmessenger.errors import NotStorable, StoreUnavailable, WireError
from gmessenger.store.failures import FAILURES
from gmessenger.store.posts import UNSTORABLE
from gmessenger.store.rounds import Rounds, await_result
from gmessenger.turns import Turn

Result = TypeVar("Result")
Change = Callable[[sqlite3.Connection], Any]
"""Changes the database inside the transaction of a batch; what it returns or raises is its caller's."""
Waiting: TypeAlias = "tuple[Change, AsyncResult[Any]]"
Outcome: TypeAlias = tuple[Any, Exception | None]
BUSY_TIMEOUT: Final = 5.0
"""Seconds to wait for another process that writes (somebody with the sqlite3 command, say)."""
BUSY_PAUSE: Final = 0.02
OURS: Final = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError)
"""Errors of the database that are a change's own mistake; the others are the disk's, and everybody's."""
MOST_WAITING: Final = 10_000
"""Changes that may wait for a disk that has stopped."""


class Commits(Rounds):
    """Gathers changes into transactions.

    `open_` gives a fresh connection (after a failure it is called again). `begun` is called with it when a batch
    begins, before the changes, and may let others go on; `undone` when a change was taken back; `ready` after the
    changes: it returns what is to run in the commit's thread before the COMMIT. `committed` is called with whether it
    succeeded and returns what is to be done then. `failed` is told of what should not happen, `more` says whether a
    batch cannot hold all that waits: then the changes are left to a later one, for they come after it. `much` says
    whether enough waits to begin the next batch before that is done. `tally` counts.
    """

    def __init__(
        self,
        open_: Callable[[], sqlite3.Connection],
        begun: Callable[[sqlite3.Connection], None],
        undone: Callable[[], None],
        ready: Callable[[sqlite3.Connection], Callable[[], None]],
        committed: Callable[[WireError | None], Callable[[], None]],
        failed: Callable[[str, BaseException], None],
        more: Callable[[], bool],
        much: Callable[[], bool],
        tally: StoreTally,
        *,
        threaded: bool,
    ) -> None:
        self._open = open_
        self._begun = begun
        self._undone = undone
        self._ready = ready
        self._committed = committed
        self._more = more
        self._much = much
        self._tally = tally
        self._db: sqlite3.Connection | None = open_()
        self._threads = ThreadPool(1) if threaded else None
        self._waiting: list[Waiting] = []
        self._alone: list[tuple[Callable[[], Any], AsyncResult[Any]]] = []
        self.find_refusal: Callable[[], WireError | None] = lambda: None
        """Asked before each batch: why nothing may be stored now."""
        super().__init__(failed)

    def change(self, change: Callable[[sqlite3.Connection], Result], timeout: float | None = None) -> Result:
        """Have a change made and committed, after all that was asked for before. Raises what it raises, or
        `StoreUnavailable`.

        Who gives up waiting after `timeout` seconds does not know what became of it: it is made all the same.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailable
        result: AsyncResult[Result] = AsyncResult()
        self._waiting.append((change, result))
        self._wanted.set()
        return await_result(result, timeout, "disk")

    def run_alone(self, job: Callable[[], Result], timeout: float) -> Result:
        """Run a job between two batches, in the writer's greenlet, while no connection that could write is open: none
        remembers a page that the job changes.

        Raises what the job raises, or `StoreUnavailable` after `timeout` seconds: a job that has not begun by then is
        dropped.
        """
        result: AsyncResult[Result] = AsyncResult()
        waiting = (job, result)
        self._alone.append(waiting)
        self._wanted.set()
        try:
            return await_result(result, timeout, "disk")
        finally:
            if waiting in self._alone:
                self._alone.remove(waiting)

    def close(self) -> None:
        """Commit what waits, and end."""
        self._end()
        if self._threads is not None:
            self._threads.kill()
        if self._db is not None:
            self._db.close()
            self._db = None

    def _round(self) -> None:
        while self._alone:
            self._run_job(*self._alone.pop(0))
        changes: list[Waiting] = []
        if self._more():
            self._wanted.set()
        else:
            changes, self._waiting = self._waiting, []
        refusal, outcomes = self._outcomes(changes)
        settle = self._prepare_settling(refusal)
        self._deliver(self._much, self._settle, settle, changes, outcomes)

    def _prepare_settling(self, refusal: WireError | None) -> Callable[[], None]:
        try:
            return self._committed(refusal)
        except Exception as mistake:  # the changes of this batch are answered all the same
            self._failed("delivery", mistake)
            return lambda: None

    def _run_job(self, job: Callable[[], Any], result: AsyncResult[Any]) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        try:
            result.set(job())
        except Exception as failure:
            result.set_exception(failure)

    def _settle(self, settle: Callable[[], None], changes: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
        try:
            settle()
        except Exception as mistake:  # who waits for a change is told all the same
            self._failed("delivery", mistake)
        for (_, result), (value, failure) in zip(changes, outcomes, strict=True):
            if failure is None:
                result.set(value)
            else:
                result.set_exception(failure)

    def _outcomes(self, changes: Sequence[Waiting]) -> tuple[WireError | None, Sequence[Outcome]]:
        """What became of a batch as a whole, and of each change in it."""
        began = time.monotonic()
        try:
            if (refused := self.find_refusal()) is not None:
                self._tally.failed += 1
                return refused, [(None, refused)] * len(changes)
            outcomes = self._commit(changes)
        except Exception as error:
            if not isinstance(error, (sqlite3.Error, OSError)):  # a mistake of ours may not end the only writer
                self._failed("commit", error)
            self._give_up()
            self._tally.failed += 1
            FAILURES.tell("store_failed", error)
            refusal = StoreUnavailable("The server cannot store anything now.", why=str(error))
            return refusal, [(None, refusal)] * len(changes)
        self._tally.commits.add(time.monotonic() - began)
        return None, outcomes

    def _commit(self, changes: Sequence[Waiting]) -> list[Outcome]:
        if self._db is None:
            self._db = self._open()
        db = self._db
        _begin(db)
        self._begun(db)
        outcomes, turn = [], Turn()
        for change, _ in changes:
            outcomes.append(self._try(change, db))
            turn.give_way()  # what arrives meanwhile waits for the next batch
        in_thread = self._ready(db)

        def finish() -> None:
            in_thread()
            db.execute("COMMIT")

        if self._threads is None:
            finish()
        else:
            in_thread_pool(self._threads, finish)
        return outcomes

    def _try(self, change: Change, db: sqlite3.Connection) -> Outcome:
        """Make a change; one that is refused, or a mistake, is taken back and is nobody's concern but its caller's."""
        db.execute("SAVEPOINT change")
        try:
            value = change(db)
        except Exception as refusal:
            if isinstance(refusal, OSError | sqlite3.Error) and not isinstance(refusal, OURS):
                raise
            db.execute("ROLLBACK TO change")
            db.execute("RELEASE change")
            self._undone()
            if isinstance(refusal, UNSTORABLE):
                FAILURES.tell("store_refused", refusal)
                return None, NotStorable()
            return None, refusal
        db.execute("RELEASE change")
        return value, None

    def _give_up(self) -> None:
        """Roll back by letting go of the connection: after an I/O error nothing it remembers can be trusted."""
        if self._db is None:
            return
        if self._threads is None:  # in memory: there is nothing else, and no error comes from a disk
            self._db.rollback()
            return
        self._db.close()
        self._db = None


def _begin(db: sqlite3.Connection) -> None:
    """Begin to write. Another process may be writing: it is waited for here, as SQLite would stop the loop for it."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            gevent.sleep(BUSY_PAUSE)


def in_thread_pool(threads: ThreadPool, call: Callable[[], Result]) -> Result:
    """Run a call in a thread; what it raises is raised here.

    gevent prints what a thread's job raises on stderr, and never ends the job where that cannot be written, as on the
    very disk that is full.
    """

    def attempt() -> tuple[Result | None, Exception | None]:
        try:
            return call(), None
        except Exception as failure:
            return None, failure

    result, failure = threads.apply(attempt)
    if failure is not None:
        raise failure
    return cast(Result, result)
