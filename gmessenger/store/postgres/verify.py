"""Read-only checks of a PostgreSQL store: verification of a snapshot, and status of the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import Connection

from gmessenger.constants import LEASE_TTL
from gmessenger.errors import FileError
from gmessenger.store.common import MAX_FAULTS, SELECT_SEQ_GAPS, VerifyReport, describe_miscounted, describe_seq_gaps
from gmessenger.store.postgres import schema
from gmessenger.store.postgres.pool import ConnectionSettings, describe_error
from gmessenger.store.postgres.search_index import FIND_FIRST_INDEXED, FIND_LAST_INDEXED

INSPECT_TIMEOUT: Final = 10.0  # seconds
SELECT_SERVER: Final = (
    "SELECT split_part(current_setting('server_version'), ' ', 1), "
    "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, "
    "NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off', "
    "has_schema_privilege(current_schema(), 'CREATE'), pg_database_size(current_database())"
)
MAY_WRITE: Final = "SELECT has_table_privilege('messages', 'INSERT')"
COUNT_NODES: Final = "SELECT count(*) FROM nodes WHERE seen > clock_timestamp() - %s * interval '1 second'"
SELECT_UNSAFE_SETTINGS: Final = (
    "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') "
    "AND reset_val IN ('off', 'local') ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The status of a database, as far as it is known without joining the cluster.

    `shown_url` is the URL without its password; `schema` is None where there is no store yet; `nodes` counts the
    servers that have it open; `size` is in bytes; `connections` is the limit for ordinary users; `unsafe_settings` are
    those by which the server does not wait for its disk.
    """

    shown_url: str
    server: str
    schema: int | None
    nodes: int
    size: int
    connections: int
    unsafe_settings: tuple[str, ...]


def inspect_database(url: str) -> DatabaseStatus:
    """Return the status of a database. Blocks.

    Raises `FileError` where it cannot be written or reached, else `ConfigError`.
    """
    settings = ConnectionSettings(url, INSPECT_TIMEOUT)
    with settings.connect_first() as db:
        try:
            ((server, connections, is_writable, may_create, size),) = db.execute(SELECT_SERVER).fetchall()
            facts = schema.read_facts(db)
            ((may_write,),) = db.execute(MAY_WRITE).fetchall() if facts else [(may_create,)]
            nodes = count_live_nodes(db) if facts else 0
            unsafe = tuple(name for (name,) in db.execute(SELECT_UNSAFE_SETTINGS).fetchall())
        except psycopg.Error as error:
            raise settings.to_error(error) from None
    if not is_writable:
        raise FileError(f"The store {settings.shown_url} cannot be written: its server is read-only.")
    if not may_write:
        raise FileError(f"The store {settings.shown_url} cannot be written by this user.")
    schema.require_known_schema(facts, settings.shown_url)
    version = int(facts["schema"]) if facts else None
    return DatabaseStatus(settings.shown_url, server, version, nodes, size, connections, unsafe)


def count_live_nodes(db: Connection[Any]) -> int:
    """Return the number of nodes that have the store open, by their heartbeats."""
    ((nodes,),) = db.execute(COUNT_NODES, (LEASE_TTL,)).fetchall()
    return int(nodes)


VERIFY_TIMEOUT: Final = 10.0  # seconds to connect
BEGIN_SNAPSHOT: Final = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL statement_timeout = 0",  # it takes long, and holds up no other transaction
)
COUNT_QUERIES: Final = {
    "accounts": "SELECT count(*) FROM accounts",
    "devices": "SELECT count(*) FROM devices",
    "rooms": "SELECT count(*) FROM conversations WHERE key >= '#' AND key < '$'",
    "conversations": "SELECT count(*) FROM conversations",
    "messages": "SELECT count(*) FROM messages",
    "erased": "SELECT count(*) FROM messages WHERE erased",
    "indexed": "SELECT count(*) FROM message_words",
}
COUNT_UNINDEXED: Final = (
    "SELECT count(*) FROM messages m WHERE NOT m.erased "  # noqa: S608
    f"AND (m.id < ({FIND_FIRST_INDEXED}) OR m.id > ({FIND_LAST_INDEXED})) "
    "AND NOT EXISTS (SELECT FROM message_words w WHERE w.id = m.id)"
)
"""Messages that the index need not have yet: those of earlier releases while they are indexed, and the newest."""
OLD_COUNT_QUERIES: Final = COUNT_QUERIES | {"indexed": "SELECT count(words) FROM messages"}
"""Those for a store of an earlier schema."""
ORPHAN_QUERIES: Final = {
    "messages belong to no conversation": (
        "SELECT count(*) FROM messages m WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = m.conversation_id)"
    ),
    "members belong to no conversation": (
        "SELECT count(*) FROM participants p "
        "WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = p.conversation_id)"
    ),
    "members are not accounts": (
        "SELECT count(*) FROM participants p WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = p.account_id)"
    ),
    "read positions are beyond the last message": (
        "SELECT count(*) FROM cursors u JOIN conversations c ON c.id = u.conversation_id WHERE u.seq > c.head"
    ),
    "devices belong to no account": (
        "SELECT count(*) FROM devices d WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = d.account_id)"
    ),
}
HAS_WORDS: Final = "SELECT (to_regclass('message_words') IS NOT NULL)::int"
NEW_ORPHAN_QUERIES: Final = {
    "entries of the search index belong to no message": (
        "SELECT count(*) FROM message_words w "
        "WHERE NOT EXISTS (SELECT FROM messages m WHERE m.id = w.id AND NOT m.erased)"
    ),
    "reactions belong to no message": (
        "SELECT count(*) FROM reactions r WHERE NOT EXISTS (SELECT FROM messages m "
        "WHERE m.conversation_id = r.conversation_id AND m.seq = r.seq AND NOT m.erased)"
    ),
    "absences belong to no conversation": (
        "SELECT count(*) FROM absences a WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = a.conversation_id)"
    ),
    "room sanctions belong to no conversation": (
        "SELECT count(*) FROM room_sanctions s "
        "WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = s.conversation_id)"
    ),
    "invitations belong to no conversation": (
        "SELECT count(*) FROM invitations i "
        "WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = i.conversation_id)"
    ),
    "masks of rooms belong to no conversation": (
        "SELECT count(*) FROM room_masks m "
        "WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = m.conversation_id)"
    ),
    "messages of reactions belong to no conversation": (
        "SELECT count(*) FROM reaction_messages r "
        "WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = r.conversation_id)"
    ),
}
"""Those of tables that a store of an earlier schema does not have."""

HAS_HOOKS: Final = "SELECT (to_regclass('hooks') IS NOT NULL)::int"
HOOK_QUERIES: Final = {
    "hooks belong to no account or no room": (
        "SELECT count(*) FROM hooks h WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = h.account_id) "
        "OR NOT EXISTS (SELECT FROM conversations c WHERE c.id = h.conversation_id)"
    ),
    "alerts belong to no hook": (
        "SELECT count(*) FROM alerts l WHERE NOT EXISTS (SELECT FROM hooks h WHERE h.account_id = l.account_id)"
    ),
}

SENT_CONTENTS: Final = "SELECT DISTINCT digest, size FROM files WHERE seq IS NOT NULL ORDER BY digest"
HAS_FILES: Final = "SELECT (to_regclass('files') IS NOT NULL)::int"
FILE_QUERIES: Final = {
    "files belong to no message": (
        "SELECT count(*) FROM files f WHERE f.seq IS NOT NULL AND NOT EXISTS (SELECT FROM messages m "
        "WHERE m.conversation_id = f.conversation_id AND m.seq = f.seq AND NOT m.erased)"
    ),
    "accounts have files that are counted wrongly": (
        "SELECT count(*) FROM (SELECT account FROM ("
        "SELECT account_id AS account, count, size FROM file_usage UNION ALL "
        "SELECT account_id, -1, -((size + 4095) / 4096 * 4096) FROM files) AS counted "
        "GROUP BY account HAVING sum(count) <> 0 OR sum(size) <> 0) AS miscounted"
    ),
}

COUNT_MISCOUNTED: Final = (
    "SELECT count(*) FROM (SELECT account FROM ("
    "SELECT account_id AS account, bytes FROM usage UNION ALL "
    "SELECT coalesce(account_id, 0), -octet_length(text) FROM messages"
    ") AS counted GROUP BY account HAVING sum(bytes) <> 0) AS miscounted"
)
HAS_USAGE: Final = "SELECT (to_regclass('usage') IS NOT NULL)::int"


def verify_database(url: str) -> VerifyReport:
    """Verify one snapshot of a store. Blocks.

    Raises `FileError` where there is no store or no server, `ConfigError` for a newer schema or a refused login.
    """
    settings = ConnectionSettings(url, VERIFY_TIMEOUT)
    report = VerifyReport()
    with settings.connect_first() as db:
        require_store(db, settings)
        try:
            for statement in BEGIN_SNAPSHOT:
                db.execute(statement)
            verify_transaction(db, report)
        except psycopg.Error as error:
            report.faults.append(f"it cannot be read: {describe_error(error)}.")
    return report


def contents_of_database(url: str) -> list[tuple[str, int]]:
    """Return digest and size of the contents of files that messages have; see `stored_contents`."""
    settings = ConnectionSettings(url, VERIFY_TIMEOUT)
    with settings.connect_first() as db:
        require_store(db, settings)
        return db.execute(SENT_CONTENTS).fetchall() if _select_count(db, HAS_FILES) else []


def verify_transaction(db: Connection[Any], report: VerifyReport) -> None:
    """Verify what a transaction sees; add the counts and faults to a report."""
    is_new = bool(_select_count(db, HAS_WORDS))
    counts = COUNT_QUERIES if is_new else OLD_COUNT_QUERIES
    report.counts = {what: _select_count(db, query) for what, query in counts.items()}
    unindexed = _select_count(db, COUNT_UNINDEXED) if is_new else 0
    report.faults += describe_seq_gaps(db.execute(SELECT_SEQ_GAPS).fetchmany(MAX_FAULTS), report.counts, unindexed)
    queries = ORPHAN_QUERIES | (NEW_ORPHAN_QUERIES if is_new else {})
    queries |= HOOK_QUERIES if _select_count(db, HAS_HOOKS) else {}
    queries |= FILE_QUERIES if _select_count(db, HAS_FILES) else {}
    orphans = {what: _select_count(db, query) for what, query in queries.items()}
    report.faults += [f"{count} {what}." for what, count in orphans.items() if count]
    report.faults += describe_miscounted(_select_count(db, COUNT_MISCOUNTED) if _select_count(db, HAS_USAGE) else 0)


def require_store(db: Connection[Any], settings: ConnectionSettings) -> None:
    """Raise `FileError` where a database has no store, `ConfigError` where its schema is too new."""
    try:
        facts = schema.read_facts(db)
    except psycopg.Error as error:
        raise settings.to_error(error) from None
    if not facts:
        raise FileError(f"{settings.shown_url} has no gmessenger store.")
    schema.require_known_schema(facts, settings.shown_url)


def _select_count(db: Connection[Any], query: LiteralString) -> int:
    row = db.execute(query).fetchone()
    return int(row[0]) if row else 0
