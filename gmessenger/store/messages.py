"""Messages in SQLite: appended, acknowledged, paged, searched, erased and pruned."""

from __future__ import annotations

import sqlite3
from typing import Final

from gmessenger.chat.contract import Done, Page, Post, Remembered
from gmessenger.store import statements
from gmessenger.store.database import Database
from gmessenger.store.folding import fold, query

SEARCH: Final = (
    'SELECT c.key, m.seq, m.sender, m."to", m.text, m.time, m.device_id, m.client_id, m.erased FROM words w '
    "JOIN messages m ON m.rowid = w.rowid JOIN conversations c ON c.id = m.conversation_id "
    "JOIN participants p ON p.conversation_id = c.id AND p.account_id = :account AND m.seq >= p.visible "
    "WHERE words MATCH :words AND (:conversation IS NULL OR c.key = :conversation) AND NOT m.erased "
    "ORDER BY w.rowid DESC LIMIT :limit"
)
DROP_WORDS: Final = "INSERT INTO words (words, rowid, folded) VALUES ('delete', ?, ?)"


class Messages(Database):
    """The part of the contract that is about what was said."""

    def append(self, post: Post, done: Done) -> None:
        self.posts.add(post, done)
        self.commits.wake()

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        key = (device, conversation)
        self.cursors[key] = max(seq, self.cursors.get(key, 0))
        self.commits.wake()

    def mark_read(self, account: int, conversation: str, seq: int) -> None:
        self.commits.change(lambda db: statements.READ(db, account=account, conversation=conversation, seq=seq))

    def backlog(self, account: int) -> dict[str, int]:
        return self.read(lambda db: dict(statements.HEADS(db, account=account).fetchall()))

    def page(self, conversation: str, after: int, limit: int) -> list[Remembered]:
        return self.read(lambda db: _shown(statements.AFTER(db, conversation=conversation, after=after, limit=limit)))

    def visible_from(self, account: int, conversation: str) -> int | None:
        row = self.read(lambda db: statements.VISIBLE(db, account=account, conversation=conversation).fetchone())
        return int(row[0]) if row else None

    def history(self, conversation: str, visible: int, before: int | None, after: int | None, limit: int) -> Page:
        def find(db: sqlite3.Connection) -> Page:
            row = statements.CONVERSATION(db, key=conversation).fetchone()
            first = max(visible, row[2] if row else 1)
            if after is not None:
                start = max(after, first - 1)
                found = _shown(statements.AFTER(db, conversation=conversation, after=start, limit=limit + 1))
                return Page(found[:limit], first, len(found) > limit)
            end = before if before is not None else 2**62
            found = _shown(
                statements.BEFORE(db, conversation=conversation, before=end, visible=visible, limit=limit + 1)
            )
            return Page(found[:limit][::-1], first, len(found) > limit)

        return self.read(find)

    def search(self, account: int, text: str, conversation: str | None, limit: int) -> list[Remembered]:
        if not (words := query(text)):
            return []
        parameters = {"account": account, "words": words, "conversation": conversation, "limit": limit}
        return self.read(lambda db: _shown(db.execute(SEARCH, parameters)))

    def forget(self, account: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            rows = db.execute(
                "SELECT m.rowid, m.text FROM messages m JOIN devices d ON d.id = m.device_id "
                "WHERE d.account_id = ? AND NOT m.erased",
                (account,),
            ).fetchall()
            _unindex(db, rows)
            db.executemany("UPDATE messages SET text = '', erased = 1 WHERE rowid = ?", [(row[0],) for row in rows])
            return len(rows)

        return self.commits.change(change)

    def prune(self, before: float) -> int:
        def change(db: sqlite3.Connection) -> int:
            # A conversation keeps an unbroken end: nothing goes whose successor stays for being older.
            dropped = drop_messages(
                db,
                "seq < (SELECT coalesce(min(k.seq), c.head + 1) FROM conversations c LEFT JOIN messages k "
                "ON k.conversation_id = c.id AND k.time >= ? WHERE c.id = messages.conversation_id)",
                before,
            )
            db.execute(
                "UPDATE conversations SET first = coalesce("
                "(SELECT min(seq) FROM messages WHERE conversation_id = conversations.id), head + 1)"
            )
            return dropped

        return self.commits.change(change)


def _shown(rows: sqlite3.Cursor) -> list[Remembered]:
    return [
        Remembered(key, seq, sender, to, text, time, device, id, bool(erased))
        for key, seq, sender, to, text, time, device, id, erased in rows.fetchall()
    ]


def drop_messages(db: sqlite3.Connection, condition: str, parameter: float) -> int:
    rows = db.execute(f"SELECT rowid, text FROM messages WHERE {condition}", (parameter,)).fetchall()  # noqa: S608
    _unindex(db, rows)
    db.executemany("DELETE FROM messages WHERE rowid = ?", [(row[0],) for row in rows])
    return len(rows)


def _unindex(db: sqlite3.Connection, rows: list[tuple[int, str]]) -> None:
    db.executemany(DROP_WORDS, [(row, fold(text)) for row, text in rows if text])
