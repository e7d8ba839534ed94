"""Messages in SQLite: appended, acknowledged, paged and searched."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from gmessenger.chat.contract import Done
from gmessenger.chat.records import PAGE_TEXT, Hits, Page, Post, Remembered
from gmessenger.chat.way import Reader, Receiver, Sent, Way
from gmessenger.store import statements, usage
from gmessenger.store.database import Database
from gmessenger.store.folding import phrases
from gmessenger.store.index import UNINDEXED, match
from gmessenger.store.search import Interrupted, Newest, Place

PAGE: Final = 200
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
    'SELECT c.key, m.seq, m.sender, m."to", m.text, m.time, m.device_id, m.client_id, m.erased FROM messages m '
    "JOIN conversations c ON c.id = m.conversation_id WHERE m.rowid = ? AND NOT m.erased AND c.key NOT LIKE '!%'"
)
MOST_SENT_AS: Final = 20
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
            row = statements.READ(db, account=account, conversation=conversation, seq=seq).fetchone()
            return int(row[0]) if row else 0

        return self.commits.change(change)

    def backlog(self, account: int) -> dict[str, int]:
        return self.read(lambda db: dict(statements.HEADS(db, account=account).fetchall()))

    def page(self, account: int, conversation: str, after: int) -> Page:
        def find(db: sqlite3.Connection) -> Page:
            # Two questions: in one, the index would be entered at the first that may be read, not behind `after`.
            row = statements.VISIBLE(db, account=account, conversation=conversation).fetchone()
            if row is None:
                return Page([], False)
            start = max(after, row[0] - 1)
            return Page(*shown(statements.AFTER(db, conversation=conversation, after=start, limit=PAGE + 1), PAGE))

        return self.read(find)

    def visible_from(self, account: int, conversation: str) -> int | None:
        row = self.read(lambda db: statements.VISIBLE(db, account=account, conversation=conversation).fetchone())
        return int(row[0]) if row else None

    def history(self, conversation: str, visible: int, before: int | None, after: int | None, limit: int) -> Page:
        def find(db: sqlite3.Connection) -> Page:
            row = statements.CONVERSATION(db, key=conversation).fetchone()
            first = max(visible, row[2] if row else 1)
            if after is not None:
                start = max(after, first - 1)
                rows = statements.AFTER(db, conversation=conversation, after=start, limit=limit + 1)
                return Page(*shown(rows, limit), first)
            end = before if before is not None else 2**62
            rows = statements.BEFORE(db, conversation=conversation, before=end, visible=visible, limit=limit + 1)
            found, more = shown(rows, limit)
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
        messages, more = self.read(lambda db: shown(_rows(db, newest.rows), limit))
        return Hits(messages, more, incomplete)

    def usage(self, account: int | None) -> int:
        return self.read(lambda db: usage.find(db, account))

    def trace(self, conversation: str, seq: int) -> Way | None:
        def find(db: sqlite3.Connection) -> Way | None:
            row = statements.CONVERSATION(db, key=conversation).fetchone()
            if row is None:
                return None
            id, head, first = row
            sent = statements.SENT(db, conversation=id, seq=seq).fetchone()
            found = readers(statements.READERS(db, conversation=id))
            return Way(first, head, _sent(sent) if sent else None, found)

        moving = self.moving(conversation)
        way = self.read(find)
        for reader in way.readers if way is not None else ():
            for device in reader.devices:
                device.cursor = max(device.cursor, moving.get(device.id, 0))
        return way

    def sent_as(self, account: int, id: str) -> list[tuple[str, int]]:
        return self.read(lambda db: statements.SENT_AS(db, account=account, sent_as=id, limit=MOST_SENT_AS).fetchall())


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


def readers(rows: Iterable[tuple[Any, ...]]) -> list[Reader]:
    """Who takes part, from a row for each of their devices."""
    found: dict[int, Reader] = {}
    for account, visible, read, device, name, cursor in rows:
        reader = found.setdefault(account, Reader(account, visible, read, []))
        if device is not None:
            reader.devices.append(Receiver(device, name, cursor))
    return list(found.values())


def remembered(row: tuple[Any, ...]) -> Remembered:
    """A message from its columns, in the order of the record's fields."""
    conversation, seq, sender, to, text, time, device, id, erased = row
    return Remembered(conversation, seq, sender, to, text, time, device, id, bool(erased))


def shown(rows: Iterable[tuple[Any, ...]], limit: int) -> tuple[list[Remembered], bool]:
    """As many messages as a page may hold, and whether there are more."""
    found, more = cut(rows, limit)
    return [remembered(row) for row in found], more


def cut(rows: Iterable[tuple[Any, ...]], limit: int, text: int = 4) -> tuple[list[tuple[Any, ...]], bool]:
    """Rows of a query that asks for one more than `limit`, up to that or to `PAGE_TEXT`; `text` is its column."""
    found: list[tuple[Any, ...]] = []
    weight = 0
    for row in rows:
        if len(found) == limit or weight > PAGE_TEXT:
            return found, True
        found.append(row)
        weight += len(row[text])
    return found, False
