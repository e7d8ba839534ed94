"""A store in PostgreSQL as tables: all the rows of one that no node has open, and an empty one filled with such rows.

Both are one transaction: what is read is of one moment, and what is written is nobody's before all of it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from gmessenger.cluster.contract import LEASE
from gmessenger.errors import FileProblem, ServerRunning
from gmessenger.store.common import IDENTITY
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.address import Address, said
from gmessenger.store.postgres.inspecting import living
from gmessenger.store.postgres.words import storable, vector
from gmessenger.store.tables import TABLES, Refused, Row, Table, refuse

CANNOT_BE_KEPT: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    UnicodeError,
)
"""What is wrong with a row itself."""
PATIENCE: Final = 30.0
AT_A_TIME: Final = 2000
UNHURRIED: Final = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '5s'"
STILL_UNHURRIED: Final = "SET LOCAL statement_timeout = 0"
"""In a transaction in which the schema was made: that has set a limit of its own."""
BE: Final = "UPDATE facts SET value = %s WHERE name = 'identity'"
ALL: Final = SQL("SELECT {} FROM {}")
COUNT: Final = SQL("SELECT count(*) FROM {}")
HOLD: Final = SQL("LOCK TABLE {} IN SHARE MODE")
TAKE: Final = SQL("COPY {} ({}) FROM STDIN")
SEQUENCE: Final = "SELECT pg_get_serial_sequence(%s, 'id')"
LAST_ID: Final = SQL("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}")
NUMBER_FROM: Final = "SELECT setval(%s, %s)"


class Rows:
    """A database's tables, within a transaction."""

    def __init__(self, db: Connection[Any]) -> None:
        self._db = db
        self._keys: dict[int, str] = {}
        """Of the conversations that were taken: they come before their messages."""
        self.refused: Refused = refuse

    @property
    def identity(self) -> str:
        return str(self._one(IDENTITY))

    def rows(self, table: Table) -> Iterator[Row]:
        with self._db.cursor(f"all_{table.name}") as cursor:
            cursor.itersize = AT_A_TIME
            yield from cursor.execute(ALL.format(_columns(table), Identifier(table.name)))

    def count(self, table: Table) -> int:
        return int(self._one(COUNT.format(Identifier(table.name))))

    def last_id(self, table: Table) -> int:
        return int(self._one(LAST_ID.format(SQL(self._sequence(table)))))

    def fit(self, row: Row) -> Row:
        fits = tuple(storable(value) if isinstance(value, str) else value for value in row)
        return row if fits == row else fits

    def take(self, table: Table, rows: Iterator[Row]) -> None:
        if table.name == "conversations":
            rows = self._noted(table, rows)
        while some := list(islice(rows, AT_A_TIME)):
            self._take(table, some)

    def _take(self, table: Table, rows: list[Row]) -> None:
        """Where there is one among them that cannot be held, it is looked for by halves."""
        try:
            with self._db.transaction():
                self._copy(table, rows)
        except CANNOT_BE_KEPT as error:
            half = len(rows) // 2
            if not half:
                return self.refused(rows[0], said(error))
            self._take(table, rows[:half])
            self._take(table, rows[half:])
        return None

    def _copy(self, table: Table, rows: list[Row]) -> None:
        of_messages = table.name == "messages"
        columns = SQL(", ").join([_columns(table), Identifier("words")]) if of_messages else _columns(table)
        truths = [table.columns.index(name) for name in table.truths]
        with self._db.cursor() as cursor, cursor.copy(TAKE.format(Identifier(table.name), columns)) as copy:
            for row in rows:
                copy.write_row(self._with_words(table, row) if of_messages else _true(row, truths))

    def number_from(self, table: Table, last: int) -> None:
        if last:
            self._db.execute(NUMBER_FROM, (self._sequence(table), last))

    def be(self, identity: str) -> None:
        self._db.execute(BE, (identity,))

    def _noted(self, table: Table, rows: Iterator[Row]) -> Iterator[Row]:
        id, key = (table.columns.index(name) for name in ("id", "key"))
        for row in rows:
            self._keys[row[id]] = row[key]
            yield row

    def _with_words(self, table: Table, row: Row) -> Row:
        text, erased, where = (table.columns.index(name) for name in ("text", "erased", "conversation_id"))
        words = None if row[erased] else vector(self._keys.get(row[where], ""), row[text])
        return (*_true(row, [erased]), words)

    def _sequence(self, table: Table) -> str:
        return str(self._one(SEQUENCE, (table.name,)))

    def _one(self, question: Any, parameters: tuple[Any, ...] = ()) -> Any:
        row = self._db.execute(question, parameters).fetchone()
        return row[0] if row else None


@contextmanager
def reading(url: str) -> Iterator[Rows]:
    """A database that no node has open. Raises `ServerRunning`, `FileProblem` or `ConfigProblem`."""
    address = Address(url, PATIENCE)
    with _at_leisure(address) as db:
        schema.migrate(db, address.shown)
        need_nobody(db, address)
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        for table in TABLES:  # a node that starts now waits, and is told so by its own patience
            db.execute(HOLD.format(Identifier(table.name)))
        yield Rows(db)
        db.execute("ROLLBACK")


@contextmanager
def filling(url: str) -> Iterator[Rows]:
    """A database without a store, or with one that has nothing in it. Raises as `reading`."""
    address = Address(url, PATIENCE)
    with _at_leisure(address) as db, db.transaction():
        schema.migrate(db, address.shown)
        db.execute(STILL_UNHURRIED)
        need_nobody(db, address)
        rows = Rows(db)
        full = [table.name for table in TABLES if rows.count(table)]
        if full:
            raise FileProblem(f"The store {address.shown} is not empty: it has {', '.join(full)}.")
        yield rows


def need_nobody(db: Connection[Any], address: Address) -> None:
    """Raises `ServerRunning` where nodes live."""
    if nodes := living(db):
        raise ServerRunning(
            f"Servers run on {address.shown}: {nodes}. Stop them first (one that was killed counts as running for "
            f"another {LEASE:g} s)."
        )


@contextmanager
def _at_leisure(address: Address) -> Iterator[Connection[Any]]:
    """A connection on which things may take long."""
    with address.first() as db:
        try:
            db.execute(UNHURRIED)
            yield db
        except psycopg.Error as error:
            raise FileProblem(f"The store {address.shown} cannot be copied: {said(error)}.") from error


def _columns(table: Table) -> Composed:
    return SQL(", ").join(map(Identifier, table.columns))


def _true(row: Row, truths: list[int]) -> Row:
    """The row with what is true or false as PostgreSQL has it."""
    return tuple(bool(value) if place in truths else value for place, value in enumerate(row)) if truths else row
