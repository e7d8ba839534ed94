"""Take the texts of edited and erased messages out of the index's segments and out of the files, many in one pass.

With the answer to an edit or erase nothing that is read has the old text any more. The index still has a note of each
removed word, and the files have earlier versions of pages, until a pass merges the index and purges the files: that
reads and writes much, so one pass does it for all of some minutes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final

import gevent
from gevent import Greenlet

from gmessenger.errors import StoreUnavailable

DEFAULT_ERASE_WITHIN: Final = 600.0  # seconds
MIN_IDLE_FACTOR: Final = 20
"""A pass begins this many times later than the last one took, at least: erasing is no lever against the disk."""
RETRY_DELAY: Final = 30.0  # seconds after a pass that could not be finished
NOTE_PENDING: Final = "INSERT OR REPLACE INTO facts VALUES ('unmerged', 'yes')"
"""Survives a killed process: the next one makes the pass."""
FORGET_PENDING: Final = "DELETE FROM facts WHERE name = 'unmerged'"
IS_PENDING: Final = "SELECT EXISTS (SELECT 1 FROM facts WHERE name = 'unmerged')"


class ErasureScheduler:
    """Makes the passes of one store, each in a greenlet of its own. Used on the loop's thread."""

    def __init__(
        self,
        run_pass: Callable[[], None],
        forget: Callable[[Callable[[], bool]], None],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        """Set up; nothing is done before `note`.

        Args:
            run_pass: merges the index and purges the files. Blocks.
            forget: notes in the store that no pass is pending, if the condition that it is called with holds then.
                Blocks.
            on_error: called with what failed and the exception, for mistakes of our own.
        """
        self._within = DEFAULT_ERASE_WITHIN
        self._run_pass = run_pass
        self._forget = forget
        self._on_error = on_error
        self._count = 0
        """The number of texts that were removed so far."""
        self._done = 0
        """The number of the last one that is out of the files."""
        self._timer: Greenlet[..., object] | None = None
        self._is_running = False
        self._last_duration = 0.0

    @property
    def within(self) -> float:
        """Seconds within which a removed text is out of the files."""
        return self._within

    @within.setter
    def within(self, seconds: float) -> None:
        self._within = seconds
        if self._timer is not None and not self._is_running:  # for what was removed before, too
            self._timer.kill(block=False)
            self._schedule_pass()

    @property
    def is_pending(self) -> bool:
        """Return whether a removed text may still be in the files."""
        return self._done < self._count

    def note(self) -> None:
        """Note that a text was removed: it is out of the files within `within` seconds, if a pass is that short."""
        self._count += 1
        if self._timer is None:
            self._schedule_pass()

    def close(self) -> None:
        """Stop the timer. What is pending is noted in the store."""
        if self._timer is not None:
            self._timer.kill()
            self._timer = None

    def _schedule_pass(self) -> None:
        self._schedule(max(self._within / 2, MIN_IDLE_FACTOR * self._last_duration))

    def _schedule(self, delay: float) -> None:
        self._timer = gevent.spawn_later(delay, self._run)

    def _run(self) -> None:
        self._is_running = True
        try:
            self._run_and_reschedule()
        finally:
            self._is_running = False

    def _run_and_reschedule(self) -> None:
        target, started = self._count, time.monotonic()
        try:
            self._run_pass()
            self._forget(lambda: target == self._count)
            self._done = target
        except StoreUnavailable:
            return self._schedule(RETRY_DELAY)
        except Exception as failure:
            self._on_error("erasure", failure)
            return self._schedule(RETRY_DELAY)
        self._last_duration = time.monotonic() - started
        self._timer = None
        if self.is_pending:  # removed while the pass was under way
            self._schedule_pass()
        return None


def is_pending(db: sqlite3.Connection) -> bool:
    """Return whether an earlier process left a pass to be made."""
    return bool(db.execute(IS_PENDING).fetchone()[0])
