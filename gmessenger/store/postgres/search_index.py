"""The search index of PostgreSQL: a table with the words of each message, filled behind the acknowledgement.

The messages that have an entry are those with ids from the fact `index from` to the fact `index to`, without those that
were erased. What is newer waits for its entry, or has it already; what is older waits for `store/postgres/reindex.py`.

No entry outlives its text. A trigger removes it where any program deletes a message or changes its text; before that it
takes `TEXTS_LOCK`, shared, to the end of its transaction. An indexer, which has read texts before, takes that lock
alone, then looks again which messages are still there, adds their entries and commits: it sees what was removed before,
and what is removed later finds the entry. An edit adds the entry of its own text, which no indexer replaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from msgspec import json

from gmessenger.store.common import indexed_text
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.schema import TEXTS_LOCK
from gmessenger.store.postgres.settled_ids import SELECT_LAST_ID, SettledIds
from gmessenger.store.postgres.tsvector import make_tsvector
from gmessenger.timeslice import TimeSlice

UnindexedRow: TypeAlias = tuple[int, int, str, str]
"""Of a message the id, that of its conversation, text, and what it does to another message."""
INDEX_LOCK: Final = 0x676D6978  # advisory lock: one node at a time adds entries of the newest messages
MAX_INDEX_ROWS: Final = 2_000  # messages that are indexed at a time
MAX_INDEX_BYTES: Final = 262_144  # of their texts; a single message may have more
FIND_FIRST_INDEXED: Final = "SELECT value::bigint FROM facts WHERE name = 'index from'"
FIND_LAST_INDEXED: Final = "SELECT value::bigint FROM facts WHERE name = 'index to'"
IS_COMPLETE: Final = f"SELECT ({FIND_LAST_INDEXED}) >= ({SELECT_LAST_ID})"
SET_LAST_INDEXED: Final = "UPDATE facts SET value = %s WHERE name = 'index to'"
MARK_ALL_INDEXED: Final = (
    "UPDATE facts SET value = (SELECT coalesce(max(id), 0) FROM messages)::text WHERE name = 'index to'"
)
TAKE_INDEX_LOCK: Final = f"SELECT pg_advisory_xact_lock({INDEX_LOCK})"
INDEXING_SETTINGS: Final = (
    # Plans as of the writer, and messages are read in the order of their ids: no more of them than are taken. Of a plan
    # without an alternative these settings raise the estimated cost, and it would be compiled (`jit`).
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), "
    "set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true), "
    "set_config('enable_sort', 'off', true), set_config('jit', 'off', true)"
)
SET_LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = '2s'"
"""While one waits for `TEXTS_LOCK` alone, all who change texts wait behind it."""
TAKE_TEXTS_LOCK: Final = f"SELECT pg_advisory_xact_lock({TEXTS_LOCK})"
SELECT_NEWEST: Final = (
    "SELECT id, conversation_id, text, what, total FROM ("
    " SELECT *, sum(octet_length(text)) OVER (ORDER BY id) - octet_length(text) AS before, count(*) OVER () AS total"
    " FROM (SELECT m.id, m.conversation_id, m.text, m.what FROM messages m"
    "  WHERE m.id > %s AND NOT m.erased AND NOT EXISTS (SELECT FROM message_words w WHERE w.id = m.id)"
    "  ORDER BY m.id LIMIT %s) AS newest"
    ") AS sized WHERE before < %s ORDER BY id"
)
ADD_ENTRIES: Final = (
    "INSERT INTO message_words (id, conversation_id, seq, words) "
    "SELECT m.id, m.conversation_id, m.seq, v.words::tsvector "
    "FROM ROWS FROM (json_array_elements_text(%s::json), json_array_elements_text(%s::json)) AS v(id, words) "
    "JOIN messages m ON m.id = v.id::bigint WHERE NOT m.erased ON CONFLICT (id) DO NOTHING"
)
SET_ENTRY: Final = (
    "INSERT INTO message_words (id, conversation_id, seq, words) VALUES (%s, %s, %s, %s::tsvector) "
    "ON CONFLICT (id) DO UPDATE SET words = excluded.words"
)
"""Of an edit, in its transaction."""
_encode: Final = json.Encoder().encode


def index_newest(db: PgConnection, ids: SettledIds, max_rows: int = MAX_INDEX_ROWS, *, with_words: bool = True) -> bool:
    """Index messages that are newer than the index, the oldest of them first; one transaction.

    Args:
        ids: of the caller, the same each time.
        max_rows: messages that are indexed; fewer where their texts are long.
        with_words: whether they can be found; they cannot where PostgreSQL cannot hold their words.

    Returns:
        Whether all messages are indexed that were committed when it began.

    Blocks the greenlet, and yields while it makes the words. Raises psycopg's errors.
    """
    if db.execute(IS_COMPLETE).fetchone() == (True,):
        return True
    with db.pipeline():
        db.execute("BEGIN")
        db.execute(TAKE_INDEX_LOCK)
        db.execute(INDEXING_SETTINGS)
        settled = ids.find_settled(db)
        ((last,),) = db.execute(FIND_LAST_INDEXED).fetchall()
        selected = db.execute(SELECT_NEWEST, (last, max_rows, MAX_INDEX_BYTES)).fetchall()
        rows: list[UnindexedRow] = [row[:-1] for row in selected]
        is_last = len(rows) < max_rows and (not rows or selected[0][-1] == len(rows))
        reached = settled if is_last else min(settled, rows[-1][0])
        add_entries(db, rows, vectors_of(rows) if with_words else [""] * len(rows))
        if reached > last:
            db.execute(SET_LAST_INDEXED, (str(reached),))
        db.execute("COMMIT")
    return is_last


def vectors_of(rows: Sequence[UnindexedRow]) -> list[str]:
    """Return the words of messages as `tsvector` literals. Yields where that takes long."""
    time_slice = TimeSlice()
    vectors = []
    for _, conversation, text, what in rows:
        vectors.append(make_tsvector(conversation, indexed_text(text, what)))
        time_slice.yield_if_expired()
    return vectors


def add_entries(db: PgConnection, rows: Sequence[UnindexedRow], vectors: Sequence[str]) -> None:
    """Add the entries of messages that were read before, of those that still have their texts.

    In a transaction that ends soon: those who change texts wait for it.
    """
    if rows:
        db.execute(SET_LOCK_TIMEOUT)
        db.execute(TAKE_TEXTS_LOCK)
        db.execute(ADD_ENTRIES, (_encode([row[0] for row in rows]).decode(), _encode(vectors).decode()))


def set_entry(db: PgConnection, id: int, conversation: int, seq: int, vector: str) -> None:
    """Set the entry of a message that is being edited, in the same transaction. Raises psycopg's errors."""
    db.execute(SET_ENTRY, (id, conversation, seq, vector))
