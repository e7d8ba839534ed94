"""Purge erased content from the store's files: from the log, and from the unused parts of pages.

Three places keep erased content: the write-ahead log has older versions of pages; pages have copies in their slack
(`file_format.py`); and the search index has notes of removed words until they are merged away (`pruning.py`).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import gevent
from gevent import Greenlet
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from gmessenger.backoff import Backoff
from gmessenger.errors import StoreUnavailable
from gmessenger.store.sqlite.datafile import DataFile, find_erasable
from gmessenger.store.sqlite.file_format import (
    FRAME_HEADER_BYTES,
    MAX_PAGES,
    WAL_HEADER_BYTES,
    list_wal_pages,
    read_wal_header,
)
from gmessenger.store.sqlite.writer import SqliteWriter, run_in_thread
from gmessenger.timeslice import TimeSlice

ResultT = TypeVar("ResultT")
PURGE_INTERVAL: Final = 60.0  # seconds
"""Within this time what no request waits for is purged: a replaced topic, the digest of a used invite."""
MIN_IDLE_FACTOR: Final = 20
"""A purge that no request waits for comes this many times later than the last one took: it reads all pages."""
PAGE_CHUNK: Final = 256  # pages that are read at a time
CHECKPOINT_BUSY_TIMEOUT: Final = 50  # milliseconds
"""For so long the writer is held up for readers; those known to be long were waited for before, beside it."""
MAX_WRITER_HOLD: Final = 0.02  # seconds
"""For so long pages are cleared while the writer waits; then it has a turn before the rest of them."""
MIN_RETRY_DELAY: Final = 0.05  # seconds
MAX_RETRY_DELAY: Final = 0.5  # seconds
PURGE_TIMED_OUT: Final = "It is erased, but the store's files may still contain traces of it. Repeat the request later."


class _PurgeWork:
    """The state of one purge: pages to clear, and how far the log was read (its salts, and frames)."""

    def __init__(self) -> None:
        self.suspects: set[int] = set()
        self.salts: list[int] = []
        self.frames = 0


class Purger:
    """Clears a store's files of erased content, on request or by a timer. Used on the loop's thread."""

    def __init__(
        self,
        file: DataFile,
        db: sqlite3.Connection,
        writer: SqliteWriter,
        checkpoint_lock: BoundedSemaphore,
        is_reading: Callable[[], bool],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        """Set up; reads and writes nothing yet.

        Args:
            db: a connection that nothing else uses meanwhile.
            checkpoint_lock: held during a purge, and by everything else that moves the log into the database.
            is_reading: returns whether a long query of this process is under way.
            on_error: called with what failed and the exception, for mistakes of our own in a purge by the timer.
        """
        self._file = file
        self._db = db
        self._writer = writer
        self._checkpoint_lock = checkpoint_lock
        self._is_reading = is_reading
        self._on_error = on_error
        self._pool = ThreadPool(1)
        self._purge_lock = BoundedSemaphore()
        self._erase_count = 0
        """The number of erasures so far."""
        self._thorough_count = 0
        """The number at the last erasure that needs a thorough purge."""
        self._purged_thorough = 0
        """The number of the last erasure whose content is gone from all pages."""
        self._purged_quick = 0
        """The number of the last erasure whose content is gone from the log and from the pages that were in it."""
        self._is_scanned = False
        """Whether only pages in the log can have slack that is not zero."""
        self._timer: Greenlet[..., object] | None = None
        self._last_duration = 0.0
        db.execute(f"PRAGMA busy_timeout = {CHECKPOINT_BUSY_TIMEOUT}")

    @property
    def is_needed(self) -> bool:
        """Return whether erased content may still be in the files."""
        return self._purged_thorough < self._thorough_count or self._purged_quick < self._erase_count

    def schedule(self, *, thorough: bool = True) -> None:
        """Note a committed erasure: it is purged within a minute or so, unless `purge` is called before."""
        self._erase_count += 1
        if thorough:
            self._thorough_count = self._erase_count
        if self._timer is None:
            self._timer = gevent.spawn_later(
                max(PURGE_INTERVAL, MIN_IDLE_FACTOR * self._last_duration), self._purge_later
            )

    def purge(self, timeout: float, *, thorough: bool = True) -> None:
        """Clear the files of all that was erased before the call. Blocks the greenlet.

        The writer goes on meanwhile, but for the moment in which the log is emptied.

        Args:
            timeout: seconds. Waits for readers of the log: a backup, or another process.
            thorough: False clears the log and the pages that are in it; copies in other pages go with the next
                thorough purge.

        Raises:
            StoreUnavailable: it is not done in time, or the disk failed.
        """
        target, deadline = self._erase_count, time.monotonic() + timeout
        if not self._purge_lock.acquire(timeout=timeout):
            raise StoreUnavailable(PURGE_TIMED_OUT)
        try:
            thorough = thorough and self._purged_thorough < self._thorough_count
            if thorough or self._purged_quick < target:
                self._purge(deadline, thorough)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(PURGE_TIMED_OUT) from error
        finally:
            self._purge_lock.release()

    def rescue(self, timeout: float) -> None:
        """Move the content of the log into the database, wherever that is now: then one file has everything.

        Not where another process has the database open: it may have another log. Blocks up to `timeout` seconds.
        """
        self._writer.run_exclusive(self._truncate_wal, timeout)

    def _truncate_wal(self) -> None:
        if not self._file.is_open_elsewhere():
            self._in_thread(lambda: self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    def note_checkpoint(self) -> None:
        """Note that a checkpoint moves pages from the log into the database: their slack was not looked at."""
        self._is_scanned = False

    def close(self) -> None:
        """Stop the timer and the thread; the connection stays open."""
        if self._timer is not None:
            self._timer.kill()
        self._pool.kill()

    def _purge_later(self) -> None:
        self._timer = None
        if not self.is_needed:
            return
        try:
            self.purge(PURGE_INTERVAL)
        except StoreUnavailable:
            self._timer = gevent.spawn_later(PURGE_INTERVAL, self._purge_later)
        except Exception as failure:
            self._on_error("purge", failure)

    def _purge(self, deadline: float, thorough: bool) -> None:
        covered, started, was_scanned = self._erase_count, time.monotonic(), self._is_scanned
        self._check_not_moved()
        with self._checkpoint_lock:  # from here on only the writer can begin the log anew
            self._is_scanned = False  # until this purge has ended
            work = self._find_work(everywhere=thorough and not was_scanned)
            backoff = Backoff(2 * MIN_RETRY_DELAY, MAX_RETRY_DELAY, jitter=0.0)
            while True:
                is_cleared = not self._must_wait_for_readers(deadline) and self._try_clear(work, deadline)
                if is_cleared and not work.suspects:
                    break
                if time.monotonic() > deadline:
                    raise StoreUnavailable(PURGE_TIMED_OUT)
                if is_cleared:
                    backoff.reset()
                gevent.sleep(MIN_RETRY_DELAY if is_cleared else backoff.next_delay())
        self._is_scanned = thorough or was_scanned
        self._purged_quick = max(covered, self._purged_quick)
        if self._is_scanned:
            self._purged_thorough = max(covered, self._purged_thorough)
        self._last_duration = time.monotonic() - started

    def _must_wait_for_readers(self, deadline: float) -> bool:
        return self._is_reading() and time.monotonic() < deadline

    def _find_work(self, *, everywhere: bool) -> _PurgeWork:
        """Find the pages whose slack is not zero: `everywhere`, or in the log. The writer goes on meanwhile."""
        work = _PurgeWork()
        logged, salts = self._read_wal(work), work.salts
        _, frames, moved = self._in_thread(lambda: self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
        if frames > work.frames:  # something was committed after the log was read
            logged |= self._read_wal(work)
            everywhere = everywhere or work.salts != salts  # begun anew: which pages those were is unknown
        size = self._file.get_page_size()
        if not size or self._file.size // size >= MAX_PAGES:
            return work
        free = self._in_thread(partial(self._file.list_free_pages, size))
        if everywhere:
            self._scan(work.suspects, size, free)
        else:
            time_slice = TimeSlice()
            for number in logged:
                if find_erasable(self._file.read((number - 1) * size, size), number, free):
                    work.suspects.add(number)
                time_slice.yield_if_expired()
        if moved < frames:  # a reader holds the log, so older versions of pages were looked at
            work.suspects |= logged
        return work

    def _scan(self, suspects: set[int], size: int, free: set[int]) -> None:
        time_slice = TimeSlice()
        for first in range(0, self._file.size // size, PAGE_CHUNK):
            chunk = self._in_thread(partial(self._file.read, first * size, PAGE_CHUNK * size))
            for index in range(len(chunk) // size):
                number = first + index + 1
                if find_erasable(chunk[index * size : (index + 1) * size], number, free):
                    suspects.add(number)
                time_slice.yield_if_expired()

    def _try_clear(self, work: _PurgeWork, deadline: float) -> bool:
        """Empty the log and clear some pages, with those logged meanwhile; return False where it could not."""
        return self._writer.run_exclusive(
            partial(self._truncate_and_clear, work), max(1.0, deadline - time.monotonic())
        )

    def _check_not_moved(self) -> None:
        if self._file.find_fault():  # another process may have the file, or its log, open
            raise StoreUnavailable(PURGE_TIMED_OUT)

    def _truncate_and_clear(self, work: _PurgeWork) -> bool:
        self._check_not_moved()
        work.suspects |= self._read_wal(work)
        busy = self._in_thread(lambda: self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        if busy:
            return False
        try:
            self._db.execute("BEGIN IMMEDIATE")  # no other process writes until the pages are cleared
        except sqlite3.OperationalError:
            return False
        try:
            return self._clear_pages(work.suspects)
        finally:
            self._db.execute("ROLLBACK")

    def _read_wal(self, work: _PurgeWork) -> set[int]:
        """List the pages that were logged since the last call for this purge."""
        logged: set[int] = set()
        time_slice = TimeSlice()
        with self._file.wal_path.open("rb") as log:
            size, salts = read_wal_header(log.read(WAL_HEADER_BYTES))
            if not size:
                return logged
            frame = FRAME_HEADER_BYTES + size
            work.frames = at = work.frames if salts == work.salts else 0
            work.salts = salts
            log.seek(WAL_HEADER_BYTES + at * frame)
            while frames := self._in_thread(partial(log.read, PAGE_CHUNK * frame)):
                numbers, committed = list_wal_pages(frames, size, salts)
                logged.update(numbers)
                work.frames = at + committed if committed else work.frames
                at += len(numbers)
                if len(numbers) * frame < len(frames):
                    break
                time_slice.yield_if_expired()
        return logged

    def _clear_pages(self, suspects: set[int]) -> bool:
        size = self._file.get_page_size()
        if self._file.wal_size or not size:
            return False
        free = self._in_thread(partial(self._file.list_free_pages, size))
        time_slice, cleared, end = TimeSlice(), 0, time.monotonic() + MAX_WRITER_HOLD
        while suspects and time.monotonic() < end:
            cleared += self._file.zero_slack(suspects.pop(), size, free)
            time_slice.yield_if_expired()
        if cleared:
            self._in_thread(self._file.sync)
        return True

    def _in_thread(self, function: Callable[[], ResultT]) -> ResultT:
        return run_in_thread(self._pool, function)
