"""Numbering and inserting a batch of messages: the part of the store that is measured in messages per second."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gmessenger.chat.records import NewMessage
from gmessenger.errors import IdReused, NoSuchRoom, NotStorable, WireError
from gmessenger.store.common import bisect_bad
from gmessenger.store.failures import FAILURE_LOG
from gmessenger.store.group_commit import AppendQueue, AppendResult, QueuedAppend
from gmessenger.store.sqlite import dedup
from gmessenger.store.sqlite.search_index import IndexBatch, first_indexed_row, index_words
from gmessenger.timeslice import TimeSlice

INSERT_BATCH: Final = 500
MAX_INSERT_TEXT: Final = 16_384  # characters of a slice, unless they are all one message's
ASCII_COST_DIVISOR: Final = 8  # characters of ASCII that are folded as quickly as one other
BAD_MESSAGE_ERRORS: Final = (sqlite3.DataError, OverflowError, UnicodeError)
"""What is wrong with a message itself, however often it is tried."""
MIN_OPTIMISTIC_BATCH: Final = 8
MAX_CACHED_CONVERSATIONS: Final = 20_000
INSERT_MESSAGE: Final = (
    'INSERT INTO messages (rowid, conversation_id, seq, sender, "to", text, time, device_id, client_id, account_id) '
    "VALUES (?,?,?,?,?,?,?,?,?,?)"
)
TEXT_COLUMN: Final = 5
"""Its place among those."""
CONVERSATION: Final = "SELECT id, head, first FROM conversations WHERE key = ?"
ADD_CONVERSATION: Final = "INSERT INTO conversations (key, name, creator) VALUES (?,?,?)"
FIND_DUPLICATE: Final = "SELECT seq, text FROM messages WHERE device_id = ? AND client_id = ? AND conversation_id = ?"
SET_HEAD: Final = "UPDATE conversations SET head = ? WHERE id = ?"
ADD_DIRECT_PARTICIPANTS: Final = (
    "INSERT OR IGNORE INTO participants (account_id, conversation_id, visible) SELECT id, ?, ? FROM accounts "
    "WHERE key IN (?,?)"
)


@dataclass(slots=True)
class ConversationHead:
    """What the writer knows of a conversation without asking: it is the only one who changes it."""

    id: int
    head: int


class MessageInserter(AppendQueue):
    """Waiting messages, and the conversations' heads. Everything here runs on the loop's thread."""

    def __init__(self) -> None:
        super().__init__()
        self._batch: list[QueuedAppend] = []
        self._results: list[AppendResult] = []
        self._heads: dict[str, ConversationHead] = {}
        self._next_row = 0
        self._past_ids: bool | None = None
        """Whether there are ids of pruned messages; None where that has to be looked up."""
        self.oldest_posted_at = 0.0
        """When the first message of the batch on its way was posted, in Unix seconds."""

    def insert(self, db: sqlite3.Connection) -> IndexBatch | None:
        """Number and insert what waits; returns what makes it findable, None where nothing waited."""
        self._batch = self.pop_batch()
        if len(self._heads) >= MAX_CACHED_CONVERSATIONS:  # here, where no head is ahead of the database
            self._heads.clear()
        if not self._batch:
            return None
        self.oldest_posted_at = self._batch[0][0].time
        self._next_row = self._next_row or _next_row(db)
        fresh = IndexBatch(self._next_row)
        turn = TimeSlice()
        for posts in _split_batch(self._batch):
            turn.yield_if_expired()  # a slice is a few milliseconds, and the loop is everybody's
            fresh.extend(self._insert_chunk(db, posts))
        return fresh

    def take_results(self, error: WireError | None) -> list[AppendResult]:
        """The outcomes of the batch that was committed, or of everything that waits where it was not."""
        outcomes, self._results = self._results, []
        taken, self._batch = self._batch, []
        if error is not None:
            # Also for those that the insert never came to.
            outcomes = [AppendResult(done, error=error) for _, done in taken + self.drain()]
            self.reset_cache()
        return outcomes

    def reset_cache(self) -> None:
        """Read everything again: what was known may not be so any more."""
        self._heads.clear()
        self._next_row = 0
        self._past_ids = None

    def recheck_past_ids(self) -> None:
        """Look up before the next messages are inserted whether there are ids of pruned messages."""
        self._past_ids = None

    def _has_past_ids(self, db: sqlite3.Connection) -> bool:
        if self._past_ids is None:
            self._past_ids = dedup.has_ids(db)
        return self._past_ids

    def conversation(
        self, db: sqlite3.Connection, key: str, name: str = "", creator: int | None = None
    ) -> ConversationHead | None:
        """A conversation, made if need be: a room only by its `name`."""
        known = self._heads.get(key)
        if known is None:
            row = db.execute(CONVERSATION, (key,)).fetchone()
            if row is None:
                if key[:1] == "#" and not name:
                    return None
                added = db.execute(ADD_CONVERSATION, (key, name or key, creator))
                known = ConversationHead(int(added.lastrowid or 0), 0)
            else:
                known = ConversationHead(row[0], row[1])
            self._heads[key] = known
            if key[:1] != "#":
                # Whoever of the two is an account by now may read from here on; asked again when accounts change.
                db.execute(ADD_DIRECT_PARTICIPANTS, (known.id, known.head + 1, *key.split(" ")))
        return known

    def _insert_chunk(self, db: sqlite3.Connection, posts: list[QueuedAppend]) -> list[str]:
        """Insert some messages and return their normalised texts, for the index; refuse those that cannot be stored."""
        words: list[str] = []

        def insert(some: Sequence[QueuedAppend]) -> None:
            words.extend(self._insert_together(db, some))

        bisect_bad(posts, insert, self._refuse, BAD_MESSAGE_ERRORS)
        return words

    def _insert_together(self, db: sqlite3.Connection, posts: Sequence[QueuedAppend]) -> list[str]:
        """Insert all of them or none; of few, look for duplicates first, of many only where a constraint fails.

        Hardly ever is a message sent again. Raises one of `BAD_MESSAGE_ERRORS`.
        """
        check_duplicates = len(posts) < MIN_OPTIMISTIC_BATCH or self._has_past_ids(db)
        try:
            return self._insert_in_savepoint(db, posts, check_duplicates=check_duplicates)
        except sqlite3.IntegrityError:
            if check_duplicates:
                raise
            return self._insert_in_savepoint(db, posts, check_duplicates=True)

    def _insert_in_savepoint(
        self, db: sqlite3.Connection, posts: Sequence[QueuedAppend], *, check_duplicates: bool
    ) -> list[str]:
        before = len(self._results)
        db.execute("SAVEPOINT chunk")
        try:
            words = self._insert_rows(db, posts, check_duplicates=check_duplicates)
        except (sqlite3.IntegrityError, *BAD_MESSAGE_ERRORS):
            db.execute("ROLLBACK TO chunk")
            db.execute("RELEASE chunk")
            self.reset_cache()
            del self._results[before:]
            raise
        db.execute("RELEASE chunk")
        return words

    def _refuse(self, post: QueuedAppend, error: Exception) -> None:
        FAILURE_LOG.log("store_refused", error)
        self._results.append(AppendResult(post[1], error=NotStorable()))

    def _insert_rows(
        self, db: sqlite3.Connection, posts: Sequence[QueuedAppend], *, check_duplicates: bool
    ) -> list[str]:
        rows: list[tuple[Any, ...]] = []
        moved: dict[int, ConversationHead] = {}
        sent: dict[tuple[int, str, int], tuple[int, str]] = {}
        self._next_row = row = self._next_row or _next_row(db)
        outcomes, conversations = self._results, self._heads
        for post, done in posts:
            known = conversations.get(post.conversation) or self.conversation(db, post.conversation)
            if known is None:
                outcomes.append(AppendResult(done, error=NoSuchRoom()))
                continue
            if check_duplicates:
                before = self._find_duplicate(db, post, known, sent)
                if before is not None:
                    outcomes.append(AppendResult(done, before[0], duplicate=True, error=before[1]))
                    continue
            known.head = seq = known.head + 1
            moved[known.id] = known
            if check_duplicates and post.id is not None and post.device is not None:
                sent[post.device, post.id, known.id] = (seq, post.text)
            rows.append(
                (
                    row,
                    known.id,
                    seq,
                    post.sender,
                    post.to,
                    post.text,
                    post.time,
                    post.device,
                    post.id,
                    post.account,
                )
            )
            row += 1
            outcomes.append(AppendResult(done, seq))
        db.executemany(INSERT_MESSAGE, rows)
        db.executemany(SET_HEAD, [(known.head, known.id) for known in moved.values()])
        self._next_row = row
        return index_words([row[TEXT_COLUMN] for row in rows])

    def _find_duplicate(
        self,
        db: sqlite3.Connection,
        post: NewMessage,
        head: ConversationHead,
        sent_in_chunk: dict[tuple[int, str, int], tuple[int, str]],
    ) -> tuple[int, WireError | None] | None:
        """The seq under which this id was kept already, and whether it may not be used for this text.

        It is looked for earlier in this slice, in the database, and among those that are kept no more.
        """
        if post.id is None or post.device is None:
            return None
        here = sent_in_chunk.get((post.device, post.id, head.id))
        row = here or db.execute(FIND_DUPLICATE, (post.device, post.id, head.id)).fetchone()
        if row is not None:
            return row[0], None if row[1] == post.text else IdReused()
        return dedup.find(db, post.device, post.id, head.id, post.text) if self._has_past_ids(db) else None


def _split_batch(posts: list[QueuedAppend]) -> Iterator[list[QueuedAppend]]:
    """Cut a batch into what the loop can do at a time, by how many there are and by what has to be folded of them."""
    for first in range(0, len(posts), INSERT_BATCH):
        some = posts[first : first + INSERT_BATCH]
        if sum([len(post.text) for post, _ in some]) <= MAX_INSERT_TEXT:
            yield some
            continue
        start = size = 0
        for at, (post, _) in enumerate(some):
            if size >= MAX_INSERT_TEXT:
                yield some[start:at]
                start, size = at, 0
            size += len(post.text) // ASCII_COST_DIVISOR if post.text.isascii() else len(post.text)
        yield some[start:]


def _next_row(db: sqlite3.Connection) -> int:
    # Rows that were pruned may not lend their number to a new one: the index would find the old words under it.
    last = int(db.execute("SELECT coalesce(max(rowid), 0) FROM messages").fetchone()[0])
    return max(last + 1, first_indexed_row(db))
