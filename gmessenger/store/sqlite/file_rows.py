"""Files of messages, in the transactions of the messages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from gmessenger.chat.records import NewMessage, StoredMessage
from gmessenger.errors import IdReused, NoSuchFile, WireError
from gmessenger.store.amendments import seqs_by_conversation
from gmessenger.store.files import attach_files, file_id

TAKE: Final = "UPDATE files SET conversation_id = ?, seq = ? WHERE id = ? AND account_id = ? AND seq IS NULL"
FIND_ID: Final = "SELECT id FROM files WHERE conversation_id = ? AND seq = ?"
OF_MESSAGES: Final = (
    "SELECT c.key, f.seq, f.id, f.name, f.type, f.size, f.width, f.height FROM conversations c JOIN files f "
    "ON f.conversation_id = c.id AND f.seq IN (SELECT value FROM json_each(?)) WHERE c.key = ? "
)


def take_file(db: sqlite3.Connection, conversation: int, seq: int, message: NewMessage) -> WireError | None:
    """Give a message, which gets the number `seq`, its file, if it has one; return the error where it may not."""
    if message.file is None:
        return None
    taken = db.execute(TAKE, (conversation, seq, message.file.id, message.account))
    return None if taken.rowcount == 1 else NoSuchFile()


def compare_file(db: sqlite3.Connection, conversation: int, seq: int, message: NewMessage) -> WireError | None:
    """Return `IdReused` where a message with the id of a stored one, which was not changed since, has another file."""
    row = db.execute(FIND_ID, (conversation, seq)).fetchone()
    stored = row[0] if row is not None else None
    return None if stored == file_id(message) else IdReused()


def add_files(db: sqlite3.Connection, messages: Sequence[StoredMessage]) -> None:
    """Read the files of the messages of a page."""
    for conversation, seqs in seqs_by_conversation(messages).items():
        attach_files(messages, db.execute(OF_MESSAGES, (json.dumps(seqs), conversation)))
