"""Taking messages away again, in slices: none of them holds up what is being said meanwhile.

A slice chooses rows and folds their text on the loop's thread, a few milliseconds; what takes long, the words' index
and the rows themselves, is two statements in the commit's own thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import gevent

from gmessenger.store.database import Database
from gmessenger.store.folding import fold

SLICE: Final = 500
BREATH: Final = 0.02
"""Seconds between two slices, which belong to everybody else."""
SCANNED: Final = 20_000

Row: TypeAlias = tuple[int, str]
"""A message's row number and its text."""
UNINDEX: Final = "INSERT INTO words (words, rowid, folded) SELECT 'delete', id, folded FROM stale"
DROP: Final = "DELETE FROM messages WHERE rowid IN (SELECT id FROM stale)"
BLANK: Final = "UPDATE messages SET text = '', erased = 1 WHERE rowid IN (SELECT id FROM stale)"
DONE: Final = "DELETE FROM stale"
KEPT_FROM: Final = (
    "SELECT c.id, coalesce(min(m.seq), c.head + 1) AS kept FROM conversations c "
    "LEFT JOIN messages m ON m.conversation_id = c.id AND m.time >= ? GROUP BY c.id HAVING kept > c.first"
)
OLDER: Final = (
    "SELECT rowid, text, seq, erased FROM messages WHERE conversation_id = ? AND seq < ? ORDER BY seq LIMIT ?"
)
MOVE_FIRST: Final = "UPDATE conversations SET first = ? WHERE id = ? AND first < ?"
SAID_BY: Final = (
    # Devices that were dropped are not known any more, but nobody else has had the name since it became an account.
    "SELECT m.rowid FROM messages m, accounts a WHERE a.id = ? AND m.rowid > ? AND m.rowid <= ? AND NOT m.erased "
    "AND m.device_id IS NOT NULL AND m.sender = a.name AND m.time >= a.created"
)
LAST_ROW: Final = "SELECT coalesce(max(rowid), 0) FROM messages"


class Erasing(Database):
    """The part of the contract that makes the store forget."""

    def forget(self, account: int) -> int:
        last = self.read(lambda db: int(db.execute(LAST_ROW).fetchone()[0]))
        erased = 0
        for start in range(0, last, SCANNED):
            rows = self.read(partial(_said_by, account, start, min(start + SCANNED, last)))
            for place in range(0, len(rows), SLICE):
                erased += self._blank(rows[place : place + SLICE])
        return erased

    def prune(self, before: float) -> int:
        # A conversation keeps an unbroken end: nothing goes whose successor stays for being older.
        found = self.read(lambda db: db.execute(KEPT_FROM, (before,)).fetchall())
        return self.drop_older([(int(conversation), int(kept)) for conversation, kept in found])

    def drop_older(self, kept: Sequence[tuple[int, int]]) -> int:
        """Drop what conversations (by their ids) have before the seq that is kept; says how many messages."""
        waiting = list(reversed(kept))
        dropped = 0
        while waiting:
            dropped += self._in_thread(lambda db: _take(db, waiting), UNINDEX, DROP)
            gevent.sleep(BREATH)
        return dropped

    def _blank(self, rows: list[int]) -> int:
        marks = ",".join("?" * len(rows))
        choose = f"SELECT rowid, text FROM messages WHERE NOT erased AND rowid IN ({marks})"  # noqa: S608

        def change(db: sqlite3.Connection) -> int:
            return _set_aside(db, db.execute(choose, rows).fetchall())

        blanked = self._in_thread(change, UNINDEX, BLANK)
        gevent.sleep(BREATH)
        return blanked

    def _in_thread(self, choose: Callable[[sqlite3.Connection], int], *statements: str) -> int:
        """Choose rows on the loop, then have statements run on them before the COMMIT, in its thread."""

        def change(db: sqlite3.Connection) -> int:
            chosen = choose(db)
            self.in_commit += (*statements, DONE)
            return chosen

        with self.erasing:  # one slice at a time: they share a table
            return self.commits.change(change)


def _said_by(account: int, after: int, last: int, db: sqlite3.Connection) -> list[int]:
    return [row for (row,) in db.execute(SAID_BY, (account, after, last))]


def _take(db: sqlite3.Connection, waiting: list[tuple[int, int]]) -> int:
    """Set a slice of what may go aside; what is left over stays in `waiting`, whose last is the next."""
    taken = 0
    erased: list[tuple[Any, ...]] = []
    while waiting and taken < SLICE:
        conversation, kept = waiting[-1]
        rows = db.execute(OLDER, (conversation, kept, SLICE - taken)).fetchall()
        taken += len(rows)
        _set_aside(db, [row[:2] for row in rows if not row[3]])
        erased += [row[:1] for row in rows if row[3]]
        first = rows[-1][2] + 1 if taken >= SLICE else kept
        db.execute(MOVE_FIRST, (first, conversation, first))
        if first >= kept:
            waiting.pop()
    db.executemany("DELETE FROM messages WHERE rowid = ?", erased)  # tombstones are in no index
    return taken


def _set_aside(db: sqlite3.Connection, rows: list[Row]) -> int:
    db.executemany("INSERT INTO stale (id, folded) VALUES (?,?)", [(row, fold(text)) for row, text in rows])
    return len(rows)
