"""The change feed: what other nodes have committed, found by snapshots instead of a clock.

Each row of `changes` and `moves` has the id of the transaction that wrote it. A poll remembers its snapshot, and the
next one reads the rows of the transactions that were not visible in it: all of them, and none twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
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
CHANGE_TTL: Final = 900.0  # seconds; a node that has not polled for longer reads everything again
CLEANUP_INTERVAL: Final = 60.0  # seconds

ChangeRow: TypeAlias = tuple[int, str, str, list[str | int], dict[str, Any]]
"""Id, node, kind, subject and details."""
NewsRow: TypeAlias = tuple[str, bool, str | None, str | None]
_decode_changes: Final = msgspec.json.Decoder(list[ChangeRow]).decode
_decode_heads: Final = msgspec.json.Decoder(list[dict[str, int]]).decode


class ChangeFeed(Database):
    """The part of the store that reports the changes of other nodes."""

    def __init__(
        self, url: str, on_error: Callable[[str, BaseException], None] | None, timeout: float, connections: int
    ) -> None:
        super().__init__(url, on_error, timeout, connections)
        self._last_snapshot: str | None = None
        """The snapshot of the last poll, as PostgreSQL writes it; None before the first."""
        self._last_cleanup = time.monotonic()
        try:
            self.poll_changes()  # changes from before the start are not reported
        except BaseException:
            self.close()
            raise

    def poll_changes(self) -> ChangeSet:
        was_stale = self._pop_stale()
        try:
            snapshot, has_gap, change_rows, moves = self.node_pool.run(lambda db: _select_news(db, self._last_snapshot))
        except StoreUnavailable:
            self.is_stale |= was_stale
            raise
        rows, heads = _decode_changes(change_rows or "[]"), _decode_heads(moves or "[]")
        changes = [
            Change(node, kind, subject, _details_from_json(details))
            for _, node, kind, subject, details in rows
            if node != self.node
        ]
        is_complete = self._last_snapshot is None or not (was_stale or has_gap)
        self._last_snapshot = snapshot
        if heads:  # the node that has stored messages may have ended before it indexed them
            self.indexer.note_messages()
        self._delete_old_changes()
        return ChangeSet(changes, list(_newest_heads(heads).items()), is_complete)

    def _pop_stale(self) -> bool:
        """Return whether this node's memory may differ from the store, and reset that."""
        is_due = time.monotonic() >= self.stale_again_at
        if is_due:
            self.stale_again_at = math.inf
        was_stale, self.is_stale = self.is_stale or is_due, False
        return was_stale

    def _delete_old_changes(self) -> None:
        if time.monotonic() - self._last_cleanup > CLEANUP_INTERVAL:
            self._last_cleanup = time.monotonic()
            with suppress(StoreUnavailable):  # tried again later, or by another node
                self.write(lambda db: db.execute(DELETE_OLD_CHANGES, {"kept": CHANGE_TTL}), self.node_pool)

    def publish_change(self, kind: ChangeKind, subject: Sequence[str | int], details: ChangeDetails) -> None:
        self.change(lambda db: self.record_change(db, kind, *subject, by=details.by, reason=details.reason))


def _select_news(db: PgConnection, last: str | None) -> NewsRow:
    """Return a new snapshot, whether rows since the last are missing, and changes and heads as JSON."""
    ((snapshot, has_gap, changes, moves),) = db.execute(SELECT_NEWS, {"last": last}).fetchall()
    return snapshot, has_gap, changes, moves


def _details_from_json(details: Mapping[str, Any]) -> ChangeDetails:
    """Read the fields that are known; a later release may write others."""
    return ChangeDetails(*(str(details.get(field, "")) for field in ChangeDetails.__struct_fields__))


def _newest_heads(moves: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Return the highest head of each conversation."""
    heads: dict[str, int] = {}
    for move in moves:
        for key, head in move.items():
            if head > heads.get(key, 0):
                heads[key] = head
    return heads
