"""The words of messages made again in slices, newest messages first, where an earlier release made them.

One node at a time does a slice. A node that finds another at it waits, and goes on where that one has ended.
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

REINDEX_LOCK: Final = 0x676D7264
"""The advisory lock of who makes them."""
PEER_CHECK_INTERVAL: Final = 1.0  # seconds
FIND_UNINDEXED: Final = "SELECT value::bigint FROM facts WHERE name = 'unindexed'"
SELECT_UNINDEXED: Final = (
    "SELECT id, key, text FROM ("
    " SELECT id, key, text, sum(length(text)) OVER (ORDER BY id DESC) - length(text) AS before FROM ("
    "  SELECT m.id, c.key, m.text FROM messages m JOIN conversations c ON c.id = m.conversation_id"
    "  WHERE m.id < %s AND NOT m.erased ORDER BY m.id DESC LIMIT %s"
    " ) AS newest"
    ") AS sized WHERE before <= %s ORDER BY id DESC"
)
SET_VECTORS: Final = (
    "UPDATE messages m SET words = given.words::tsvector FROM unnest(%s::bigint[], %s::text[]) AS given(id, words) "
    "WHERE m.id = given.id AND NOT m.erased"
)
SET_UNINDEXED: Final = "UPDATE facts SET value = %s WHERE name = 'unindexed'"
CLEAR_UNINDEXED: Final = "DELETE FROM facts WHERE name = 'unindexed'"


class IndexRebuild(Pruner):
    """The part of the contract that rebuilds an index made by an earlier release."""

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        count = left = self._count_unindexed()
        while left:
            progress(left)
            done = self._run_exclusive(REINDEX_LOCK, _index_slice)
            if done is None:  # another node is at it, which may end before it is done
                gevent.sleep(PEER_CHECK_INTERVAL)
                done = self._count_unindexed()
            left = done
        return count

    def _count_unindexed(self) -> int:
        rows = self.read(lambda db: db.execute(FIND_UNINDEXED).fetchall())
        return int(rows[0][0]) if rows else 0


def _index_slice(db: PgConnection) -> int:
    """Index the newest messages that are not; returns below which id none is."""
    row = db.execute(FIND_UNINDEXED).fetchone()
    if row is None:
        return 0
    rows = db.execute(SELECT_UNINDEXED, (row[0], common.REINDEX_BATCH, common.REINDEX_BATCH_TEXT)).fetchall()
    turn = TimeSlice()
    words: list[str] = []
    for _, key, text in rows:
        words.append(make_tsvector(key, text))
        turn.yield_if_expired()
    if not rows:
        db.execute(CLEAR_UNINDEXED)
        return 0
    db.execute(SET_VECTORS, ([row[0] for row in rows], words))
    db.execute(SET_UNINDEXED, (str(rows[-1][0]),))
    return int(rows[-1][0])
