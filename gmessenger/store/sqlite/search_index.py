"""SQLite's index of words: each begins with the number of its conversation, so messages of others do not slow a search.

A row of the index is made here when a message is stored, and letter by letter the same when it is taken out again.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Sequence
from typing import Final

from msgspec import json

from gmessenger.store import common
from gmessenger.store.search_text import ASCII_TABLE, FOLDING_VERSION, MAX_TOKEN, is_prefix_query, tokenize
from gmessenger.store.sqlite import schema

INDEX_BATCH: Final = (
    "INSERT INTO words (rowid, folded) SELECT m.rowid, replace(j.value, ' ', ' ' || m.conversation_id || 'x') "
    "FROM json_each(:rows) AS j CROSS JOIN messages AS m ON m.rowid = :first + j.key"
)
"""One statement for a batch: it runs without the interpreter, and JSON costs the loop a tenth of a table's rows."""

INDEX_OLD: Final = (
    "INSERT INTO words (rowid, folded) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
)
FIND_UNINDEXED: Final = "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'unindexed'"
FIND_FOLDING: Final = "SELECT value FROM facts WHERE name = 'folding'"
SET_FACT: Final = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
CLEAR_UNINDEXED: Final = "DELETE FROM facts WHERE name = 'unindexed'"
SELECT_UNINDEXED: Final = (
    "SELECT rowid, conversation_id, text, erased FROM messages WHERE rowid < ? ORDER BY rowid DESC LIMIT ?"
)

TEXT_SEPARATOR: Final = "\0"
"""Stands between texts that are folded together."""
SEPARATED_ASCII_TABLE: Final = b"\0" + ASCII_TABLE[1:]

_encode: Final = json.Encoder().encode


def conversation_prefix(conversation: int) -> str:
    """Return what stands before each word of this conversation."""
    return f" {conversation}x"


def index_text(conversation: int, text: str) -> str:
    """Return what the index is given for a message of this conversation."""
    begin = conversation_prefix(conversation)
    return "".join(f"{begin}{word}" for word in tokenize(text))


def index_words(texts: Sequence[str]) -> list[str]:
    """Return the words of each text, each behind a space, for `IndexBatch`; quickly where all are short and ASCII."""
    if not texts:
        return []
    joined = f" {f'{TEXT_SEPARATOR} '.join(texts)}"
    if joined.isascii() and max(map(len, texts)) <= MAX_TOKEN:
        lines = joined.encode().translate(SEPARATED_ASCII_TABLE).decode()
        while "  " in lines:
            lines = lines.replace("  ", " ")
        found = lines.rstrip(" ").replace(f" {TEXT_SEPARATOR}", TEXT_SEPARATOR).split(TEXT_SEPARATOR)
        if len(found) == len(texts):  # else one of them has that character itself
            return found
    return ["".join(f" {word}" for word in tokenize(text)) for text in texts]


def fts_query(conversations: Sequence[int], parsed: Sequence[Sequence[str]]) -> str:
    """Return the FTS5 query for all phrases in one of these conversations, the last of them perhaps only begun."""
    end = "*" if is_prefix_query(parsed) else ""
    return " OR ".join(
        "(" + " ".join(f'"{begin}{begin.join(phrase)}"' for phrase in parsed) + f"{end})"
        for begin in map(conversation_prefix, conversations)
    )


class IndexBatch:
    """Folded messages, from the row `first` on without a gap: folded on the loop, indexed in the commit's thread."""

    __slots__ = ("_chunks", "first_row")

    def __init__(self, first: int) -> None:
        self.first_row = first
        self._chunks: list[bytes] = []

    def extend(self, folded: list[str]) -> None:
        """Take in what `index_words` made of the texts that come next."""
        if folded:
            self._chunks.append(_encode(folded)[1:-1])

    def write(self, db: sqlite3.Connection) -> None:
        """Make the messages findable. Blocks for as long as inserting the messages did: call it in a thread."""
        if self._chunks:
            db.execute(INDEX_BATCH, {"first": self.first_row, "rows": (b"[" + b",".join(self._chunks) + b"]").decode()})


def check_folding_version(db: sqlite3.Connection) -> None:
    """Begin a new index where the words of this one were folded in another way, or by another Unicode.

    To take a message out of the index its words have to be the very ones that were put in.
    """
    folding = f"{FOLDING_VERSION} {unicodedata.unidata_version}"
    row = db.execute(FIND_FOLDING).fetchone()
    if row is not None and row[0] == folding:
        return
    db.execute("BEGIN IMMEDIATE")
    for step in schema.INDEX_ANEW if row is not None else ():
        db.execute(step)
    db.execute(SET_FACT, ("folding", folding))
    db.execute("COMMIT")


def first_indexed_row(db: sqlite3.Connection) -> int:
    """Return the row below which messages are not in the index yet; 0 where all are."""
    row = db.execute(FIND_UNINDEXED).fetchone()
    return int(row[0]) if row else 0


def pop_unindexed(db: sqlite3.Connection) -> tuple[int, str]:
    """Take the newest messages that are not indexed; return about how many are left, and rows for `write_old`.

    From then on they count as indexed, so both belong into one transaction.
    """
    before = lowest = first_indexed_row(db)
    size = 0
    rows: list[tuple[int, str]] = []
    for row, conversation, text, erased in db.execute(SELECT_UNINDEXED, (before, common.REINDEX_BATCH)):
        lowest = row
        if not erased:
            rows.append((row, index_text(conversation, text)))
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
    """Add rows to the index. Blocks: call it in a thread."""
    db.execute(INDEX_OLD, (rows,))
