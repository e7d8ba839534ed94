"""Ids of pruned messages, remembered for `PAST_ID_TTL`: a message sent again is not stored again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from gmessenger.chat.records import NewMessage
from gmessenger.errors import WireError
from gmessenger.store.resends import compare_with_digest, message_digest

CREATE_TABLE: Final = (
    "CREATE TABLE past_ids (device_id INTEGER, client_id TEXT, conversation_id INTEGER, seq INTEGER NOT NULL, "
    "digest BLOB NOT NULL, time REAL NOT NULL, PRIMARY KEY (device_id, client_id, conversation_id)) WITHOUT ROWID"
)
INSERT_ID: Final = "INSERT OR IGNORE INTO past_ids VALUES (?,?,?,?,?,?)"
FIND_ID: Final = "SELECT seq, digest FROM past_ids WHERE device_id = ? AND client_id = ? AND conversation_id = ?"
DELETE_IDS_OF_ACCOUNT: Final = "DELETE FROM past_ids WHERE device_id IN (SELECT id FROM devices WHERE account_id = ?)"
DELETE_OLD_IDS: Final = "DELETE FROM past_ids WHERE time < ?"

IS_CHANGED: Final = "erased OR edited IS NOT NULL OR (what <> '' AND text = '')"
"""Whether the text of a message is not the one that was sent: it was changed, or is that of an amendment."""

ExpiredMessageId = tuple[int, str, int, int, str, int | None, str, str | None, bool, float]
"""Device id, the client's message id, conversation id, seq; text, `about`, `what`, id of a file, `IS_CHANGED`; time."""


def has_ids(db: sqlite3.Connection) -> bool:
    """Return whether any ids of pruned messages are remembered."""
    return bool(db.execute("SELECT EXISTS (SELECT 1 FROM past_ids)").fetchone()[0])


def remember(db: sqlite3.Connection, key: bytes, ids: Iterable[ExpiredMessageId]) -> None:
    """Remember the ids of messages that are pruned now; `key` is the store's secret for digests."""
    db.executemany(
        INSERT_ID,
        [
            (*where, seq, message_digest(key, text, about, what, file, is_changed=is_changed), time)
            for *where, seq, text, about, what, file, is_changed, time in ids
        ],
    )


def forget(db: sqlite3.Connection, before: float) -> None:
    """Forget the ids of messages from before a time, in Unix seconds."""
    db.execute(DELETE_OLD_IDS, (before,))


def find(
    db: sqlite3.Connection, key: bytes, message: NewMessage, conversation: int
) -> tuple[int, WireError | None] | None:
    """Return the seq that a pruned message had, and `IdReused` if it was another one; None if unknown."""
    row = db.execute(FIND_ID, (message.device, message.id, conversation)).fetchone()
    return row and (int(row[0]), compare_with_digest(key, message, row[1]))
