"""A store in PostgreSQL as tables: all the rows of one that no node has open, and an empty one filled with such rows.

Both are one transaction: what is read is of one moment, and what is written is nobody's before all of it is there.

A database that a dump was read into: another store, though it may look like the one that was there before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from gmessenger.cluster.interfaces import LEASE_TTL
from gmessenger.errors import FileError, ServerRunning
from gmessenger.store.common import IDENTITY, bisect_bad
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.pool import ConnectionSettings, describe_error
from gmessenger.store.postgres.tsvector import make_tsvector, replace_nul
from gmessenger.store.postgres.verify import count_live_nodes
from gmessenger.store.tables import TABLES, BadRowCallback, Table, TableRow

BAD_ROW_ERRORS: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    UnicodeError,
)
"""What is wrong with a row itself."""
TRANSFER_TIMEOUT: Final = 30.0
COPY_BATCH: Final = 2000
NO_TIMEOUTS: Final = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '5s'"
NO_LOCAL_TIMEOUT: Final = "SET LOCAL statement_timeout = 0"
"""In a transaction in which the schema was made: that has set a limit of its own."""
SET_IDENTITY: Final = "UPDATE facts SET value = %s WHERE name = 'identity'"
SELECT_ROWS: Final = SQL("SELECT {} FROM {}")
COUNT_ROWS: Final = SQL("SELECT count(*) FROM {}")
LOCK_TABLE: Final = SQL("LOCK TABLE {} IN SHARE MODE")
COPY_ROWS: Final = SQL("COPY {} ({}) FROM STDIN")
FIND_SEQUENCE: Final = "SELECT pg_get_serial_sequence(%s, 'id')"
LAST_ID: Final = SQL("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}")
SET_SEQUENCE: Final = "SELECT setval(%s, %s)"


class TableIO:
    """A database's tables, within a transaction."""

    def __init__(self, db: Connection[Any]) -> None:
        self._db = db
        self._conversation_keys: dict[int, str] = {}
        """Of the conversations that were taken: they come before their messages."""

    @property
    def identity(self) -> str:
        return str(self._select_value(IDENTITY))

    def iter_rows(self, table: Table) -> Iterator[TableRow]:
        with self._db.cursor(f"all_{table.name}") as cursor:
            cursor.itersize = COPY_BATCH
            yield from cursor.execute(SELECT_ROWS.format(_columns(table), Identifier(table.name)))

    def count(self, table: Table) -> int:
        return int(self._select_value(COUNT_ROWS.format(Identifier(table.name))))

    def last_id(self, table: Table) -> int:
        return int(self._select_value(LAST_ID.format(SQL(self._sequence(table)))))

    def convert_row(self, row: TableRow) -> TableRow:
        fits = tuple(replace_nul(value) if isinstance(value, str) else value for value in row)
        return row if fits == row else fits

    def insert_rows(self, table: Table, rows: Iterator[TableRow], on_bad_row: BadRowCallback) -> None:
        if table.name == "conversations":
            rows = self._note_keys(table, rows)
        while some := list(islice(rows, COPY_BATCH)):
            bisect_bad(
                some,
                partial(self._copy_rows, table),
                lambda row, error: on_bad_row(row, describe_error(error)),
                BAD_ROW_ERRORS,
            )

    def _copy_rows(self, table: Table, rows: Sequence[TableRow]) -> None:
        """Copy rows into a table in a savepoint of their own. Raises psycopg's errors."""
        of_messages = table.name == "messages"
        columns = SQL(", ").join([_columns(table), Identifier("words")]) if of_messages else _columns(table)
        truths = [table.columns.index(name) for name in table.booleans]
        statement = COPY_ROWS.format(Identifier(table.name), columns)
        with self._db.transaction(), self._db.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(self._with_vector(table, row) if of_messages else _convert_booleans(row, truths))

    def set_sequence(self, table: Table, last: int) -> None:
        if last:
            self._db.execute(SET_SEQUENCE, (self._sequence(table), last))

    def set_identity(self, identity: str) -> None:
        self._db.execute(SET_IDENTITY, (identity,))

    def _note_keys(self, table: Table, rows: Iterator[TableRow]) -> Iterator[TableRow]:
        id, key = (table.columns.index(name) for name in ("id", "key"))
        for row in rows:
            self._conversation_keys[row[id]] = row[key]
            yield row

    def _with_vector(self, table: Table, row: TableRow) -> TableRow:
        text, erased, where = (table.columns.index(name) for name in ("text", "erased", "conversation_id"))
        words = None if row[erased] else make_tsvector(self._conversation_keys.get(row[where], ""), row[text])
        return (*_convert_booleans(row, [erased]), words)

    def _sequence(self, table: Table) -> str:
        return str(self._select_value(FIND_SEQUENCE, (table.name,)))

    def _select_value(self, query: Any, parameters: tuple[Any, ...] = ()) -> Any:
        row = self._db.execute(query, parameters).fetchone()
        return row[0] if row else None


@contextmanager
def open_source(url: str) -> Iterator[TableIO]:
    """A database that no node has open. Raises `ServerRunning`, `FileError` or `ConfigError`."""
    address = ConnectionSettings(url, TRANSFER_TIMEOUT)
    with _connect_unlimited(address) as db:
        schema.migrate(db, address.shown_url)
        require_no_nodes(db, address)
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        for table in TABLES:  # a node that starts now waits, and is told so by its own patience
            db.execute(LOCK_TABLE.format(Identifier(table.name)))
        yield TableIO(db)
        db.execute("ROLLBACK")


@contextmanager
def open_sink(url: str) -> Iterator[TableIO]:
    """A database without a store, or with one that has nothing in it. Raises as `reading`."""
    address = ConnectionSettings(url, TRANSFER_TIMEOUT)
    with _connect_unlimited(address) as db, db.transaction():
        schema.migrate(db, address.shown_url)
        db.execute(NO_LOCAL_TIMEOUT)
        require_no_nodes(db, address)
        rows = TableIO(db)
        full = [table.name for table in TABLES if rows.count(table)]
        if full:
            raise FileError(f"The store {address.shown_url} is not empty: it has {', '.join(full)}.")
        yield rows


def require_no_nodes(db: Connection[Any], settings: ConnectionSettings) -> None:
    """Raises `ServerRunning` where nodes live."""
    if nodes := count_live_nodes(db):
        raise ServerRunning(
            f"Servers run on {settings.shown_url}: {nodes}. Stop them first (one that was killed counts as running for "
            f"another {LEASE_TTL:g} s)."
        )


@contextmanager
def _connect_unlimited(settings: ConnectionSettings) -> Iterator[Connection[Any]]:
    """A connection on which things may take long."""
    with settings.connect_first() as db:
        try:
            db.execute(NO_TIMEOUTS)
            yield db
        except psycopg.Error as error:
            raise FileError(f"The store {settings.shown_url} cannot be copied: {describe_error(error)}.") from error


def _columns(table: Table) -> Composed:
    return SQL(", ").join(map(Identifier, table.columns))


def _convert_booleans(row: TableRow, boolean_columns: list[int]) -> TableRow:
    """The row with what is true or false as PostgreSQL has it."""
    return (
        tuple(bool(value) if place in boolean_columns else value for place, value in enumerate(row))
        if boolean_columns
        else row
    )


RESTORE_TIMEOUT = 30.0


def renew_identity(url: str) -> None:
    """Give it another identity: clients have to hear that what was said after the dump is gone, and its numbers will be
    given again. Raises `ServerRunning`, `FileError` or `ConfigError`.
    """
    address = ConnectionSettings(url, RESTORE_TIMEOUT)
    with address.connect_first() as db:
        try:
            with db.transaction():
                schema.migrate(db, address.shown_url)
                require_no_nodes(db, address)
                schema.renew_identity(db)
        except psycopg.Error as error:
            raise FileError(f"The store {address.shown_url} cannot be written: {describe_error(error)}.") from error
