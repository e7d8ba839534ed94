# ruff: noqa: S608  (these statements are made of constants of this module)
"""Bytes of text stored per account and of all guests; updated in the transaction of each change.

Insertions are counted by the commit thread, deletions and updates by triggers.
"""

from __future__ import annotations

import sqlite3
from typing import Final

GUESTS_ID: Final = 0  # the row of all guests; no account has this id
TEXT_BYTES: Final = "length(CAST({} AS BLOB))"  # octet_length is younger than the oldest SQLite we run on
SELECT_USAGE: Final = f"SELECT coalesce(account_id, {GUESTS_ID}), sum({TEXT_BYTES.format('text')}) FROM messages"
COUNT_ALL: Final = f"INSERT INTO usage {SELECT_USAGE} GROUP BY 1"
ADD_USAGE: Final = (
    f"INSERT INTO usage {SELECT_USAGE} WHERE rowid >= ? GROUP BY 1 "
    "ON CONFLICT (account_id) DO UPDATE SET bytes = bytes + excluded.bytes"
)
FIND_USAGE: Final = "SELECT bytes FROM usage WHERE account_id = ?"
UNDO_CHANGE: Final = "UPDATE usage SET bytes = bytes + ? WHERE account_id = ?"
SCHEMA: Final = (
    "CREATE TABLE usage (account_id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL)",
    COUNT_ALL,
    "CREATE TRIGGER usage_deleted AFTER DELETE ON messages WHEN old.text <> '' BEGIN UPDATE usage "
    f"SET bytes = bytes - {TEXT_BYTES.format('old.text')} "
    f"WHERE account_id = coalesce(old.account_id, {GUESTS_ID}); END",
    "CREATE TRIGGER usage_changed AFTER UPDATE OF text ON messages BEGIN UPDATE usage "
    f"SET bytes = bytes + {TEXT_BYTES.format('new.text')} - {TEXT_BYTES.format('old.text')} "
    f"WHERE account_id = coalesce(old.account_id, {GUESTS_ID}); END",
)


def add_usage(db: sqlite3.Connection, first: int) -> None:
    """Add the messages from row `first` on to the counts. Reads each text once: call it in a thread."""
    db.execute(ADD_USAGE, (first,))


def undo_change(db: sqlite3.Connection, account: int | None, before: str, after: str) -> None:
    """Take back what a trigger has counted for the changed text of a message that `add_usage` will count."""
    difference = len(before.encode()) - len(after.encode())
    db.execute(UNDO_CHANGE, (difference, account if account is not None else GUESTS_ID))


def find_usage(db: sqlite3.Connection, account: int | None) -> int:
    """Return the bytes stored of an account, or of all guests for None."""
    row = db.execute(FIND_USAGE, (account if account is not None else GUESTS_ID,)).fetchone()
    return int(row[0]) if row else 0
