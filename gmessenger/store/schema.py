"""The schema, and the numbered steps that lead to it; a step that was released is never changed again."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from gmessenger.store import past, usage

metadata: Final = MetaData()

accounts: Final = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=text("0")),
    Column("role", Text, nullable=False, server_default=text("''")),
    sqlite_autoincrement=True,
)
devices: Final = Table(
    "devices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("used", Float, nullable=False),
    UniqueConstraint("account_id", "name"),
    sqlite_autoincrement=True,
)
tokens: Final = Table(
    "tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("account_id", Integer, nullable=False, index=True),
    Column("device_id", Integer, nullable=False, index=True),
    Column("created", Float, nullable=False),
    sqlite_with_rowid=False,
)
invites: Final = Table(
    "invites",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("created", Float, nullable=False),
    sqlite_with_rowid=False,
)
conversations: Final = Table(
    "conversations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("topic", Text, nullable=False, server_default=text("''")),
    Column("creator", Integer),
    Column("head", Integer, nullable=False, server_default=text("0")),
    Column("first", Integer, nullable=False, server_default=text("1")),
    sqlite_autoincrement=True,
)
participants: Final = Table(
    "participants",
    metadata,
    Column("account_id", Integer, primary_key=True),
    Column("conversation_id", Integer, primary_key=True),
    Column("visible", Integer, nullable=False),
    Column("read", Integer, nullable=False, server_default=text("0")),
    Index("participants_by_conversation", "conversation_id"),
    sqlite_with_rowid=False,
)
cursors: Final = Table(
    "cursors",
    metadata,
    Column("device_id", Integer, primary_key=True),
    Column("conversation_id", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    sqlite_with_rowid=False,
)
messages: Final = Table(
    "messages",
    metadata,
    Column("rowid", Integer, primary_key=True),
    Column("conversation_id", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("sender", Text, nullable=False),
    Column("to", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("time", Float, nullable=False),
    Column("device_id", Integer),
    Column("client_id", Text),
    Column("erased", Boolean, nullable=False, server_default=text("0")),
    UniqueConstraint("conversation_id", "seq"),
)
Index(
    "messages_by_client_id",
    messages.c.device_id,
    messages.c.client_id,
    messages.c.conversation_id,
    unique=True,
    sqlite_where=messages.c.client_id.is_not(None),
)

later: Final = MetaData()
"""Tables that came with a later version: what makes a version is never changed."""

sanctions: Final = Table(
    "sanctions",
    later,
    Column("kind", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("until", Float),
    sqlite_with_rowid=False,
)
blocks: Final = Table(
    "blocks",
    later,
    Column("account_id", Integer, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("name", Text, nullable=False),
    sqlite_with_rowid=False,
)

WORDS: Final = (
    # Contentless: the text is folded before it is indexed, and the messages table has it anyway.
    "CREATE VIRTUAL TABLE words USING fts5(folded, content='', detail=full, tokenize='unicode61 remove_diacritics 0')"
)
# Merging a little with every commit cost one in a hundred of them 50 ms in a store of a million messages; merged only
# when there are many pieces of a size, it is 1.4 ms, and searching is no slower to a person.
FEWER_MERGES: Final = "INSERT INTO words (words, rank) VALUES ('automerge', 0)"


def _everything() -> tuple[str, ...]:
    return (*_made(*metadata.sorted_tables), WORDS, FEWER_MERGES)


def _made(*tables: Table) -> tuple[str, ...]:
    dialect = sqlite.dialect()
    statements: list[str] = []
    for table in tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    return tuple(statements)


NEW_IDENTITY: Final = "INSERT OR REPLACE INTO facts VALUES ('identity', lower(hex(randomblob(8))))"
SECOND: Final = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    NEW_IDENTITY,
    # Whose a message is was to be told from its device before, which may have been dropped.
    "ALTER TABLE messages ADD COLUMN account_id INTEGER",
    "UPDATE messages SET account_id = (SELECT account_id FROM devices d WHERE d.id = device_id)",
    past.TABLE,
    "CREATE INDEX conversations_by_second ON conversations (substr(key, instr(key, ' ') + 1))",
)

WORDS_BY_CONVERSATION: Final = (
    # Each word begins with its conversation's number (`store/index.py`). Folded as it is, nothing has to be known of
    # Unicode here: with `ascii`, whatever is not ASCII is a letter.
    "CREATE VIRTUAL TABLE words USING fts5(folded, content='', detail=full, tokenize='ascii')"
)
UNINDEXED: Final = (
    # What was there before is indexed from its newest on, while the server runs; what is below this row is not yet.
    "INSERT OR REPLACE INTO facts SELECT 'unindexed', max(rowid) + 1 FROM messages HAVING count(*) > 0"
)
INDEX_ANEW: Final = ("DROP TABLE words", WORDS_BY_CONVERSATION, FEWER_MERGES, UNINDEXED)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    *(_everything(), SECOND, _made(sanctions, blocks), usage.SCHEMA, INDEX_ANEW),
)
"""What leads from version n to n + 1; the version is the file's `user_version`."""
VERSION: Final = len(MIGRATIONS)
WITH_FACTS: Final = 2
"""The version from which on a store has an identity."""
WITH_USAGE: Final = 4
"""The version from which on the bytes kept of each account are counted."""
