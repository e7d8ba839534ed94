"""A SQLite store as tables: all the rows of one that nobody has open, and a new one made of such rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from gmessenger.durability import sync_directory
from gmessenger.errors import FileProblem
from gmessenger.store.backups import sync_path
from gmessenger.store.common import IDENTITY
from gmessenger.store.index import indexed
from gmessenger.store.lock import Lock
from gmessenger.store.sqlite import SqliteStore
from gmessenger.store.tables import Refused, Row, Table, refuse
from gmessenger.store.usage import COUNT_ALL
from gmessenger.store.verifying import reading as reading_file

SLICE: Final = 500
CANNOT_BE_KEPT: Final = (sqlite3.DataError, sqlite3.IntegrityError, OverflowError, UnicodeError)
"""What is wrong with a row itself."""
NAMED_HERE: Final = {("messages", "id"): "rowid"}
ROWS: Final = ("messages",)
"""Tables whose rows are numbered by their place: the next one comes behind the last."""
BE: Final = "UPDATE facts SET value = ? WHERE name = 'identity'"
LAST_ID: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?"
LAST_ROW: Final = "SELECT coalesce(max(rowid), 0) FROM messages"
NUMBER_FROM: Final = (
    "DELETE FROM sqlite_sequence WHERE name = :name",
    "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)",
)
WORDS: Final = "INSERT INTO words (rowid, folded) VALUES (?,?)"
# Of what is not whole at the end nothing is kept.
HASTE: Final = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN")
COPYING: Final = "{}.copying"


class Rows:
    """A file's tables."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.refused: Refused = refuse

    @property
    def identity(self) -> str:
        return str(self._db.execute(IDENTITY).fetchone()[0])

    def rows(self, table: Table) -> Iterator[Row]:
        return self._db.execute(f"SELECT {_columns(table)} FROM {table.name}")  # noqa: S608

    def count(self, table: Table) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])  # noqa: S608

    def last_id(self, table: Table) -> int:
        if table.name in ROWS:
            return int(self._db.execute(LAST_ROW).fetchone()[0])
        return int(self._db.execute(LAST_ID, (table.name,)).fetchone()[0])

    def fit(self, row: Row) -> Row:
        return row

    def take(self, table: Table, rows: Iterator[Row]) -> None:
        marks = ",".join("?" * len(table.columns))
        insert = f"INSERT INTO {table.name} ({_columns(table)}) VALUES ({marks})"  # noqa: S608
        while some := list(islice(rows, SLICE)):
            taken = self._insert(insert, some)
            if table.name == "messages":
                self._index(table, taken)

    def _insert(self, insert: str, rows: list[Row]) -> list[Row]:
        """Those of them that can be held. (There is no journal to roll back with: it goes on behind a bad one.)"""
        left = iter(rows)
        taken: list[Row] = []

        def given() -> Iterator[Row]:
            for row in left:
                taken.append(row)
                yield row

        while True:
            try:
                self._db.executemany(insert, given())
            except CANNOT_BE_KEPT as error:  # the row that was given last
                self.refused(taken.pop(), str(error))
            else:
                return taken

    def number_from(self, table: Table, last: int) -> None:
        for statement in NUMBER_FROM if table.name not in ROWS else ():
            self._db.execute(statement, {"name": table.name, "last": last})

    def be(self, identity: str) -> None:
        self._db.execute(BE, (identity,))

    def _index(self, table: Table, rows: list[Row]) -> None:
        id, where, text, erased = (table.columns.index(name) for name in ("id", "conversation_id", "text", "erased"))
        self._db.executemany(WORDS, [(row[id], indexed(row[where], row[text])) for row in rows if not row[erased]])


@contextmanager
def reading(file: Path) -> Iterator[Rows]:
    """The store in a file, brought to this program's schema and locked. Raises `StoreInUse` or `FileProblem`."""
    if not file.exists():
        raise FileProblem(f"The store {file} does not exist.")
    store = SqliteStore(file)
    store.tidy()
    store.close()
    lock = Lock(file.resolve())
    try:
        with reading_file(file) as db:
            yield Rows(db)
    except sqlite3.Error as error:
        raise FileProblem(f"Cannot read the store {file}: {error}.") from error
    finally:
        lock.release()


@contextmanager
def filling(file: Path) -> Iterator[Rows]:
    """A store in a new file, which gets its name when it is intact. Raises `StoreInUse` or `FileProblem`."""
    lock = Lock(file)
    fresh = file.with_name(COPYING.format(file.name))
    try:
        if file.exists():
            raise FileProblem(f"The store {file} already exists.")
        _remove(fresh)
        SqliteStore(fresh).close()
        with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            for statement in HASTE:
                db.execute(statement)
            yield Rows(db)
            db.execute(COUNT_ALL)
            db.execute("COMMIT")
        sync_path(fresh)
        fresh.rename(file)
        sync_directory(file.parent)
    except sqlite3.Error as error:
        raise FileProblem(f"Cannot write the store {file}: {error}.") from error
    finally:
        _remove(fresh)
        lock.release()


def _remove(fresh: Path) -> None:
    for part in ("", "-wal", "-shm", "-journal", ".lock"):
        fresh.with_name(fresh.name + part).unlink(missing_ok=True)


def _columns(table: Table) -> str:
    return ", ".join(f'"{NAMED_HERE.get((table.name, name), name)}"' for name in table.columns)
