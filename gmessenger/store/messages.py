"""Messages in SQLite: appended, acknowledged, paged and searched."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from gmessenger.chat.contract import Done
from gmessenger.chat.records import Hits, Page, Post
from gmessenger.chat.way import Sent, Way
from gmessenger.store import usage
from gmessenger.store.common import MAX_SENT_AS, PAGE, to_page, to_readers
from gmessenger.store.database import Database
from gmessenger.store.folding import phrases
from gmessenger.store.index import UNINDEXED, match
from gmessenger.store.posts import CONVERSATION
from gmessenger.store.search import Interrupted, Newest, Place

COLUMNS: Final = 'c.key, m.seq, m.sender, m."to", m.text, m.time, m.device_id, m.client_id, m.erased'
"""In the order of the record's fields."""
AFTER: Final = (
    f"SELECT {COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation_id "  # noqa: S608
    "WHERE c.key = ? AND m.seq > ? ORDER BY m.seq LIMIT ?"
)
BEFORE: Final = (
    f"SELECT {COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation_id "  # noqa: S608
    "WHERE c.key = ? AND m.seq < ? AND m.seq >= ? ORDER BY m.seq DESC LIMIT ?"
)
VISIBLE: Final = (
    "SELECT p.visible FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "WHERE c.key = ? AND p.account_id = ?"
)
HEADS: Final = (
    "SELECT c.key, c.head FROM conversations c JOIN participants p ON p.conversation_id = c.id "
    "WHERE p.account_id = ? AND c.key NOT LIKE '!%'"
)
READ: Final = (
    "UPDATE participants SET read = max(participants.read, min(:seq, c.head)) FROM conversations c "
    "WHERE participants.account_id = :account AND participants.conversation_id = c.id AND c.key = :conversation "
    "RETURNING read"
)
SENT: Final = (
    'SELECT m.sender, m."to", m.time, length(m.text), m.erased, m.device_id, d.name, m.client_id '
    "FROM messages m LEFT JOIN devices d ON d.id = m.device_id WHERE m.conversation_id = ? AND m.seq = ?"
)
SENT_AS: Final = (
    "SELECT c.key, m.seq FROM messages m JOIN devices d ON d.id = m.device_id "
    "JOIN conversations c ON c.id = m.conversation_id "
    "WHERE d.account_id = ? AND m.client_id = ? AND c.key NOT LIKE '!%' ORDER BY m.rowid DESC LIMIT ?"
)
READERS: Final = (
    "SELECT p.account_id, p.visible, p.read, d.id, d.name, max(coalesce(u.seq, 0), p.visible - 1) "
    "FROM participants p LEFT JOIN devices d ON d.account_id = p.account_id "
    "LEFT JOIN cursors u ON u.device_id = d.id AND u.conversation_id = p.conversation_id "
    "WHERE p.conversation_id = ? ORDER BY p.account_id, d.name"
)
PLACES: Final = (
    "SELECT c.id, c.key, p.visible, m.rowid FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "JOIN messages m ON m.conversation_id = c.id AND m.seq = c.head WHERE p.account_id = :account "
    "AND m.seq >= p.visible AND c.key NOT LIKE '!%' AND (:conversation IS NULL OR c.key = :conversation) "
    "ORDER BY m.rowid DESC"
)
SEARCH: Final = (
    "SELECT m.rowid FROM words w CROSS JOIN messages m ON m.rowid = w.rowid CROSS JOIN participants p "
    "ON p.account_id = :account AND p.conversation_id = m.conversation_id AND m.seq >= p.visible "
    "WHERE words MATCH :words ORDER BY w.rowid DESC LIMIT :limit"
)
LACKING: Final = f"SELECT coalesce(({UNINDEXED}), 0)"
FOUND: Final = (
    f"SELECT {COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation_id "  # noqa: S608
    "WHERE m.rowid = ? AND NOT m.erased AND c.key NOT LIKE '!%'"
)
MAX_TOGETHER: Final = 20  # conversations that are searched with one question
MAX_PIECES: Final = 250  # words of such a question, in all its conversations: FTS5 bounds the depth of one


class Messages(Database):
    """The part of the contract that is about what was said."""

    def append(self, post: Post, done: Done) -> None:
        self.posts.add(post, done)
        self.commits.wake()

    def append_all(self, posts: Sequence[tuple[Post, Done]]) -> None:
        self.posts.add_all(posts)
        self.commits.wake()

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        key = (device, conversation)
        self.cursors[key] = max(seq, self.cursors.get(key, 0))
        self.commits.soon()

    def mark_read(self, account: int, conversation: str, seq: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            row = db.execute(READ, {"account": account, "conversation": conversation, "seq": seq}).fetchone()
            return int(row[0]) if row else 0

        return self.commits.change(change)

    def backlog(self, account: int) -> dict[str, int]:
        return self.read(lambda db: dict(db.execute(HEADS, (account,)).fetchall()))

    def page(self, account: int, conversation: str, after: int) -> Page:
        def find(db: sqlite3.Connection) -> Page:
            # Two questions: in one, the index would be entered at the first that may be read, not behind `after`.
            row = db.execute(VISIBLE, (conversation, account)).fetchone()
            if row is None:
                return Page([], False)
            start = max(after, row[0] - 1)
            return Page(*to_page(db.execute(AFTER, (conversation, start, PAGE + 1)), PAGE))

        return self.read(find)

    def visible_from(self, account: int, conversation: str) -> int | None:
        row = self.read(lambda db: db.execute(VISIBLE, (conversation, account)).fetchone())
        return int(row[0]) if row else None

    def history(self, conversation: str, visible: int, before: int | None, after: int | None, limit: int) -> Page:
        def find(db: sqlite3.Connection) -> Page:
            row = db.execute(CONVERSATION, (conversation,)).fetchone()
            first = max(visible, row[2] if row else 1)
            if after is not None:
                start = max(after, first - 1)
                rows = db.execute(AFTER, (conversation, start, limit + 1))
                return Page(*to_page(rows, limit), first)
            end = before if before is not None else 2**62
            rows = db.execute(BEFORE, (conversation, end, visible, limit + 1))
            found, more = to_page(rows, limit)
            return Page(found[::-1], more, first)

        return self.read(find)

    def search(self, account: int, text: str, conversation: str | None, limit: int, timeout: float) -> Hits:
        if not (words := phrases(text)):
            return Hits([])
        until = time.monotonic() + timeout
        newest = Newest(limit + 1, until)
        together = max(1, min(MAX_TOGETHER, MAX_PIECES // sum(map(len, words))))

        def find(db: sqlite3.Connection) -> bool:
            def some(places: Sequence[Place]) -> list[int]:
                parameters = {"words": match([place.id for place in places], words), "account": account}
                return [row for (row,) in interruptible(db, SEARCH, parameters | {"limit": limit + 1})]

            try:
                ((lacking,),) = interruptible(db, LACKING, {})
                places = interruptible(db, PLACES, {"account": account, "conversation": conversation})
            except Interrupted:
                return True
            newest.look([Place(*row) for row in places], some, together)
            return newest.is_incomplete(lacking)

        incomplete = self.search_until(until, find)
        messages, more = self.read(lambda db: to_page(_rows(db, newest.rows), limit))
        return Hits(messages, more, incomplete)

    def usage(self, account: int | None) -> int:
        return self.read(lambda db: usage.find(db, account))

    def trace(self, conversation: str, seq: int) -> Way | None:
        def find(db: sqlite3.Connection) -> Way | None:
            row = db.execute(CONVERSATION, (conversation,)).fetchone()
            if row is None:
                return None
            id, head, first = row
            sent = db.execute(SENT, (id, seq)).fetchone()
            found = to_readers(db.execute(READERS, (id,)))
            return Way(first, head, _sent(sent) if sent else None, found)

        moving = self.moving(conversation)
        way = self.read(find)
        for reader in way.readers if way is not None else ():
            for device in reader.devices:
                device.cursor = max(device.cursor, moving.get(device.id, 0))
        return way

    def sent_as(self, account: int, id: str) -> list[tuple[str, int]]:
        return self.read(lambda db: db.execute(SENT_AS, (account, id, MAX_SENT_AS)).fetchall())


def interruptible(db: sqlite3.Connection, statement: str, parameters: dict[str, Any]) -> list[Any]:
    """Execute a statement. Raises `Interrupted` where it was told to stop."""
    try:
        return db.execute(statement, parameters).fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise Interrupted from error
        raise


def _rows(db: sqlite3.Connection, numbers: Iterable[int]) -> Iterator[tuple[Any, ...]]:
    for number in numbers:
        yield from db.execute(FOUND, (number,))


def _sent(row: tuple[Any, ...]) -> Sent:
    sender, to, time, size, erased, device_id, device, id = row
    return Sent(sender, to, time, size, bool(erased), device_id, device, id)
