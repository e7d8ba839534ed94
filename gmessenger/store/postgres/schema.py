"""The schema, and the migrations that lead to it. A released migration MUST NOT change.

Several nodes may start at once, and older ones may run meanwhile: a migration adds what is new and leaves what they
use. Keys are compared by code point, whatever the collation of the database.
"""

from __future__ import annotations

from typing import Any, Final, LiteralString

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from gmessenger.errors import ConfigError
from gmessenger.store.postgres.migrations import (
    ADD_CERTIFICATES,
    ADD_CREATION_TIMES,
    ADD_PASSING_ROOMS,
    ADD_PROFILES,
    ADD_PUSH_SUBSCRIPTIONS,
    ADD_ROOM_MASKS,
    ADD_TOPIC_AUTHORS,
)

INITIAL_SCHEMA: Final = """
CREATE TABLE facts (
    name text PRIMARY KEY,
    value text NOT NULL
);
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    password text NOT NULL,
    created double precision NOT NULL,
    disabled boolean NOT NULL DEFAULT false,
    role text NOT NULL DEFAULT '',
    generation integer NOT NULL DEFAULT 0
);
CREATE TABLE devices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    used double precision NOT NULL,
    entry bigint NOT NULL DEFAULT 0,
    UNIQUE (account_id, name)
);
CREATE TABLE tokens (
    hash bytea PRIMARY KEY,
    account_id bigint NOT NULL,
    device_id bigint NOT NULL,
    created double precision NOT NULL
);
CREATE INDEX tokens_by_account ON tokens (account_id);
CREATE INDEX tokens_by_device ON tokens (device_id);
CREATE TABLE invites (
    hash bytea PRIMARY KEY,
    created double precision NOT NULL
);
-- Its head changes with every batch of messages: room in each page keeps that out of the indexes.
CREATE TABLE conversations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    topic text NOT NULL DEFAULT '',
    creator bigint,
    head bigint NOT NULL DEFAULT 0,
    first bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);
CREATE INDEX conversations_by_second ON conversations (split_part(key, ' ', 2)) WHERE strpos(key, ' ') > 0;
CREATE TABLE participants (
    account_id bigint NOT NULL,
    conversation_id bigint NOT NULL,
    visible bigint NOT NULL,
    read bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, conversation_id)
) WITH (fillfactor = 80);
CREATE INDEX participants_by_conversation ON participants (conversation_id);
CREATE TABLE cursors (
    device_id bigint NOT NULL,
    conversation_id bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (device_id, conversation_id)
) WITH (fillfactor = 50);
CREATE INDEX cursors_by_conversation ON cursors (conversation_id);
CREATE TABLE messages (
    id bigint GENERATED ALWAYS AS IDENTITY,
    conversation_id bigint NOT NULL,
    seq bigint NOT NULL,
    account_id bigint,
    device_id bigint,
    time double precision NOT NULL,
    erased boolean NOT NULL DEFAULT false,
    client_id text,
    sender text NOT NULL,
    "to" text NOT NULL,
    text text NOT NULL,
    words tsvector,
    PRIMARY KEY (conversation_id, seq)
);
CREATE UNIQUE INDEX messages_in_order ON messages (id);
CREATE UNIQUE INDEX messages_by_client_id ON messages (device_id, client_id, conversation_id)
    WHERE client_id IS NOT NULL;
CREATE INDEX messages_by_words ON messages USING gin (words);
CREATE TABLE past_ids (
    device_id bigint NOT NULL,
    client_id text NOT NULL,
    conversation_id bigint NOT NULL,
    seq bigint NOT NULL,
    digest bytea NOT NULL,
    time double precision NOT NULL,
    PRIMARY KEY (device_id, client_id, conversation_id)
);
CREATE INDEX past_ids_by_time ON past_ids (time);
CREATE INDEX past_ids_by_conversation ON past_ids (conversation_id);
CREATE TABLE sanctions (
    kind text NOT NULL,
    target text COLLATE "C" NOT NULL,
    by text NOT NULL,
    reason text NOT NULL,
    since double precision NOT NULL,
    until double precision,
    PRIMARY KEY (kind, target)
);
CREATE TABLE blocks (
    account_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (account_id, key)
);
-- What the nodes tell each other: rows are only added, and dropped when they are old.
CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    node text NOT NULL,
    kind text NOT NULL,
    subject json NOT NULL,
    details json NOT NULL
);
CREATE INDEX changes_by_tx ON changes (tx);
CREATE TABLE moves (
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT now(),
    heads json NOT NULL
);
CREATE INDEX moves_by_tx ON moves (tx);
CREATE TABLE nodes (
    name text PRIMARY KEY,
    seen timestamptz NOT NULL
);
CREATE TABLE guests (
    key text COLLATE "C" PRIMARY KEY,
    node text NOT NULL,
    token bytea NOT NULL
);
CREATE INDEX guests_by_node ON guests (node);
"""

ADD_USAGE: Final = """
-- How many bytes of text are kept of each account, and under 0 of guests: counted by triggers, whatever node or program
-- changes what is kept. Each connection counts in one of 16 rows, so that no two nodes wait for each other there.
CREATE TABLE usage (
    account_id bigint NOT NULL,
    shard integer NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (account_id, shard)
) WITH (fillfactor = 50);
LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO usage SELECT coalesce(account_id, 0), 0, sum(octet_length(text)) FROM messages GROUP BY 1;
CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE here integer := pg_backend_pid() % 16;
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO usage AS u
        SELECT coalesce(account_id, 0), here, sum(octet_length(text)) FROM added GROUP BY 1 ORDER BY 1
        ON CONFLICT (account_id, shard) DO UPDATE SET bytes = u.bytes + excluded.bytes;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO usage AS u
        SELECT coalesce(account_id, 0), here, -sum(octet_length(text)) FROM removed GROUP BY 1 ORDER BY 1
        ON CONFLICT (account_id, shard) DO UPDATE SET bytes = u.bytes + excluded.bytes;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_added AFTER INSERT ON messages
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_usage();
CREATE TRIGGER usage_changed AFTER UPDATE ON messages
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_usage();
CREATE TRIGGER usage_removed AFTER DELETE ON messages
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_usage();
"""

MARK_ALL_UNINDEXED: Final = """
-- Each word begins with its conversation. What was there before is indexed from its newest on, while nodes run: what is
-- below this id is not yet.
INSERT INTO facts SELECT 'unindexed', (max(id) + 1)::text FROM messages HAVING count(*) > 0
ON CONFLICT (name) DO UPDATE SET value = excluded.value;
"""

ADD_OWNED_ROOMS: Final = """
-- Rules that differ from those of a new room, as JSON; empty where none does.
ALTER TABLE conversations ADD COLUMN rules text NOT NULL DEFAULT '';
ALTER TABLE participants ADD COLUMN role text NOT NULL DEFAULT '';
ALTER TABLE participants ADD COLUMN joined double precision NOT NULL DEFAULT 0;
-- The last seq when the account joined a room: its devices are sent what came after.
ALTER TABLE participants ADD COLUMN joined_seq bigint NOT NULL DEFAULT 0;
-- The last seq when the account left; NULL while it is a member.
ALTER TABLE participants ADD COLUMN left_seq bigint;
UPDATE participants SET role = 'owner' FROM conversations c
WHERE c.id = conversation_id AND c.creator = account_id AND c.key LIKE '#%';
-- Messages that an account may not read, because they were sent while it was not a member.
CREATE TABLE absences (
    account_id bigint NOT NULL,
    conversation_id bigint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (account_id, conversation_id, first)
);
CREATE INDEX absences_by_conversation ON absences (conversation_id);
CREATE TABLE room_sanctions (
    conversation_id bigint NOT NULL,
    kind text NOT NULL,
    target text COLLATE "C" NOT NULL,
    name text NOT NULL,
    by text NOT NULL,
    reason text NOT NULL,
    since double precision NOT NULL,
    until double precision,
    PRIMARY KEY (conversation_id, kind, target)
);
CREATE TABLE invitations (
    conversation_id bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    by text NOT NULL,
    since double precision NOT NULL,
    PRIMARY KEY (conversation_id, key)
);
CREATE INDEX invitations_by_key ON invitations (key);
-- The schema that a node's program knows; a node of an earlier release does not say.
ALTER TABLE nodes ADD COLUMN schema integer NOT NULL DEFAULT 0;
"""

ADD_MESSAGES_ABOUT: Final = """
ALTER TABLE messages ADD COLUMN kind text NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN about bigint;
ALTER TABLE messages ADD COLUMN what text NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN edited double precision;
ALTER TABLE messages ADD COLUMN erased_by text;
ALTER TABLE messages ADD COLUMN erased_at double precision;
-- Amendments, which are counted among the unread: they are few, and behind the read position.
CREATE INDEX amendments ON messages (conversation_id, seq) WHERE what <> '';
CREATE TABLE reactions (
    conversation_id bigint NOT NULL,
    seq bigint NOT NULL,
    text text NOT NULL,
    account_id bigint NOT NULL,
    PRIMARY KEY (conversation_id, seq, text, account_id)
);
CREATE INDEX reactions_by_account ON reactions (account_id);
-- The messages with which reactions came and went: their texts go with the message that they are about.
CREATE TABLE reaction_messages (
    conversation_id bigint NOT NULL,
    about bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (conversation_id, about, seq)
);
-- With it digests of texts are keyed. Those without a key are not compared any more.
INSERT INTO facts VALUES ('digest key', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''))
ON CONFLICT DO NOTHING;
UPDATE past_ids SET digest = '';
"""

ADD_ACCOUNT_CARE: Final = """
-- A one-time password is valid until then; NULL for one that its owner has chosen.
ALTER TABLE accounts ADD COLUMN password_until double precision;
-- Hash of the token of the session that has set the password; NULL where no session has.
ALTER TABLE accounts ADD COLUMN password_by bytea;
ALTER TABLE accounts ADD COLUMN settings text NOT NULL DEFAULT '';
-- When the last connection with the token ended, or it was given.
ALTER TABLE tokens ADD COLUMN used double precision NOT NULL DEFAULT 0;
UPDATE tokens SET used = coalesce((SELECT d.used FROM devices d WHERE d.id = device_id), created);
ALTER TABLE invites ADD COLUMN id text NOT NULL DEFAULT '';
ALTER TABLE invites ADD COLUMN by text NOT NULL DEFAULT '';
ALTER TABLE invites ADD COLUMN expires double precision;
ALTER TABLE invites ADD COLUMN uses integer NOT NULL DEFAULT 1;
UPDATE invites SET id = left(encode(hash, 'hex'), 8);
"""

TEXTS_LOCK: Final = 1735223671  # "gmiw", an advisory lock: see `store/postgres/search_index.py`
ADD_MESSAGE_WORDS: Final = f"""
-- The search index. Earlier releases keep words in `messages.words`, which is not written any more: from now on their
-- searches are slow, and do not find what later nodes have stored.
DROP INDEX messages_by_words;
CREATE TABLE message_words (
    id bigint PRIMARY KEY,
    conversation_id bigint NOT NULL,
    seq bigint NOT NULL,
    words tsvector NOT NULL
);
CREATE INDEX message_words_by_word ON message_words USING gin (words);
-- All messages up to this id have an entry. No transaction is writing now, as this one has changed the table.
INSERT INTO facts SELECT 'index to', coalesce(max(id), 0)::text FROM messages;
-- What was there before is indexed from its newest on, while nodes run: what is below this id is not yet. The fact
-- `unindexed` is that of earlier releases, which may still be at it.
INSERT INTO facts SELECT 'index from', (max(id) + 1)::text FROM messages HAVING count(*) > 0;
-- Whatever node or program changes a text: its entry goes, and an indexer that has read the old text cannot add it.
CREATE FUNCTION remove_words() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({TEXTS_LOCK});
    DELETE FROM message_words WHERE id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER words_changed AFTER UPDATE OF text, erased ON messages FOR EACH ROW
    WHEN (NEW.erased OR NEW.text IS DISTINCT FROM OLD.text) EXECUTE FUNCTION remove_words();
CREATE TRIGGER words_removed AFTER DELETE ON messages FOR EACH ROW EXECUTE FUNCTION remove_words();
"""  # noqa: S608

ADD_HOOKS: Final = """
-- Accounts by which other programs post. `creator`: the account that has made it; NULL for an operator.
CREATE TABLE hooks (
    account_id bigint PRIMARY KEY,
    conversation_id bigint NOT NULL,
    hash bytea NOT NULL UNIQUE,
    creator bigint,
    by text NOT NULL,
    created double precision NOT NULL
);
CREATE INDEX hooks_by_conversation ON hooks (conversation_id);
-- The message with which a hook has posted an alert last, by a short hash of the alert's own name.
CREATE TABLE alerts (
    account_id bigint NOT NULL,
    fingerprint text NOT NULL,
    seq bigint NOT NULL,
    time double precision NOT NULL,
    PRIMARY KEY (account_id, fingerprint)
);
"""

ADD_FILES: Final = """
-- Files that were uploaded. `seq`: of the message that has it; NULL while none has.
CREATE TABLE files (
    id text COLLATE "C" PRIMARY KEY,
    digest text COLLATE "C" NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    size bigint NOT NULL,
    width integer,
    height integer,
    account_id bigint NOT NULL,
    conversation_id bigint,
    seq bigint,
    time double precision NOT NULL
);
CREATE UNIQUE INDEX files_by_message ON files (conversation_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX files_waiting ON files (time) WHERE seq IS NULL;
CREATE INDEX files_by_digest ON files (digest);
-- Contents of removed files, which are deleted if no other file has them.
CREATE TABLE dropped_contents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest text NOT NULL
);
-- Counted as `usage` is, in `FILE_BLOCK`s of `chat/records.py`.
CREATE TABLE file_usage (
    account_id bigint NOT NULL,
    shard integer NOT NULL,
    count bigint NOT NULL,
    size bigint NOT NULL,
    PRIMARY KEY (account_id, shard)
) WITH (fillfactor = 50);
CREATE FUNCTION count_files() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE here integer := pg_backend_pid() % 16;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO file_usage AS u
        SELECT account_id, here, count(*), sum((size + 4095) / 4096 * 4096) FROM added GROUP BY 1 ORDER BY 1
        ON CONFLICT (account_id, shard) DO UPDATE SET count = u.count + excluded.count, size = u.size + excluded.size;
    ELSE
        INSERT INTO file_usage AS u
        SELECT account_id, here, -count(*), -sum((size + 4095) / 4096 * 4096) FROM removed GROUP BY 1 ORDER BY 1
        ON CONFLICT (account_id, shard) DO UPDATE SET count = u.count + excluded.count, size = u.size + excluded.size;
        INSERT INTO dropped_contents (digest) SELECT digest FROM removed;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER files_added AFTER INSERT ON files
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_files();
CREATE TRIGGER files_removed AFTER DELETE ON files
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_files();
-- A file goes with its message, whatever node or program removes or erases that, and its content after it.
CREATE FUNCTION remove_file() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM files WHERE conversation_id = OLD.conversation_id AND seq = OLD.seq;
    RETURN NULL;
END $$;
CREATE TRIGGER file_of_erased AFTER UPDATE OF erased ON messages FOR EACH ROW
    WHEN (NEW.erased) EXECUTE FUNCTION remove_file();
CREATE TRIGGER file_of_deleted AFTER DELETE ON messages FOR EACH ROW EXECUTE FUNCTION remove_file();
INSERT INTO facts VALUES ('files', replace(gen_random_uuid()::text, '-', '')) ON CONFLICT DO NOTHING;
"""

MIGRATIONS: Final[tuple[LiteralString, ...]] = (
    INITIAL_SCHEMA,
    ADD_USAGE,
    MARK_ALL_UNINDEXED,
    ADD_OWNED_ROOMS + ADD_MESSAGES_ABOUT + ADD_ACCOUNT_CARE + ADD_MESSAGE_WORDS,
    ADD_HOOKS,
    ADD_FILES,
    ADD_PUSH_SUBSCRIPTIONS,
    ADD_PASSING_ROOMS,
    ADD_TOPIC_AUTHORS,
    ADD_ROOM_MASKS,
    ADD_CREATION_TIMES,
    ADD_PROFILES,
    ADD_CERTIFICATES,
)
"""Statements that lead from version n to n + 1; the version is the fact `schema`."""
VERSION: Final = len(MIGRATIONS)
FIRST_WITH_RULES: Final = 4  # the first version whose programs know rules of rooms and roles in them
FIRST_WITH_HOOKS: Final = 5  # the first version whose programs let nobody log in as a hook, nor own a room
FIRST_WITH_KEYS: Final = MIGRATIONS.index(ADD_PASSING_ROOMS) + 1  # the first version whose programs know keys of rooms
FIRST_WITH_MASKS: Final = MIGRATIONS.index(ADD_ROOM_MASKS) + 1  # the first version whose programs obey masks of rooms
FIRST_WITH_CERTIFICATES: Final = MIGRATIONS.index(ADD_CERTIFICATES) + 1
"""The first version whose programs void certificates with the tokens of a device."""
MIN_PROGRAM_VERSION: Final = 3
"""Schema version that a program must know to work with this schema; stored as the fact `works from`."""

SCHEMA_LOCK: Final = 0x676D6573  # "gmes": the advisory lock of migrations
MIGRATION_TIMEOUT: Final = "SET LOCAL statement_timeout = '10min'"
"""A migration may take long; nodes that start meanwhile wait for it."""
TAKE_LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"
HAS_FACTS: Final = "SELECT to_regclass('facts') IS NOT NULL"
FACTS: Final = "SELECT name, value FROM facts WHERE name IN ('schema', 'works from', 'place')"
SET_FACT: Final = "INSERT INTO facts VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
SELECT_DATABASE_ID: Final = (
    # A database that a dump was read into is another store: the same transaction ids will come again.
    "SELECT (SELECT system_identifier FROM pg_control_system())::text || ' ' || oid FROM pg_database "
    "WHERE datname = current_database()"
)
NEW_IDENTITY: Final = (
    "INSERT INTO facts VALUES ('identity', left(replace(gen_random_uuid()::text, '-', ''), 16)) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def read_facts(db: Connection[Any]) -> dict[str, str]:
    """Return the facts about the schema by name; none where the database has no store."""
    row = db.execute(HAS_FACTS).fetchone()
    return dict(db.execute(FACTS).fetchall()) if row and row[0] else {}


def require_known_schema(facts: dict[str, str], shown: str) -> None:
    """Raise `ConfigError` where the store needs a later program; `shown` is its redacted URL."""
    if int(facts.get("works from", 0)) > VERSION:
        raise ConfigError(
            f"The store {shown} has schema {facts['schema']}, made by a later release; this one knows schema {VERSION}."
        )


def migrate(db: Connection[Any], shown: str) -> None:
    """Bring the schema up to this program's version; leave a newer one that it can work with.

    Blocks. Raises `ConfigError` where this program cannot work with it; `shown` is the redacted URL for that.
    """
    with db.transaction():
        db.execute(MIGRATION_TIMEOUT)
        db.execute(TAKE_LOCK, (SCHEMA_LOCK,))
        facts = read_facts(db)
        require_known_schema(facts, shown)
        version = int(facts.get("schema", 0))
        for step in MIGRATIONS[version:]:
            db.execute(step)
        if version < VERSION:
            db.execute(SET_FACT, ("schema", str(VERSION)))
            # It may be more already, where rooms have rules.
            works_from = max(MIN_PROGRAM_VERSION, int(facts.get("works from", 0)))
            db.execute(SET_FACT, ("works from", str(works_from)))
        _check_database_id(db, facts.get("place"))


def _check_database_id(db: Connection[Any], known: str | None) -> None:
    """Renew the identity where a dump was read into another database."""
    row = db.execute(SELECT_DATABASE_ID).fetchone()
    if row is not None and row[0] != known:
        db.execute(SET_FACT, ("place", row[0]))
        renew_identity(db)


def renew_identity(db: Connection[Any]) -> None:
    """Make it another store, as its seqs will be given again; drop what nodes told each other."""
    db.execute(NEW_IDENTITY)
    for table in ("changes", "moves", "guests", "nodes"):
        db.execute(SQL("DELETE FROM {}").format(Identifier(table)))
    db.execute("DELETE FROM facts WHERE name IN ('dropped', 'bus key')")
