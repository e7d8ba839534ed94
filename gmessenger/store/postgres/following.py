"""What other nodes have done, found without a clock and without knowing how long a transaction takes.

Every row that tells of something carries the number of the transaction that wrote it. Whatever was not visible to one
look was written by a transaction that had not ended then: its number is not below the lowest of those (`xmin`), and
from there on the next look reads again, leaving out what it had already.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import msgspec

from gmessenger.cluster.records import Change, Kind, News
from gmessenger.errors import StoreUnavailable
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.lines import Line

LOOK: Final = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text,
    coalesce((SELECT value::xid8 >= %(since)s::xid8 FROM facts WHERE name = 'dropped'), false),
    (SELECT json_agg(json_build_array(id, tx::text, node, kind, subject, details) ORDER BY id)
        FROM changes WHERE tx >= %(since)s::xid8)::text,
    (SELECT json_agg(heads) FROM moves WHERE tx >= %(since)s::xid8)::text
"""
DROP: Final = """
WITH now AS (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS lowest, now() - %(kept)s * interval '1 second' AS start
), old AS (
    DELETE FROM changes USING now WHERE at < start AND tx < lowest RETURNING tx
), gone AS (
    DELETE FROM moves USING now WHERE at < start AND tx < lowest RETURNING tx
)
INSERT INTO facts SELECT 'dropped', max(tx::text::numeric)::text
FROM (SELECT tx FROM old UNION ALL SELECT tx FROM gone) AS dropped HAVING count(*) > 0
ON CONFLICT (name) DO UPDATE SET value = greatest(facts.value::numeric, excluded.value::numeric)::text
"""
KEPT_FOR: Final = 900.0
"""Seconds; a node that has not looked for longer reads everything again."""
DROPPED_EVERY: Final = 60.0

Row: TypeAlias = tuple[int, str, str, str, list[str | int], dict[str, Any]]
_rows: Final = msgspec.json.Decoder(list[Row]).decode
_heads: Final = msgspec.json.Decoder(list[dict[str, int]]).decode


class Following(Database):
    """The part of the contract that tells what happened."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._since = 0
        self._had: set[int] = set()
        self._dropped = time.monotonic()
        try:
            self.news()  # what was before is no news
        except BaseException:
            self.close()
            raise

    def news(self) -> News:
        unsure = self._take_doubts()
        try:
            xmin, missed, found, moved = self.own_lines.use(lambda db: _look(db, self._since))
        except StoreUnavailable:
            self.unsure |= unsure
            raise
        rows, heads = _rows(found or "[]"), _heads(moved or "[]")
        changes = [
            Change(node, kind, subject, details)
            for id, _, node, kind, subject, details in rows
            if id not in self._had and node != self.node
        ]
        complete = self._since == 0 or not (unsure or missed)
        self._since = int(xmin)
        self._had = {id for id, tx, *_ in rows if int(tx) >= self._since}
        self._drop_old()
        return News(changes, list(_furthest(heads).items()), complete)

    def _take_doubts(self) -> bool:
        """Whether what this node has in memory may not be what is kept; from now on it is."""
        due = time.monotonic() >= self.unsure_again_at
        if due:
            self.unsure_again_at = math.inf
        unsure, self.unsure = self.unsure or due, False
        return unsure

    def _drop_old(self) -> None:
        if time.monotonic() - self._dropped > DROPPED_EVERY:
            self._dropped = time.monotonic()
            with suppress(StoreUnavailable):  # another time, or another node
                self.write(lambda db: db.execute(DROP, {"kept": KEPT_FOR}))

    def announce(self, kind: Kind, subject: Sequence[str | int], details: Mapping[str, Any]) -> None:
        self.change(lambda db: self.leave_word(db, kind, *subject, **details))


def _look(db: Line, since: int) -> tuple[Any, ...]:
    ((row),) = db.execute(LOOK, {"since": str(since)}).fetchall()
    return row


def _furthest(moves: Sequence[Mapping[str, int]]) -> dict[str, int]:
    heads: dict[str, int] = {}
    for move in moves:
        for key, head in move.items():
            if head > heads.get(key, 0):
                heads[key] = head
    return heads
