"""A SQLite database under gevent: one writer with group commit, readers in threads, checkpoints.

In WAL mode, and every commit is synced. Without a path it is in memory, on the writer's connection alone.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from gmessenger.errors import ConfigError, ExitError, FileError, StoreUnavailable, WireError
from gmessenger.store.common import DIGEST_KEY, IDENTITY, PendingCursors
from gmessenger.store.group_commit import CompletionNotifier
from gmessenger.store.sqlite import schema, usage
from gmessenger.store.sqlite.amendments import CommitStep, InsertedBatch
from gmessenger.store.sqlite.datafile import DataFile, StoreLock
from gmessenger.store.sqlite.erasure import FORGET_PENDING, ErasureScheduler, is_pending
from gmessenger.store.sqlite.file_copy import remove_spare
from gmessenger.store.sqlite.indexer import SearchIndexer
from gmessenger.store.sqlite.inserter import MessageInserter, insert_chunks
from gmessenger.store.sqlite.purger import PURGE_TIMED_OUT, Purger
from gmessenger.store.sqlite.reader_pool import ReaderPool
from gmessenger.store.sqlite.search_index import check_folding_version, find_indexed_range, find_newest_row
from gmessenger.store.sqlite.writer import SqliteWriter

ResultT = TypeVar("ResultT")
FILE_SUFFIXES: Final = ("", "-wal", "-shm")
"""Of the database, its write-ahead log and the index of that."""
READER_THREADS: Final = 2
SEARCH_THREADS: Final = 1
"""Searches have threads of their own: other reads, those of logins above all, never wait behind a search."""
MAX_MEMORY_SEARCH: Final = 0.02  # seconds that a search of a store in memory may hold the loop
SEARCH_STEPS: Final = 1000  # instructions of SQLite's virtual machine between two looks at the clock
CHECKPOINT_PAGES: Final = 4000  # pages, about, that are written to the log between two checkpoints
MIN_LONG_READ: Final = 0.05  # seconds; a purge waits for queries that have lasted so long, as they hold the log
CLOSE_PURGE_TIMEOUT: Final = 5.0  # seconds
FILES_MOVED: Final = "The server cannot store anything now: its files have been moved or replaced."
PAGES_PER_COMMIT: Final = 8
"""Pages of the log, roughly, that a commit takes besides one for each message. The size of the log file tells nothing:
after a checkpoint it is written again from its start, and never becomes shorter."""
WRITE_CHECK: Final = "INSERT OR REPLACE INTO facts VALUES ('checked', datetime('now'))"
ADVANCE_CURSOR: Final = (
    "INSERT INTO cursors (device_id, conversation_id, seq) SELECT ?, id, min(?, head) FROM conversations WHERE key = ? "
    "ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)"
)


class Database(CompletionNotifier):
    """The file, its connections and threads, and the writer's `BatchHooks`; a store's parts build on it."""

    is_shared = False

    def __init__(
        self, path: Path | None, on_error: Callable[[str, BaseException], None] | None = None, timeout: float = 30.0
    ) -> None:
        """Open or create the database and bring its schema up to date; see `open_store`.

        Raises `FileError`, `StoreLocked` or `ConfigError`; leaves no file that it created then.
        """
        super().__init__(on_error)
        self.is_persistent = path is not None
        self.identity = ""
        self._timeout = timeout
        self._path = path
        self.inserter = MessageInserter()
        self.cursors = PendingCursors()
        self._commit_steps: list[CommitStep] = []
        self._last_steps: list[CommitStep] = []
        self.prune_lock = BoundedSemaphore()
        self.backup_lock = BoundedSemaphore()
        self._lock = StoreLock(path.resolve()) if path is not None else None
        self._fault = ""
        was_killed = self._open_file_and_writer(path)
        self._readers = ReaderPool(self._open, READER_THREADS) if path is not None else None
        self._searchers = ReaderPool(self._open, SEARCH_THREADS) if path is not None else None
        # The last connection that is closed removes the index of the log, and making it again takes room on the disk:
        # as long as this one is open, the store can be read whatever happens to the others.
        self._keepalive: sqlite3.Connection | None = None
        self._checkpoint_lock = BoundedSemaphore()
        self.purger: Purger | None = None
        self.erasures = ErasureScheduler(self.take_out_erased, self._forget_erased, self._on_error)
        self._pages_written = 0
        self._inserted: InsertedBatch | None = None
        if self._file is not None:
            self._open_keepalive(self._file)
        if was_killed:  # perhaps in the middle of a purge
            self.schedule_purge()

    def _open_file_and_writer(self, path: Path | None) -> bool:
        """Lock the file and start the writer; return whether the process before was killed, as it left a log."""
        self._file: DataFile | None = None
        is_new = path is not None and _is_missing_or_empty(path)
        try:
            self._file = DataFile(path) if path is not None else None
            was_killed = self._file is not None and self._file.wal_size > 0
            if path is not None:
                remove_spare(path)
            self.writer = SqliteWriter(self, self._open_writer, self._on_error, self.stats, threaded=path is not None)
            self.indexer = SearchIndexer(self.writer.wake, self.writer.wake_later, threaded=path is not None)
        except sqlite3.Error as error:
            self._abort_open(path if is_new else None)
            raise FileError(f"Cannot open the store {path}: {error}.") from error
        except ExitError:
            self._abort_open(path if is_new else None)
            raise
        return was_killed

    def _open_keepalive(self, file: DataFile) -> None:
        """Open the connection that keeps the log in existence, and the purger that uses it."""
        self._keepalive = self._open()
        self._keepalive.execute("SELECT count(*) FROM sqlite_master").fetchone()  # only this opens the log
        file.keep_wal_files()
        if is_pending(self._keepalive):  # of the process before
            self.erasures.note()
        if find_newest_row(self._keepalive) > find_indexed_range(self._keepalive).last:
            self.indexer.note_lag()
        self.purger = Purger(
            file, self._keepalive, self.writer, self._checkpoint_lock, self._is_reading, self._on_error
        )

    def close(self) -> None:
        self.erasures.close()
        if self.purger is not None:
            if self.erasures.is_pending:
                self.purger.schedule()
            if self.purger.is_needed:
                with suppress(StoreUnavailable):
                    self.purger.purge(CLOSE_PURGE_TIMEOUT)
            self.purger.close()
        self.writer.close()
        for readers in (self._readers, self._searchers):
            if readers is not None:
                readers.close()
        if self._keepalive is not None and self._file is not None:
            self._close_keepalive(self._keepalive, self._file)
        self._release()

    def _abort_open(self, created: Path | None) -> None:
        """Release the files; remove those of a store that was being created, which could not be opened again."""
        if created is not None and self._file is not None:  # else they belong to another process
            for part in FILE_SUFFIXES:
                with suppress(OSError):
                    created.with_name(created.name + part).unlink(missing_ok=True)
        self._release()

    def _close_keepalive(self, keepalive: sqlite3.Connection, file: DataFile) -> None:
        """Close the last connection; remove the log and its index, unless the files were moved or replaced."""
        in_place = not file.find_fault()
        if in_place or not file.is_open_elsewhere():
            with suppress(sqlite3.Error):  # the log keeps what it has
                keepalive.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if in_place:
            file.release_wal_files()
        keepalive.close()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        file, self._file = self._file, None
        if file is not None:
            file.close()
        if lock is not None:
            lock.release()

    def find_fault(self) -> str:
        """Return why nothing is stored although the disk works, in a sentence; empty where all is well.

        Costs two or three calls of `stat`. When the files are found to have been moved, a greenlet moves the content
        of the log into the database: then one file, wherever it is now, has everything.
        """
        if self._file is None:
            return ""
        fault = self._file.find_fault()
        if fault and not self._fault:
            gevent.spawn(self._rescue)
        self._fault = fault
        return fault

    def suggest_remedy(self) -> str:
        """Return what the operator can do about the fault that was found."""
        return self._file.advise() if self._file is not None else ""

    def find_storage_error(self) -> WireError | None:
        fault = self.find_fault() if self._file is not None else ""
        return StoreUnavailable(FILES_MOVED, detail=fault.rstrip(".")) if fault else None

    def _rescue(self) -> None:
        try:
            if self.purger is not None:
                self.purger.rescue(self._timeout)
        except (StoreUnavailable, sqlite3.Error):
            pass  # the log keeps it; tried again when the store is closed
        except Exception as failure:
            self._on_error("rescue", failure)

    def purge(self) -> None:
        """Remove what was erased before from all of the store's files. Blocks. Raises `StoreUnavailable`."""
        if self.purger is None:
            return
        if not self.backup_lock.acquire(timeout=self._timeout):  # a backup under way reads what was erased
            raise StoreUnavailable(PURGE_TIMED_OUT)
        self.backup_lock.release()
        self.purger.purge(self._timeout)

    @property
    def erase_within(self) -> float:
        """Seconds within which an erased text is out of index and files, if a pass takes no longer than that."""
        return self.erasures.within

    @erase_within.setter
    def erase_within(self, seconds: float) -> None:
        self.erasures.within = seconds

    def take_out_erased(self) -> None:
        """Take the texts that were edited or erased out of index and files: the store's other parts do that."""
        raise NotImplementedError

    def _forget_erased(self, is_all: Callable[[], bool]) -> None:
        """Note that no removed text is left, unless one was removed since, or is in this very commit."""

        def change(db: sqlite3.Connection) -> None:
            if is_all() and not self.inserter.has_amended:
                db.execute(FORGET_PENDING)

        self.writer.execute(change)

    def schedule_purge(self, *, thorough: bool = True, now: bool = False) -> None:
        """Schedule a purge within a minute or so; with `now`, do the quick part of it at once, and block for it."""
        if self.purger is not None:
            self.purger.schedule(thorough=thorough)
            if now:
                with suppress(StoreUnavailable):  # the scheduled one does it
                    self.purger.purge(self._timeout, thorough=False)

    def _is_reading(self) -> bool:
        return any(
            readers is not None and readers.is_busy_for(MIN_LONG_READ) for readers in (self._readers, self._searchers)
        )

    def flush(self) -> None:
        self.writer.execute(lambda db: None, self._timeout)

    def check_writable(self) -> None:
        self.writer.execute(lambda db: db.execute(WRITE_CHECK), self._timeout)

    def add_commit_steps(self, *steps: CommitStep) -> None:
        """Have the commit thread run statements before the COMMIT. Called by changes, in the writer."""
        self._commit_steps += steps

    def add_last_step(self, step: CommitStep) -> None:
        """Have the commit thread run a statement after the bytes of the batch's messages were counted."""
        self._last_steps.append(step)

    def run_commit_steps(self, db: sqlite3.Connection) -> None:
        """Run now what earlier changes of the batch left to the commit thread."""
        for step in self._commit_steps:
            step(db)
        self._commit_steps = []  # only now: if one fails, its change is rolled back, and the commit runs them again

    def exceeds_batch(self) -> bool:
        return self.inserter.exceeds_batch()

    def is_worth_a_commit(self) -> bool:
        return self.inserter.is_worth_a_commit() or self.indexer.is_overdue

    def on_rollback(self) -> None:
        self.inserter.reset_cache()

    def on_begin(self, db: sqlite3.Connection, *, may_defer: bool) -> None:
        self._commit_steps, self._last_steps = [], []
        self.write_cursors(db)
        self._inserted = self.inserter.insert(db, may_defer=may_defer)

    def put_back(self) -> None:
        self.cursors.end_commit(is_committed=False)
        self.inserter.put_back()

    def before_commit(self, db: sqlite3.Connection, *, has_changes: bool) -> Callable[[], None]:
        steps, self._commit_steps = self._commit_steps, []
        last_steps, self._last_steps = self._last_steps, []
        inserted = self._inserted
        index_step = self.indexer.next_step(
            messages=inserted.size if inserted is not None else 0, has_changes=has_changes
        )

        def run_steps() -> None:
            if inserted is not None:
                insert_chunks(db, inserted)
            for step in steps:
                step(db)
            if inserted is not None:
                usage.add_usage(db, inserted.first_row)
                for step in inserted.last_steps:
                    step(db)
            for step in last_steps:
                step(db)
            if index_step is not None:
                index_step(db)

        return run_steps

    def write_cursors(self, db: sqlite3.Connection) -> None:
        """Write the acknowledgements that wait, within a transaction of the writer."""
        cursors = self.cursors.take()
        db.executemany(ADVANCE_CURSOR, [(device, seq, key) for (device, key), seq in cursors.items()])

    def on_commit(self, error: WireError | None) -> Callable[[], None]:
        self.cursors.end_commit(is_committed=error is None)
        results = self.inserter.take_results(error)
        self.indexer.note_commit(is_committed=error is None, has_messages=self._inserted is not None)
        if error is None and self.inserter.has_amended and self._path is not None:
            self.erasures.note()
        posted_at = self.inserter.oldest_posted_at if error is None else None
        self._pages_written += PAGES_PER_COMMIT + len(results)
        self._checkpoint()
        return lambda: self._notify(results, posted_at)

    def _checkpoint(self) -> None:
        """Move the log's pages into the database in a greenlet and a thread, once enough of them were written."""
        if self._path is None or self._checkpoint_lock.locked() or self._pages_written < CHECKPOINT_PAGES:
            return
        self._pages_written = 0
        gevent.spawn(self._checkpoint_now)

    def _checkpoint_now(self) -> None:
        if not self._checkpoint_lock.acquire(blocking=False):
            return
        try:
            if self.purger is not None:
                self.purger.note_checkpoint()
            self.read(lambda db: db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
        except StoreUnavailable:
            pass  # the disk is full or gone: the next batch will report it
        except Exception as failure:
            self._on_error("checkpoint", failure)
        finally:
            self._checkpoint_lock.release()

    def read(self, query: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Run a query in a thread, on a connection of its own; in memory, in the writer. Blocks the greenlet."""
        return self.writer.execute(query) if self._readers is None else self._readers.read(query)

    def read_until(self, deadline: float, query: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Run a query in a search thread; interrupt it at the monotonic time `deadline`. Blocks the greenlet.

        A store in memory has no threads: there it holds the loop, and has `MAX_MEMORY_SEARCH` seconds.
        """
        if self._searchers is not None:
            return self._searchers.read(query, self._timeout, deadline)
        end = min(deadline, time.monotonic() + MAX_MEMORY_SEARCH)

        def bounded(db: sqlite3.Connection) -> ResultT:
            db.set_progress_handler(lambda: time.monotonic() > end, SEARCH_STEPS)
            try:
                return query(db)
            finally:
                db.set_progress_handler(None, 0)

        return self.writer.execute(bounded)

    def _open(self) -> sqlite3.Connection:
        """Open another connection. Raises `StoreUnavailable` where the files were moved or replaced."""
        if self._file is not None and self._fault:
            raise StoreUnavailable(FILES_MOVED)
        name = self._file.real if self._file is not None else ":memory:"
        db = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False)
        with _closed_on_error(db):
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0", "secure_delete = ON"):
                db.execute(f"PRAGMA {pragma}")
        return db

    def _open_writer(self) -> sqlite3.Connection:
        db = self._open()
        with _closed_on_error(db):
            _migrate(db, self._path)
            check_folding_version(db)
            self.identity = str(db.execute(IDENTITY).fetchone()[0])
            self.inserter.digest_key = bytes.fromhex(db.execute(DIGEST_KEY).fetchone()[0])
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute("CREATE TEMP TABLE stale (id INTEGER PRIMARY KEY, folded TEXT)")
        return db


def _is_missing_or_empty(path: Path) -> bool:
    """Return whether there is no store yet. (An empty file was left by a first start that was killed.)"""
    try:
        return path.stat().st_size == 0
    except OSError:
        return True


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    """Close a connection where setting it up raises."""
    try:
        yield
    except BaseException:
        db.close()
        raise


def _migrate(db: sqlite3.Connection, path: Path | None) -> None:
    """Bring the schema up to this program's version. Raises `ConfigError` where it is newer."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.VERSION:
        raise ConfigError(
            f"The store {path} has schema {version}, made by a later release; this one knows schema {schema.VERSION}."
        )
    for number, steps in enumerate(schema.MIGRATIONS[version:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        for step in steps:
            db.execute(step)
        db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")
