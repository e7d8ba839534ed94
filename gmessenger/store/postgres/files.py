"""Files in PostgreSQL: those that wait to be sent, and those that messages have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gmessenger.chat.records import FileUsage, StoredFile, StoredMessage
from gmessenger.errors import AccountDeleted, FileQuotaExceeded, FilesFull
from gmessenger.store.amendments import seqs_by_conversation
from gmessenger.store.common import FILES_ID
from gmessenger.store.files import attach_files, stored_file_from_row
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.pool import PgConnection

FILES_LOCK: Final = 0x676D6669  # "gmfi": an advisory lock, under which files are added and what is kept is summed
TAKE_LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
LOCK_ACCOUNT: Final = "SELECT FROM accounts WHERE id = %s FOR KEY SHARE"
"""Nothing must be added to an account that is being deleted."""
FIND: Final = (
    "SELECT id, name, type, size, width, height, digest, account_id, time, seq IS NOT NULL FROM files WHERE id = %s"
)
ADD: Final = (
    "INSERT INTO files (id, name, type, size, width, height, digest, account_id, time) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
DROP: Final = "DELETE FROM files WHERE id = %s AND seq IS NULL"
EXPIRE: Final = "DELETE FROM files WHERE seq IS NULL AND time < %s"
USAGE: Final = (
    "SELECT coalesce(sum(count), 0)::bigint, coalesce(sum(size), 0)::bigint FROM file_usage WHERE account_id = %s"
)
USAGE_OF_ALL: Final = "SELECT coalesce(sum(count), 0)::bigint, coalesce(sum(size), 0)::bigint FROM file_usage"
USED: Final = "SELECT DISTINCT digest FROM files WHERE digest = ANY(%s)"
DROPPED: Final = "SELECT id, digest FROM dropped_contents ORDER BY id LIMIT %s"
FORGET: Final = "DELETE FROM dropped_contents WHERE id = ANY(%s)"
OF_MESSAGES: Final = (
    "SELECT c.key, f.seq, f.id, f.name, f.type, f.size, f.width, f.height FROM conversations c "
    "JOIN files f ON f.conversation_id = c.id AND f.seq = ANY(%s) WHERE c.key = %s"
)


class FileStore(Database):
    """The part of the store that has files."""

    @property
    def files_id(self) -> str:
        ((id,),) = self.read(lambda db: db.execute(FILES_ID).fetchall())
        return str(id)

    def add_file(self, file: StoredFile, of_one: int, of_all: int) -> None:
        info = file.info
        values = (info.id, info.name, info.type, info.size, info.width, info.height)

        def change(db: PgConnection) -> None:
            if db.execute(LOCK_ACCOUNT, (file.account,)).fetchone() is None:
                raise AccountDeleted
            db.execute(TAKE_LOCK, (FILES_LOCK,))
            db.execute(ADD, (*values, file.digest, file.account, file.time))
            if db.execute(USAGE, (file.account,)).fetchall()[0][1] > of_one:
                raise FileQuotaExceeded(limit=of_one)
            if db.execute(USAGE_OF_ALL).fetchall()[0][1] > of_all:
                raise FilesFull

        self.write(change)

    def find_file(self, id: str) -> StoredFile | None:
        row = self.read(lambda db: db.execute(FIND, (id,)).fetchone())
        return stored_file_from_row(row) if row is not None else None

    def drop_file(self, id: str) -> None:
        self.write(lambda db: db.execute(DROP, (id,)))

    def expire_files(self, before: float) -> int:
        return self.write(lambda db: db.execute(EXPIRE, (before,)).rowcount)

    def file_usage(self, account: int | None = None) -> FileUsage:
        def find(db: PgConnection) -> FileUsage:
            rows = db.execute(USAGE_OF_ALL) if account is None else db.execute(USAGE, (account,))
            return FileUsage(*rows.fetchall()[0])

        return self.read(find)

    def used_contents(self, digests: Sequence[str]) -> set[str]:
        return {digest for (digest,) in self.read(lambda db: db.execute(USED, (list(digests),)).fetchall())}

    def dropped_contents(self, limit: int) -> list[tuple[int, str]]:
        return self.read(lambda db: db.execute(DROPPED, (limit,)).fetchall())

    def forget_dropped(self, numbers: Sequence[int]) -> None:
        self.write(lambda db: db.execute(FORGET, (list(numbers),)))


def add_files(db: PgConnection, messages: Sequence[StoredMessage]) -> None:
    """Read the files of the messages of a page."""
    for conversation, seqs in seqs_by_conversation(messages).items():
        attach_files(messages, db.execute(OF_MESSAGES, (seqs, conversation)).fetchall())
