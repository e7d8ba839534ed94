"""Search conversation by conversation, those with the newest messages first, for a bounded time.

Each word of the index begins with its conversation, so searching one costs as much as it has matches, whatever else is
stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct


class SearchTimeout(Exception):
    """The database interrupted a search at its deadline."""


class SearchScope(Struct, gc=False):
    """A conversation to search: its id, first visible seq, row of its newest message."""

    id: int
    visible: int
    latest_row: int


class NewestFirstSearch:
    """A search for the rows of the newest matches, until there are `limit` or the time is over."""

    def __init__(self, limit: int, deadline: float) -> None:
        """`deadline` is a monotonic time, in seconds."""
        self.rows: list[int] = []
        self.timed_out = False
        self._limit = limit
        self._deadline = deadline

    def run(
        self, scopes: Sequence[SearchScope], find: Callable[[Sequence[SearchScope]], Iterable[int]], batch: int = 1
    ) -> None:
        """Search scopes, newest first, until no older one can have a newer match than those found.

        Args:
            find: returns the matching rows of some scopes, or raises `SearchTimeout`. Blocks.
            batch: scopes that are searched with one query.
        """
        for start in range(0, len(scopes), batch):
            some = scopes[start : start + batch]
            if len(self.rows) == self._limit and self.rows[-1] > some[0].latest_row:
                return
            if time.monotonic() > self._deadline:
                self.timed_out = True
                return
            try:
                self.rows = sorted([*self.rows, *find(some)], reverse=True)[: self._limit]
            except SearchTimeout:
                self.timed_out = True
                return

    def is_incomplete(self, unindexed: int) -> bool:
        """Return whether matches may be missing; rows below `unindexed` are not in the index yet."""
        reaches_unindexed = unindexed > 0 and (len(self.rows) < self._limit or self.rows[-1] < unindexed)
        return self.timed_out or reaches_unindexed
