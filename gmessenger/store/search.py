"""Searching in one conversation after the other, those with the newest messages first, for a bounded time.

A search in a conversation costs as much as that has matches, whatever else is stored: each word of the index begins
with its conversation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct


class SearchTimeout(Exception):
    """The database was told to stop looking."""


class SearchScope(Struct, gc=False):
    """A conversation that is searched: `where` is how the index knows it; `latest` is its newest message's row."""

    id: int
    index_key: str
    visible: int
    latest_row: int


class NewestFirstSearch:
    """Gathers the rows of the newest messages found. `limit` is how many are wanted, `until` a monotonic time."""

    def __init__(self, limit: int, deadline: float) -> None:
        self.rows: list[int] = []
        self.timed_out = False
        self._limit = limit
        self._deadline = deadline

    def run(
        self, scopes: Sequence[SearchScope], find: Callable[[Sequence[SearchScope]], Iterable[int]], batch: int = 1
    ) -> None:
        """Look through places, newest first, so many `together`; `find` returns rows or raises `SearchTimeout`."""
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
        """Whether newer messages than the last may be missing; below the row `unindexed` none is in the index."""
        lacks = unindexed > 0 and (len(self.rows) < self._limit or self.rows[-1] < unindexed)
        return self.timed_out or lacks
