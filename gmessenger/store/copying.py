"""Copies of everything: as a file, and as pages of messages."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from gmessenger.chat.records import Placed
from gmessenger.errors import FileProblem
from gmessenger.store.database import Database
from gmessenger.store.messages import cut, remembered

COLUMNS: Final = 'm.rowid, c.key, m.seq, m.sender, m."to", m.text, m.time, m.device_id, m.client_id, m.erased'
TEXT: Final = 5
ALL: Final = (
    f"SELECT {COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation_id "  # noqa: S608
    "WHERE m.rowid > ? AND c.key NOT LIKE '!%' ORDER BY m.rowid LIMIT ?"
)
READABLE: Final = (
    # CROSS JOIN: the messages are walked once in their order, whoever asks, instead of being sorted for each page.
    f"SELECT {COLUMNS} FROM messages m CROSS JOIN conversations c CROSS JOIN participants p "  # noqa: S608
    "WHERE c.id = m.conversation_id AND p.conversation_id = c.id AND p.account_id = ? AND m.seq >= p.visible "
    "AND m.rowid > ? AND c.key NOT LIKE '!%' ORDER BY m.rowid LIMIT ?"
)


class Copying(Database):
    """The part of the contract that gives everything away."""

    def everything(self, after: int, limit: int, account: int | None = None) -> tuple[list[Placed], bool]:
        query, parameters = (ALL, (after, limit + 1)) if account is None else (READABLE, (account, after, limit + 1))
        rows, more = self.read(lambda db: cut(db.execute(query, parameters), limit, TEXT))
        return [Placed(row[0], remembered(row[1:])) for row in rows], more

    def backup(self, file: str) -> int:
        if not self.lasting:
            raise FileProblem("What is kept in memory cannot be backed up.")
        return self.read(lambda db: copy_into(db, Path(file)))


def copy_into(db: sqlite3.Connection, file: Path) -> int:
    """Write a database into a new file, in one piece and on disk when it returns; says how many bytes.

    Raises `FileProblem`.
    """
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise FileProblem(f"Cannot write {file}: {error.strerror}.") from error
    try:
        db.execute("VACUUM INTO ?", (str(file),))
        sync(file)
        sync(file.parent)
        return file.stat().st_size
    except (sqlite3.Error, OSError) as error:
        file.unlink(missing_ok=True)
        raise FileProblem(f"Cannot write {file}: {error}.") from error


def sync(path: Path) -> None:
    """Wait until a file, or what a directory says of its files, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
