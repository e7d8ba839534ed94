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

from gmessenger.cluster.records import Kind
from gmessenger.errors import StoreUnavailable, WireError
from gmessenger.store.common import IDENTITY
from gmessenger.store.postgres import bus_keys, schema
from gmessenger.store.postgres.address import Address
from gmessenger.store.postgres.lines import GRACE, Line, Lines
from gmessenger.store.postgres.writer import Writer
from gmessenger.store.settling import Settling

Result = TypeVar("Result")
OWN_LINES: Final = 2
SEARCH_LINES: Final = 2
PLACE: Final = "SELECT value FROM facts WHERE name = 'place'"
CHECKED: Final = (
    "INSERT INTO facts VALUES ('checked', now()::text) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
CHANGED: Final = "INSERT INTO changes (node, kind, subject, details) VALUES (%s, %s, %s, %s)"


class Database(Settling):
    """Connections for questions and changes, and the writer's own.

    A change besides messages is a transaction of its own; what it leaves for the other nodes is in the same one.
    """

    lasting = True
    is_shared = True

    def __init__(
        self, url: str, failed: Callable[[str, BaseException], None] | None, timeout: float, connections: int
    ) -> None:
        super().__init__(failed)
        self.node = secrets.token_hex(6)
        self.changed: Callable[[], None] = lambda: None
        self.unsure = False
        """Whether what this node has in memory may not be what is kept."""
        self.unsure_again_at = math.inf
        address = Address(url, timeout)
        self.lines = Lines(address, connections, timeout)
        # Whatever people ask for, what a node asks for itself must not wait behind it.
        self.own_lines = Lines(address, OWN_LINES, timeout)
        # Other questions, those of logins above all, never wait behind a search.
        self.search_lines = Lines(address, SEARCH_LINES, timeout)
        with address.first() as db:
            self.identity = self._begin(db, address)
        self.writer = Writer(self.lines, self._settle, self._failed, self.tally)

    def _begin(self, db: Connection[Any], address: Address) -> str:
        try:
            schema.migrate(db, address.shown)
            row, place = db.execute(IDENTITY).fetchone(), db.execute(PLACE).fetchone()
        except psycopg.Error as error:
            raise address.problem(error) from None
        self.cluster = hashlib.sha256(f"{row} {place}".encode()).hexdigest()[:16]
        return str(row[0]) if row else ""

    def bus_key(self) -> bytes:
        def find(db: Line) -> bytes:
            # Whoever comes first makes it; what others made meanwhile is seen by the second statement.
            db.execute(bus_keys.MAKE, (bus_keys.make_key(),))
            ((key,),) = db.execute(bus_keys.FIND).fetchall()
            return bytes.fromhex(key)

        return self.write(find, self.own_lines)

    def close(self) -> None:
        self.writer.close()
        self.lines.close()
        self.own_lines.close()
        self.search_lines.close()

    def flush(self) -> None:
        self.writer.flush()

    def check(self) -> None:
        self.write(lambda db: db.execute(CHECKED))

    def read(self, find: Callable[[Line], Result]) -> Result:
        """Ask something."""
        return self.lines.use(find)

    def write(self, change: Callable[[Line], Result], lines: Lines | None = None) -> Result:
        """Change something that no other node has to hear of; it is on disk when this returns."""
        began = time.monotonic()
        result = (lines or self.lines).use(lambda db: _in_transaction(db, change))
        self.tally.commits.add(time.monotonic() - began)
        return result

    def change(self, change: Callable[[Line], Result], lines: Lines | None = None) -> Result:
        """Change something, and leave with it what the others are to hear."""
        try:
            result = self.write(change, lines)
        except BaseException as error:  # also of one that was killed meanwhile
            if not isinstance(error, WireError) or isinstance(error, StoreUnavailable):
                self.doubt()
            raise
        finally:
            self.changed()
        return result

    def doubt(self) -> None:
        """A change may have been made, and others hear of it, though whoever asked for it was told otherwise.

        So this node has to look how everything is: now, and when a server that is still at it will have given up.
        """
        self.unsure = True
        self.unsure_again_at = time.monotonic() + self.lines.timeout + GRACE

    def leave_word(self, db: Line, kind: Kind, *subject: str | int, **details: Any) -> None:
        """Have the other nodes hear of a change, if it is committed."""
        said = {name: value for name, value in details.items() if value}
        db.execute(CHANGED, (self.node, kind, _json(subject), _json(said)))


def _in_transaction(db: Line, change: Callable[[Line], Result]) -> Result:
    with db.transaction():
        return change(db)


def _json(value: Sequence[Any] | dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
