"""The key with which the nodes of a cluster seal their messages to each other: a fact of the store that they share.

It is made by the first node that asks for it. A database that a dump was read into has another one.
"""

from __future__ import annotations

import secrets
from typing import Final

import psycopg

from gmessenger.errors import FileError
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.pool import ConnectionSettings, describe_error

KEY_BYTES: Final = 32
TIMEOUT: Final = 10.0  # seconds
FIND_KEY: Final = "SELECT value FROM facts WHERE name = 'bus key'"
INSERT_KEY: Final = "INSERT INTO facts VALUES ('bus key', %s) ON CONFLICT (name) DO NOTHING"
REPLACE_KEY: Final = "INSERT INTO facts VALUES ('bus key', %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
RECORD_KEY_CHANGE: Final = "INSERT INTO changes (node, kind, subject, details) VALUES ('', 'bus key', '[]', '{}')"


def make_key() -> str:
    """Make a key, as it is kept."""
    return secrets.token_hex(KEY_BYTES)


def replace_bus_key(url: str) -> None:
    """Give the nodes of a store another key; those that run follow.

    Blocks. Raises `FileError` or `ConfigError`.
    """
    address = ConnectionSettings(url, TIMEOUT)
    with address.connect_first() as db:
        try:
            with db.transaction():
                schema.migrate(db, address.shown_url)
                db.execute(REPLACE_KEY, (make_key(),))
                db.execute(RECORD_KEY_CHANGE)
        except psycopg.Error as error:
            raise FileError(f"The store {address.shown_url} cannot be written: {describe_error(error)}.") from error
