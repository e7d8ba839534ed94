"""The words of messages made again in slices, newest messages first, where an earlier release made them.

One node at a time does a slice. A node that finds another at it waits, and goes on where that one has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.store import common
from gmessenger.store.postgres.erasing import Erasing
from gmessenger.store.postgres.lines import Line
from gmessenger.store.postgres.words import vector
from gmessenger.turns import Turn

REINDEXING: Final = 0x676D7264
"""The advisory lock of who makes them."""
PEER_CHECK_INTERVAL: Final = 1.0  # seconds
UNINDEXED: Final = "SELECT value::bigint FROM facts WHERE name = 'unindexed'"
OLD: Final = (
    "SELECT id, key, text FROM ("
    " SELECT id, key, text, sum(length(text)) OVER (ORDER BY id DESC) - length(text) AS before FROM ("
    "  SELECT m.id, c.key, m.text FROM messages m JOIN conversations c ON c.id = m.conversation_id"
    "  WHERE m.id < %s AND NOT m.erased ORDER BY m.id DESC LIMIT %s"
    " ) AS newest"
    ") AS sized WHERE before <= %s ORDER BY id DESC"
)
INDEX: Final = (
    "UPDATE messages m SET words = given.words::tsvector FROM unnest(%s::bigint[], %s::text[]) AS given(id, words) "
    "WHERE m.id = given.id AND NOT m.erased"
)
MOVE: Final = "UPDATE facts SET value = %s WHERE name = 'unindexed'"
ALL_INDEXED: Final = "DELETE FROM facts WHERE name = 'unindexed'"


class IndexRebuild(Erasing):
    """The part of the contract that rebuilds an index made by an earlier release."""

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        count = left = self._count_unindexed()
        while left:
            progress(left)
            done = self._alone(REINDEXING, _index_slice)
            if done is None:  # another node is at it, which may end before it is done
                gevent.sleep(PEER_CHECK_INTERVAL)
                done = self._count_unindexed()
            left = done
        return count

    def _count_unindexed(self) -> int:
        rows = self.read(lambda db: db.execute(UNINDEXED).fetchall())
        return int(rows[0][0]) if rows else 0


def _index_slice(db: Line) -> int:
    """Index the newest messages that are not; returns below which id none is."""
    row = db.execute(UNINDEXED).fetchone()
    if row is None:
        return 0
    rows = db.execute(OLD, (row[0], common.REINDEX_SLICE, common.REINDEX_SLICE_TEXT)).fetchall()
    turn = Turn()
    words: list[str] = []
    for _, key, text in rows:
        words.append(vector(key, text))
        turn.give_way()
    if not rows:
        db.execute(ALL_INDEXED)
        return 0
    db.execute(INDEX, ([row[0] for row in rows], words))
    db.execute(MOVE, (str(rows[-1][0]),))
    return int(rows[-1][0])
