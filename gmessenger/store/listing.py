"""Which conversations an account takes part in, in SQLite: nothing is looked at but their heads."""

from __future__ import annotations

import sqlite3
from typing import Final

from gmessenger.chat.records import Standing
from gmessenger.store.database import Database

STANDINGS: Final = (
    # The page is cut before anything is looked up for it: a page of a thousand conversations costs little more than one
    # of two hundred. Compared by `substr`, because `LIKE` would take the `_` of a name for any character.
    "WITH mine AS ("
    " SELECT c.id, c.name, c.head, max(p.visible, c.first) AS first, p.read, CASE"
    " WHEN c.key LIKE '#%' THEN c.key"
    " WHEN substr(c.key, 1, length(me.key) + 1) = me.key || ' ' THEN substr(c.key, length(me.key) + 2)"
    " ELSE substr(c.key, 1, instr(c.key, ' ') - 1) END AS other"
    " FROM participants p JOIN conversations c ON c.id = p.conversation_id JOIN accounts me ON me.id = p.account_id"
    " WHERE p.account_id = :account AND c.key NOT LIKE '!%'"
    "), page AS ("
    " SELECT * FROM mine WHERE other > :after AND (head >= first OR other LIKE '#%') ORDER BY other LIMIT :limit"
    ") SELECT other, CASE WHEN other LIKE '#%' THEN page.name"
    ' ELSE coalesce(a.name, CASE WHEN m.account_id = :account THEN m."to" ELSE m.sender END, other) END,'
    " CASE WHEN head >= first THEN head ELSE 0 END, first, read, CASE WHEN NOT m.erased THEN m.time END"
    " FROM page LEFT JOIN accounts a ON a.key = other"
    " LEFT JOIN messages m ON m.conversation_id = page.id AND m.seq = head AND head >= first ORDER BY other"
)


class Listing(Database):
    """The part of the contract that says what there is to read."""

    def conversations(self, account: int, after: str, limit: int) -> tuple[list[Standing], bool]:
        def find(db: sqlite3.Connection) -> list[Standing]:
            parameters = {"account": account, "after": after, "limit": limit + 1}
            return [Standing(*row) for row in db.execute(STANDINGS, parameters)]

        found = self.read(find)
        return found[:limit], len(found) > limit
