"""Backups of a SQLite store: copies into a file, pages of messages for an export, and restoring."""

from __future__ import annotations

import datetime
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from gmessenger.chat.records import ExportedMessage
from gmessenger.durability import sync_directory
from gmessenger.errors import FileError
from gmessenger.store.common import VerifyReport, export_from_rows
from gmessenger.store.sqlite import schema
from gmessenger.store.sqlite.database import FILE_SUFFIXES, Database
from gmessenger.store.sqlite.datafile import StoreLock, check_not_served
from gmessenger.store.sqlite.file_copy import backup_error, copy_to_handle, copy_to_path, spare_path
from gmessenger.store.sqlite.file_rows import add_files
from gmessenger.store.sqlite.membership import NOT_ABSENT
from gmessenger.store.sqlite.messages import COLUMNS, COLUMNS_OF_LAST_EDITS, JOIN_AMENDED, MESSAGES
from gmessenger.store.sqlite.verify import open_store_readonly, verify_file

EXPORT_ALL: Final = (
    f"SELECT m.rowid, {COLUMNS} FROM {MESSAGES} "  # noqa: S608
    "WHERE m.rowid > :after AND c.key NOT LIKE '!%' ORDER BY m.rowid LIMIT :limit"
)
EXPORT_READABLE: Final = (
    # CROSS JOIN: messages are read once in the order of their rows, instead of being sorted for each page.
    f"SELECT m.rowid, {COLUMNS_OF_LAST_EDITS} FROM messages m CROSS JOIN conversations c ON c.id = m.conversation_id "  # noqa: S608
    "LEFT JOIN participants p ON p.conversation_id = c.id AND p.account_id = :account AND p.left_seq IS NULL "
    f"{JOIN_AMENDED} WHERE (m.account_id = :account OR m.seq >= p.visible AND {NOT_ABSENT}) "
    "AND m.rowid > :after AND c.key NOT LIKE '!%' ORDER BY m.rowid LIMIT :limit"
)


class BackupStore(Database):
    """The part of the store that exports messages and writes backups."""

    def export_page(self, after: int, limit: int, account: int | None = None) -> tuple[list[ExportedMessage], bool]:
        query = EXPORT_ALL if account is None else EXPORT_READABLE
        parameters = {"account": account, "after": after, "limit": limit + 1}

        def find(db: sqlite3.Connection) -> tuple[list[ExportedMessage], bool]:
            exported, more = export_from_rows(db.execute(query, parameters), limit)
            add_files(db, [each.message for each in exported])
            return exported, more

        return self.read(find)

    def backup(self, file: str, fd: int | None = None) -> int:
        if self._path is None:
            raise FileError("A store in memory cannot be backed up.")
        if fd is None:
            with self.backup_lock:
                return self.read(lambda db: copy_to_path(db, Path(file)))
        spare, target = spare_path(self._path.resolve()), os.fdopen(os.dup(fd), "r+b")

        def copy(db: sqlite3.Connection) -> int:
            try:
                with target:  # a duplicate: the caller may close its descriptor before this ends
                    return copy_to_handle(db, target, Path(file), spare)
            except OSError as error:  # closing writes again what could not be written, and may fail again
                raise backup_error(error) from error

        with self.backup_lock:
            return self.read(copy)


def restore_file(file: Path, store: Path) -> tuple[VerifyReport, Path | None]:
    """Replace a store with a verified backup; return the backup's report and the old store's new path.

    The backup is copied beside the store first, so that the exchange itself is only renaming. Blocks.

    Raises:
        StoreLocked: a process has the store open.
        FileError: the file is damaged or no backup, or the store cannot be written.
        ConfigError: the backup has a newer schema.
    """
    report = verify_file(file)
    if report.faults:
        raise FileError(f"{file} is damaged, and the store is unchanged: {report.faults[0]}")
    store = store.resolve()
    lock = StoreLock(store)
    try:
        check_not_served(store)
        fresh = store.with_name(f"{store.name}.restoring")
        fresh.unlink(missing_ok=True)
        with open_store_readonly(file) as db:
            copy_to_path(db, fresh)
        try:
            _renew_identity(fresh)
        except sqlite3.Error as error:
            fresh.unlink()
            raise FileError(f"Cannot write {fresh}: {error}.") from error
        old = _move_aside(store) if store.exists() else None
        fresh.rename(store)
        sync_directory(store.parent)
    finally:
        lock.release()
    return report, old


def _renew_identity(store: Path) -> None:
    """Give the store a new identity, so that clients do not take seqs given from now on for known ones."""
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        if db.execute("PRAGMA user_version").fetchone()[0] >= schema.WITH_FACTS:
            db.execute(schema.NEW_IDENTITY)


def _move_aside(store: Path) -> Path:
    """Rename the store with its log, so that it can still be opened; return its new path."""
    old = store.with_name(f"{store.name}.{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}")
    if old.exists():
        raise FileError(f"The file {old} already exists.")
    for part in reversed(FILE_SUFFIXES):
        if (path := store.with_name(store.name + part)).exists():
            path.rename(old.with_name(old.name + part))
    return old
