"""The schema, and the migrations that lead to it. A released migration MUST NOT change."""

from __future__ import annotations

from typing import Final

from gmessenger.store.sqlite import past_ids, usage


def _table(name: str, *columns: str, rowid: bool = True) -> str:
    """Return a CREATE TABLE. Its white space, too, is what stores of all releases have in `sqlite_master`."""
    body, end = ", \n\t".join(columns), "" if rowid else "\n WITHOUT ROWID"
    return f"\nCREATE TABLE {name} (\n\t{body}\n){end}\n\n"


# Merges nothing before there are sixteen segments of one size, and then all of them in one commit: the larger the
# index, the longer that commit (0.5 s with 2.5 million messages, and every message waits).
FEWER_MERGES: Final = "INSERT INTO words (words, rank) VALUES ('automerge', 0)"
# Merges eight segments of one size incrementally: each commit does merge work in proportion to its own size.
STEADY_MERGES: Final = "INSERT INTO words (words, rank) VALUES ('automerge', 8)"

ID: Final = "id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"
INITIAL_SCHEMA: Final = (
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
    # Contentless: the text is normalised before it is indexed, and the table of messages has it anyway.
    "CREATE VIRTUAL TABLE words USING fts5(folded, content='', detail=full, tokenize='unicode61 remove_diacritics 0')",
    FEWER_MERGES,
)

NEW_IDENTITY: Final = "INSERT OR REPLACE INTO facts VALUES ('identity', lower(hex(randomblob(8))))"
ADD_FACTS_AND_PAST_IDS: Final = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    NEW_IDENTITY,
    # Before, the author of a message was known by its device only, which may have been deleted.
    "ALTER TABLE messages ADD COLUMN account_id INTEGER",
    "UPDATE messages SET account_id = (SELECT account_id FROM devices d WHERE d.id = device_id)",
    past_ids.CREATE_TABLE,
    "CREATE INDEX conversations_by_second ON conversations (substr(key, instr(key, ' ') + 1))",
)

ADD_SANCTIONS_AND_BLOCKS: Final = (
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

CREATE_INDEX: Final = (
    # Each word begins with its conversation's id (`store/sqlite/search_index.py`). The text is normalised before, so
    # the tokenizer need not know Unicode: for `ascii` all characters beyond ASCII are letters.
    "CREATE VIRTUAL TABLE words USING fts5(folded, content='', detail=full, tokenize='ascii')"
)
MARK_ALL_UNINDEXED: Final = (
    # Older messages are indexed while the server runs, newest first; those below this row are not indexed yet.
    "INSERT OR REPLACE INTO facts SELECT 'unindexed', max(rowid) + 1 FROM messages HAVING count(*) > 0"
)
REPLACE_INDEX: Final = ("DROP TABLE words", CREATE_INDEX, FEWER_MERGES, MARK_ALL_UNINDEXED)

# Messages are indexed behind their acknowledgement: those above this row are not indexed yet.
MARK_ALL_INDEXED: Final = "INSERT OR REPLACE INTO facts SELECT 'indexed', coalesce(max(rowid), 0) FROM messages"
RESTART_INDEX: Final = ("DROP TABLE words", CREATE_INDEX, STEADY_MERGES, MARK_ALL_UNINDEXED, MARK_ALL_INDEXED)

ADD_OWNED_ROOMS: Final = (
    # Rules that differ from those of a new room, as JSON; empty where none does.
    "ALTER TABLE conversations ADD COLUMN rules TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE participants ADD COLUMN role TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE participants ADD COLUMN joined FLOAT DEFAULT 0 NOT NULL",
    # The last seq when the account joined a room: its devices are sent what came after.
    "ALTER TABLE participants ADD COLUMN joined_seq INTEGER DEFAULT 0 NOT NULL",
    # The last seq when the account left; NULL while it is a member.
    "ALTER TABLE participants ADD COLUMN left_seq INTEGER",
    "UPDATE participants SET role = 'owner' FROM conversations c "
    "WHERE c.id = conversation_id AND c.creator = account_id AND c.key LIKE '#%'",
    # Messages that an account may not read, because they were sent while it was not a member.
    _table(
        "absences",
        "account_id INTEGER NOT NULL",
        "conversation_id INTEGER NOT NULL",
        "first INTEGER NOT NULL",
        "last INTEGER NOT NULL",
        "PRIMARY KEY (account_id, conversation_id, first)",
        rowid=False,
    ),
    _table(
        "room_sanctions",
        "conversation_id INTEGER NOT NULL",
        "kind TEXT NOT NULL",
        "target TEXT NOT NULL",
        "name TEXT NOT NULL",
        '"by" TEXT NOT NULL',
        "reason TEXT NOT NULL",
        "since FLOAT NOT NULL",
        "until FLOAT",
        "PRIMARY KEY (conversation_id, kind, target)",
        rowid=False,
    ),
    _table(
        "invitations",
        "conversation_id INTEGER NOT NULL",
        '"key" TEXT NOT NULL',
        "name TEXT NOT NULL",
        '"by" TEXT NOT NULL',
        "since FLOAT NOT NULL",
        'PRIMARY KEY (conversation_id, "key")',
        rowid=False,
    ),
    'CREATE INDEX invitations_by_key ON invitations ("key")',
)
ADD_MESSAGES_ABOUT: Final = (
    "ALTER TABLE messages ADD COLUMN kind TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE messages ADD COLUMN about INTEGER",
    "ALTER TABLE messages ADD COLUMN what TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE messages ADD COLUMN edited FLOAT",
    "ALTER TABLE messages ADD COLUMN erased_by TEXT",
    "ALTER TABLE messages ADD COLUMN erased_at FLOAT",
    # Amendments, which are counted among the unread: they are few, and behind the read position.
    "CREATE INDEX amendments ON messages (conversation_id, seq) WHERE what <> ''",
    _table(
        "reactions",
        "conversation_id INTEGER NOT NULL",
        "seq INTEGER NOT NULL",
        "text TEXT NOT NULL",
        "account_id INTEGER NOT NULL",
        "PRIMARY KEY (conversation_id, seq, text, account_id)",
        rowid=False,
    ),
    "CREATE INDEX reactions_by_account ON reactions (account_id)",
    # The messages with which reactions came and went: their texts go with the message that they are about.
    _table(
        "reaction_messages",
        "conversation_id INTEGER NOT NULL",
        "about INTEGER NOT NULL",
        "seq INTEGER NOT NULL",
        "PRIMARY KEY (conversation_id, about, seq)",
        rowid=False,
    ),
    # With it digests of texts are keyed. Those without a key are not compared any more.
    "INSERT OR IGNORE INTO facts VALUES ('digest key', lower(hex(randomblob(32))))",
    "UPDATE past_ids SET digest = x''",
)
ADD_ACCOUNT_CARE: Final = (
    # A one-time password is valid until then; NULL for one that its owner has chosen.
    "ALTER TABLE accounts ADD COLUMN password_until FLOAT",
    # Hash of the token of the session that has set the password; NULL where no session has.
    "ALTER TABLE accounts ADD COLUMN password_by BLOB",
    "ALTER TABLE accounts ADD COLUMN settings TEXT DEFAULT '' NOT NULL",
    # Counts changes of the password.
    "ALTER TABLE accounts ADD COLUMN generation INTEGER DEFAULT 0 NOT NULL",
    # When the last connection with the token ended, or it was given.
    "ALTER TABLE tokens ADD COLUMN used FLOAT DEFAULT 0 NOT NULL",
    "UPDATE tokens SET used = coalesce((SELECT used FROM devices d WHERE d.id = device_id), created)",
    "ALTER TABLE invites ADD COLUMN id TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE invites ADD COLUMN \"by\" TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE invites ADD COLUMN expires FLOAT",
    "ALTER TABLE invites ADD COLUMN uses INTEGER DEFAULT 1 NOT NULL",
    "UPDATE invites SET id = lower(substr(hex(hash), 1, 8))",
)

ADD_HOOKS: Final = (
    # Accounts by which other programs post. `creator`: the account that has made it; NULL for an operator.
    _table(
        "hooks",
        "account_id INTEGER NOT NULL",
        "conversation_id INTEGER NOT NULL",
        "hash BLOB NOT NULL",
        "creator INTEGER",
        '"by" TEXT NOT NULL',
        "created FLOAT NOT NULL",
        "PRIMARY KEY (account_id)",
        "UNIQUE (hash)",
    ),
    "CREATE INDEX hooks_by_conversation ON hooks (conversation_id)",
    # The message with which a hook has posted an alert last, by a short hash of the alert's own name.
    _table(
        "alerts",
        "account_id INTEGER NOT NULL",
        "fingerprint TEXT NOT NULL",
        "seq INTEGER NOT NULL",
        "time FLOAT NOT NULL",
        "PRIMARY KEY (account_id, fingerprint)",
        rowid=False,
    ),
)

ADD_FILES: Final = (
    # Files that were uploaded. `seq`: of the message that has it; NULL while none has.
    _table(
        "files",
        "id TEXT NOT NULL",
        "digest TEXT NOT NULL",
        "name TEXT NOT NULL",
        "type TEXT NOT NULL",
        "size INTEGER NOT NULL",
        "width INTEGER",
        "height INTEGER",
        "account_id INTEGER NOT NULL",
        "conversation_id INTEGER",
        "seq INTEGER",
        "time FLOAT NOT NULL",
        "PRIMARY KEY (id)",
        rowid=False,
    ),
    "CREATE UNIQUE INDEX files_by_message ON files (conversation_id, seq) WHERE seq IS NOT NULL",
    "CREATE INDEX files_waiting ON files (time) WHERE seq IS NULL",
    "CREATE INDEX files_by_digest ON files (digest)",
    # Contents of removed files, which are deleted if no other file has them.
    _table("dropped_contents", ID, "digest TEXT NOT NULL"),
    # In `FILE_BLOCK`s of `chat/records.py`, which count for the limits.
    "CREATE TABLE file_usage (account_id INTEGER PRIMARY KEY, count INTEGER NOT NULL, size INTEGER NOT NULL)",
    # A file goes with its message, however that goes, and its content after it.
    "CREATE TRIGGER file_of_deleted AFTER DELETE ON messages BEGIN DELETE FROM files "
    "WHERE seq = old.seq AND conversation_id = old.conversation_id; END",
    "CREATE TRIGGER file_of_erased AFTER UPDATE OF erased ON messages WHEN new.erased BEGIN DELETE FROM files "
    "WHERE seq = new.seq AND conversation_id = new.conversation_id; END",
    "CREATE TRIGGER file_added AFTER INSERT ON files BEGIN INSERT INTO file_usage "
    "VALUES (new.account_id, 1, (new.size + 4095) / 4096 * 4096) ON CONFLICT (account_id) "
    "DO UPDATE SET count = count + 1, size = size + excluded.size; END",
    "CREATE TRIGGER file_removed AFTER DELETE ON files BEGIN "
    "INSERT INTO dropped_contents (digest) VALUES (old.digest); "
    "UPDATE file_usage SET count = count - 1, size = size - (old.size + 4095) / 4096 * 4096 "
    "WHERE account_id = old.account_id; END",
    "INSERT OR IGNORE INTO facts VALUES ('files', lower(hex(randomblob(16))))",
)

ADD_PUSH_SUBSCRIPTIONS: Final = (
    # Where, and with which keys, push messages for a device are sent. Two devices never have the same endpoint.
    _table(
        "push_subscriptions",
        "device_id INTEGER NOT NULL",
        "endpoint TEXT NOT NULL",
        "p256dh TEXT NOT NULL",
        "auth TEXT NOT NULL",
        "PRIMARY KEY (device_id)",
        "UNIQUE (endpoint)",
    ),
    "CREATE TRIGGER push_subscription_of_deleted AFTER DELETE ON devices BEGIN DELETE FROM push_subscriptions "
    "WHERE device_id = old.id; END",
)

ADD_PASSING_ROOMS: Final = (
    # A room that a guest has made: it is deleted as soon as it is empty.
    "ALTER TABLE conversations ADD COLUMN passing BOOLEAN DEFAULT 0 NOT NULL",
)

ADD_TOPIC_AUTHORS: Final = (
    # Who has set the topic of a room, and when; empty and NULL where it was set before that was stored.
    "ALTER TABLE conversations ADD COLUMN topic_by TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE conversations ADD COLUMN topic_at FLOAT",
)

ADD_ROOM_MASKS: Final = (
    # Patterns of users who may not, or may, come into a room.
    _table(
        "room_masks",
        "conversation_id INTEGER NOT NULL",
        "kind TEXT NOT NULL",
        "mask TEXT NOT NULL",
        '"by" TEXT NOT NULL',
        "since FLOAT NOT NULL",
        "PRIMARY KEY (conversation_id, kind, mask)",
        rowid=False,
    ),
)

ADD_CREATION_TIMES: Final = (
    # When a room was made; NULL where that was before it was stored.
    "ALTER TABLE conversations ADD COLUMN created FLOAT",
)

ADD_PROFILES: Final = (
    # What users and rooms say of themselves, as JSON; empty where that is nothing.
    "ALTER TABLE accounts ADD COLUMN profile TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE conversations ADD COLUMN profile TEXT DEFAULT '' NOT NULL",
)

ADD_CERTIFICATES: Final = (
    # By which devices log in over TLS. `used`: when the device has presented it last; NULL before the first time.
    _table(
        "certificates",
        "device_id INTEGER NOT NULL",
        "fingerprint TEXT NOT NULL",
        "added FLOAT NOT NULL",
        "used FLOAT",
        "PRIMARY KEY (device_id)",
    ),
    "CREATE INDEX certificates_by_fingerprint ON certificates (fingerprint)",
    "CREATE TRIGGER certificate_of_deleted AFTER DELETE ON devices BEGIN DELETE FROM certificates "
    "WHERE device_id = old.id; END",
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    INITIAL_SCHEMA,
    ADD_FACTS_AND_PAST_IDS,
    ADD_SANCTIONS_AND_BLOCKS,
    usage.SCHEMA,
    REPLACE_INDEX,
    (*ADD_OWNED_ROOMS, *ADD_MESSAGES_ABOUT, *ADD_ACCOUNT_CARE, MARK_ALL_INDEXED),
    ADD_HOOKS,
    ADD_FILES,
    (STEADY_MERGES,),
    ADD_PUSH_SUBSCRIPTIONS,
    ADD_PASSING_ROOMS,
    ADD_TOPIC_AUTHORS,
    ADD_ROOM_MASKS,
    ADD_CREATION_TIMES,
    ADD_PROFILES,
    ADD_CERTIFICATES,
)
"""Statements that lead from version n to n + 1; the version is the file's `user_version`."""
VERSION: Final = len(MIGRATIONS)
WITH_FACTS: Final = 2  # the first version whose stores have an identity
WITH_USAGE: Final = 4  # the first version that counts the bytes stored of each account
