"""SQLite's index of words: each begins with the number of its conversation, so messages of others do not slow a search.

A row of the index is made here when a message is stored, and letter by letter the same when it is taken out again.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Sequence
from typing import Final

from msgspec import json

from gmessenger.store import common, schema
from gmessenger.store.folding import FOLDING, MAX_TOKEN, PLAIN, is_begun, tokens

ADD: Final = (
    "INSERT INTO words (rowid, folded) SELECT m.rowid, replace(j.value, ' ', ' ' || m.conversation_id || 'x') "
    "FROM json_each(:rows) AS j CROSS JOIN messages AS m ON m.rowid = :first + j.key"
)
"""One statement for a batch: it runs without the interpreter, and JSON costs the loop a tenth of a table's rows."""

ADD_OLD: Final = (
    "INSERT INTO words (rowid, folded) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
)
UNINDEXED: Final = "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'unindexed'"
FOLDED_BY: Final = "SELECT value FROM facts WHERE name = 'folding'"
KEEP_FACT: Final = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
ALL_INDEXED: Final = "DELETE FROM facts WHERE name = 'unindexed'"
OLD: Final = "SELECT rowid, conversation_id, text, erased FROM messages WHERE rowid < ? ORDER BY rowid DESC LIMIT ?"

BETWEEN: Final = "\0"
"""Stands between texts that are folded together."""
PLAIN_APART: Final = b"\0" + PLAIN[1:]

_encode: Final = json.Encoder().encode


def prefix(conversation: int) -> str:
    """Return what stands before each word of this conversation."""
    return f" {conversation}x"


def indexed(conversation: int, text: str) -> str:
    """Return what the index is given for a message of this conversation."""
    begin = prefix(conversation)
    return "".join(f"{begin}{word}" for word in tokens(text))


def folded_all(texts: Sequence[str]) -> list[str]:
    """Return the words of each text, each behind a space, for `Fresh`; quickly where all are short and ASCII."""
    if not texts:
        return []
    joined = f" {f'{BETWEEN} '.join(texts)}"
    if joined.isascii() and max(map(len, texts)) <= MAX_TOKEN:
        lines = joined.encode().translate(PLAIN_APART).decode()
        while "  " in lines:
            lines = lines.replace("  ", " ")
        found = lines.rstrip(" ").replace(f" {BETWEEN}", BETWEEN).split(BETWEEN)
        if len(found) == len(texts):  # else one of them has that character itself
            return found
    return ["".join(f" {word}" for word in tokens(text)) for text in texts]


def match(conversations: Sequence[int], phrases: Sequence[Sequence[str]]) -> str:
    """Return the FTS5 query for all phrases in one of these conversations, the last of them perhaps only begun."""
    end = "*" if is_begun(phrases) else ""
    return " OR ".join(
        "(" + " ".join(f'"{begin}{begin.join(phrase)}"' for phrase in phrases) + f"{end})"
        for begin in map(prefix, conversations)
    )


class Fresh:
    """Folded messages, from the row `first` on without a gap: folded on the loop, indexed in the commit's thread."""

    __slots__ = ("_slices", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self._slices: list[bytes] = []

    def extend(self, folded: list[str]) -> None:
        """Take in what `folded_all` made of the texts that come next."""
        if folded:
            self._slices.append(_encode(folded)[1:-1])

    def add(self, db: sqlite3.Connection) -> None:
        """Make the messages findable. Blocks for as long as inserting the messages did: call it in a thread."""
        if self._slices:
            db.execute(ADD, {"first": self.first, "rows": (b"[" + b",".join(self._slices) + b"]").decode()})


def check_folding(db: sqlite3.Connection) -> None:
    """Begin a new index where the words of this one were folded in another way, or by another Unicode.

    To take a message out of the index its words have to be the very ones that were put in.
    """
    folding = f"{FOLDING} {unicodedata.unidata_version}"
    row = db.execute(FOLDED_BY).fetchone()
    if row is not None and row[0] == folding:
        return
    db.execute("BEGIN IMMEDIATE")
    for step in schema.INDEX_ANEW if row is not None else ():
        db.execute(step)
    db.execute(KEEP_FACT, ("folding", folding))
    db.execute("COMMIT")


def unindexed(db: sqlite3.Connection) -> int:
    """Return the row below which messages are not in the index yet; 0 where all are."""
    row = db.execute(UNINDEXED).fetchone()
    return int(row[0]) if row else 0


def take_old(db: sqlite3.Connection) -> tuple[int, str]:
    """Take the newest messages that are not indexed: returns how many messages are left, about, and rows for `add_old`.

    From then on they count as indexed, so both belong into one transaction.
    """
    before = lowest = unindexed(db)
    size = 0
    rows: list[tuple[int, str]] = []
    for row, conversation, text, erased in db.execute(OLD, (before, common.REINDEX_SLICE)):
        lowest = row
        if not erased:
            rows.append((row, indexed(conversation, text)))
        size += len(text)
        if size >= common.REINDEX_SLICE_TEXT:
            break
    if lowest == before or lowest <= 1:
        lowest = 0
        db.execute(ALL_INDEXED)
    else:
        db.execute(KEEP_FACT, ("unindexed", str(lowest)))
    return lowest, _encode(rows[::-1]).decode()


def add_old(db: sqlite3.Connection, rows: str) -> None:
    """Add rows to the index. Blocks: call it in a thread."""
    db.execute(ADD_OLD, (rows,))
