"""Which conversations an account takes part in, in PostgreSQL: nothing is looked at but their heads."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.records import Standing
from gmessenger.store.postgres.database import Database

STANDINGS: Final = """
WITH mine AS (
    SELECT c.id, c.name, c.head, greatest(p.visible, c.first) AS first, p.read, left(c.key, 1) = '#' AS is_room,
        CASE WHEN left(c.key, 1) = '#' THEN c.key
            WHEN split_part(c.key, ' ', 1) = me.key THEN split_part(c.key, ' ', 2)
            ELSE split_part(c.key, ' ', 1) END AS other
    FROM participants p JOIN conversations c ON c.id = p.conversation_id JOIN accounts me ON me.id = p.account_id
    WHERE p.account_id = %(account)s AND left(c.key, 1) <> '!'
), page AS (
    -- Cut before anything is looked up for it.
    SELECT * FROM mine WHERE other > %(after)s AND (head >= first OR is_room) ORDER BY other LIMIT %(limit)s
)
SELECT other,
    CASE WHEN is_room THEN page.name
        ELSE coalesce(a.name, CASE WHEN m.account_id = %(account)s THEN m."to" ELSE m.sender END, other) END,
    CASE WHEN head >= first THEN head ELSE 0 END, first, read, CASE WHEN NOT m.erased THEN m.time END
FROM page LEFT JOIN accounts a ON a.key = other
LEFT JOIN messages m ON m.conversation_id = page.id AND m.seq = head AND head >= first
ORDER BY other
"""


class Listing(Database):
    """The part of the contract that says what there is to read."""

    def conversations(self, account: int, after: str, limit: int) -> tuple[list[Standing], bool]:
        parameters = {"account": account, "after": after, "limit": limit + 1}
        rows = self.read(lambda db: db.execute(STANDINGS, parameters).fetchall())
        return [Standing(*row) for row in rows[:limit]], len(rows) > limit
