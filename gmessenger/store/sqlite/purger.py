"""Purge erased content from the store's files: from the log, and from the unused parts of pages.

Three things keep erased content: the write-ahead log has pages as they were before; so have the unused parts of pages
(`pages.py`); and the index of words has notes of what was taken out, until they are merged away (`erasing.py`).
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
"""Within this time is gone what nothing waits for: a topic that was replaced, the digest of a used invite."""
MIN_IDLE_FACTOR: Final = 20
"""A purge that nothing waits for begins so many times later as the last one took: a large store is read at leisure."""
PAGE_CHUNK: Final = 256
CHECKPOINT_BUSY_TIMEOUT: Final = 50  # milliseconds
"""For so long the writer is held up for readers that have not finished; they are waited for beside it before."""
MAX_WRITER_HOLD: Final = 0.02  # seconds
"""For so long pages are cleared while the writer waits; the others have to wait until it has had a turn."""
MIN_RETRY_DELAY: Final = 0.05  # seconds
MAX_RETRY_DELAY: Final = 0.5  # seconds
PURGE_TIMED_OUT: Final = "It is erased, but the store's files may still contain traces of it. Repeat the request later."


class _PurgeWork:
    """The rest of one purge: pages to look at, and how far the log was read, by its salts and in frames."""

    def __init__(self) -> None:
        self.suspects: set[int] = set()
        self.salts: list[int] = []
        self.frames = 0


class Purger:
    """Clears a store's files of erased content.

    `db` is a connection for it alone. `checkpoints` is held while it is at work, and by whatever else moves the log
    into the database. `is_reading` says whether a long query of this process is under way. `on_error` is told of a
    mistake.
    """

    def __init__(
        self,
        file: DataFile,
        db: sqlite3.Connection,
        writer: SqliteWriter,
        checkpoint_lock: BoundedSemaphore,
        is_reading: Callable[[], bool],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._file = file
        self._db = db
        self._writer = writer
        self._checkpoint_lock = checkpoint_lock
        self._is_reading = is_reading
        self._on_error = on_error
        self._pool = ThreadPool(1)
        self._purge_lock = BoundedSemaphore()
        self._erase_count = 0
        """Counts erasures."""
        self._thorough_count = 0
        """The count at the last erasure that needs a thorough purge."""
        self._purged_thorough = 0
        """The count up to which erased content is gone from all pages."""
        self._purged_quick = 0
        """The count up to which it is gone from the log and from the pages that were in it."""
        self._is_scanned = False
        """Whether nothing but pages that are in the log can have unused parts that are not clear."""
        self._timer: Greenlet[..., object] | None = None
        self._last_duration = 0.0
        db.execute(f"PRAGMA busy_timeout = {CHECKPOINT_BUSY_TIMEOUT}")

    @property
    def is_needed(self) -> bool:
        """Whether anything was erased that may still be there."""
        return self._purged_thorough < self._thorough_count or self._purged_quick < self._erase_count

    def schedule(self, *, thorough: bool = True) -> None:
        """Something was erased, and that is committed. It is purged within a minute or so if nothing asks for it."""
        self._erase_count += 1
        if thorough:
            self._thorough_count = self._erase_count
        if self._timer is None:
            self._timer = gevent.spawn_later(
                max(PURGE_INTERVAL, MIN_IDLE_FACTOR * self._last_duration), self._purge_later
            )

    def purge(self, timeout: float, *, thorough: bool = True) -> None:
        """Clear the files of all that was noted before the call.

        Writing goes on meanwhile, but for the moment in which the log is emptied. Not `thorough`: of the log, and of
        those pages that are in it; what copies there are in other pages goes with the next thorough one.

        Args:
            timeout: seconds. Readers of the log are waited for: a backup, or another process.
        Raises:
            StoreUnavailable: it is not done in time, or the disk will not.
        """
        wanted, deadline = self._erase_count, time.monotonic() + timeout
        if not self._purge_lock.acquire(timeout=timeout):
            raise StoreUnavailable(PURGE_TIMED_OUT)
        try:
            thorough = thorough and self._purged_thorough < self._thorough_count
            if thorough or self._purged_quick < wanted:
                self._purge(deadline, thorough)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(PURGE_TIMED_OUT) from error
        finally:
            self._purge_lock.release()

    def rescue(self, timeout: float) -> None:
        """Move what the log has into the database, wherever that is now: then one file has everything.

        Not where another process has it open: that may have another log, of which nothing is known here.
        """
        self._writer.run_exclusive(self._move_log, timeout)

    def _move_log(self) -> None:
        if not self._file.is_open_elsewhere():
            self._in_thread(lambda: self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    def note_checkpoint(self) -> None:
        """Pages of the log have become pages of the database, and none was looked at."""
        self._is_scanned = False

    def close(self) -> None:
        """Have no more of this; the connection is not closed here."""
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
        covered, began, was_swept = self._erase_count, time.monotonic(), self._is_scanned
        self._check_not_moved()
        with self._checkpoint_lock:  # from here on the log is not begun anew unseen
            self._is_scanned = False  # until this has come to its end
            work = self._find_work(everywhere=thorough and not was_swept)
            delay = MIN_RETRY_DELAY
            while True:
                is_settled = not self._must_wait_for_readers(deadline) and self._try_clear(work, deadline)
                if is_settled and not work.suspects:
                    break
                if time.monotonic() > deadline:
                    raise StoreUnavailable(PURGE_TIMED_OUT)
                delay = MIN_RETRY_DELAY if is_settled else min(2 * delay, MAX_RETRY_DELAY)
                gevent.sleep(delay)
        self._is_scanned = thorough or was_swept
        self._purged_quick = max(covered, self._purged_quick)
        if self._is_scanned:
            self._purged_thorough = max(covered, self._purged_thorough)
        self._last_duration = time.monotonic() - began

    def _must_wait_for_readers(self, deadline: float) -> bool:
        return self._is_reading() and time.monotonic() < deadline

    def _find_work(self, *, everywhere: bool) -> _PurgeWork:
        """Find the pages with something in them that nothing uses, while they go on being changed: `everywhere`, or
        among those that are in the log.
        """
        work = _PurgeWork()
        logged, salts = self._read_wal(work), work.salts
        _, frames, moved = self._in_thread(lambda: self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
        if frames > work.frames:  # something was committed after the log was read
            logged |= self._read_wal(work)
            everywhere = everywhere or work.salts != salts  # begun anew: nothing tells which pages those were
        size = self._file.get_page_size()
        if not size or self._file.size // size >= MAX_PAGES:
            return work
        free = self._in_thread(partial(self._file.list_free_pages, size))
        if everywhere:
            self._scan(work.suspects, size, free)
        else:
            turn = TimeSlice()
            for number in logged:
                if find_erasable(self._file.read((number - 1) * size, size), number, free):
                    work.suspects.add(number)
                turn.yield_if_expired()
        if moved < frames:  # a reader holds the log, so older versions of pages were looked at
            work.suspects |= logged
        return work

    def _scan(self, suspects: set[int], size: int, free: set[int]) -> None:
        turn = TimeSlice()
        for first in range(0, self._file.size // size, PAGE_CHUNK):
            chunk = self._in_thread(partial(self._file.read, first * size, PAGE_CHUNK * size))
            for place in range(len(chunk) // size):
                number = first + place + 1
                if find_erasable(chunk[place * size : (place + 1) * size], number, free):
                    suspects.add(number)
                turn.yield_if_expired()

    def _try_clear(self, work: _PurgeWork, deadline: float) -> bool:
        """Empty the log and clear some pages; return whether it could. Pages logged meanwhile are suspect, too."""
        return self._writer.run_exclusive(
            partial(self._truncate_and_clear, work), max(1.0, deadline - time.monotonic())
        )

    def _check_not_moved(self) -> None:
        if self._file.find_fault():  # neither the file nor its log can be said to be ours alone
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
        """List the pages that were logged since this was last asked, and remember how far that was."""
        logged: set[int] = set()
        turn = TimeSlice()
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
                turn.yield_if_expired()
        return logged

    def _clear_pages(self, suspects: set[int]) -> bool:
        size = self._file.get_page_size()
        if self._file.wal_size or not size:
            return False
        free = self._in_thread(partial(self._file.list_free_pages, size))
        turn, cleared, end = TimeSlice(), 0, time.monotonic() + MAX_WRITER_HOLD
        while suspects and time.monotonic() < end:
            cleared += self._file.zero_slack(suspects.pop(), size, free)
            turn.yield_if_expired()
        if cleared:
            self._in_thread(self._file.sync)
        return True

    def _in_thread(self, function: Callable[[], ResultT]) -> ResultT:
        return run_in_thread(self._pool, function)
