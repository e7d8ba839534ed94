"""Rebuild the search index in batches, newest messages first, while the store is in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.store.sqlite import search_index
from gmessenger.store.sqlite.pruning import Pruner

REINDEX_DELAY: Final = 0.005  # seconds between two batches, in which other requests run


class IndexRebuild(Pruner):
    """The part of the store that rebuilds an index made by an earlier release or another Unicode."""

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        left = self.read(search_index.first_indexed_row)
        count = left
        while left:
            progress(left)
            left = self._reindex_batch()
            gevent.sleep(REINDEX_DELAY)
        return count

    def _reindex_batch(self) -> int:
        """Index a batch of messages; return about how many are left."""
        encoded_rows: list[str] = []

        def choose(db: sqlite3.Connection) -> int:
            left, rows = search_index.pop_unindexed(db)
            encoded_rows.append(rows)
            return left

        return self._run_in_commit(choose, lambda db: search_index.write_old(db, encoded_rows[-1]))
