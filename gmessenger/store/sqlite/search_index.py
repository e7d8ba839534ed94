"""The search index of SQLite (FTS5): each word begins with the id of its conversation.

So messages of other conversations do not slow a search. A message's entry is made behind its acknowledgement
(`store/sqlite/indexer.py`), from the text that the table has then, and must be made letter by letter the same when it
is removed. The rows in the index are those of one range (`IndexedRange`): what is newer waits for its entry, what is
older for an index that is being rebuilt.
"""

from __future__ import annotations

import sqlite3
import time
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from msgspec import json

from gmessenger.store import common
from gmessenger.store.search_text import (
    ASCII_COST_DIVISOR,
    ASCII_TABLE,
    FOLDING_VERSION,
    MAX_TOKEN,
    is_prefix_query,
    tokenize,
)
from gmessenger.store.sqlite import schema

UnindexedRow: TypeAlias = tuple[int, int, str]
"""Of a message its row, the id of its conversation, and its text."""
SELECT_NEWEST: Final = (
    "SELECT max(rowid), json_group_array(json_array(rowid, conversation_id, CASE WHEN what = '' THEN text ELSE '' END))"
    " FILTER (WHERE NOT erased) FROM (SELECT rowid, * FROM messages WHERE rowid > ? ORDER BY rowid LIMIT ?)"
)
"""One row, with all texts in JSON: fetching row by row, a thread would wait for the interpreter lock at each. That an
amendment's entry is empty is the rule of `common.indexed_text`."""
INDEX_NEWEST: Final = "INSERT INTO words (rowid, folded) SELECT CAST(key AS INTEGER), value FROM json_each(?)"
"""One statement for a batch: it runs without the interpreter lock, and JSON costs a tenth of what rows do."""

INDEX_OLD: Final = (
    "INSERT INTO words (rowid, folded) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
)
FIND_LAST_INDEXED: Final = "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'indexed'"
SELECT_NEWEST_ROW: Final = "SELECT coalesce(max(rowid), 0) FROM messages"
FIND_UNINDEXED: Final = "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'unindexed'"
FIND_FOLDING: Final = "SELECT value FROM facts WHERE name = 'folding'"
SET_FACT: Final = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
CLEAR_UNINDEXED: Final = "DELETE FROM facts WHERE name = 'unindexed'"
REMOVE_ENTRY: Final = "INSERT INTO words (words, rowid, folded) VALUES ('delete', ?, ?)"
ADD_ENTRY: Final = "INSERT INTO words (rowid, folded) VALUES (?, ?)"
SELECT_UNINDEXED: Final = (
    "SELECT rowid, conversation_id, text, erased, what FROM messages WHERE rowid < ? ORDER BY rowid DESC LIMIT ?"
)

TEXT_SEPARATOR: Final = "\0"  # between texts that are normalised together
SEPARATED_ASCII_TABLE: Final = b"\0" + ASCII_TABLE[1:]

MAX_INDEX_ROWS: Final = 500  # messages that are read at a time
MAX_INDEX_COST: Final = 4_096  # characters of those beyond ASCII that are normalised at a time, or one message
SECONDS_PER_COST: Final = 0.6e-6  # for a character of the worst scripts, on a slow machine

_encode: Final = json.Encoder().encode
_decode_rows: Final = json.Decoder(list[UnindexedRow]).decode


def conversation_prefix(conversation: int) -> str:
    """Return the beginning of each word of a conversation, with the space before it."""
    return f" {conversation}x"


def index_text(conversation: int, text: str) -> str:
    """Return the index entry of a message: its normalised words, each behind the conversation's prefix."""
    prefix = conversation_prefix(conversation)
    return "".join(f"{prefix}{word}" for word in tokenize(text))


def index_words(texts: Sequence[str]) -> list[str]:
    """Return the normalised words of each text, each word behind a space; fast where all are short ASCII."""
    if not texts:
        return []
    joined = f" {f'{TEXT_SEPARATOR} '.join(texts)}"
    if joined.isascii() and max(map(len, texts)) <= MAX_TOKEN:
        lines = joined.encode().translate(SEPARATED_ASCII_TABLE).decode()
        while "  " in lines:
            lines = lines.replace("  ", " ")
        words = lines.rstrip(" ").replace(f" {TEXT_SEPARATOR}", TEXT_SEPARATOR).split(TEXT_SEPARATOR)
        if len(words) == len(texts):  # else one of the texts has that character itself
            return words
    return ["".join(f" {word}" for word in tokenize(text)) for text in texts]


def fts_query(conversations: Sequence[int], parsed: Sequence[Sequence[str]]) -> str:
    """Return the FTS5 query for all phrases of a parsed query in any one of some conversations."""
    end = "*" if is_prefix_query(parsed) else ""
    return " OR ".join(
        "(" + " ".join(f'"{prefix}{prefix.join(phrase)}"' for phrase in parsed) + f"{end})"
        for prefix in map(conversation_prefix, conversations)
    )


class IndexedRange(NamedTuple):
    """The rows that have an entry in the index: from `first` to `last`, without those that were erased."""

    first: int
    last: int


def find_indexed_range(db: sqlite3.Connection) -> IndexedRange:
    """Return the rows that are in the index."""
    return IndexedRange(first_indexed_row(db), int(db.execute(FIND_LAST_INDEXED).fetchone()[0]))


def find_newest_row(db: sqlite3.Connection) -> int:
    """Return the row of the newest message; 0 where there is none."""
    return int(db.execute(SELECT_NEWEST_ROW).fetchone()[0])


def replace_entry(db: sqlite3.Connection, row: int, old: str, new: str | None) -> None:
    """Replace the entry of a message that is being edited, or remove it for None; one that has none stays without."""
    first, last = find_indexed_range(db)
    if first <= row <= last:
        db.execute(REMOVE_ENTRY, (row, old))
        if new is not None:
            db.execute(ADD_ENTRY, (row, new))


def index_newest(db: sqlite3.Connection, deadline: float) -> bool:
    """Index messages that are newer than the index, oldest first: `MAX_INDEX_ROWS`, or less where the time is over.

    `deadline`: in monotonic seconds; a part that may take longer waits for the next call, but the first part never
    does. Takes some milliseconds, 11 for the worst message: call it in a thread. Returns whether it found any.
    """
    last = int(db.execute(FIND_LAST_INDEXED).fetchone()[0])
    newest, encoded = db.execute(SELECT_NEWEST, (last, MAX_INDEX_ROWS)).fetchone()
    if newest is None:
        return False
    rows = _decode_rows(encoded)
    done = 0
    for part, cost in _split_by_cost(rows):
        if done and time.monotonic() + cost * SECONDS_PER_COST >= deadline:
            break
        _add_entries(db, part)
        done += len(part)
    db.execute(SET_FACT, ("indexed", str(newest if done == len(rows) else rows[done - 1][0])))
    return True


def _split_by_cost(rows: list[UnindexedRow]) -> Iterator[tuple[list[UnindexedRow], int]]:
    """Cut rows into parts of which each takes a few milliseconds to normalise; yield each with its cost."""
    costs = [len(text) // ASCII_COST_DIVISOR if text.isascii() else len(text) for _, _, text in rows]
    if (total := sum(costs)) <= MAX_INDEX_COST:  # nearly always
        yield rows, total
        return
    first, size = 0, costs[0]
    for index, cost in enumerate(costs[1:], 1):
        if size + cost > MAX_INDEX_COST:
            yield rows[first:index], size
            first, size = index, 0
        size += cost
    yield rows[first:], size


def _add_entries(db: sqlite3.Connection, rows: list[UnindexedRow]) -> None:
    words = index_words([text for _, _, text in rows])
    entries = {
        row: text_words.replace(" ", conversation_prefix(conversation))
        for (row, conversation, _), text_words in zip(rows, words, strict=True)
    }
    db.execute(INDEX_NEWEST, (_encode(entries).decode(),))


def check_folding_version(db: sqlite3.Connection) -> None:
    """Begin a new index where this one was normalised by another version, or another version of Unicode.

    A message can be removed from the index only with the very words that were put in.
    """
    folding = f"{FOLDING_VERSION} {unicodedata.unidata_version}"
    row = db.execute(FIND_FOLDING).fetchone()
    if row is not None and row[0] == folding:
        return
    db.execute("BEGIN IMMEDIATE")
    for step in schema.RESTART_INDEX if row is not None else ():
        db.execute(step)
    db.execute(SET_FACT, ("folding", folding))
    db.execute("COMMIT")


def first_indexed_row(db: sqlite3.Connection) -> int:
    """Return the row below which messages are not indexed yet; 0 where all are."""
    row = db.execute(FIND_UNINDEXED).fetchone()
    return int(row[0]) if row else 0


def pop_unindexed(db: sqlite3.Connection) -> tuple[int, str]:
    """Mark the newest unindexed messages as indexed; return about how many are left, and their rows.

    `write_old` MUST write the rows in the same transaction.
    """
    before = lowest = first_indexed_row(db)
    size = 0
    rows: list[tuple[int, str]] = []
    for row, conversation, text, erased, what in db.execute(SELECT_UNINDEXED, (before, common.REINDEX_BATCH)):
        lowest = row
        if not erased:
            rows.append((row, index_text(conversation, common.indexed_text(text, what))))
        size += len(text)
        if size >= common.REINDEX_BATCH_TEXT:
            break
    if lowest == before or lowest <= 1:
        lowest = 0
        db.execute(CLEAR_UNINDEXED)
    else:
        db.execute(SET_FACT, ("unindexed", str(lowest)))
    return lowest, _encode(rows[::-1]).decode()


def write_old(db: sqlite3.Connection, rows: str) -> None:
    """Write the rows of `pop_unindexed` to the index. Takes long: call it in a thread."""
    db.execute(INDEX_OLD, (rows,))
