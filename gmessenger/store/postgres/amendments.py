"""Edits, erases, reactions and messages with files: in transactions of their own, under counters of conversations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from gmessenger.chat.records import REMOVES_TEXT, About, NewMessage
from gmessenger.errors import IdReused, NoSuchFile, NoSuchMessage, NotMember, TooManyReactions, WireError
from gmessenger.store.amendments import MAX_REACTION_TEXTS, AmendmentTarget, check_amendment, missing_error, own_text
from gmessenger.store.files import file_id
from gmessenger.store.group_commit import AppendResult, QueuedAppend
from gmessenger.store.postgres.membership import NOT_ABSENT, is_member
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.search_index import set_entry
from gmessenger.store.postgres.tsvector import make_tsvector, replace_nul
from gmessenger.store.resends import about_columns, compare_with_digest, compare_with_stored

LOCK_CONVERSATIONS: Final = "SELECT key, id, head FROM conversations WHERE key = ANY(%s) ORDER BY key FOR NO KEY UPDATE"
IS_CHANGED: Final = "erased OR edited IS NOT NULL OR (what <> '' AND text = '')"
"""Whether the text of a message is not the one that was sent: it was changed, or is that of an amendment."""
FIND_DUPLICATE: Final = (
    f"SELECT seq, text, about, what, {IS_CHANGED} FROM messages "  # noqa: S608
    "WHERE device_id = %s AND client_id = %s AND conversation_id + 0 = %s"
)
FIND_PAST_ID: Final = (
    "SELECT seq, digest FROM past_ids WHERE device_id = %s AND client_id = %s AND conversation_id = %s"
)
MAY_READ: Final = (
    "SELECT FROM (SELECT %(seq)s::bigint AS seq) AS m CROSS JOIN participants p "
    f"WHERE p.account_id = %(account)s AND p.conversation_id = %(conversation)s AND p.visible <= m.seq AND {NOT_ABSENT}"
)
FIND_AMENDED: Final = (
    # Locked: another node may be erasing all messages of its author.
    "SELECT id, account_id, time, erased, what, text FROM messages WHERE conversation_id = %s AND seq = %s FOR UPDATE"
)
EDIT: Final = "UPDATE messages SET text = %s, words = NULL, edited = %s WHERE conversation_id = %s AND seq = %s"
"""`words` is what an earlier release has written."""
ERASE: Final = (
    "UPDATE messages SET text = '', words = NULL, erased = true, erased_by = %s, erased_at = %s "
    "WHERE conversation_id = %s AND seq = %s"
)
DELETE_REACTIONS: Final = "DELETE FROM reactions WHERE conversation_id = %s AND seq = %s"
BLANK_REACTIONS: Final = (
    "UPDATE messages m SET text = '' FROM reaction_messages r WHERE r.conversation_id = %s AND r.about = %s "
    "AND m.conversation_id = r.conversation_id AND m.seq = r.seq",
    "DELETE FROM reaction_messages WHERE conversation_id = %s AND about = %s",
)
"""Remove the texts of the messages with which reactions to a message came and went."""
ADD_REACTION_MESSAGE: Final = "INSERT INTO reaction_messages (conversation_id, about, seq) VALUES (%s, %s, %s)"
FIND_TEXTS: Final = "SELECT DISTINCT text FROM reactions WHERE conversation_id = %s AND seq = %s LIMIT %s"
ADD_REACTION: Final = (
    "INSERT INTO reactions (conversation_id, seq, text, account_id) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
DELETE_REACTION: Final = (
    "DELETE FROM reactions WHERE conversation_id = %s AND seq = %s AND text = %s AND account_id = %s"
)
INSERT: Final = (
    'INSERT INTO messages (conversation_id, seq, account_id, device_id, time, client_id, sender, "to", text, '
    "about, what, kind) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
FIND_FIRST: Final = "SELECT first FROM conversations WHERE id = %s"
TAKE_FILE: Final = "UPDATE files SET conversation_id = %s, seq = %s WHERE id = %s AND account_id = %s AND seq IS NULL"
FIND_FILE: Final = "SELECT id FROM files WHERE conversation_id = %s AND seq = %s"
ADVANCE: Final = "UPDATE conversations SET head = %s WHERE id = %s"
REPORT: Final = "INSERT INTO moves (heads) VALUES (json_build_object(%s::text, %s::bigint))"


class LockedConversation(Struct):
    """A conversation whose counter this transaction has locked."""

    key: str
    id: int
    head: int


def insert_amendments(
    db: PgConnection,
    appends: Sequence[QueuedAppend],
    digest_key: bytes,
    begin_conversations: Callable[[], None] = lambda: None,
) -> list[AppendResult]:
    """Insert amendments or messages with files, and make their changes; return the result of each once on disk.

    All in one transaction, in which `begin_conversations` is called first: messages with files may begin some. Blocks
    the greenlet for some round trips for each. Raises psycopg's errors.
    """
    with db.transaction():
        begin_conversations()
        keys = sorted({message.conversation for message, _ in appends})
        locked = {row[0]: LockedConversation(*row) for row in db.execute(LOCK_CONVERSATIONS, (keys,)).fetchall()}
        results = []
        for message, callback in appends:
            conversation = locked.get(message.conversation)
            if conversation is None:
                results.append(AppendResult(callback, error=missing_error(message)))
                continue
            seq, duplicate, error = _insert(db, conversation, message, digest_key)
            results.append(AppendResult(callback, seq, duplicate, error))
    return results


def _insert(
    db: PgConnection, conversation: LockedConversation, message: NewMessage, digest_key: bytes
) -> tuple[int, bool, WireError | None]:
    """Return the seq of a message, whether it was stored before, and why it is refused."""
    about = message.about
    known = _find_duplicate(db, conversation.id, message, digest_key)
    if known is not None:
        return known[0], True, known[1]
    if message.needs_membership and not is_member(db, message.account, conversation.id):
        return 0, False, NotMember()
    error = _make_changes(db, conversation, message)
    if error is not None:
        return 0, False, error
    conversation.head = seq = conversation.head + 1
    db.execute(INSERT, (conversation.id, seq, *_values(message)))
    if about is not None and about.what and about.what not in REMOVES_TEXT:
        db.execute(ADD_REACTION_MESSAGE, (conversation.id, about.seq, seq))
    db.execute(ADVANCE, (seq, conversation.id))
    db.execute(REPORT, (conversation.key, seq))
    return seq, False, None


def _make_changes(db: PgConnection, conversation: LockedConversation, message: NewMessage) -> WireError | None:
    """Change what a message amends, and give it its file; return the error where it may not."""
    about = message.about
    error: WireError | None = None
    if about is not None:
        change = _amend if about.what else _check_reply
        error = change(db, conversation, message, about, replace_nul(message.text))
    if error is None and message.file is not None:
        taken = db.execute(TAKE_FILE, (conversation.id, conversation.head + 1, message.file.id, message.account))
        error = None if taken.rowcount == 1 else NoSuchFile()
    return error


def _check_reply(
    db: PgConnection, conversation: LockedConversation, message: NewMessage, about: About, text: str
) -> WireError | None:
    """Return `NoSuchMessage` where there is no message that a reply is about, or its sender may not read it."""
    ((first,),) = db.execute(FIND_FIRST, (conversation.id,)).fetchall()
    reader = {"account": message.account, "conversation": conversation.id, "seq": about.seq}
    is_there = first <= about.seq <= conversation.head
    return None if is_there and db.execute(MAY_READ, reader).fetchone() is not None else NoSuchMessage()


def _values(message: NewMessage) -> tuple[Any, ...]:
    id = message.id and replace_nul(message.id)
    text = replace_nul(own_text(message))
    sent = (message.account, message.device, message.time, id, message.sender, message.to, text)
    return (*sent, *about_columns(message), message.kind)


def _find_duplicate(
    db: PgConnection, conversation: int, message: NewMessage, digest_key: bytes
) -> tuple[int, WireError | None] | None:
    if message.id is None or message.device is None:
        return None
    sent = replace(message, text=replace_nul(message.text))
    place = (message.device, replace_nul(message.id), conversation)
    row = db.execute(FIND_DUPLICATE, place).fetchone()
    if row is not None:
        seq, text, about, what, is_changed = row
        is_changed = is_changed or what in REMOVES_TEXT
        error = compare_with_stored(sent, text, about, what, is_changed=is_changed)
        if error is None and not is_changed:
            file = db.execute(FIND_FILE, (conversation, seq)).fetchone()
            error = None if (file[0] if file else None) == file_id(message) else IdReused()
        return seq, error
    row = db.execute(FIND_PAST_ID, place).fetchone()
    return row and (int(row[0]), compare_with_digest(digest_key, sent, row[1]))


def _amend(
    db: PgConnection, conversation: LockedConversation, message: NewMessage, about: About, text: str
) -> WireError | None:
    """Change what an amendment is about; return the error where it may not."""
    place = (conversation.id, about.seq)
    row = db.execute(FIND_AMENDED, place).fetchone()
    amended = AmendmentTarget(*row) if row is not None else None
    error = check_amendment(message, about, amended)
    if amended is None or error is not None:
        return error or NoSuchMessage()
    if about.what == "edit":
        db.execute(EDIT, (text, message.time, *place))
        set_entry(db, amended.row, *place, make_tsvector(conversation.id, text))
    elif about.what == "erase":
        db.execute(ERASE, (about.by or message.sender, message.time, *place))
        for statement in (DELETE_REACTIONS, *BLANK_REACTIONS):
            db.execute(statement, place)
    else:
        return _change_reaction(db, conversation.id, message, about, text)
    return None


def _change_reaction(
    db: PgConnection, conversation: int, message: NewMessage, about: About, text: str
) -> WireError | None:
    place = (conversation, about.seq)
    reader = {"account": message.account, "conversation": conversation, "seq": about.seq}
    if db.execute(MAY_READ, reader).fetchone() is None:
        return NoSuchMessage()
    if about.what != "react":
        db.execute(DELETE_REACTION, (*place, text, message.account))
        return None
    texts = [known for (known,) in db.execute(FIND_TEXTS, (*place, MAX_REACTION_TEXTS)).fetchall()]
    if len(texts) >= MAX_REACTION_TEXTS and text not in texts:
        return TooManyReactions(limit=MAX_REACTION_TEXTS)
    db.execute(ADD_REACTION, (*place, text, message.account))
    return None
