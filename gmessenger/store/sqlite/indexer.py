"""Index messages for the search behind their acknowledgement, some time after they were committed.

The words of a commit are most of its cost, and adding those of many messages together costs a third of adding each
alone. So a commit only stores messages; what is newer than the index is indexed with a later one: with the first that
has neither messages nor changes, and with any once the oldest has waited for `MAX_INDEX_LAG`. What was not indexed when
the process ended is when the store is opened again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final

from gmessenger.store.sqlite.search_index import index_newest

MAX_INDEX_LAG: Final = 0.5  # seconds that messages may wait while every commit has others
MAX_STEP_TIME: Final = 0.008  # seconds that indexing may add to a commit, and to what waits for the one after it
MAX_LARGE_STEP_TIME: Final = 0.03  # seconds that it may add to a large commit
STEP_TIME_PER_MESSAGE: Final = 30e-6
"""Seconds for each message of a commit, about twice what indexing one takes: with less, the index falls behind where
every commit is large. A commit is large where this is more than `MAX_STEP_TIME`."""
LATE_AFTER: Final = 3.0  # seconds without having caught up, after which messages may wait for two steps


class SearchIndexer:
    """Decides which commits index messages, and does so in them. No method yields.

    The messages of a commit that is rolled back, and what was erased before it was indexed, never get an entry: what
    is indexed is read from the table, in the transaction that adds the entries.
    """

    def __init__(self, wake: Callable[[], None], wake_later: Callable[[], None], *, threaded: bool) -> None:
        """`wake` and `wake_later` have a commit made, now or soon; not `threaded`: a step holds the loop."""
        self._wake = wake
        self._wake_later = wake_later
        self._is_threaded = threaded
        self._waiting_since: float | None = None
        """When the oldest message that is not indexed was committed, in monotonic seconds; None where all are."""
        self._is_requested = False
        self._has_step = False
        self._step_time = MAX_STEP_TIME
        self._is_caught_up = False

    @property
    def is_lagging(self) -> bool:
        """Return whether there may be messages that are not in the index."""
        return self._waiting_since is not None

    @property
    def is_overdue(self) -> bool:
        """Return whether the next commit indexes messages, whatever else it has."""
        return self._waiting_since is not None and time.monotonic() - self._waiting_since >= MAX_INDEX_LAG

    def note_lag(self) -> None:
        """Have a commit index what the process before has left."""
        self._waiting_since = 0.0
        self._wake_later()

    def request_step(self) -> None:
        """Have the next commit index messages, whatever else it has: a search waits for them."""
        self._is_requested = True

    def next_step(self, *, messages: int, has_changes: bool) -> Callable[[sqlite3.Connection], None] | None:
        """Return what the commit that is about to be made does for the index; None for nothing.

        A commit with messages or changes has callers who wait: it indexes only when that is requested, or overdue and
        the commit before, for which they have waited, too, did not. A large commit, or one while the index is late,
        indexes even where the one before did.

        Args:
            messages: how many the commit has.
            has_changes: whether it has changes of other kinds.
        """
        had_step, self._has_step = self._has_step, False
        large_step_time = min(messages * STEP_TIME_PER_MESSAGE, MAX_LARGE_STEP_TIME)
        is_large = large_step_time > MAX_STEP_TIME
        self._step_time = large_step_time if is_large and self._is_threaded else MAX_STEP_TIME
        if self._waiting_since is not None or messages:
            is_due = self.is_overdue and (not had_step or is_large or self._is_late())
            self._has_step = self._is_requested or is_due or not (messages or has_changes)
        self._is_requested = False
        return self._index if self._has_step else None

    def note_commit(self, *, is_committed: bool, has_messages: bool) -> None:
        """Take the outcome of the commit, and see to it that there will be another one while anything waits."""
        if self._has_step and is_committed and self._is_caught_up:
            self._waiting_since = None
        elif is_committed and has_messages and self._waiting_since is None:
            self._waiting_since = time.monotonic()
        if self._waiting_since is not None and is_committed:
            if self._has_step and self._is_threaded:
                self._wake()
            else:
                self._wake_later()

    def _index(self, db: sqlite3.Connection) -> None:
        """Index messages until none is left or the time is over. Takes long: runs in the commit thread."""
        end = time.monotonic() + self._step_time
        self._is_caught_up = False
        while index_newest(db, end):
            if time.monotonic() >= end:
                return
        self._is_caught_up = True

    def _is_late(self) -> bool:
        return self._waiting_since is not None and time.monotonic() - self._waiting_since >= LATE_AFTER
