"""Messages in SQLite: appended, acknowledged, paged and searched."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from gmessenger.chat.contract import Done, Page, Post, Remembered
from gmessenger.store import statements
from gmessenger.store.database import Database
from gmessenger.store.folding import query

SEARCH: Final = (
    'SELECT c.key, m.seq, m.sender, m."to", m.text, m.time, m.device_id, m.client_id, m.erased FROM words w '
    "JOIN messages m ON m.rowid = w.rowid JOIN conversations c ON c.id = m.conversation_id "
    "JOIN participants p ON p.conversation_id = c.id AND p.account_id = :account AND m.seq >= p.visible "
    "WHERE words MATCH :words AND (:conversation IS NULL OR c.key = :conversation) AND NOT m.erased "
    "ORDER BY w.rowid DESC LIMIT :limit"
)


class Messages(Database):
    """The part of the contract that is about what was said."""

    def append(self, post: Post, done: Done) -> None:
        self.posts.add(post, done)
        self.commits.wake()

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        key = (device, conversation)
        self.cursors[key] = max(seq, self.cursors.get(key, 0))
        self.commits.soon()

    def mark_read(self, account: int, conversation: str, seq: int) -> None:
        self.commits.change(lambda db: statements.READ(db, account=account, conversation=conversation, seq=seq))

    def backlog(self, account: int) -> dict[str, int]:
        return self.read(lambda db: dict(statements.HEADS(db, account=account).fetchall()))

    def page(self, conversation: str, after: int, limit: int) -> list[Remembered]:
        return self.read(lambda db: shown(statements.AFTER(db, conversation=conversation, after=after, limit=limit)))

    def visible_from(self, account: int, conversation: str) -> int | None:
        row = self.read(lambda db: statements.VISIBLE(db, account=account, conversation=conversation).fetchone())
        return int(row[0]) if row else None

    def history(self, conversation: str, visible: int, before: int | None, after: int | None, limit: int) -> Page:
        def find(db: sqlite3.Connection) -> Page:
            row = statements.CONVERSATION(db, key=conversation).fetchone()
            first = max(visible, row[2] if row else 1)
            if after is not None:
                start = max(after, first - 1)
                found = shown(statements.AFTER(db, conversation=conversation, after=start, limit=limit + 1))
                return Page(found[:limit], first, len(found) > limit)
            end = before if before is not None else 2**62
            found = shown(
                statements.BEFORE(db, conversation=conversation, before=end, visible=visible, limit=limit + 1)
            )
            return Page(found[:limit][::-1], first, len(found) > limit)

        return self.read(find)

    def search(self, account: int, text: str, conversation: str | None, limit: int) -> list[Remembered]:
        if not (words := query(text)):
            return []
        parameters = {"account": account, "words": words, "conversation": conversation, "limit": limit}
        return self.read(lambda db: shown(db.execute(SEARCH, parameters)))


def remembered(row: tuple[Any, ...]) -> Remembered:
    """A message from its columns, in the order of the record's fields."""
    conversation, seq, sender, to, text, time, device, id, erased = row
    return Remembered(conversation, seq, sender, to, text, time, device, id, bool(erased))


def shown(rows: sqlite3.Cursor) -> list[Remembered]:
    return [remembered(row) for row in rows.fetchall()]
