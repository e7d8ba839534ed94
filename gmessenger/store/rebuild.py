"""The index made again in slices, newest messages first, where an earlier release or another Unicode made it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.store import index
from gmessenger.store.erasing import Erasing

PAUSE: Final = 0.005  # seconds between two slices, which belong to others


class IndexRebuild(Erasing):
    """The part of the contract that rebuilds an index made by an earlier release."""

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        left = self.read(index.unindexed)
        count = left
        while left:
            progress(left)
            left = self._index_slice()
            gevent.sleep(PAUSE)
        return count

    def _index_slice(self) -> int:
        taken: list[str] = []

        def choose(db: sqlite3.Connection) -> int:
            left, rows = index.take_old(db)
            taken.append(rows)
            return left

        return self._in_thread(choose, lambda db: index.add_old(db, taken[-1]))
