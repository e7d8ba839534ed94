"""The search index of SQLite (FTS5): each word begins with the id of its conversation.

So messages of other conversations do not slow a search. A message's entry is made here when it is stored, and must be
made letter by letter the same when it is removed.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec import json

from gmessenger.store import common
from gmessenger.store.search_text import ASCII_TABLE, FOLDING_VERSION, MAX_TOKEN, is_prefix_query, tokenize
from gmessenger.store.sqlite import schema

INDEX_BATCH: Final = (
    "INSERT INTO words (rowid, folded) SELECT m.rowid, replace(j.value, ' ', ' ' || m.conversation_id || 'x') "
    "FROM json_each(:rows) AS j CROSS JOIN messages AS m ON m.rowid = :first + j.key"
)
"""One statement for a batch: it runs without the interpreter lock, and JSON costs the loop a tenth of what rows do."""

INDEX_OLD: Final = (
    "INSERT INTO words (rowid, folded) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
)
FIND_UNINDEXED: Final = "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'unindexed'"
FIND_FOLDING: Final = "SELECT value FROM facts WHERE name = 'folding'"
SET_FACT: Final = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
CLEAR_UNINDEXED: Final = "DELETE FROM facts WHERE name = 'unindexed'"
REMOVE_ENTRY: Final = "INSERT INTO words (words, rowid, folded) VALUES ('delete', ?, ?)"
ADD_ENTRY: Final = "INSERT INTO words (rowid, folded) VALUES (?, ?)"
SELECT_UNINDEXED: Final = (
    "SELECT rowid, conversation_id, text, erased, what FROM messages WHERE rowid < ? ORDER BY rowid DESC LIMIT ?"
)

ReplacedEntry: TypeAlias = tuple[int, str, str | None]
"""A row, its entry so far, and the one that it gets; None for none."""
TEXT_SEPARATOR: Final = "\0"  # between texts that are normalised together
SEPARATED_ASCII_TABLE: Final = b"\0" + ASCII_TABLE[1:]

_encode: Final = json.Encoder().encode


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


class IndexBatch:
    """The index entries of one commit: collected on the loop, written by the commit thread."""

    __slots__ = ("_chunks", "_last_steps", "_replaced", "first_row")

    def __init__(self, first: int) -> None:
        """`first` is the row of the first message; the others follow it without a gap."""
        self.first_row = first
        self._chunks: list[bytes] = []
        self._replaced: list[ReplacedEntry] = []
        self._last_steps: list[Callable[[sqlite3.Connection], object]] = []

    def extend(self, words: list[str]) -> None:
        """Add the words of the messages that follow, from `index_words`."""
        if words:
            self._chunks.append(_encode(words)[1:-1])

    def replace(self, db: sqlite3.Connection, row: int, old: str, new: str | None) -> None:
        """Replace the entry of a message that is being edited, or remove it for None.

        Done now, on the loop, for a message that has an entry; later, for one that is indexed with this batch.
        """
        if row >= self.first_row:
            self._replaced.append((row, old, new))
        elif row >= first_indexed_row(db):
            _replace_entry(db, (row, old, new))

    def run_last(self, step: Callable[[sqlite3.Connection], object]) -> None:
        """Have the commit thread run a step after everything else of the transaction."""
        self._last_steps.append(step)

    def mark(self) -> tuple[int, int]:
        """Return how much is to be done later, for `roll_back`."""
        return len(self._replaced), len(self._last_steps)

    def roll_back(self, mark: tuple[int, int]) -> None:
        """Drop what was to be done later since `mark`: the changes that it belongs to were rolled back."""
        del self._replaced[mark[0] :], self._last_steps[mark[1] :]

    def write(self, db: sqlite3.Connection) -> None:
        """Index the messages. Takes as long as inserting them did: call it in a thread."""
        if self._chunks:
            db.execute(INDEX_BATCH, {"first": self.first_row, "rows": (b"[" + b",".join(self._chunks) + b"]").decode()})
        for replaced in self._replaced:
            _replace_entry(db, replaced)

    def finish(self, db: sqlite3.Connection) -> None:
        """Run the last steps, after the bytes of the batch were counted."""
        for step in self._last_steps:
            step(db)


def _replace_entry(db: sqlite3.Connection, replaced: ReplacedEntry) -> None:
    row, old, new = replaced
    db.execute(REMOVE_ENTRY, (row, old))
    if new is not None:
        db.execute(ADD_ENTRY, (row, new))


def check_folding_version(db: sqlite3.Connection) -> None:
    """Begin a new index where this one was normalised by another version, or another version of Unicode.

    A message can be removed from the index only with the very words that were put in.
    """
    folding = f"{FOLDING_VERSION} {unicodedata.unidata_version}"
    row = db.execute(FIND_FOLDING).fetchone()
    if row is not None and row[0] == folding:
        return
    db.execute("BEGIN IMMEDIATE")
    for step in schema.REPLACE_INDEX if row is not None else ():
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
