"""The secret key with which nodes of a cluster authenticate their bus messages; kept in the store.

The first node that needs it creates it. A database that a dump was read into gets another one.
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
    """Return a new random key, in hexadecimal."""
    return secrets.token_hex(KEY_BYTES)


def replace_bus_key(url: str) -> None:
    """Replace the key of a store; running nodes read the new one.

    Blocks. Raises `FileError` or `ConfigError`.
    """
    settings = ConnectionSettings(url, TIMEOUT)
    with settings.connect_first() as db:
        try:
            with db.transaction():
                schema.migrate(db, settings.shown_url)
                db.execute(REPLACE_KEY, (make_key(),))
                db.execute(RECORD_KEY_CHANGE)
        except psycopg.Error as error:
            raise FileError(f"The store {settings.shown_url} cannot be written: {describe_error(error)}.") from error
