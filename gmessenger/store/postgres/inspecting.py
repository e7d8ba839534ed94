"""How a database is doing, seen from beside it: nothing is made, written, or held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import Connection

from gmessenger.cluster.contract import LEASE
from gmessenger.errors import FileProblem
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.address import Address

PATIENCE: Final = 10.0
SERVER: Final = (
    "SELECT split_part(current_setting('server_version'), ' ', 1), "
    "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, "
    "NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off', "
    "has_schema_privilege(current_schema(), 'CREATE'), pg_database_size(current_database())"
)
MAY_WRITE: Final = "SELECT has_table_privilege('messages', 'INSERT')"
NODES: Final = "SELECT count(*) FROM nodes WHERE seen > clock_timestamp() - %s * interval '1 second'"
OFF: Final = (
    "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') "
    "AND reset_val IN ('off', 'local') ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """`shown` is the URL with its password masked. `schema` is None where there is no store yet, `nodes` how many have
    it open, `size` in bytes, `connections` how many the server lets in, `off` which of its settings have it not wait
    for its disk.
    """

    shown: str
    server: str
    schema: int | None
    nodes: int
    size: int
    connections: int
    off: tuple[str, ...]


def inspect_database(url: str) -> Condition:
    """Look at a database. Raises `FileProblem` where it cannot be written, else as `verify_database`."""
    address = Address(url, PATIENCE)
    with address.first() as db:
        try:
            ((server, connections, writable, may_make, size),) = db.execute(SERVER).fetchall()
            facts = schema.kept(db)
            ((may_write,),) = db.execute(MAY_WRITE).fetchall() if facts else [(may_make,)]
            nodes = living(db) if facts else 0
            off = tuple(name for (name,) in db.execute(OFF).fetchall())
        except psycopg.Error as error:
            raise address.problem(error) from None
    if not writable:
        raise FileProblem(f"The store {address.shown} cannot be written: its server is read-only.")
    if not may_write:
        raise FileProblem(f"The store {address.shown} cannot be written by this user.")
    schema.need_known(facts, address.shown)
    version = int(facts["schema"]) if facts else None
    return Condition(address.shown, server, version, nodes, size, connections, off)


def living(db: Connection[Any]) -> int:
    """How many nodes have the store open, as far as is known."""
    ((nodes,),) = db.execute(NODES, (LEASE,)).fetchall()
    return int(nodes)
