"""A SQLite database under gevent: one writer with group commit, readers in threads, checkpoints out of the way.

WAL, and every commit synced. Without a path it is held in memory, on the writer's connection alone.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from gmessenger.errors import ConfigProblem, ExitError, FileProblem, StoreUnavailable, WireError
from gmessenger.store import past, schema, usage
from gmessenger.store.backups import drop_spare
from gmessenger.store.commits import Commits
from gmessenger.store.index import Fresh, check_folding
from gmessenger.store.lock import Lock
from gmessenger.store.posts import Posts
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
COMMIT_WRITES: Final = 8
"""Pages of the log, roughly, that a commit takes besides one for each message. The log's size tells nothing: it is
written again from its start after a checkpoint, and never becomes shorter."""
IDENTITY: Final = "SELECT value FROM facts WHERE name = 'identity'"
CHECK: Final = "INSERT OR REPLACE INTO facts VALUES ('checked', datetime('now'))"
MOVE_CURSOR: Final = (
    "INSERT INTO cursors (device_id, conversation_id, seq) SELECT ?, id, min(?, head) FROM conversations WHERE key = ? "
    "ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)"
)


class Database(Settling):
    """The file, its connections and their threads; what is asked of them is in the classes that build on it."""

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
        try:
            if path is not None:
                _make_file(path)
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
        self._anchor = self._open() if path is not None else None
        self._checkpointing = False
        self._written = 0
        self._fresh: Fresh | None = None

    def close(self) -> None:
        self.commits.close()
        for readers in (self._readers, self._searchers):
            if readers is not None:
                readers.close()
        if self._anchor is not None:
            self._anchor.close()
        if self._path is not None:
            with closing(sqlite3.connect(self._path)) as db, suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # where the disk is full, the next start does it
        self._release()

    def _undo(self, made: Path | None) -> None:
        """Let go, and leave nothing of a store that was to be made here: half of one would be in the next one's way."""
        if made is not None:
            for part in PARTS:
                with suppress(OSError):
                    made.with_name(made.name + part).unlink(missing_ok=True)
        self._release()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

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
        if self._path is None or self._checkpointing or self._written < CHECKPOINT_AFTER:
            return
        self._written = 0
        self._checkpointing = True
        gevent.spawn(self._checkpoint_now)

    def _checkpoint_now(self) -> None:
        try:
            self.read(lambda db: db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
        except StoreUnavailable:
            pass  # the disk is full or gone: the next batch will say so
        except Exception as failure:
            self._failed("checkpoint", failure)
        finally:
            self._checkpointing = False

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
        db = sqlite3.connect(self._path or ":memory:", timeout=0, isolation_level=None, check_same_thread=False)
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


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise FileProblem(f"Cannot open the store {path}: {error.strerror}.") from error


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
