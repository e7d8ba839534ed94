"""Prune and blank messages in batches, each a small part of a commit: new messages are not delayed.

A batch is chosen and its texts normalised on the loop's thread, in a few milliseconds; what takes long, removing the
rows and their index entries, is two statements in the commit thread.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import gevent

from gmessenger.store import common
from gmessenger.store.sqlite import past_ids
from gmessenger.store.sqlite.amendments import CommitStep
from gmessenger.store.sqlite.database import Database
from gmessenger.store.sqlite.erasure import NOTE_PENDING, is_pending
from gmessenger.store.sqlite.search_index import FIND_LAST_INDEXED, FIND_UNINDEXED, find_newest_row, index_text

MAX_PRUNE_TEXT: Final = 16_384  # characters of a batch, which are normalised; a single message may have more

RowT = TypeVar("RowT", bound=tuple[Any, ...])
MessageRow: TypeAlias = tuple[int, int, str, str]
"""The row of a message, the id of its conversation, its text, and what it does to another."""


def _statement_step(statement: str) -> CommitStep:
    return lambda db: db.execute(statement)


NOTE_UNMERGED: Final = _statement_step(NOTE_PENDING)
UNINDEX_STALE: Final = _statement_step(
    "INSERT INTO words (words, rowid, folded) SELECT 'delete', id, folded FROM stale "  # noqa: S608
    f"WHERE id >= coalesce(({FIND_UNINDEXED}), 0) AND id <= ({FIND_LAST_INDEXED})"
)
DELETE_STALE: Final = _statement_step("DELETE FROM messages WHERE rowid IN (SELECT id FROM stale)")
BLANK_STALE: Final = _statement_step("UPDATE messages SET text = '', erased = 1 WHERE rowid IN (SELECT id FROM stale)")
DROP_STALE_REACTIONS: Final = _statement_step(
    "DELETE FROM reactions WHERE (conversation_id, seq) IN "
    "(SELECT m.conversation_id, m.seq FROM stale JOIN messages m ON m.rowid = stale.id)"
)
BLANK_REACTIONS: Final = (
    "UPDATE messages SET text = '' WHERE rowid IN (SELECT r.rowid FROM json_each(?) j "
    "JOIN messages m ON m.rowid = j.value JOIN reaction_messages s ON s.conversation_id = m.conversation_id "
    "AND s.about = m.seq JOIN messages r ON r.conversation_id = s.conversation_id AND r.seq = s.seq)",
    "DELETE FROM reaction_messages WHERE (conversation_id, about) IN "
    "(SELECT m.conversation_id, m.seq FROM json_each(?) j JOIN messages m ON m.rowid = j.value)",
)
CLEAR_STALE: Final = _statement_step("DELETE FROM stale")
MERGE_CHUNK: Final = 500  # pages of the index
DROP_CONVERSATION: Final = (
    "DELETE FROM participants WHERE conversation_id = ?",
    "DELETE FROM absences WHERE conversation_id = ?",
    "DELETE FROM room_sanctions WHERE conversation_id = ?",
    "DELETE FROM invitations WHERE conversation_id = ?",
    "DELETE FROM room_masks WHERE conversation_id = ?",
    "DELETE FROM cursors WHERE conversation_id = ?",
    "DELETE FROM reactions WHERE conversation_id = ?",
    "DELETE FROM reaction_messages WHERE conversation_id = ?",
    "DELETE FROM conversations WHERE id = ?",
)
DELETE_OLD_ABSENCES: Final = (
    "DELETE FROM absences WHERE last < (SELECT first FROM conversations c WHERE c.id = conversation_id)"
)
DELETE_OLD_ALERTS: Final = "DELETE FROM alerts WHERE time < ?"
SELECT_DELETED: Final = "SELECT id, head FROM conversations WHERE key LIKE '!%'"
SELECT_PRUNABLE: Final = (
    "SELECT c.id, coalesce(min(m.seq), c.head + 1) AS kept FROM conversations c "
    "LEFT JOIN messages m ON m.conversation_id = c.id AND m.time >= ? GROUP BY c.id HAVING kept > c.first"
)
SELECT_OLDER: Final = (
    "SELECT rowid, conversation_id, text, what, seq, erased, device_id, client_id, about, "  # noqa: S608
    "(SELECT f.id FROM files f WHERE f.conversation_id = m.conversation_id AND f.seq = m.seq), "
    f"{past_ids.IS_CHANGED}, time FROM messages m WHERE conversation_id = ? AND seq < ? ORDER BY seq LIMIT ?"
)
DROP_OLD_REACTIONS: Final = (
    "DELETE FROM reactions WHERE conversation_id = ? AND seq < ?",
    "DELETE FROM reaction_messages WHERE conversation_id = ? AND about < ?",
)
DROP_ACCOUNT_REACTIONS: Final = "DELETE FROM reactions WHERE account_id = ?"
ADVANCE_FIRST: Final = "UPDATE conversations SET first = ? WHERE id = ? AND first < ?"
SELECT_SENT_BY: Final = "SELECT rowid FROM messages WHERE account_id = ? AND rowid > ? AND rowid <= ? AND NOT erased"


class Pruner(Database):
    """The part of the store that erases and prunes messages."""

    def erase_messages(self, account: int) -> int:
        last = self.read(find_newest_row)
        erased = 0
        for start in range(0, last, common.SCAN_CHUNK):
            rows = self.read(partial(_select_sent_by, account, start, min(start + common.SCAN_CHUNK, last)))
            for index in range(0, len(rows), common.PRUNE_BATCH):
                erased += self._blank_messages(rows[index : index + common.PRUNE_BATCH])
        self.writer.execute(lambda db: db.execute(DROP_ACCOUNT_REACTIONS, (account,)))
        self._merge_index()
        if erased:
            self.schedule_purge()
        return erased

    def take_out_erased(self) -> None:
        self._merge_index()
        if self.purger is not None:
            self.purger.schedule()
        self.purge()

    def prune(self, before: float) -> int:
        # Seqs must have no gaps: nothing behind the first message that stays is pruned, even if it is older.
        rows = self.read(lambda db: db.execute(SELECT_PRUNABLE, (before,)).fetchall())
        ids_from = before - common.PAST_ID_TTL
        dropped = self._drop_older([(int(conversation), int(first)) for conversation, first in rows], ids_from)
        self.writer.execute(partial(self._delete_old_ids, ids_from))
        self.writer.execute(lambda db: db.execute(DELETE_OLD_ABSENCES))
        self.writer.execute(lambda db: db.execute(DELETE_OLD_ALERTS, (before,)))
        self.finish_deletions()
        return dropped

    def _delete_old_ids(self, before: float, db: sqlite3.Connection) -> None:
        past_ids.forget(db, before)
        self.inserter.recheck_past_ids()

    def finish_deletions(self) -> None:
        """Delete the messages of deleted conversations, also of those that an earlier process did not finish."""
        for conversation, head in self.read(lambda db: db.execute(SELECT_DELETED).fetchall()):
            self._drop_older([(conversation, head + 1)])
            self.writer.execute(partial(_drop_conversation, conversation))
            self.schedule_purge()

    def _drop_older(self, first_kept: Sequence[tuple[int, int]], ids_from: float = math.inf) -> int:
        """Delete the oldest messages of conversations, in batches; return how many.

        Args:
            first_kept: the id of each conversation, and the first seq that it keeps.
            ids_from: Unix seconds; the ids of messages that are not older stay remembered.
        """
        todo = list(reversed(first_kept))
        dropped = 0

        def stage(db: sqlite3.Connection) -> int:
            if not math.isinf(ids_from):
                self.inserter.recheck_past_ids()
            return _stage_older(db, todo, ids_from, self.inserter.digest_key)

        while todo:
            dropped += self._run_in_commit(stage, NOTE_UNMERGED, UNINDEX_STALE, DELETE_STALE)
            gevent.sleep(common.PRUNE_DELAY)
        self._merge_index()
        if dropped:
            self.schedule_purge()
        return dropped

    def _merge_index(self) -> None:
        """Merge the index until it holds no removed word: removing one only adds a note to the index.

        Also those that an earlier process has removed, which was killed before it merged them.
        """
        merging = self.read(is_pending)
        pages = -MERGE_CHUNK  # the first time: merge everything with everything
        while merging:
            merging = self._merge_chunk(pages)
            pages = MERGE_CHUNK
            gevent.sleep(common.PRUNE_DELAY)

    def _merge_chunk(self, pages: int) -> bool:
        """Merge some pages in a commit; return whether there was anything to merge."""
        changed: list[int] = []
        self._run_in_commit(lambda db: 0, partial(_merge_pages, pages, changed))
        return changed[-1] > 1  # one row is the command itself (SQLite's manual, FTS5, "merge")

    def _blank_messages(self, rows: list[int]) -> int:
        marks = ",".join("?" * len(rows))
        choose = f"SELECT rowid, conversation_id, text, what FROM messages WHERE NOT erased AND rowid IN ({marks})"  # noqa: S608
        blanked, more = 0, True

        def change(db: sqlite3.Connection) -> int:
            nonlocal more
            batch, more = take_rows_within_limit(db.execute(choose, rows))
            self.add_last_step(partial(_blank_reactions, json.dumps([row for row, *_ in batch])))
            return _stage_stale(db, batch)

        while more:
            blanked += self._run_in_commit(change, NOTE_UNMERGED, UNINDEX_STALE, BLANK_STALE, DROP_STALE_REACTIONS)
            gevent.sleep(common.PRUNE_DELAY)
        return blanked

    def _run_in_commit(self, choose: Callable[[sqlite3.Connection], int], *steps: CommitStep) -> int:
        """Choose rows on the loop, then have the commit thread run steps on them; return what `choose` does.

        Blocks the greenlet until both are on disk.
        """

        def change(db: sqlite3.Connection) -> int:
            self.run_commit_steps(db)  # of a batch whose caller was killed: its rows must not be mixed with these
            chosen = choose(db)
            self.add_commit_steps(*steps, CLEAR_STALE)
            return chosen

        with self.prune_lock:  # one batch at a time: they share the table `stale`
            return self.writer.execute(change)


def _merge_pages(pages: int, changed: list[int], db: sqlite3.Connection) -> None:
    before = db.total_changes
    db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
    changed.append(db.total_changes - before)


def _drop_conversation(conversation: int, db: sqlite3.Connection) -> None:
    for statement in DROP_CONVERSATION:
        db.execute(statement, (conversation,))


def _blank_reactions(rows: str, db: sqlite3.Connection) -> None:
    """Remove the texts of the messages with which reactions to erased messages came and went."""
    for statement in BLANK_REACTIONS:
        db.execute(statement, (rows,))


def _select_sent_by(account: int, after: int, last: int, db: sqlite3.Connection) -> list[int]:
    return [row for (row,) in db.execute(SELECT_SENT_BY, (account, after, last))]


def _stage_older(db: sqlite3.Connection, todo: list[tuple[int, int]], ids_from: float, digest_key: bytes) -> int:
    """Put a batch of what may be deleted into `stale`; return how many. The rest stays in `todo`."""
    taken = size = 0
    erased: list[tuple[int]] = []
    while todo and taken < common.PRUNE_BATCH and size < MAX_PRUNE_TEXT:
        conversation, first_kept = todo[-1]
        rows, more = take_rows_within_limit(
            db.execute(SELECT_OLDER, (conversation, first_kept, common.PRUNE_BATCH - taken)), size
        )
        more = more or len(rows) == common.PRUNE_BATCH - taken
        taken += len(rows)
        size += sum(len(row[2]) for row in rows)
        _stage_stale(db, [row[:4] for row in rows if not row[5]])
        erased += [row[:1] for row in rows if row[5]]
        past_ids.remember(
            db,
            digest_key,
            (
                (device, id, conversation, seq, text, about, what, file, is_changed, time)
                for _, _, text, what, seq, _, device, id, about, file, is_changed, time in rows
                if device is not None and id is not None and time >= ids_from
            ),
        )
        first = rows[-1][4] + 1 if more else first_kept
        db.execute(ADVANCE_FIRST, (first, conversation, first))
        for statement in DROP_OLD_REACTIONS:
            db.execute(statement, (conversation, first))
        if first >= first_kept:
            todo.pop()
    db.executemany("DELETE FROM messages WHERE rowid = ?", erased)  # tombstones are not in the index
    return taken


def take_rows_within_limit(rows: Iterable[RowT], size: int = 0) -> tuple[list[RowT], bool]:
    """Take rows, whose third column is a text, up to `MAX_PRUNE_TEXT`; return whether any were left, too.

    `size` is the number of characters that the batch has already.
    """
    taken: list[RowT] = []
    for row in rows:
        if taken and size >= MAX_PRUNE_TEXT:
            return taken, True
        taken.append(row)
        size += len(row[2])
    return taken, False


def _stage_stale(db: sqlite3.Connection, rows: list[MessageRow]) -> int:
    stale = [(row, index_text(conversation, common.indexed_text(text, what))) for row, conversation, text, what in rows]
    db.executemany("INSERT INTO stale (id, folded) VALUES (?,?)", stale)
    return len(rows)
