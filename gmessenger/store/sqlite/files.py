"""Files in SQLite: those that wait to be sent, and those that messages have."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from gmessenger.chat.records import FileUsage, StoredFile
from gmessenger.errors import AccountDeleted, FileQuotaExceeded, FilesFull
from gmessenger.store.common import FILES_ID
from gmessenger.store.files import stored_file_from_row
from gmessenger.store.sqlite.database import Database

FIND: Final = (
    "SELECT id, name, type, size, width, height, digest, account_id, time, seq IS NOT NULL FROM files WHERE id = ?"
)
HAS_ACCOUNT: Final = "SELECT 1 FROM accounts WHERE id = ?"
ADD: Final = (
    "INSERT INTO files (id, name, type, size, width, height, digest, account_id, time) VALUES (?,?,?,?,?,?,?,?,?)"
)
DROP: Final = "DELETE FROM files WHERE id = ? AND seq IS NULL"
EXPIRE: Final = "DELETE FROM files WHERE seq IS NULL AND time < ?"
USAGE: Final = "SELECT count, size FROM file_usage WHERE account_id = ?"
USAGE_OF_ALL: Final = "SELECT coalesce(sum(count), 0), coalesce(sum(size), 0) FROM file_usage"
USED: Final = "SELECT DISTINCT digest FROM files WHERE digest IN (SELECT value FROM json_each(?))"
DROPPED: Final = "SELECT id, digest FROM dropped_contents ORDER BY id LIMIT ?"
FORGET: Final = "DELETE FROM dropped_contents WHERE id IN (SELECT value FROM json_each(?))"


class FileStore(Database):
    """The part of the store that has files."""

    @property
    def files_id(self) -> str:
        return str(self.read(lambda db: db.execute(FILES_ID).fetchone()[0]))

    def add_file(self, file: StoredFile, of_one: int, of_all: int) -> None:
        info = file.info
        values = (info.id, info.name, info.type, info.size, info.width, info.height)

        def change(db: sqlite3.Connection) -> None:
            if db.execute(HAS_ACCOUNT, (file.account,)).fetchone() is None:
                raise AccountDeleted
            db.execute(ADD, (*values, file.digest, file.account, file.time))
            if db.execute(USAGE, (file.account,)).fetchone()[1] > of_one:
                raise FileQuotaExceeded(limit=of_one)
            if db.execute(USAGE_OF_ALL).fetchone()[1] > of_all:
                raise FilesFull

        self.writer.execute(change)

    def find_file(self, id: str) -> StoredFile | None:
        row = self.read(lambda db: db.execute(FIND, (id,)).fetchone())
        return stored_file_from_row(row) if row is not None else None

    def drop_file(self, id: str) -> None:
        self.writer.execute(lambda db: db.execute(DROP, (id,)))

    def expire_files(self, before: float) -> int:
        return self.writer.execute(lambda db: db.execute(EXPIRE, (before,)).rowcount)

    def file_usage(self, account: int | None = None) -> FileUsage:
        query, values = (USAGE_OF_ALL, ()) if account is None else (USAGE, (account,))
        row = self.read(lambda db: db.execute(query, values).fetchone())
        return FileUsage(*row) if row is not None else FileUsage()

    def used_contents(self, digests: Sequence[str]) -> set[str]:
        return self.read(lambda db: {digest for (digest,) in db.execute(USED, (json.dumps(list(digests)),))})

    def dropped_contents(self, limit: int) -> list[tuple[int, str]]:
        return self.read(lambda db: db.execute(DROPPED, (limit,)).fetchall())

    def forget_dropped(self, numbers: Sequence[int]) -> None:
        self.writer.execute(lambda db: db.execute(FORGET, (json.dumps(list(numbers)),)))
