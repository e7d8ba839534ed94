"""Index the messages of earlier releases in batches, newest messages first, while the store is in use.

One node at a time does a batch. A node that finds another at it waits, and goes on where that one ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.store import common
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.pruning import Pruner
from gmessenger.store.postgres.search_index import FIND_FIRST_INDEXED, add_entries, vectors_of

REINDEX_LOCK: Final = 0x676D7264  # advisory lock
PEER_CHECK_INTERVAL: Final = 1.0  # seconds
SELECT_UNINDEXED: Final = (
    "SELECT id, conversation_id, text, what FROM ("
    " SELECT id, conversation_id, text, what, sum(length(text)) OVER (ORDER BY id DESC) - length(text) AS before FROM ("
    "  SELECT id, conversation_id, text, what FROM messages WHERE id < %s AND NOT erased ORDER BY id DESC LIMIT %s"
    " ) AS newest"
    ") AS sized WHERE before <= %s ORDER BY id DESC"
)
SET_FIRST_INDEXED: Final = "UPDATE facts SET value = %s WHERE name = 'index from'"
CLEAR_FIRST_INDEXED: Final = "DELETE FROM facts WHERE name = 'index from'"


class IndexRebuild(Pruner):
    """The part of the store that indexes messages which an earlier release has stored."""

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        count = left = self._count_unindexed()
        while left:
            progress(left)
            remaining = self._run_exclusive(REINDEX_LOCK, _reindex_batch)
            if remaining is None:  # another node is at it, and may end before it has finished
                gevent.sleep(PEER_CHECK_INTERVAL)
                remaining = self._count_unindexed()
            left = remaining
        return count

    def _count_unindexed(self) -> int:
        rows = self.read(lambda db: db.execute(FIND_FIRST_INDEXED).fetchall())
        return int(rows[0][0]) if rows else 0


def _reindex_batch(db: PgConnection) -> int:
    """Index a batch of the newest unindexed messages; return the id below which none is indexed, or 0."""
    row = db.execute(FIND_FIRST_INDEXED).fetchone()
    if row is None:
        return 0
    rows = db.execute(SELECT_UNINDEXED, (row[0], common.REINDEX_BATCH, common.REINDEX_BATCH_TEXT)).fetchall()
    if not rows:
        db.execute(CLEAR_FIRST_INDEXED)
        return 0
    add_entries(db, rows, vectors_of(rows))
    db.execute(SET_FIRST_INDEXED, (str(rows[-1][0]),))
    return int(rows[-1][0])
