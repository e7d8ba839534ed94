"""The key with which the nodes of a cluster seal their messages to each other: a fact of the store that they share.

It is made by the first node that asks for it. A database that a dump was read into has another one.
"""

from __future__ import annotations

import secrets
from typing import Final

import psycopg

from gmessenger.errors import FileProblem
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.address import Address, said

KEY_BYTES: Final = 32
TIMEOUT: Final = 10.0  # seconds
FIND: Final = "SELECT value FROM facts WHERE name = 'bus key'"
MAKE: Final = "INSERT INTO facts VALUES ('bus key', %s) ON CONFLICT (name) DO NOTHING"
REPLACE: Final = "INSERT INTO facts VALUES ('bus key', %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
TELL: Final = "INSERT INTO changes (node, kind, subject, details) VALUES ('', 'bus key', '[]', '{}')"


def make_key() -> str:
    """Make a key, as it is kept."""
    return secrets.token_hex(KEY_BYTES)


def replace_bus_key(url: str) -> None:
    """Give the nodes of a store another key; those that run follow.

    Blocks. Raises `FileProblem` or `ConfigProblem`.
    """
    address = Address(url, TIMEOUT)
    with address.first() as db:
        try:
            with db.transaction():
                schema.migrate(db, address.shown)
                db.execute(REPLACE, (make_key(),))
                db.execute(TELL)
        except psycopg.Error as error:
            raise FileProblem(f"The store {address.shown} cannot be written: {said(error)}.") from error
