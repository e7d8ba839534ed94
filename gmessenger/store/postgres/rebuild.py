"""The words of messages made again in slices, newest messages first, where an earlier release made them.

One node at a time does a slice, and one that finds another at it leaves it all to that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gmessenger.store import index
from gmessenger.store.postgres.erasing import Erasing
from gmessenger.store.postgres.lines import Line
from gmessenger.store.postgres.words import vector
from gmessenger.turns import Turn

REINDEXING: Final = 0x676D7264
"""The advisory lock of who makes them."""
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
    """The part of the contract that makes an older index what it should be."""

    def reindex(self, progress: Callable[[int], None] = lambda left: None) -> int:
        rows = self.read(lambda db: db.execute(UNINDEXED).fetchall())
        count = left = int(rows[0][0]) if rows else 0
        while left:
            progress(left)
            left = self._alone(REINDEXING, _index_slice) or 0
        return count


def _index_slice(db: Line) -> int:
    """Index the newest messages that are not; returns below which id none is."""
    row = db.execute(UNINDEXED).fetchone()
    if row is None:
        return 0
    rows = db.execute(OLD, (row[0], index.MAX_SLICE, index.MAX_SLICE_TEXT)).fetchall()
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
