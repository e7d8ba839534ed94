"""Taking messages away again, in slices: none of them holds up what is being said meanwhile.

One node at a time does it: a second finds nothing to do, and the first goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Any, Final

import gevent

from gmessenger.store import erasing, past
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.lines import Line

PRUNING: Final = 0x676D7072
TRY: Final = "SELECT pg_try_advisory_lock(%s)"
RELEASE: Final = "SELECT pg_advisory_unlock(%s)"
LAST: Final = "SELECT coalesce(max(id), 0) FROM messages"
BLANK: Final = (
    "UPDATE messages SET text = '', words = NULL, erased = true WHERE id IN ("
    "SELECT id FROM messages WHERE account_id = %s AND id > %s AND id <= %s AND NOT erased ORDER BY id LIMIT %s)"
)
OLD: Final = (
    # Whose first message is old; nothing else has to be looked at.
    "SELECT c.id FROM conversations c JOIN messages m ON m.conversation_id = c.id AND m.seq = c.first "
    "WHERE m.time < %s AND c.id > %s ORDER BY c.id LIMIT %s"
)
LOCK: Final = "SELECT id FROM conversations WHERE id = ANY(%s) ORDER BY key FOR NO KEY UPDATE"
BEGINNING: Final = (
    "SELECT c.id, m.seq, m.device_id, m.client_id, m.text, m.time FROM conversations c CROSS JOIN LATERAL ("
    " SELECT * FROM messages WHERE conversation_id = c.id AND seq >= c.first ORDER BY seq LIMIT %(limit)s"
    ") AS m WHERE c.id = ANY(%(conversations)s) ORDER BY c.id, m.seq LIMIT %(limit)s"
)
DROP: Final = "DELETE FROM messages WHERE conversation_id = %s AND seq < %s"
MOVE_FIRST: Final = "UPDATE conversations SET first = %s WHERE id = %s AND first < %s"
REMEMBER: Final = "INSERT INTO past_ids VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
FORGET: Final = "DELETE FROM past_ids WHERE time < %s"
SET_ASIDE: Final = "SELECT id FROM conversations WHERE key >= '!' AND key < '\"'"
DROP_SLICE: Final = (
    "DELETE FROM messages WHERE conversation_id = %(conversation)s AND seq IN (SELECT seq FROM messages "
    "WHERE conversation_id = %(conversation)s ORDER BY seq LIMIT %(limit)s)"
)
DROP_CONVERSATION: Final = (
    "DELETE FROM participants WHERE conversation_id = %s",
    "DELETE FROM cursors WHERE conversation_id = %s",
    "DELETE FROM past_ids WHERE conversation_id = %s",
    "DELETE FROM conversations WHERE id = %s",
)


class Erasing(Database):
    """The part of the contract that makes the store forget."""

    def forget(self, account: int) -> int:
        self.flush()
        ((last,),) = self.read(lambda db: db.execute(LAST).fetchall())
        erased = 0
        for start in range(0, last, erasing.SCANNED):
            end, more = min(start + erasing.SCANNED, last), True
            while more:
                blanked = self._blank(account, start, end)
                erased += blanked
                more = blanked >= erasing.SLICE
        return erased

    def _blank(self, account: int, start: int, end: int) -> int:
        blanked = self.write(lambda db: db.execute(BLANK, (account, start, end, erasing.SLICE)).rowcount)
        gevent.sleep(erasing.BREATH)
        return blanked

    def prune(self, before: float) -> int:
        dropped = 0
        with self._alone(PRUNING) as is_ours:
            after = 0
            while is_ours and (old := self._old(before, after)):
                finished, count = self.write(lambda db, old=old: _drop_older(db, old, before))  # type: ignore[misc]
                after = max(after, finished)
                dropped += count
                gevent.sleep(erasing.BREATH)
            if is_ours:
                self.write(lambda db: db.execute(FORGET, (before - past.REMEMBERED_FOR,)))
        self.tidy()
        return dropped

    def _old(self, before: float, after: int) -> list[int]:
        rows = self.read(lambda db: db.execute(OLD, (before, after, erasing.SLICE)).fetchall())
        return [id for (id,) in rows]

    def tidy(self) -> None:
        """Finish with the conversations that were deleted, now or before a process ended in the middle of it."""
        for (conversation,) in self.read(lambda db: db.execute(SET_ASIDE).fetchall()):
            with self._alone(PRUNING + conversation) as is_ours:
                while is_ours and self._drop_slice(conversation):
                    gevent.sleep(erasing.BREATH)
                if is_ours:
                    self.write(lambda db, conversation=conversation: _drop(db, conversation))  # type: ignore[misc]

    def _drop_slice(self, conversation: int) -> bool:
        parameters = {"conversation": conversation, "limit": erasing.SLICE}
        return self.write(lambda db: db.execute(DROP_SLICE, parameters).rowcount) >= erasing.SLICE

    @contextmanager
    def _alone(self, lock: int) -> Iterator[bool]:
        """Whether nobody else is at it; nobody is as long as this lasts."""
        with self.lines.lent() as db:
            row = db.execute(TRY, (lock,)).fetchone()
            is_ours = bool(row and row[0])
            try:
                yield is_ours
            finally:
                if is_ours and not db.closed:
                    db.execute(RELEASE, (lock,))


def _drop(db: Line, conversation: int) -> None:
    for statement in DROP_CONVERSATION:
        db.execute(statement, (conversation,))


def _drop_older(db: Line, conversations: Sequence[int], before: float) -> tuple[int, int]:
    """Drop a slice of what these have from before a time; the last of them that is done with, and how many messages.

    A conversation keeps an unbroken end: nothing goes whose predecessor stays for being younger.
    """
    db.execute(LOCK, (list(conversations),))
    given = {"conversations": list(conversations), "limit": erasing.SLICE}
    rows = db.execute(BEGINNING, given).fetchall()
    finished = dropped = 0
    for conversation, beginning in groupby(rows, key=itemgetter(0)):
        whole = list(beginning)
        old = list(takewhile(lambda row: row[5] < before, whole))
        if old:
            _drop_beginning(db, conversation, old, before - past.REMEMBERED_FOR)
        dropped += len(old)
        if len(old) < len(whole) or len(rows) < erasing.SLICE:
            finished = conversation
    return finished, dropped


def _drop_beginning(db: Line, conversation: int, rows: list[tuple[Any, ...]], ids_from: float) -> None:
    """Drop the first messages of a conversation; their ids stay known for as long as somebody may send them again."""
    known = [
        (device, id, conversation, seq, past.digest(text), time)
        for _, seq, device, id, text, time in rows
        if device is not None and id is not None and time >= ids_from
    ]
    if known:
        with db.cursor() as cursor:
            cursor.executemany(REMEMBER, known)
    first = rows[-1][1] + 1
    db.execute(DROP, (conversation, first))
    db.execute(MOVE_FIRST, (first, conversation, first))
