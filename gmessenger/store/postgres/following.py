"""What other nodes have done, found without a clock and without knowing how long a transaction takes.

Every row that tells of something carries the number of the transaction that wrote it. Each look remembers its snapshot,
and the next one reads what was written by transactions that were not visible in that: all of it, and nothing twice.
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
WITH last AS (SELECT %(last)s::pg_snapshot AS seen, pg_snapshot_xmin(%(last)s::pg_snapshot) AS since)
SELECT pg_current_snapshot()::text,
    coalesce((SELECT value::xid8 >= since FROM facts WHERE name = 'dropped'), false)
        -- Numbers that went back: what was written since may have numbers that were seen.
        OR coalesce(pg_snapshot_xmin(pg_current_snapshot()) < since, false)
        OR coalesce(pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmax(seen), false),
    (SELECT json_agg(json_build_array(id, node, kind, subject, details) ORDER BY id)
        FROM changes WHERE tx >= since AND NOT pg_visible_in_snapshot(tx, seen))::text,
    (SELECT json_agg(heads) FROM moves WHERE tx >= since AND NOT pg_visible_in_snapshot(tx, seen))::text
FROM last
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

Row: TypeAlias = tuple[int, str, str, list[str | int], dict[str, Any]]
_rows: Final = msgspec.json.Decoder(list[Row]).decode
_heads: Final = msgspec.json.Decoder(list[dict[str, int]]).decode


class Following(Database):
    """The part of the contract that tells what happened."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._last: str | None = None
        """What was visible to the last look."""
        self._dropped = time.monotonic()
        try:
            self.news()  # what was before is no news
        except BaseException:
            self.close()
            raise

    def news(self) -> News:
        unsure = self._take_doubts()
        try:
            last, missed, found, moved = self.own_lines.use(lambda db: _look(db, self._last))
        except StoreUnavailable:
            self.unsure |= unsure
            raise
        rows, heads = _rows(found or "[]"), _heads(moved or "[]")
        changes = [
            Change(node, kind, subject, details) for _, node, kind, subject, details in rows if node != self.node
        ]
        complete = self._last is None or not (unsure or missed)
        self._last = last
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
                self.write(lambda db: db.execute(DROP, {"kept": KEPT_FOR}), self.own_lines)

    def announce(self, kind: Kind, subject: Sequence[str | int], details: Mapping[str, Any]) -> None:
        self.change(lambda db: self.leave_word(db, kind, *subject, **details))


def _look(db: Line, last: str | None) -> tuple[Any, ...]:
    ((row),) = db.execute(LOOK, {"last": last}).fetchall()
    return row


def _furthest(moves: Sequence[Mapping[str, int]]) -> dict[str, int]:
    heads: dict[str, int] = {}
    for move in moves:
        for key, head in move.items():
            if head > heads.get(key, 0):
                heads[key] = head
    return heads
