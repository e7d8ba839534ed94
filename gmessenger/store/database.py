"""A SQLite database under gevent: one writer with group commit, readers in threads, checkpoints out of the way.

WAL, and every commit synced. Without a path it is held in memory, on the writer's connection alone.
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

from gmessenger.errors import ConfigProblem, ExitError, FileProblem, StoreUnavailable, WireError
from gmessenger.store import past, schema, usage
from gmessenger.store.backups import drop_spare
from gmessenger.store.commits import Commits
from gmessenger.store.common import IDENTITY
from gmessenger.store.datafile import DataFile
from gmessenger.store.index import Fresh, check_folding
from gmessenger.store.lock import Lock
from gmessenger.store.posts import Posts
from gmessenger.store.purger import LATE, Purger
from gmessenger.store.readers import Readers
from gmessenger.store.settling import Settling

Result = TypeVar("Result")
PARTS: Final = ("", "-wal", "-shm")
"""What a database's files are called behind its name."""
READERS: Final = 2
SEARCHERS: Final = 1
"""Threads that search: other reads, those of logins above all, never wait behind a search."""
MAX_SEARCH_TURN: Final = 0.02  # seconds
SEARCH_STEPS: Final = 1000  # instructions of SQLite's machine between two looks at the clock
CHECKPOINT_AFTER: Final = 4000
LONG_READ: Final = 0.05  # seconds
"""A query that has lasted so long is waited for by what needs the log for itself."""
CLOSING_PURGE_TIMEOUT: Final = 5.0  # seconds
NOT_IN_PLACE: Final = "The server cannot store anything now: its files have been moved or replaced."
COMMIT_WRITES: Final = 8
"""Pages of the log, roughly, that a commit takes besides one for each message. The log's size tells nothing: it is
written again from its start after a checkpoint, and never becomes shorter."""
CHECK: Final = "INSERT OR REPLACE INTO facts VALUES ('checked', datetime('now'))"
MOVE_CURSOR: Final = (
    "INSERT INTO cursors (device_id, conversation_id, seq) SELECT ?, id, min(?, head) FROM conversations WHERE key = ? "
    "ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)"
)


class Database(Settling):
    """The file, its connections and their threads; what is asked of them is in the classes that build on it."""

    is_shared = False

    def __init__(
        self, path: Path | None, failed: Callable[[str, BaseException], None] | None = None, timeout: float = 30.0
    ) -> None:
        super().__init__(failed)
        self.lasting = path is not None
        self.identity = ""
        self._timeout = timeout
        self._path = path
        self.posts = Posts()
        self.cursors: dict[tuple[int, str], int] = {}
        self.in_commit: tuple[Callable[[sqlite3.Connection], object], ...] = ()
        """What a change leaves to the commit's thread, before its COMMIT."""
        self.erasing = BoundedSemaphore()
        self.copying = BoundedSemaphore()
        self._moving: dict[tuple[int, str], int] = {}
        self._lock = Lock(path.resolve()) if path is not None else None
        fresh = path is not None and _is_to_be_made(path)
        self._file: DataFile | None = None
        self._fault = ""
        try:
            self._file = DataFile(path) if path is not None else None
            was_killed = self._file is not None and self._file.log_size > 0
            if path is not None:
                drop_spare(path)
            self.commits = Commits(
                self._open_writer,
                self._begun,
                self.posts.forget,
                self._ready,
                self._committed,
                self._failed,
                self.posts.more,
                self.posts.much,
                self.tally,
                threaded=path is not None,
            )
        except sqlite3.Error as error:
            self._undo(path if fresh else None)
            raise FileProblem(f"Cannot open the store {path}: {error}.") from error
        except ExitError:
            self._undo(path if fresh else None)
            raise
        self._readers = Readers(self._open, READERS) if path is not None else None
        self._searchers = Readers(self._open, SEARCHERS) if path is not None else None
        # With the last connection goes the index of the log, and to make it again takes room on the disk: as long as
        # this one is open, what is stored can be read whatever becomes of the others.
        self._anchor: sqlite3.Connection | None = None
        self._checkpoints = BoundedSemaphore()
        self.purger: Purger | None = None
        self._written = 0
        self._fresh: Fresh | None = None
        if self._file is not None:
            self._drop_anchor(self._file)
        if was_killed:  # perhaps in the middle of a purge
            self.note_erased()

    def _drop_anchor(self, file: DataFile) -> None:
        self._anchor = self._open()
        self._anchor.execute("SELECT count(*) FROM sqlite_master").fetchone()  # only now it has the log open
        file.hold()
        self.commits.find_refusal = self._find_refusal
        self.purger = Purger(file, self._anchor, self.commits, self._checkpoints, self._is_reading, self._failed)

    def close(self) -> None:
        if self.purger is not None:
            if self.purger.is_needed:
                with suppress(StoreUnavailable):
                    self.purger.purge(CLOSING_PURGE_TIMEOUT)
            self.purger.close()
        self.commits.close()
        for readers in (self._readers, self._searchers):
            if readers is not None:
                readers.close()
        if self._anchor is not None and self._file is not None:
            self._weigh_anchor(self._anchor, self._file)
        self._release()

    def _undo(self, made: Path | None) -> None:
        """Let go, and leave nothing of a store that was to be made here: half of one would be in the next one's way."""
        if made is not None and self._file is not None:  # else it is another's
            for part in PARTS:
                with suppress(OSError):
                    made.with_name(made.name + part).unlink(missing_ok=True)
        self._release()

    def _weigh_anchor(self, anchor: sqlite3.Connection, file: DataFile) -> None:
        """Close the last connection. Nothing is opened by its name any more, and files that are not ours stay."""
        in_place = not file.find_fault()
        if in_place or not file.is_open_elsewhere():
            with suppress(sqlite3.Error):  # what is in the log stays there
                anchor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if in_place:
            file.let_go()
        anchor.close()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        file, self._file = self._file, None
        if file is not None:
            file.close()
        if lock is not None:
            lock.release()

    def find_fault(self) -> str:
        """Say why nothing is stored although the disk would, as a sentence for the operator; empty where all is well.

        Two or three calls of `stat`. When the files are found to have gone, what the log has is moved into the
        database, in a greenlet of its own: then one file, wherever it is now, has everything.
        """
        if self._file is None:
            return ""
        fault = self._file.find_fault()
        if fault and not self._fault:
            gevent.spawn(self._rescue)
        self._fault = fault
        return fault

    def advise(self) -> str:
        """Say what the operator can do about the fault that was found."""
        return self._file.advise() if self._file is not None else ""

    def _find_refusal(self) -> WireError | None:
        fault = self.find_fault()
        return StoreUnavailable(NOT_IN_PLACE, why=fault.rstrip(".")) if fault else None

    def _rescue(self) -> None:
        try:
            if self.purger is not None:
                self.purger.rescue(self._timeout)
        except (StoreUnavailable, sqlite3.Error):
            pass  # the log keeps it, and it is tried again when the store is closed
        except Exception as failure:
            self._failed("rescue", failure)

    def purge(self) -> None:
        """Return when what was erased before is in none of the store's files. Raises `StoreUnavailable`."""
        if self.purger is None:
            return
        if not self.copying.acquire(timeout=self._timeout):  # a backup that has begun is one from before
            raise StoreUnavailable(LATE)
        self.copying.release()
        self.purger.purge(self._timeout)

    def note_erased(self, *, thorough: bool = True, now: bool = False) -> None:
        """Have what was erased purged: within a minute or so, or `now`, as far as it goes quickly."""
        if self.purger is not None:
            self.purger.note(thorough=thorough)
            if now:
                with suppress(StoreUnavailable):  # it is done later
                    self.purger.purge(self._timeout, thorough=False)

    def _is_reading(self) -> bool:
        return any(readers is not None and readers.are_busy(LONG_READ) for readers in (self._readers, self._searchers))

    def flush(self) -> None:
        self.commits.change(lambda db: None, self._timeout)

    def check(self) -> None:
        self.commits.change(lambda db: db.execute(CHECK), self._timeout)

    def moving(self, conversation: str) -> dict[int, int]:
        """Acknowledgements that may not be on disk yet: the seq, by device."""
        moving = self._moving | self.cursors
        return {device: seq for (device, key), seq in moving.items() if key == conversation}

    def _begun(self, db: sqlite3.Connection) -> None:
        self.in_commit = ()
        self.move_cursors(db)
        self._fresh = self.posts.insert(db)

    def _ready(self, db: sqlite3.Connection) -> Callable[[], None]:
        steps, fresh = self.in_commit, self._fresh

        def in_thread() -> None:
            for step in steps:
                step(db)
            if fresh is not None:
                fresh.add(db)
                usage.count(db, fresh.first)

        return in_thread

    def move_cursors(self, db: sqlite3.Connection) -> None:
        moved, self.cursors = self.cursors, {}
        self._moving |= moved
        db.executemany(MOVE_CURSOR, [(device, seq, key) for (device, key), seq in moved.items()])

    def _committed(self, refusal: WireError | None) -> Callable[[], None]:
        moved, self._moving = self._moving, {}
        if refusal is not None:
            # No session acknowledges again what it has acknowledged: this goes with the next batch.
            for key, seq in moved.items():
                self.cursors[key] = max(seq, self.cursors.get(key, 0))
        outcomes, began = self.posts.settle(refusal), self.posts.oldest
        self._written += COMMIT_WRITES + len(outcomes)
        self._checkpoint()
        return lambda: self._settle(outcomes, began if refusal is None else None)

    def _checkpoint(self) -> None:
        """Move what the log has gathered into the database, in a thread, without holding up anybody."""
        if self._path is None or self._checkpoints.locked() or self._written < CHECKPOINT_AFTER:
            return
        self._written = 0
        gevent.spawn(self._checkpoint_now)

    def _checkpoint_now(self) -> None:
        if not self._checkpoints.acquire(blocking=False):
            return
        try:
            if self.purger is not None:
                self.purger.note_checkpoint()
            self.read(lambda db: db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
        except StoreUnavailable:
            pass  # the disk is full or gone: the next batch will say so
        except Exception as failure:
            self._failed("checkpoint", failure)
        finally:
            self._checkpoints.release()

    def read(self, find: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run a query in a thread, on a connection of its own."""
        return self.commits.change(find) if self._readers is None else self._readers.read(find)

    def search_until(self, until: float, find: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run a query where no other read has to wait for it; at the monotonic time `until` it is interrupted.

        In memory there are no threads: there it holds the loop, and has `MAX_SEARCH_TURN` seconds.
        """
        if self._searchers is not None:
            return self._searchers.read(find, self._timeout, until)
        end = min(until, time.monotonic() + MAX_SEARCH_TURN)

        def bounded(db: sqlite3.Connection) -> Result:
            db.set_progress_handler(lambda: time.monotonic() > end, SEARCH_STEPS)
            try:
                return find(db)
            finally:
                db.set_progress_handler(None, 0)

        return self.commits.change(bounded)

    def _open(self) -> sqlite3.Connection:
        """Open another connection. Raises `StoreUnavailable` where the name is not the file's any more."""
        if self._file is not None and self._fault:
            raise StoreUnavailable(NOT_IN_PLACE)
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
            check_folding(db)
            self.posts.past = past.any_kept(db)
            self.identity = str(db.execute(IDENTITY).fetchone()[0])
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute("CREATE TEMP TABLE stale (id INTEGER PRIMARY KEY, folded TEXT)")
        return db


def _is_to_be_made(path: Path) -> bool:
    """Whether there is nothing yet. (A file that is empty is one that a first start was killed over.)"""
    try:
        return path.stat().st_size == 0
    except OSError:
        return True


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    """Close a connection that cannot be made ready: its caller never gets it."""
    try:
        yield
    except BaseException:
        db.close()
        raise


def _migrate(db: sqlite3.Connection, path: Path | None) -> None:
    """Take the schema to this program's version. Raises `ConfigProblem` where it is newer."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.VERSION:
        raise ConfigProblem(
            f"The store {path} has schema {version}, made by a later release; this one knows schema {schema.VERSION}."
        )
    for number, steps in enumerate(schema.MIGRATIONS[version:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        for step in steps:
            db.execute(step)
        db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")
