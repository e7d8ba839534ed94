"""Rebuild the search vectors in batches, newest messages first, while the store is in use.

One node at a time does a batch. A node that finds another at it waits, and goes on where that one ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.store import common
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.pruning import Pruner
from gmessenger.store.postgres.tsvector import make_tsvector
from gmessenger.timeslice import TimeSlice

REINDEX_LOCK: Final = 0x676D7264  # advisory lock
PEER_CHECK_INTERVAL: Final = 1.0  # seconds
FIND_UNINDEXED: Final = "SELECT value::bigint FROM facts WHERE name = 'unindexed'"
SELECT_UNINDEXED: Final = (
    "SELECT id, key, text, what, edited FROM ("
    " SELECT id, key, text, what, edited, sum(length(text)) OVER (ORDER BY id DESC) - length(text) AS before FROM ("
    "  SELECT m.id, c.key, m.text, m.what, m.edited FROM messages m JOIN conversations c ON c.id = m.conversation_id"
    "  WHERE m.id < %s AND NOT m.erased ORDER BY m.id DESC LIMIT %s"
    " ) AS newest"
    ") AS sized WHERE before <= %s ORDER BY id DESC"
)
SET_VECTORS: Final = (
    # Of a text that was not changed meanwhile: an edit or erase has replaced the words, too.
    "UPDATE messages m SET words = v.words::tsvector "
    "FROM unnest(%s::bigint[], %s::text[], %s::double precision[]) AS v(id, words, edited) "
    "WHERE m.id = v.id AND NOT m.erased AND m.edited IS NOT DISTINCT FROM v.edited"
)
SET_UNINDEXED: Final = "UPDATE facts SET value = %s WHERE name = 'unindexed'"
CLEAR_UNINDEXED: Final = "DELETE FROM facts WHERE name = 'unindexed'"


class IndexRebuild(Pruner):
    """The part of the store that rebuilds search vectors made by an earlier release."""

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
        rows = self.read(lambda db: db.execute(FIND_UNINDEXED).fetchall())
        return int(rows[0][0]) if rows else 0


def _reindex_batch(db: PgConnection) -> int:
    """Index a batch of the newest unindexed messages; return the id below which none is indexed, or 0."""
    row = db.execute(FIND_UNINDEXED).fetchone()
    if row is None:
        return 0
    rows = db.execute(SELECT_UNINDEXED, (row[0], common.REINDEX_BATCH, common.REINDEX_BATCH_TEXT)).fetchall()
    time_slice = TimeSlice()
    vectors: list[str] = []
    for _, key, text, what, _ in rows:
        vectors.append(make_tsvector(key, common.indexed_text(text, what)))
        time_slice.yield_if_expired()
    if not rows:
        db.execute(CLEAR_UNINDEXED)
        return 0
    db.execute(SET_VECTORS, ([row[0] for row in rows], vectors, [row[-1] for row in rows]))
    db.execute(SET_UNINDEXED, (str(rows[-1][0]),))
    return int(rows[-1][0])
