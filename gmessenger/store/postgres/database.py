"""A node's connections to the database, its queries and changes; a store's parts build on it."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import Connection

from gmessenger.cluster.interfaces import ChangeDetails, ChangeKind
from gmessenger.errors import StoreUnavailable, WireError
from gmessenger.store.common import DIGEST_KEY, IDENTITY
from gmessenger.store.group_commit import AppendResult, CompletionNotifier
from gmessenger.store.postgres import bus_keys, schema
from gmessenger.store.postgres.indexer import SearchIndexer
from gmessenger.store.postgres.pool import SERVER_GRACE, ConnectionPool, ConnectionSettings, PgConnection
from gmessenger.store.postgres.writer import PostgresWriter

ResultT = TypeVar("ResultT")
NODE_CONNECTIONS: Final = 2  # for leases and the change feed, which must not wait behind requests
SEARCH_CONNECTIONS: Final = 2  # for searches: other queries, those of logins above all, never wait behind one
INDEX_CONNECTIONS: Final = 1  # for the search index
DATABASE_ID: Final = "SELECT value FROM facts WHERE name = 'place'"
WRITE_CHECK: Final = (
    "INSERT INTO facts VALUES ('checked', now()::text) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
INSERT_CHANGE: Final = "INSERT INTO changes (node, kind, subject, details) VALUES (%s, %s, %s, %s)"


class Database(CompletionNotifier):
    """The connection pools of a node, and the writer of its messages.

    A change other than messages is a transaction of its own; the rows that report it to other nodes are in the same.
    """

    is_persistent = True
    is_shared = True
    erase_within = 0.0
    """Without effect: the database's own files are not in our hands."""

    def __init__(
        self, url: str, on_error: Callable[[str, BaseException], None] | None, timeout: float, connections: int
    ) -> None:
        """Connect and bring the schema up to date; see `open_store`. Blocks."""
        super().__init__(on_error)
        self.node = secrets.token_hex(6)
        self._on_change: Callable[[], None] = lambda: None
        self.is_stale = False
        """Whether this node's memory may differ from the store."""
        self.stale_again_at = math.inf
        settings = ConnectionSettings(url, timeout)
        self.pool = ConnectionPool(settings, connections, timeout)
        self.node_pool = ConnectionPool(settings, NODE_CONNECTIONS, timeout)
        self.search_pool = ConnectionPool(settings, SEARCH_CONNECTIONS, timeout)
        self.index_pool = ConnectionPool(settings, INDEX_CONNECTIONS, timeout)
        with settings.connect_first() as db:
            self.identity = self._load_schema(db, settings)
        self.indexer = SearchIndexer(self.index_pool, self._on_error)
        self.writer = PostgresWriter(self.pool, self.digest_key, self._take_results, self._on_error, self.stats)

    def _load_schema(self, db: Connection[Any], settings: ConnectionSettings) -> str:
        """Migrate, set the cluster's id and return the store's identity. Raises `ConfigError` or `FileError`."""
        try:
            schema.migrate(db, settings.shown_url)
            row, database_id = db.execute(IDENTITY).fetchone(), db.execute(DATABASE_ID).fetchone()
            ((digest_key,),) = db.execute(DIGEST_KEY).fetchall()
        except psycopg.Error as error:
            raise settings.to_error(error) from None
        self.cluster = hashlib.sha256(f"{row} {database_id}".encode()).hexdigest()[:16]
        self.digest_key = bytes.fromhex(digest_key)
        return str(row[0]) if row else ""

    def _take_results(self, results: Sequence[AppendResult], posted_at: float | None) -> None:
        self.indexer.note_messages()  # also where it failed: it may be committed all the same
        self._notify(results, posted_at)

    def bus_key(self) -> bytes:
        def find(db: PgConnection) -> bytes:
            # The first node creates it; the second statement sees what another one created meanwhile.
            db.execute(bus_keys.INSERT_KEY, (bus_keys.make_key(),))
            ((key,),) = db.execute(bus_keys.FIND_KEY).fetchall()
            return bytes.fromhex(key)

        return self.write(find, self.node_pool)

    def set_change_listener(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    def close(self) -> None:
        self.writer.close()
        self.indexer.close()
        self.index_pool.close()
        self.pool.close()
        self.node_pool.close()
        self.search_pool.close()

    def flush(self) -> None:
        self.writer.flush()

    def check_writable(self) -> None:
        self.write(lambda db: db.execute(WRITE_CHECK))

    def read(self, query: Callable[[PgConnection], ResultT]) -> ResultT:
        """Run a query on a pooled connection. Blocks the greenlet. Raises `StoreUnavailable`."""
        return self.pool.run(query)

    def write(self, body: Callable[[PgConnection], ResultT], pool: ConnectionPool | None = None) -> ResultT:
        """Run a change in a transaction of its own; it is on disk when this returns. Blocks.

        May run `body` again after a conflict. Not for changes that other nodes must follow: see `change`.
        """
        started = time.monotonic()
        result = (pool or self.pool).run(lambda db: _in_transaction(db, body))
        self.stats.commit_seconds.add(time.monotonic() - started)
        return result

    def change(self, body: Callable[[PgConnection], ResultT], pool: ConnectionPool | None = None) -> ResultT:
        """Run a change that reports itself to other nodes (`record_change`); return when it is on disk.

        Blocks. Where its outcome is unknown, this node's memory counts as stale.
        """
        try:
            result = self.write(body, pool)
        except BaseException as error:  # also where the greenlet was killed
            if not isinstance(error, WireError) or isinstance(error, StoreUnavailable):
                self.invalidate()
            raise
        finally:
            self._on_change()
        return result

    def invalidate(self) -> None:
        """Have this node read everything again, as a change may be committed though its caller got an error.

        Now, and again when the server must have given up a transaction that it may still be running.
        """
        self.is_stale = True
        self.stale_again_at = time.monotonic() + self.pool.timeout + SERVER_GRACE

    def record_change(
        self, db: PgConnection, kind: ChangeKind, *subject: str | int, by: str = "", reason: str = "", said: str = ""
    ) -> None:
        """Record a `Change` in the current transaction: the other nodes read it once that is committed."""
        db.execute(INSERT_CHANGE, (self.node, kind, _json(subject), _json(ChangeDetails(by, reason, said))))


def _in_transaction(db: PgConnection, body: Callable[[PgConnection], ResultT]) -> ResultT:
    with db.transaction():
        return body(db)


def _json(value: Sequence[str | int] | ChangeDetails) -> str:
    return msgspec.json.encode(value).decode()
