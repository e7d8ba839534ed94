"""Copies of everything: as a file, and as pages of messages."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from gmessenger.chat.records import Placed
from gmessenger.errors import FileProblem
from gmessenger.store.backups import copy_into, copy_to, spare_of
from gmessenger.store.common import cut_rows, to_message
from gmessenger.store.database import Database
from gmessenger.store.messages import COLUMNS

TEXT: Final = 5
"""Its column, behind the row's number."""
ALL: Final = (
    f"SELECT m.rowid, {COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation_id "  # noqa: S608
    "WHERE m.rowid > ? AND c.key NOT LIKE '!%' ORDER BY m.rowid LIMIT ?"
)
READABLE: Final = (
    # CROSS JOIN: the messages are walked once in their order, whoever asks, instead of being sorted for each page.
    f"SELECT m.rowid, {COLUMNS} FROM messages m CROSS JOIN conversations c CROSS JOIN participants p "  # noqa: S608
    "WHERE c.id = m.conversation_id AND p.conversation_id = c.id AND p.account_id = ? AND m.seq >= p.visible "
    "AND m.rowid > ? AND c.key NOT LIKE '!%' ORDER BY m.rowid LIMIT ?"
)


class Copying(Database):
    """The part of the contract that gives everything away."""

    def everything(self, after: int, limit: int, account: int | None = None) -> tuple[list[Placed], bool]:
        query, parameters = (ALL, (after, limit + 1)) if account is None else (READABLE, (account, after, limit + 1))
        rows, more = self.read(lambda db: cut_rows(db.execute(query, parameters), limit, TEXT))
        return [Placed(row[0], to_message(row[1:])) for row in rows], more

    def backup(self, file: str, handle: int | None = None) -> int:
        if self._path is None:
            raise FileProblem("A store in memory cannot be backed up.")
        if handle is None:
            with self.copying:
                return self.read(lambda db: copy_into(db, Path(file)))
        spare, target = spare_of(self._path.resolve()), os.fdopen(os.dup(handle), "r+b")

        def work(db: sqlite3.Connection) -> int:
            with target:  # the thread's own: who handed it over may be gone before this ends
                return copy_to(db, target, Path(file), spare)

        with self.copying:
            return self.read(work)
