"""Edits, erases and reactions in SQLite: what they change besides their own row, in the transaction of their batch."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from gmessenger.chat.records import About, NewMessage
from gmessenger.errors import NoSuchMessage, TooManyReactions, WireError
from gmessenger.store.amendments import MAX_REACTION_TEXTS, AmendmentTarget, check_amendment
from gmessenger.store.sqlite import usage
from gmessenger.store.sqlite.erasure import NOTE_PENDING
from gmessenger.store.sqlite.membership import NOT_ABSENT
from gmessenger.store.sqlite.search_index import index_text, replace_entry

CommitStep: TypeAlias = Callable[[sqlite3.Connection], object]
"""A part of a transaction that the commit thread runs, because it takes long."""
FIND_BOUNDS: Final = "SELECT first FROM conversations WHERE id = ?"
MAY_READ: Final = (
    "SELECT 1 FROM (SELECT :seq AS seq) AS m CROSS JOIN participants p WHERE p.account_id = :account "  # noqa: S608
    f"AND p.conversation_id = :conversation AND p.visible <= m.seq AND {NOT_ABSENT}"
)
FIND_AMENDED: Final = (
    "SELECT rowid, account_id, time, erased, what, text FROM messages WHERE conversation_id = ? AND seq = ?"
)
EDIT: Final = "UPDATE messages SET text = ?, edited = ? WHERE rowid = ?"
ERASE: Final = "UPDATE messages SET text = '', erased = 1, erased_by = ?, erased_at = ? WHERE rowid = ?"
DROP_REACTIONS: Final = "DELETE FROM reactions WHERE conversation_id = ? AND seq = ?"
BLANK_REACTIONS: Final = (
    "UPDATE messages SET text = '' WHERE conversation_id = :conversation AND seq IN "
    "(SELECT seq FROM reaction_messages WHERE conversation_id = :conversation AND about = :about)",
    "DELETE FROM reaction_messages WHERE conversation_id = :conversation AND about = :about",
)
"""Remove the texts of the messages with which reactions to a message came and went."""
ADD_REACTION_MESSAGE: Final = "INSERT INTO reaction_messages (conversation_id, about, seq) VALUES (?,?,?)"
FIND_TEXTS: Final = "SELECT DISTINCT text FROM reactions WHERE conversation_id = ? AND seq = ? LIMIT ?"
ADD_REACTION: Final = "INSERT OR IGNORE INTO reactions (conversation_id, seq, text, account_id) VALUES (?,?,?,?)"
REMOVE_REACTION: Final = "DELETE FROM reactions WHERE conversation_id = ? AND seq = ? AND text = ? AND account_id = ?"


class InsertedBatch:
    """State of one commit with messages: their number, the first one's row, and the work left to the commit thread.

    The thread inserts the rows of `chunks` before its other steps, and runs `last_steps` after them.
    """

    __slots__ = ("chunks", "first_row", "last_steps", "size")

    def __init__(self, first_row: int, size: int) -> None:
        self.first_row = first_row
        self.size = size
        self.chunks: list[list[object]] = []
        """The values of `INSERT_CHUNK`, for each of its executions."""
        self.last_steps: list[CommitStep] = []


def check_reply(
    db: sqlite3.Connection, conversation: int, head: int, account: int | None, about: About
) -> WireError | None:
    """Return `NoSuchMessage` where there is no message that a reply is about, or its sender may not read it."""
    ((first,),) = db.execute(FIND_BOUNDS, (conversation,)).fetchall()
    return None if first <= about.seq <= head and _may_read(db, conversation, account, about) else NoSuchMessage()


def _may_read(db: sqlite3.Connection, conversation: int, account: int | None, about: About) -> bool:
    """Return whether an account may read the message; of guests it is not known."""
    if account is None:
        return True
    parameters = {"account": account, "conversation": conversation, "seq": about.seq}
    return db.execute(MAY_READ, parameters).fetchone() is not None


def amend(
    db: sqlite3.Connection, conversation: int, seq: int, message: NewMessage, about: About, batch: InsertedBatch
) -> WireError | None:
    """Change what an amendment, which gets the number `seq`, is about; return the error where it may not.

    Runs on the loop; the words of one text are indexed, which takes a few milliseconds at most.
    """
    row = db.execute(FIND_AMENDED, (conversation, about.seq)).fetchone()
    amended = AmendmentTarget(*row) if row is not None else None
    error = check_amendment(message, about, amended)
    if error is not None or amended is None:
        return error or NoSuchMessage()
    if about.what == "edit":
        db.execute(EDIT, (message.text, message.time, amended.row))
        _replace_text(db, conversation, amended, message.text, batch)
    elif about.what == "erase":
        db.execute(ERASE, (about.by or message.sender, message.time, amended.row))
        _replace_text(db, conversation, amended, None, batch)
        batch.last_steps.append(partial(_drop_reactions, conversation, about.seq))
    else:
        error = _change_reaction(db, conversation, message, about)
        if error is None:
            db.execute(ADD_REACTION_MESSAGE, (conversation, about.seq, seq))
    return error


def _replace_text(
    db: sqlite3.Connection, conversation: int, amended: AmendmentTarget, text: str | None, batch: InsertedBatch
) -> None:
    """Replace the words of a message whose text was changed; None where it was erased."""
    entry = index_text(conversation, text) if text is not None else None
    replace_entry(db, amended.row, index_text(conversation, amended.text), entry)
    if amended.row >= batch.first_row:  # its bytes are counted with its batch, as the text is then
        usage.undo_change(db, amended.account, amended.text, text or "")
    db.execute(NOTE_PENDING)


def _drop_reactions(conversation: int, seq: int, db: sqlite3.Connection) -> None:
    """Drop the reactions to an erased message, after the bytes of their batch were counted: many may take long."""
    db.execute(DROP_REACTIONS, (conversation, seq))
    for statement in BLANK_REACTIONS:
        db.execute(statement, {"conversation": conversation, "about": seq})


def _change_reaction(db: sqlite3.Connection, conversation: int, message: NewMessage, about: About) -> WireError | None:
    if not _may_read(db, conversation, message.account, about):
        return NoSuchMessage()
    if about.what != "react":
        db.execute(REMOVE_REACTION, (conversation, about.seq, message.text, message.account))
        return None
    texts = [text for (text,) in db.execute(FIND_TEXTS, (conversation, about.seq, MAX_REACTION_TEXTS))]
    if len(texts) >= MAX_REACTION_TEXTS and message.text not in texts:
        return TooManyReactions(limit=MAX_REACTION_TEXTS)
    db.execute(ADD_REACTION, (conversation, about.seq, message.text, message.account))
    return None
