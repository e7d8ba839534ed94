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

from gmessenger.cluster.interfaces import Change, ChangeDetails, ChangeKind, ChangeSet
from gmessenger.errors import StoreUnavailable
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.pool import PgConnection

SELECT_NEWS: Final = """
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
DELETE_OLD_CHANGES: Final = """
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
CHANGE_TTL: Final = 900.0
"""Seconds; a node that has not looked for longer reads everything again."""
CLEANUP_INTERVAL: Final = 60.0

ChangeRow: TypeAlias = tuple[int, str, str, list[str | int], dict[str, Any]]
_decode_changes: Final = msgspec.json.Decoder(list[ChangeRow]).decode
_decode_heads: Final = msgspec.json.Decoder(list[dict[str, int]]).decode


class ChangeFeed(Database):
    """The part of the contract that tells what happened."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._last_snapshot: str | None = None
        """What was visible to the last look."""
        self._last_cleanup = time.monotonic()
        try:
            self.poll_changes()  # what was before is no news
        except BaseException:
            self.close()
            raise

    def poll_changes(self) -> ChangeSet:
        unsure = self._pop_stale()
        try:
            last, missed, found, moved = self.node_pool.run(lambda db: _select_news(db, self._last_snapshot))
        except StoreUnavailable:
            self.is_stale |= unsure
            raise
        rows, heads = _decode_changes(found or "[]"), _decode_heads(moved or "[]")
        changes = [
            Change(node, kind, subject, _details_from_json(details))
            for _, node, kind, subject, details in rows
            if node != self.node
        ]
        complete = self._last_snapshot is None or not (unsure or missed)
        self._last_snapshot = last
        self._delete_old_changes()
        return ChangeSet(changes, list(_newest_heads(heads).items()), complete)

    def _pop_stale(self) -> bool:
        """Whether what this node has in memory may not be what is kept; from now on it is."""
        due = time.monotonic() >= self.stale_again_at
        if due:
            self.stale_again_at = math.inf
        unsure, self.is_stale = self.is_stale or due, False
        return unsure

    def _delete_old_changes(self) -> None:
        if time.monotonic() - self._last_cleanup > CLEANUP_INTERVAL:
            self._last_cleanup = time.monotonic()
            with suppress(StoreUnavailable):  # another time, or another node
                self.write(lambda db: db.execute(DELETE_OLD_CHANGES, {"kept": CHANGE_TTL}), self.node_pool)

    def publish_change(self, kind: ChangeKind, subject: Sequence[str | int], details: ChangeDetails) -> None:
        self.change(lambda db: self.record_change(db, kind, *subject, by=details.by, reason=details.reason))


def _select_news(db: PgConnection, last: str | None) -> tuple[Any, ...]:
    ((row),) = db.execute(SELECT_NEWS, {"last": last}).fetchall()
    return row


def _details_from_json(details: Mapping[str, Any]) -> ChangeDetails:
    """Read the fields that are known; a later release may write others."""
    return ChangeDetails(str(details.get("by", "")), str(details.get("reason", "")))


def _newest_heads(moves: Sequence[Mapping[str, int]]) -> dict[str, int]:
    heads: dict[str, int] = {}
    for move in moves:
        for key, head in move.items():
            if head > heads.get(key, 0):
                heads[key] = head
    return heads
