"""How a database is doing, seen from beside it: nothing is made, written, or held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg

from gmessenger.errors import FileProblem
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.address import Address

PATIENCE: Final = 10.0
SERVER: Final = (
    "SELECT split_part(current_setting('server_version'), ' ', 1), "
    "NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off', "
    "has_schema_privilege(current_schema(), 'CREATE'), pg_database_size(current_database())"
)
MAY_WRITE: Final = "SELECT has_table_privilege('messages', 'INSERT')"
NODES: Final = "SELECT count(*) FROM nodes WHERE seen > clock_timestamp() - interval '1 minute'"


@dataclass(frozen=True, slots=True)
class Condition:
    """`shown` is the URL with its password masked. `schema` is None where there is no store yet, `nodes` how many have
    it open, `size` in bytes.
    """

    shown: str
    server: str
    schema: int | None
    nodes: int
    size: int


def inspect_database(url: str) -> Condition:
    """Look at a database. Raises `FileProblem` where it cannot be written, else as `verify_database`."""
    address = Address(url, PATIENCE)
    with address.first() as db:
        try:
            ((server, writable, may_make, size),) = db.execute(SERVER).fetchall()
            facts = schema.kept(db)
            ((may_write,),) = db.execute(MAY_WRITE).fetchall() if facts else [(may_make,)]
            ((nodes,),) = db.execute(NODES).fetchall() if facts else [(0,)]
        except psycopg.Error as error:
            raise address.problem(error) from None
    if not writable:
        raise FileProblem(f"The store {address.shown} cannot be written: its server only reads.")
    if not may_write:
        raise FileProblem(f"The store {address.shown} cannot be written by this user.")
    schema.need_known(facts, address.shown)
    return Condition(address.shown, server, int(facts["schema"]) if facts else None, nodes, size)
