"""The schema, and the numbered steps that lead to it; a step that was released is never changed again."""

from __future__ import annotations

from typing import Final

from gmessenger.store.sqlite import dedup, usage


def _table(name: str, *columns: str, rowid: bool = True) -> str:
    """Return a CREATE TABLE. Its white space, too, is what stores of all releases have in `sqlite_master`."""
    body, end = ", \n\t".join(columns), "" if rowid else "\n WITHOUT ROWID"
    return f"\nCREATE TABLE {name} (\n\t{body}\n){end}\n\n"


# Merging a little with every commit cost one in a hundred of them 50 ms in a store of a million messages; merged only
# when there are many pieces of a size, it is 1.4 ms, and searching is no slower to a person.
FEWER_MERGES: Final = "INSERT INTO words (words, rank) VALUES ('automerge', 0)"

ID: Final = "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"
FIRST: Final = (
    _table(
        "accounts",
        ID,
        '"key" TEXT NOT NULL',
        "name TEXT NOT NULL",
        "password TEXT NOT NULL",
        "created FLOAT NOT NULL",
        "disabled BOOLEAN DEFAULT 0 NOT NULL",
        "role TEXT DEFAULT '' NOT NULL",
        'UNIQUE ("key")',
    ),
    _table(
        "conversations",
        ID,
        '"key" TEXT NOT NULL',
        "name TEXT NOT NULL",
        "topic TEXT DEFAULT '' NOT NULL",
        "creator INTEGER",
        "head INTEGER DEFAULT 0 NOT NULL",
        "first INTEGER DEFAULT 1 NOT NULL",
        'UNIQUE ("key")',
    ),
    _table(
        "cursors",
        "device_id INTEGER NOT NULL",
        "conversation_id INTEGER NOT NULL",
        "seq INTEGER NOT NULL",
        "PRIMARY KEY (device_id, conversation_id)",
        rowid=False,
    ),
    _table(
        "devices",
        ID,
        "account_id INTEGER NOT NULL",
        "name TEXT NOT NULL",
        "used FLOAT NOT NULL",
        "UNIQUE (account_id, name)",
    ),
    _table("invites", "hash BLOB NOT NULL", "created FLOAT NOT NULL", "PRIMARY KEY (hash)", rowid=False),
    _table(
        "messages",
        "rowid INTEGER NOT NULL",
        "conversation_id INTEGER NOT NULL",
        "seq INTEGER NOT NULL",
        "sender TEXT NOT NULL",
        '"to" TEXT NOT NULL',
        "text TEXT NOT NULL",
        "time FLOAT NOT NULL",
        "device_id INTEGER",
        "client_id TEXT",
        "erased BOOLEAN DEFAULT 0 NOT NULL",
        "PRIMARY KEY (rowid)",
        "UNIQUE (conversation_id, seq)",
    ),
    "CREATE UNIQUE INDEX messages_by_client_id ON messages (device_id, client_id, conversation_id) "
    "WHERE client_id IS NOT NULL",
    _table(
        "participants",
        "account_id INTEGER NOT NULL",
        "conversation_id INTEGER NOT NULL",
        "visible INTEGER NOT NULL",
        "read INTEGER DEFAULT 0 NOT NULL",
        "PRIMARY KEY (account_id, conversation_id)",
        rowid=False,
    ),
    "CREATE INDEX participants_by_conversation ON participants (conversation_id)",
    _table(
        "tokens",
        "hash BLOB NOT NULL",
        "account_id INTEGER NOT NULL",
        "device_id INTEGER NOT NULL",
        "created FLOAT NOT NULL",
        "PRIMARY KEY (hash)",
        rowid=False,
    ),
    "CREATE INDEX ix_tokens_device_id ON tokens (device_id)",
    "CREATE INDEX ix_tokens_account_id ON tokens (account_id)",
    # Contentless: the text is folded before it is indexed, and the messages table has it anyway.
    "CREATE VIRTUAL TABLE words USING fts5(folded, content='', detail=full, tokenize='unicode61 remove_diacritics 0')",
    FEWER_MERGES,
)

NEW_IDENTITY: Final = "INSERT OR REPLACE INTO facts VALUES ('identity', lower(hex(randomblob(8))))"
SECOND: Final = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    NEW_IDENTITY,
    # Whose a message is was to be told from its device before, which may have been dropped.
    "ALTER TABLE messages ADD COLUMN account_id INTEGER",
    "UPDATE messages SET account_id = (SELECT account_id FROM devices d WHERE d.id = device_id)",
    dedup.CREATE_TABLE,
    "CREATE INDEX conversations_by_second ON conversations (substr(key, instr(key, ' ') + 1))",
)

MODERATION: Final = (
    _table(
        "sanctions",
        "kind TEXT NOT NULL",
        "target TEXT NOT NULL",
        '"by" TEXT NOT NULL',
        "reason TEXT NOT NULL",
        "since FLOAT NOT NULL",
        "until FLOAT",
        "PRIMARY KEY (kind, target)",
        rowid=False,
    ),
    _table(
        "blocks",
        "account_id INTEGER NOT NULL",
        '"key" TEXT NOT NULL',
        "name TEXT NOT NULL",
        'PRIMARY KEY (account_id, "key")',
        rowid=False,
    ),
)

WORDS_BY_CONVERSATION: Final = (
    # Each word begins with its conversation's number (`store/sqlite/search_index.py`). Folded as it is, nothing has
    # to be known of Unicode here: with `ascii`, whatever is not ASCII is a letter.
    "CREATE VIRTUAL TABLE words USING fts5(folded, content='', detail=full, tokenize='ascii')"
)
UNINDEXED: Final = (
    # What was there before is indexed from its newest on, while the server runs; what is below this row is not yet.
    "INSERT OR REPLACE INTO facts SELECT 'unindexed', max(rowid) + 1 FROM messages HAVING count(*) > 0"
)
INDEX_ANEW: Final = ("DROP TABLE words", WORDS_BY_CONVERSATION, FEWER_MERGES, UNINDEXED)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (FIRST, SECOND, MODERATION, usage.SCHEMA, INDEX_ANEW)
"""What leads from version n to n + 1; the version is the file's `user_version`."""
VERSION: Final = len(MIGRATIONS)
WITH_FACTS: Final = 2
"""The version from which on a store has an identity."""
WITH_USAGE: Final = 4
"""The version from which on the bytes kept of each account are counted."""
