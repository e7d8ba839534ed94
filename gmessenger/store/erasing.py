"""Taking messages away again, in slices: none of them holds up what is being said meanwhile.

A slice chooses rows and folds their text on the loop's thread, a few milliseconds; what takes long, the words' index
and the rows themselves, is two statements in the commit's own thread.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import gevent

from gmessenger.store import common, past
from gmessenger.store.database import Database
from gmessenger.store.index import indexed

MAX_SLICE_TEXT: Final = 16_384  # characters of a slice, unless they are all one message's: they have to be folded

Row: TypeAlias = tuple[int, int, str]
"""A message's row number, its conversation's and its text."""
Step: TypeAlias = Callable[[sqlite3.Connection], object]
"""What is done in the commit's thread."""


def _step(statement: str) -> Step:
    return lambda db: db.execute(statement)


UNINDEX: Final = _step(
    "INSERT INTO words (words, rowid, folded) SELECT 'delete', id, folded FROM stale "
    "WHERE id >= coalesce((SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'unindexed'), 0)"
)
DROP: Final = _step("DELETE FROM messages WHERE rowid IN (SELECT id FROM stale)")
BLANK: Final = _step("UPDATE messages SET text = '', erased = 1 WHERE rowid IN (SELECT id FROM stale)")
DONE: Final = _step("DELETE FROM stale")
MERGED_AT_ONCE: Final = 500
"""Pages of the index."""
DROP_CONVERSATION: Final = (
    "DELETE FROM participants WHERE conversation_id = ?",
    "DELETE FROM cursors WHERE conversation_id = ?",
    "DELETE FROM conversations WHERE id = ?",
)
IS_SET_ASIDE: Final = "SELECT id, head FROM conversations WHERE key LIKE '!%'"
KEPT_FROM: Final = (
    "SELECT c.id, coalesce(min(m.seq), c.head + 1) AS kept FROM conversations c "
    "LEFT JOIN messages m ON m.conversation_id = c.id AND m.time >= ? GROUP BY c.id HAVING kept > c.first"
)
OLDER: Final = (
    "SELECT rowid, conversation_id, text, seq, erased, device_id, client_id, time FROM messages "
    "WHERE conversation_id = ? AND seq < ? "
    "ORDER BY seq LIMIT ?"
)
MOVE_FIRST: Final = "UPDATE conversations SET first = ? WHERE id = ? AND first < ?"
SAID_BY: Final = "SELECT rowid FROM messages WHERE account_id = ? AND rowid > ? AND rowid <= ? AND NOT erased"
LAST_ROW: Final = "SELECT coalesce(max(rowid), 0) FROM messages"


class Erasing(Database):
    """The part of the contract that makes the store forget."""

    def forget(self, account: int) -> int:
        last = self.read(lambda db: int(db.execute(LAST_ROW).fetchone()[0]))
        erased = 0
        for start in range(0, last, common.ERASE_SCAN):
            rows = self.read(partial(_said_by, account, start, min(start + common.ERASE_SCAN, last)))
            for place in range(0, len(rows), common.ERASE_SLICE):
                erased += self._blank(rows[place : place + common.ERASE_SLICE])
        self._forget_words(erased)
        if erased:
            self.note_erased()
        return erased

    def prune(self, before: float) -> int:
        # A conversation keeps an unbroken end: nothing goes whose successor stays for being older.
        found = self.read(lambda db: db.execute(KEPT_FROM, (before,)).fetchall())
        ids_from = before - common.PAST_ID_LIFETIME
        dropped = self._drop_older([(int(conversation), int(kept)) for conversation, kept in found], ids_from)
        self.commits.change(partial(self._forget_ids, ids_from))
        self.tidy()
        return dropped

    def _forget_ids(self, before: float, db: sqlite3.Connection) -> None:
        past.forget(db, before)
        self.posts.past = past.any_kept(db)

    def tidy(self) -> None:
        """Finish with the conversations that were deleted, now or before the process ended in the middle of it."""
        for conversation, head in self.read(lambda db: db.execute(IS_SET_ASIDE).fetchall()):
            self._drop_older([(conversation, head + 1)])
            self.commits.change(partial(_drop_conversation, conversation))
            self.note_erased()

    def _drop_older(self, kept: Sequence[tuple[int, int]], ids_from: float = math.inf) -> int:
        """Drop what conversations (by their ids) have before the seq that is kept; says how many messages.

        The ids of messages not older than `ids_from` stay known.
        """
        waiting = list(reversed(kept))
        dropped = 0
        while waiting:
            dropped += self._in_thread(lambda db: _take(db, waiting, ids_from), UNINDEX, DROP)
            self.posts.past |= not math.isinf(ids_from)
            gevent.sleep(common.ERASE_PAUSE)
        self._forget_words(dropped)
        if dropped:
            self.note_erased()
        return dropped

    def _forget_words(self, dropped: int) -> None:
        """Merge the index until nothing in it holds a word that was taken out: it only notes that they are gone."""
        merging = dropped > 0
        pages = -MERGED_AT_ONCE  # the first time: everything is to be merged with everything
        while merging:
            merging = self._merged(pages)
            pages = MERGED_AT_ONCE
            gevent.sleep(common.ERASE_PAUSE)

    def _merged(self, pages: int) -> bool:
        """Do a part of it; says whether there was anything to do."""
        changed: list[int] = []
        self._in_thread(lambda db: 0, partial(_merge, pages, changed))
        return changed[-1] > 1  # one row is the command itself (SQLite's manual, FTS5, "merge")

    def _blank(self, rows: list[int]) -> int:
        marks = ",".join("?" * len(rows))
        choose = f"SELECT rowid, conversation_id, text FROM messages WHERE NOT erased AND rowid IN ({marks})"  # noqa: S608
        blanked, more = 0, True

        def change(db: sqlite3.Connection) -> int:
            nonlocal more
            found, more = some_of(db.execute(choose, rows))
            return _set_aside(db, found)

        while more:
            blanked += self._in_thread(change, UNINDEX, BLANK)
            gevent.sleep(common.ERASE_PAUSE)
        return blanked

    def _in_thread(self, choose: Callable[[sqlite3.Connection], int], *steps: Step) -> int:
        """Choose rows on the loop, then have steps done with them before the COMMIT, in its thread."""

        def change(db: sqlite3.Connection) -> int:
            for step in self.in_commit:  # of a slice whose asker was ended: its rows must not be mixed with these
                step(db)
            self.in_commit = ()
            chosen = choose(db)
            self.in_commit = (*steps, DONE)
            return chosen

        with self.erasing:  # one slice at a time: they share a table
            return self.commits.change(change)


def _merge(pages: int, changed: list[int], db: sqlite3.Connection) -> None:
    before = db.total_changes
    db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
    changed.append(db.total_changes - before)


def _drop_conversation(conversation: int, db: sqlite3.Connection) -> None:
    for statement in DROP_CONVERSATION:
        db.execute(statement, (conversation,))


def _said_by(account: int, after: int, last: int, db: sqlite3.Connection) -> list[int]:
    return [row for (row,) in db.execute(SAID_BY, (account, after, last))]


def _take(db: sqlite3.Connection, waiting: list[tuple[int, int]], ids_from: float) -> int:
    """Set a slice of what may go aside; what is left over stays in `waiting`, whose last is the next."""
    taken = size = 0
    erased: list[tuple[Any, ...]] = []
    while waiting and taken < common.ERASE_SLICE and size < MAX_SLICE_TEXT:
        conversation, kept = waiting[-1]
        rows, more = some_of(db.execute(OLDER, (conversation, kept, common.ERASE_SLICE - taken)), size)
        more = more or len(rows) == common.ERASE_SLICE - taken
        taken += len(rows)
        size += sum(len(row[2]) for row in rows)
        _set_aside(db, [row[:3] for row in rows if not row[4]])
        erased += [row[:1] for row in rows if row[4]]
        past.keep(
            db,
            (
                (device, id, conversation, seq, text, time)
                for _, _, text, seq, _, device, id, time in rows
                if device is not None and id is not None and time >= ids_from
            ),
        )
        first = rows[-1][3] + 1 if more else kept
        db.execute(MOVE_FIRST, (first, conversation, first))
        if first >= kept:
            waiting.pop()
    db.executemany("DELETE FROM messages WHERE rowid = ?", erased)  # tombstones are in no index
    return taken


def some_of(rows: Iterable[Any], size: int = 0) -> tuple[list[Any], bool]:
    """Take rows, whose third column is a text, until they hold as much as a slice may; says whether any were left.

    `size` is what the slice holds already, in characters.
    """
    found: list[Any] = []
    for row in rows:
        if found and size >= MAX_SLICE_TEXT:
            return found, True
        found.append(row)
        size += len(row[2])
    return found, False


def _set_aside(db: sqlite3.Connection, rows: list[Row]) -> int:
    stale = [(row, indexed(conversation, text)) for row, conversation, text in rows]
    db.executemany("INSERT INTO stale (id, folded) VALUES (?,?)", stale)
    return len(rows)
