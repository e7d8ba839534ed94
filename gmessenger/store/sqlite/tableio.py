"""A SQLite store as plain tables: the source or the target of a transfer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from gmessenger.durability import sync_directory, sync_path
from gmessenger.errors import FileError
from gmessenger.store.common import DIGEST_KEY, FILES_ID, IDENTITY, VAPID_KEY, indexed_text
from gmessenger.store.sqlite.database import FILE_SUFFIXES
from gmessenger.store.sqlite.datafile import StoreLock
from gmessenger.store.sqlite.schema import MARK_ALL_INDEXED
from gmessenger.store.sqlite.search_index import find_newest_row, index_text
from gmessenger.store.sqlite.store import SqliteStore
from gmessenger.store.sqlite.usage import COUNT_ALL
from gmessenger.store.sqlite.verify import open_store_readonly
from gmessenger.store.tables import BadRowCallback, Table, TableRow

INSERT_BATCH: Final = 500  # rows
BAD_ROW_ERRORS: Final = (sqlite3.DataError, sqlite3.IntegrityError, OverflowError, UnicodeError)
"""Errors of a row itself."""
COLUMN_NAMES: Final = {("messages", "id"): "rowid"}
ROWID_TABLES: Final = ("messages",)
"""Tables without a sequence: the next id follows the highest."""
SET_DIGEST_KEY: Final = "UPDATE facts SET value = ? WHERE name = 'digest key'"
SET_FILES_ID: Final = "UPDATE facts SET value = ? WHERE name = 'files'"
SET_VAPID_KEY: Final = "INSERT OR REPLACE INTO facts VALUES ('vapid key', ?)"
SET_IDENTITY: Final = "UPDATE facts SET value = ? WHERE name = 'identity'"
LAST_ID: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?"
SET_SEQUENCE: Final = (
    "DELETE FROM sqlite_sequence WHERE name = :name",
    "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)",
)
INDEX_ROW: Final = "INSERT INTO words (rowid, folded) VALUES (?,?)"
# A target that was not finished is removed: no journal, no sync.
UNSAFE_PRAGMAS: Final = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN")
TEMPORARY_NAME: Final = "{}.copying"


class TableIO:
    """The tables of a database file, over one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @property
    def identity(self) -> str:
        return str(self._db.execute(IDENTITY).fetchone()[0])

    @property
    def digest_key(self) -> str:
        return str(self._db.execute(DIGEST_KEY).fetchone()[0])

    @property
    def files_id(self) -> str:
        return str(self._db.execute(FILES_ID).fetchone()[0])

    @property
    def vapid_key(self) -> str:
        row = self._db.execute(VAPID_KEY).fetchone()
        return str(row[0]) if row else ""

    def set_files_id(self, id: str) -> None:
        self._db.execute(SET_FILES_ID, (id,))

    def set_vapid_key(self, key: str) -> None:
        self._db.execute(SET_VAPID_KEY, (key,))

    def set_digest_key(self, key: str) -> None:
        self._db.execute(SET_DIGEST_KEY, (key,))

    def iter_rows(self, table: Table) -> Iterator[TableRow]:
        return self._db.execute(f"SELECT {_columns(table)} FROM {table.name}")  # noqa: S608

    def count(self, table: Table) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])  # noqa: S608

    def last_id(self, table: Table) -> int:
        if table.name in ROWID_TABLES:
            return find_newest_row(self._db)
        return int(self._db.execute(LAST_ID, (table.name,)).fetchone()[0])

    def convert_row(self, row: TableRow) -> TableRow:
        return row

    def insert_rows(self, table: Table, rows: Iterator[TableRow], on_bad_row: BadRowCallback) -> None:
        marks = ",".join("?" * len(table.columns))
        insert = f"INSERT INTO {table.name} ({_columns(table)}) VALUES ({marks})"  # noqa: S608
        while batch := list(islice(rows, INSERT_BATCH)):
            inserted = self._insert(insert, batch, on_bad_row)
            if table.name == "messages":
                self._index(table, inserted)
        if table.name == "messages":
            self._db.execute(MARK_ALL_INDEXED)

    def _insert(self, insert: str, rows: list[TableRow], on_bad_row: BadRowCallback) -> list[TableRow]:
        """Insert rows and return those that could be. There is no journal: it goes on behind a bad row."""
        remaining = iter(rows)
        taken: list[TableRow] = []

        def take() -> Iterator[TableRow]:
            for row in remaining:
                taken.append(row)
                yield row

        while True:
            try:
                self._db.executemany(insert, take())
            except BAD_ROW_ERRORS as error:  # of the row that was taken last
                on_bad_row(taken.pop(), str(error))
            else:
                return taken

    def set_sequence(self, table: Table, last: int) -> None:
        for statement in SET_SEQUENCE if table.name not in ROWID_TABLES else ():
            self._db.execute(statement, {"name": table.name, "last": last})

    def set_identity(self, identity: str) -> None:
        self._db.execute(SET_IDENTITY, (identity,))

    def _index(self, table: Table, rows: list[TableRow]) -> None:
        names = ("id", "conversation_id", "text", "what", "erased")
        id, conversation, text, what, erased = (table.columns.index(name) for name in names)
        self._db.executemany(
            INDEX_ROW,
            [
                (row[id], index_text(row[conversation], indexed_text(row[text], row[what])))
                for row in rows
                if not row[erased]
            ],
        )


@contextmanager
def open_source(file: Path) -> Iterator[TableIO]:
    """Open the store in a file as a source: migrated, locked, read-only.

    Raises `StoreLocked` or `FileError`. Blocks.
    """
    if not file.exists():
        raise FileError(f"The store {file} does not exist.")
    store = SqliteStore(file)  # which migrates
    store.finish_deletions()
    store.close()
    lock = StoreLock(file.resolve())
    try:
        with open_store_readonly(file) as db:
            yield TableIO(db)
    except sqlite3.Error as error:
        raise FileError(f"Cannot read the store {file}: {error}.") from error
    finally:
        lock.release()


@contextmanager
def open_sink(file: Path) -> Iterator[TableIO]:
    """Open a new store as a target; at the end of the block it is synced and gets its name.

    Raises `StoreLocked`, or `FileError` where the file exists or cannot be written; leaves nothing then. Blocks.
    """
    lock = StoreLock(file)
    temporary = file.with_name(TEMPORARY_NAME.format(file.name))
    try:
        if file.exists():
            raise FileError(f"The store {file} already exists.")
        _remove_files(temporary)
        SqliteStore(temporary).close()
        with closing(sqlite3.connect(temporary, isolation_level=None)) as db:
            for statement in UNSAFE_PRAGMAS:
                db.execute(statement)
            yield TableIO(db)
            db.execute(COUNT_ALL)
            db.execute("COMMIT")
        sync_path(temporary)
        temporary.rename(file)
        sync_directory(file.parent)
    except sqlite3.Error as error:
        raise FileError(f"Cannot write the store {file}: {error}.") from error
    finally:
        _remove_files(temporary)
        lock.release()


def _remove_files(database: Path) -> None:
    for suffix in (*FILE_SUFFIXES, "-journal", ".lock"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _columns(table: Table) -> str:
    return ", ".join(f'"{COLUMN_NAMES.get((table.name, name), name)}"' for name in table.columns)
