"""A PostgreSQL store as plain tables, to transfer it; and the identity of a restored store.

Reading and writing are one transaction each: a source is one snapshot, a target is visible only when it is complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final, LiteralString

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from gmessenger.constants import LEASE_TTL
from gmessenger.errors import FileError, ServerRunning
from gmessenger.store.common import DIGEST_KEY, FILES_ID, IDENTITY, VAPID_KEY, bisect_bad, indexed_text
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.pool import ConnectionSettings, describe_error
from gmessenger.store.postgres.search_index import MARK_ALL_INDEXED
from gmessenger.store.postgres.tsvector import make_tsvector, replace_nul
from gmessenger.store.postgres.verify import count_live_nodes
from gmessenger.store.tables import TABLES, BadRowCallback, Table, TableRow

BAD_ROW_ERRORS: Final = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    UnicodeError,
)
"""Errors of a row itself."""
TRANSFER_TIMEOUT: Final = 30.0  # seconds to connect and to migrate
COPY_BATCH: Final = 2000  # rows
RESTORE_TIMEOUT: Final = 30.0  # seconds
NO_TIMEOUTS: Final = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '5s'"
NO_LOCAL_TIMEOUT: Final = "SET LOCAL statement_timeout = 0"
"""For a transaction that has migrated, which sets a limit of its own."""
SET_DIGEST_KEY: Final = "UPDATE facts SET value = %s WHERE name = 'digest key'"
REFUSE_OLDER_PROGRAMS: Final = (
    # Where there is anything that such a program would take for something else.
    "UPDATE facts SET value = %(version)s WHERE name = 'works from' AND value::integer < %(version)s "
    "AND (EXISTS (SELECT FROM conversations WHERE rules <> '') OR EXISTS (SELECT FROM participants "
    "WHERE left_seq IS NOT NULL OR role NOT IN ('', 'owner')) "
    "OR EXISTS (SELECT FROM accounts WHERE password_until IS NOT NULL))"
)
REFUSE_PROGRAMS_WITHOUT_HOOKS: Final = (
    "UPDATE facts SET value = %(version)s WHERE name = 'works from' AND value::integer < %(version)s "
    "AND EXISTS (SELECT FROM hooks)"
)
REFUSE_PROGRAMS_WITHOUT_KEYS: Final = (
    "UPDATE facts SET value = %(version)s WHERE name = 'works from' AND value::integer < %(version)s "
    "AND EXISTS (SELECT FROM conversations WHERE rules LIKE '%%\"key\"%%')"
)
REFUSE_PROGRAMS_WITHOUT_MASKS: Final = (
    "UPDATE facts SET value = %(version)s WHERE name = 'works from' AND value::integer < %(version)s "
    "AND EXISTS (SELECT FROM room_masks)"
)
REFUSE_PROGRAMS_WITHOUT_CERTIFICATES: Final = (
    "UPDATE facts SET value = %(version)s WHERE name = 'works from' AND value::integer < %(version)s "
    "AND EXISTS (SELECT FROM certificates)"
)
SET_FILES_ID: Final = "UPDATE facts SET value = %s WHERE name = 'files'"
SET_VAPID_KEY: Final = (
    "INSERT INTO facts VALUES ('vapid key', %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
SET_IDENTITY: Final = "UPDATE facts SET value = %s WHERE name = 'identity'"
SELECT_ROWS: Final = SQL("SELECT {} FROM {}")
COUNT_ROWS: Final = SQL("SELECT count(*) FROM {}")
LOCK_TABLE: Final = SQL("LOCK TABLE {} IN SHARE MODE")
COPY_ROWS: Final = SQL("COPY {} ({}) FROM STDIN")
COPY_ENTRIES: Final = "COPY message_words (id, conversation_id, seq, words) FROM STDIN"
FIND_SEQUENCE: Final = "SELECT pg_get_serial_sequence(%s, 'id')"
LAST_ID: Final = SQL("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}")
SET_SEQUENCE: Final = "SELECT setval(%s, %s)"


class TableIO:
    """The tables of a database, within a transaction."""

    def __init__(self, db: Connection[Any]) -> None:
        self._db = db

    @property
    def identity(self) -> str:
        return str(self._select_value(IDENTITY))

    @property
    def digest_key(self) -> str:
        return str(self._select_value(DIGEST_KEY))

    @property
    def files_id(self) -> str:
        return str(self._select_value(FILES_ID))

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
        with self._db.cursor(f"all_{table.name}") as cursor:
            cursor.itersize = COPY_BATCH
            yield from cursor.execute(SELECT_ROWS.format(_columns(table), Identifier(table.name)))

    def count(self, table: Table) -> int:
        return int(self._select_value(COUNT_ROWS.format(Identifier(table.name))))

    def last_id(self, table: Table) -> int:
        return int(self._select_value(LAST_ID.format(SQL(self._sequence(table)))))

    def convert_row(self, row: TableRow) -> TableRow:
        converted = tuple(replace_nul(value) if isinstance(value, str) else value for value in row)
        return row if converted == row else converted

    def insert_rows(self, table: Table, rows: Iterator[TableRow], on_bad_row: BadRowCallback) -> None:
        while batch := list(islice(rows, COPY_BATCH)):
            bisect_bad(
                batch,
                partial(self._copy_rows, table),
                lambda row, error: on_bad_row(row, describe_error(error)),
                BAD_ROW_ERRORS,
            )
        if table.name == "messages":
            self._db.execute(MARK_ALL_INDEXED)

    def _copy_rows(self, table: Table, rows: Sequence[TableRow]) -> None:
        """Copy rows into a table in a savepoint of their own, and index their texts. Raises psycopg's errors."""
        boolean_columns = [table.columns.index(name) for name in table.booleans]
        statement = COPY_ROWS.format(Identifier(table.name), _columns(table))
        with self._db.transaction(), self._db.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(_convert_booleans(row, boolean_columns))
            if table.name == "messages":
                with cursor.copy(COPY_ENTRIES) as copy:
                    for entry in _entries(table, rows):
                        copy.write_row(entry)

    def set_sequence(self, table: Table, last: int) -> None:
        if last:
            self._db.execute(SET_SEQUENCE, (self._sequence(table), last))

    def set_identity(self, identity: str) -> None:
        self._db.execute(SET_IDENTITY, (identity,))

    def _sequence(self, table: Table) -> str:
        return str(self._select_value(FIND_SEQUENCE, (table.name,)))

    def _select_value(self, query: LiteralString | Composed, parameters: tuple[str, ...] = ()) -> Any:
        row = self._db.execute(query, parameters).fetchone()
        return row[0] if row else None


@contextmanager
def open_source(url: str) -> Iterator[TableIO]:
    """Open a store that no node has open as a source, in one snapshot.

    Blocks. Raises `ServerRunning`, `FileError` or `ConfigError`.
    """
    settings = ConnectionSettings(url, TRANSFER_TIMEOUT)
    with _connect_unlimited(settings) as db:
        schema.migrate(db, settings.shown_url)
        require_no_nodes(db, settings)
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        for table in TABLES:  # a node that starts now waits for these, up to its own timeout
            db.execute(LOCK_TABLE.format(Identifier(table.name)))
        yield TableIO(db)
        db.execute("ROLLBACK")


@contextmanager
def open_sink(url: str) -> Iterator[TableIO]:
    """Open a database without a store, or with an empty one, as a target; commit at the end of the block.

    Blocks. Raises as `open_source`.
    """
    settings = ConnectionSettings(url, TRANSFER_TIMEOUT)
    with _connect_unlimited(settings) as db, db.transaction():
        schema.migrate(db, settings.shown_url)
        db.execute(NO_LOCAL_TIMEOUT)
        require_no_nodes(db, settings)
        tables = TableIO(db)
        filled = [table.name for table in TABLES if tables.count(table)]
        if filled:
            raise FileError(f"The store {settings.shown_url} is not empty: it has {', '.join(filled)}.")
        yield tables
        db.execute(REFUSE_OLDER_PROGRAMS, {"version": str(schema.FIRST_WITH_RULES)})
        db.execute(REFUSE_PROGRAMS_WITHOUT_HOOKS, {"version": str(schema.FIRST_WITH_HOOKS)})
        db.execute(REFUSE_PROGRAMS_WITHOUT_KEYS, {"version": str(schema.FIRST_WITH_KEYS)})
        db.execute(REFUSE_PROGRAMS_WITHOUT_MASKS, {"version": str(schema.FIRST_WITH_MASKS)})
        db.execute(REFUSE_PROGRAMS_WITHOUT_CERTIFICATES, {"version": str(schema.FIRST_WITH_CERTIFICATES)})


def require_no_nodes(db: Connection[Any], settings: ConnectionSettings) -> None:
    """Raise `ServerRunning` where nodes have the store open."""
    if nodes := count_live_nodes(db):
        raise ServerRunning(
            f"Servers run on {settings.shown_url}: {nodes}. Stop them first (one that was killed counts as running for "
            f"another {LEASE_TTL:g} s)."
        )


@contextmanager
def _connect_unlimited(settings: ConnectionSettings) -> Iterator[Connection[Any]]:
    """Connect without a limit for statements; turn psycopg's errors into `FileError`."""
    with settings.connect_first() as db:
        try:
            db.execute(NO_TIMEOUTS)
            yield db
        except psycopg.Error as error:
            raise FileError(f"The store {settings.shown_url} cannot be copied: {describe_error(error)}.") from error


def _columns(table: Table) -> Composed:
    return SQL(", ").join(map(Identifier, table.columns))


def _entries(table: Table, messages: Sequence[TableRow]) -> Iterator[TableRow]:
    """Yield the rows of the search index for messages."""
    names = ("id", "conversation_id", "seq", "text", "what", "erased")
    columns = [table.columns.index(name) for name in names]
    for row in messages:
        id, conversation, seq, text, what, is_erased = (row[column] for column in columns)
        if not is_erased:
            yield id, conversation, seq, make_tsvector(conversation, indexed_text(text, what))


def _convert_booleans(row: TableRow, boolean_columns: list[int]) -> TableRow:
    """Return the row with 0 and 1 as booleans in some columns."""
    return (
        tuple(bool(value) if index in boolean_columns else value for index, value in enumerate(row))
        if boolean_columns
        else row
    )


def renew_identity(url: str) -> None:
    """Give a database that a dump was read into a new identity, as seqs of after the dump are given again.

    Blocks. Raises `ServerRunning`, `FileError` or `ConfigError`.
    """
    settings = ConnectionSettings(url, RESTORE_TIMEOUT)
    with settings.connect_first() as db:
        try:
            with db.transaction():
                schema.migrate(db, settings.shown_url)
                require_no_nodes(db, settings)
                schema.renew_identity(db)
        except psycopg.Error as error:
            raise FileError(f"The store {settings.shown_url} cannot be written: {describe_error(error)}.") from error
