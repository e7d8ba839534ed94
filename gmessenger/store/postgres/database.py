"""The database, and what this node asks of it; the questions themselves are in the classes that build on this."""

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
from gmessenger.store.common import IDENTITY
from gmessenger.store.group_commit import CompletionNotifier
from gmessenger.store.postgres import bus_keys, schema
from gmessenger.store.postgres.pool import SERVER_GRACE, ConnectionPool, ConnectionSettings, PgConnection
from gmessenger.store.postgres.writer import PostgresWriter

ResultT = TypeVar("ResultT")
NODE_CONNECTIONS: Final = 2
SEARCH_CONNECTIONS: Final = 2
DATABASE_ID: Final = "SELECT value FROM facts WHERE name = 'place'"
WRITE_CHECK: Final = (
    "INSERT INTO facts VALUES ('checked', now()::text) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
INSERT_CHANGE: Final = "INSERT INTO changes (node, kind, subject, details) VALUES (%s, %s, %s, %s)"


class Database(CompletionNotifier):
    """Connections for questions and changes, and the writer's own.

    A change besides messages is a transaction of its own; what it leaves for the other nodes is in the same one.
    """

    is_persistent = True
    is_shared = True

    def __init__(
        self, url: str, on_error: Callable[[str, BaseException], None] | None, timeout: float, connections: int
    ) -> None:
        super().__init__(on_error)
        self.node = secrets.token_hex(6)
        self._on_change: Callable[[], None] = lambda: None
        self.is_stale = False
        """Whether what this node has in memory may not be what is kept."""
        self.stale_again_at = math.inf
        address = ConnectionSettings(url, timeout)
        self.pool = ConnectionPool(address, connections, timeout)
        # Whatever people ask for, what a node asks for itself must not wait behind it.
        self.node_pool = ConnectionPool(address, NODE_CONNECTIONS, timeout)
        # Other questions, those of logins above all, never wait behind a search.
        self.search_pool = ConnectionPool(address, SEARCH_CONNECTIONS, timeout)
        with address.connect_first() as db:
            self.identity = self._load_schema(db, address)
        self.writer = PostgresWriter(self.pool, self._notify, self._on_error, self.stats)

    def _load_schema(self, db: Connection[Any], settings: ConnectionSettings) -> str:
        try:
            schema.migrate(db, settings.shown_url)
            row, place = db.execute(IDENTITY).fetchone(), db.execute(DATABASE_ID).fetchone()
        except psycopg.Error as error:
            raise settings.to_error(error) from None
        self.cluster = hashlib.sha256(f"{row} {place}".encode()).hexdigest()[:16]
        return str(row[0]) if row else ""

    def bus_key(self) -> bytes:
        def find(db: PgConnection) -> bytes:
            # Whoever comes first makes it; what others made meanwhile is seen by the second statement.
            db.execute(bus_keys.INSERT_KEY, (bus_keys.make_key(),))
            ((key,),) = db.execute(bus_keys.FIND_KEY).fetchall()
            return bytes.fromhex(key)

        return self.write(find, self.node_pool)

    def set_change_listener(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    def close(self) -> None:
        self.writer.close()
        self.pool.close()
        self.node_pool.close()
        self.search_pool.close()

    def flush(self) -> None:
        self.writer.flush()

    def check_writable(self) -> None:
        self.write(lambda db: db.execute(WRITE_CHECK))

    def read(self, query: Callable[[PgConnection], ResultT]) -> ResultT:
        """Ask something."""
        return self.pool.run(query)

    def write(self, body: Callable[[PgConnection], ResultT], pool: ConnectionPool | None = None) -> ResultT:
        """Change something that no other node has to hear of; it is on disk when this returns."""
        began = time.monotonic()
        result = (pool or self.pool).run(lambda db: _in_transaction(db, body))
        self.stats.commit_seconds.add(time.monotonic() - began)
        return result

    def change(self, body: Callable[[PgConnection], ResultT], pool: ConnectionPool | None = None) -> ResultT:
        """Change something, and leave with it what the others are to hear."""
        try:
            result = self.write(body, pool)
        except BaseException as error:  # also of one that was killed meanwhile
            if not isinstance(error, WireError) or isinstance(error, StoreUnavailable):
                self.invalidate()
            raise
        finally:
            self._on_change()
        return result

    def invalidate(self) -> None:
        """A change may have been made, and others hear of it, though whoever asked for it was told otherwise.

        So this node has to look how everything is: now, and when a server that is still at it will have given up.
        """
        self.is_stale = True
        self.stale_again_at = time.monotonic() + self.pool.timeout + SERVER_GRACE

    def record_change(
        self, db: PgConnection, kind: ChangeKind, *subject: str | int, by: str = "", reason: str = ""
    ) -> None:
        """Record a `Change` in the current transaction: the other nodes read it once that is committed."""
        db.execute(INSERT_CHANGE, (self.node, kind, _json(subject), _json(ChangeDetails(by, reason))))


def _in_transaction(db: PgConnection, body: Callable[[PgConnection], ResultT]) -> ResultT:
    with db.transaction():
        return body(db)


def _json(value: Sequence[str | int] | ChangeDetails) -> str:
    return msgspec.json.encode(value).decode()
