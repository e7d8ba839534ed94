"""The index made again in slices, newest messages first, where an earlier release or another Unicode made it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.store.sqlite import search_index
from gmessenger.store.sqlite.pruning import Pruner

REINDEX_DELAY: Final = 0.005  # seconds between two slices, which belong to others


class IndexRebuild(Pruner):
    """The part of the contract that rebuilds an index made by an earlier release."""

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        left = self.read(search_index.first_indexed_row)
        count = left
        while left:
            progress(left)
            left = self._index_slice()
            gevent.sleep(REINDEX_DELAY)
        return count

    def _index_slice(self) -> int:
        taken: list[str] = []

        def choose(db: sqlite3.Connection) -> int:
            left, rows = search_index.pop_unindexed(db)
            taken.append(rows)
            return left

        return self._run_in_commit(choose, lambda db: search_index.write_old(db, taken[-1]))
