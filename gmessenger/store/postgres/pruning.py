"""Prune and blank messages in batches, each a short transaction: new messages are not delayed.

One node at a time prunes: a node that finds another at it leaves all of it to that one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Final, TypeAlias, TypeVar

import gevent

from gmessenger.store import common
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.resends import message_digest

ResultT = TypeVar("ResultT")
OldRow: TypeAlias = tuple[int, int, int | None, str | None, str, int | None, str, str | None, bool, float]
"""Of a message the conversation id, seq, device id, the client's message id, text, what it is about and does to that,
the id of its file, whether its text is not the one that was sent, and its time."""
PRUNE_LOCK: Final = 0x676D7072  # advisory lock; plus a conversation's id: of deleting that
TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(%s)"
SELECT_LAST_ID: Final = "SELECT coalesce(max(id), 0) FROM messages"
BLANK_MESSAGES: Final = (
    # `words` is what an earlier release has written.
    "UPDATE messages SET text = '', words = NULL, erased = true WHERE id IN ("
    " SELECT id FROM messages WHERE account_id = %s AND id > %s AND id <= %s AND NOT erased ORDER BY id LIMIT %s"
    ") RETURNING conversation_id, seq"
)
DROP_REACTIONS: Final = (
    # Statements of their own, so that they see the reactions of transactions that the one before has waited for.
    "DELETE FROM reactions r USING unnest(%s::bigint[], %s::bigint[]) AS blanked(conversation, seq) "
    "WHERE r.conversation_id = blanked.conversation AND r.seq = blanked.seq",
    "UPDATE messages m SET text = '' FROM unnest(%s::bigint[], %s::bigint[]) AS blanked(conversation, seq) "
    "JOIN reaction_messages r ON r.conversation_id = blanked.conversation AND r.about = blanked.seq "
    "WHERE m.conversation_id = r.conversation_id AND m.seq = r.seq",
    "DELETE FROM reaction_messages r USING unnest(%s::bigint[], %s::bigint[]) AS blanked(conversation, seq) "
    "WHERE r.conversation_id = blanked.conversation AND r.about = blanked.seq",
)
SELECT_PRUNABLE: Final = (
    # Conversations whose first message is old: no other message has to be read.
    "SELECT c.id FROM conversations c JOIN messages m ON m.conversation_id = c.id AND m.seq = c.first "
    "WHERE m.time < %s AND c.id > %s AND left(c.key, 1) <> '!' ORDER BY c.id LIMIT %s"
)
MAX_PRUNE_TEXT: Final = 262_144  # characters of a batch; a single message may have more
SELECT_OLDEST: Final = (
    # Seqs have no gaps: messages behind the first `limit` are never read.
    "SELECT id, seq, device_id, client_id, text, about, what,"
    " (SELECT f.id FROM files f WHERE f.conversation_id = sized.id AND f.seq = sized.seq) AS file,"
    " changed, time, total FROM ("
    " SELECT *, sum(length(text)) OVER (ORDER BY id, seq) - length(text) AS size, count(*) OVER () AS total FROM ("
    "  SELECT c.id, m.seq, m.device_id, m.client_id, m.text, m.about, m.what, m.time,"
    "   m.erased OR m.edited IS NOT NULL OR (m.what <> '' AND m.text = '') AS changed FROM conversations c "
    "  CROSS JOIN LATERAL ("
    "   SELECT * FROM messages WHERE conversation_id = c.id AND seq >= c.first AND seq < c.first + %(limit)s"
    "   ORDER BY seq"
    "  ) AS m WHERE c.id = ANY(%(conversations)s) ORDER BY c.id, m.seq LIMIT %(limit)s"
    " ) AS beginning"
    ") AS sized WHERE size < %(size)s ORDER BY id, seq"
)
LOCK_CONVERSATIONS: Final = (
    "SELECT id FROM conversations WHERE id = ANY(%s) AND left(key, 1) <> '!' ORDER BY key FOR NO KEY UPDATE"
)
INSERT_IDS: Final = (
    "INSERT INTO past_ids (device_id, client_id, conversation_id, seq, digest, time) "
    "SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bytea[], %s::double precision[]) "
    "ON CONFLICT DO NOTHING"
)
DELETE_MESSAGES: Final = (
    # Each by its seq: a range would be entered at its start, among the dead rows of earlier batches.
    "DELETE FROM messages m USING unnest(%s::bigint[], %s::bigint[]) AS old(conversation, seq) "
    "WHERE m.conversation_id = old.conversation AND m.seq = old.seq"
)
ADVANCE_FIRST: Final = (
    "UPDATE conversations c SET first = now.first FROM unnest(%s::bigint[], %s::bigint[]) AS now(id, first) "
    "WHERE c.id = now.id AND c.first < now.first"
)
DELETE_REACTIONS: Final = (
    "DELETE FROM reactions r USING unnest(%s::bigint[], %s::bigint[]) AS now(id, first) "
    "WHERE r.conversation_id = now.id AND r.seq < now.first",
    "DELETE FROM reaction_messages r USING unnest(%s::bigint[], %s::bigint[]) AS now(id, first) "
    "WHERE r.conversation_id = now.id AND r.about < now.first",
)
DELETE_ACCOUNT_REACTIONS: Final = "DELETE FROM reactions WHERE account_id = %s"
DELETE_OLD_IDS: Final = (
    "DELETE FROM past_ids WHERE ctid = ANY(ARRAY(SELECT ctid FROM past_ids WHERE time < %s LIMIT %s))"
)
DELETE_OLD_ABSENCES: Final = (
    "DELETE FROM absences a USING conversations c WHERE c.id = a.conversation_id AND a.last < c.first"
)
DELETE_OLD_ALERTS: Final = "DELETE FROM alerts WHERE time < %s"
SELECT_DELETED: Final = "SELECT id FROM conversations WHERE key >= '!' AND key < '\"'"
LOCK_CONVERSATION: Final = "SELECT first, head FROM conversations WHERE id = %s FOR NO KEY UPDATE"
DELETE_CHUNK: Final = "DELETE FROM messages WHERE conversation_id = %s AND seq >= %s AND seq < %s"
DELETE_CONVERSATION: Final = (
    # The conversation first: this waits for transactions that write to it, whose rows are deleted then, too.
    "DELETE FROM conversations WHERE id = %s",
    "DELETE FROM messages WHERE conversation_id = %s",
    "DELETE FROM participants WHERE conversation_id = %s",
    "DELETE FROM absences WHERE conversation_id = %s",
    "DELETE FROM room_sanctions WHERE conversation_id = %s",
    "DELETE FROM invitations WHERE conversation_id = %s",
    "DELETE FROM room_masks WHERE conversation_id = %s",
    "DELETE FROM cursors WHERE conversation_id = %s",
    "DELETE FROM reactions WHERE conversation_id = %s",
    "DELETE FROM reaction_messages WHERE conversation_id = %s",
    "DELETE FROM past_ids WHERE conversation_id = %s",
)


class Pruner(Database):
    """The part of the store that erases and prunes messages."""

    def erase_messages(self, account: int) -> int:
        self.flush()
        ((last,),) = self.read(lambda db: db.execute(SELECT_LAST_ID).fetchall())
        erased = 0
        for start in range(0, last, common.SCAN_CHUNK):
            end, more = min(start + common.SCAN_CHUNK, last), True
            while more:
                blanked = self._blank_messages(account, start, end)
                erased += blanked
                more = blanked >= common.PRUNE_BATCH
        self.write(lambda db: db.execute(DELETE_ACCOUNT_REACTIONS, (account,)))
        return erased

    def _blank_messages(self, account: int, start: int, end: int) -> int:
        def change(db: PgConnection) -> int:
            blanked = db.execute(BLANK_MESSAGES, (account, start, end, common.PRUNE_BATCH)).fetchall()
            if blanked:
                for statement in DROP_REACTIONS:
                    db.execute(statement, [list(column) for column in zip(*blanked, strict=True)])
            return len(blanked)

        blanked = self.write(change)
        gevent.sleep(common.PRUNE_DELAY)
        return blanked

    def purge(self) -> None:
        """Return at once: the database's own files are not in our hands."""

    def prune(self, before: float) -> int:
        after = dropped = 0
        while ids := self._find_prunable(before, after):
            result = self._run_exclusive(PRUNE_LOCK, partial(_drop_older, ids, before, self.digest_key))
            if result is None:
                break
            finished, count = result
            after = max(after, finished)
            dropped += count
        else:  # not while another node prunes messages: finding the lock taken, it would leave them to this node
            while self._run_exclusive(PRUNE_LOCK, lambda db: _delete_old_ids(db, before - common.PAST_ID_TTL)):
                pass
            self.write(lambda db: db.execute(DELETE_OLD_ABSENCES))
            self.write(lambda db: db.execute(DELETE_OLD_ALERTS, (before,)))
        self.finish_deletions()
        return dropped

    def _find_prunable(self, before: float, after: int) -> list[int]:
        """Return the ids of some conversations whose first message is older than a time, from id `after` on."""
        rows = self.read(lambda db: db.execute(SELECT_PRUNABLE, (before, after, common.PRUNE_BATCH)).fetchall())
        return [id for (id,) in rows]

    def finish_deletions(self) -> None:
        """Delete the messages of deleted conversations, also of those that another process did not finish."""
        for (conversation,) in self.read(lambda db: db.execute(SELECT_DELETED).fetchall()):
            while self._run_exclusive(PRUNE_LOCK + conversation, partial(_delete_chunk, conversation)):
                pass

    def _run_exclusive(self, lock: int, step: Callable[[PgConnection], ResultT]) -> ResultT | None:
        """Run a batch in a transaction with an advisory lock, then sleep; None if another node has the lock."""

        def change(db: PgConnection) -> ResultT | None:
            ((is_locked,),) = db.execute(TRY_LOCK, (lock,)).fetchall()
            return step(db) if is_locked else None

        result = self.write(change)
        gevent.sleep(common.PRUNE_DELAY)
        return result


def _delete_old_ids(db: PgConnection, before: float) -> bool:
    """Forget ids of messages from before a time; return whether there may be more."""
    return db.execute(DELETE_OLD_IDS, (before, common.SCAN_CHUNK)).rowcount >= common.SCAN_CHUNK


def _delete_chunk(conversation: int, db: PgConnection) -> bool:
    """Delete the first messages of a conversation, and it with the last; return whether there are more."""
    row = db.execute(LOCK_CONVERSATION, (conversation,)).fetchone()
    if row is None:
        return False
    first, head = row
    end = first + common.PRUNE_BATCH
    if end > head:
        for statement in DELETE_CONVERSATION:
            db.execute(statement, (conversation,))
        return False
    db.execute(DELETE_CHUNK, (conversation, first, end))
    db.execute(ADVANCE_FIRST, ([conversation], [end]))
    return True


def _drop_older(conversations: Sequence[int], before: float, digest_key: bytes, db: PgConnection) -> tuple[int, int]:
    """Delete a batch of old messages; return the last finished conversation, and how many messages.

    Seqs must have no gaps: nothing behind the first message that stays is deleted, even if it is older.
    """
    parameters = {"conversations": list(conversations), "limit": common.PRUNE_BATCH, "size": MAX_PRUNE_TEXT}
    selected = db.execute(SELECT_OLDEST, parameters).fetchall()
    rows: list[OldRow] = [row[:-1] for row in selected]
    is_last = len(rows) < common.PRUNE_BATCH and (not selected or selected[0][-1] == len(selected))
    old: list[OldRow] = []
    finished = 0
    for conversation, group in groupby(rows, key=itemgetter(0)):
        oldest = list(group)
        prunable = list(takewhile(lambda row: row[-1] < before, oldest))
        old += prunable
        if len(prunable) < len(oldest) or is_last:
            finished = conversation
    locked = {id for (id,) in db.execute(LOCK_CONVERSATIONS, (list({row[0] for row in old}),))}
    old = [row for row in old if row[0] in locked]
    if old:
        _delete_messages(db, old, before - common.PAST_ID_TTL, digest_key)
    return finished, len(old)


def _delete_messages(db: PgConnection, rows: list[OldRow], ids_from: float, digest_key: bytes) -> None:
    """Delete the first messages of conversations; remember the ids of those not older than `ids_from`."""
    ids = [
        (device, id, conversation, seq, message_digest(digest_key, text, about, what, file, is_changed=changed), time)
        for conversation, seq, device, id, text, about, what, file, changed, time in rows
        if device is not None and id is not None and time >= ids_from
    ]
    if ids:
        db.execute(INSERT_IDS, [list(column) for column in zip(*ids, strict=True)])
    db.execute(DELETE_MESSAGES, ([row[0] for row in rows], [row[1] for row in rows]))
    first = {row[0]: row[1] + 1 for row in rows}
    db.execute(ADVANCE_FIRST, (list(first), list(first.values())))
    for statement in DELETE_REACTIONS:
        db.execute(statement, (list(first), list(first.values())))
