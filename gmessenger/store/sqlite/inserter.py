"""Number and insert batches of messages: the part of a store that is measured in messages per second."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from typing import Final, TypeAlias

from gmessenger.chat.records import REMOVES_TEXT, About, NewMessage
from gmessenger.errors import NotStorable, WireError
from gmessenger.names import ROOM_PREFIX, names_of_direct
from gmessenger.store.amendments import is_inserted_alone, may_begin, missing_error, own_text
from gmessenger.store.common import bisect_bad
from gmessenger.store.failures import FAILURE_LOG
from gmessenger.store.group_commit import AppendQueue, AppendResult, QueuedAppend
from gmessenger.store.resends import about_columns, compare_with_stored
from gmessenger.store.sqlite import past_ids
from gmessenger.store.sqlite.amendments import InsertedBatch, amend, check_reply
from gmessenger.store.sqlite.file_rows import compare_file, take_file
from gmessenger.store.sqlite.search_index import find_indexed_range, find_newest_row
from gmessenger.timeslice import TimeSlice

INSERT_BATCH: Final = 500  # messages that are inserted before the loop yields
BAD_MESSAGE_ERRORS: Final = (sqlite3.DataError, OverflowError, UnicodeError)
"""Errors of a message itself, which come again however often it is tried."""
MIN_OPTIMISTIC_BATCH: Final = 8  # messages; so many are inserted without looking for duplicates first
MAX_CACHED_CONVERSATIONS: Final = 20_000
INSERT_MESSAGE: Final = (
    'INSERT INTO messages (rowid, conversation_id, seq, sender, "to", text, time, device_id, client_id, account_id) '
    "VALUES (?,?,?,?,?,?,?,?,?,?)"
)
INSERT_CHUNK: Final = INSERT_MESSAGE + ",(?,?,?,?,?,?,?,?,?,?)" * (INSERT_BATCH - 1)
"""One statement for `INSERT_BATCH` messages: a thread runs it without the interpreter lock, which it would otherwise
give up and wait for at each row."""
CONVERSATION: Final = "SELECT id, head, first FROM conversations WHERE key = ?"
ADD_CONVERSATION: Final = "INSERT INTO conversations (key, name, creator) VALUES (?,?,?)"
SET_EXTRAS: Final = "UPDATE messages SET kind = ?, about = ?, what = ? WHERE rowid = ?"
"""Hardly any message has one of these: so the rows of all others stay short, and cheap to insert."""
FIND_DUPLICATE: Final = (
    f"SELECT seq, text, about, what, {past_ids.IS_CHANGED} FROM messages "  # noqa: S608
    "WHERE device_id = ? AND client_id = ? AND conversation_id = ?"
)
SET_HEAD: Final = "UPDATE conversations SET head = ? WHERE id = ?"
ADD_DIRECT_PARTICIPANTS: Final = (
    "INSERT OR IGNORE INTO participants (account_id, conversation_id, visible) SELECT id, ?, ? FROM accounts "
    "WHERE key IN (?,?)"
)


MessageRow: TypeAlias = tuple[int, int, int, str, str, str, float, int | None, str | None, int | None]
"""The values of `INSERT_MESSAGE`."""
ExtrasRow: TypeAlias = tuple[str, int | None, str, int]
"""The values of `SET_EXTRAS`."""
SentInChunk: TypeAlias = dict[tuple[int, str, int], tuple[int, NewMessage]]
"""Seqs and messages of a chunk, by device, the client's id and conversation."""


@dataclass(slots=True)
class ConversationHead:
    """A cached conversation: its id and newest seq. Only the inserter changes heads, so the cache is true."""

    id: int
    head: int


class RowsRefused(Exception):
    """A message that was left to the commit thread was sent before, or cannot be stored."""


class MessageInserter(AppendQueue):
    """The queue of messages and the cached heads of conversations. Runs on the loop's thread only."""

    def __init__(self) -> None:
        super().__init__()
        self._batch: list[QueuedAppend] = []
        self._results: list[AppendResult] = []
        self._heads: dict[str, ConversationHead] = {}
        self.digest_key = b""
        """The secret of the store that keys digests of pruned messages."""
        self.has_amended = False
        """Whether a message of the current batch was edited or erased."""
        self._next_row = 0
        self._may_defer = False
        """Whether full chunks of the current batch are left to the commit thread."""
        self._has_past_ids: bool | None = None
        """Whether there are ids of pruned messages; None where that has to be looked up."""
        self.oldest_posted_at = 0.0
        """When the first message of the current batch was posted, in Unix seconds."""

    def insert(self, db: sqlite3.Connection, *, may_defer: bool) -> InsertedBatch | None:
        """Number and insert the next batch; None where nothing waited. Yields.

        With `may_defer`, full chunks are only numbered, and inserted by `insert_chunks` in the commit thread.
        Must be followed by `take_results` or `put_back`, whether or not the transaction is committed.
        """
        self._batch = self.pop_batch()
        self.has_amended = False
        if len(self._heads) >= MAX_CACHED_CONVERSATIONS:  # between batches no head is ahead of the database
            self._heads.clear()
        if not self._batch:
            return None
        self.oldest_posted_at = self._batch[0][0].time
        if self._has_past_ids is None:
            self._has_past_ids = past_ids.has_ids(db)
        self._next_row = self._next_row or _next_row(db)
        inserted = InsertedBatch(self._next_row, len(self._batch))
        # An amendment looks for its message among the rows; and where ids of pruned messages have to be looked up, each
        # message is. (A list is faster.)
        has_about = any([message.about is not None or message.file is not None for message, _ in self._batch])  # noqa: C419
        self._may_defer = may_defer and not has_about and not self._has_past_ids
        time_slice = TimeSlice()
        insert_together = partial(self._insert_together, db, inserted)
        for appends in _split_batch(self._batch) if has_about else _split_plain(self._batch):
            time_slice.yield_if_expired()  # a chunk takes a few milliseconds of the loop
            bisect_bad(appends, insert_together, self._refuse, BAD_MESSAGE_ERRORS)
        return inserted

    def take_results(self, error: WireError | None) -> list[AppendResult]:
        """Return the results of the batch; where it failed, refuse it and all that waits: order is kept."""
        results, self._results = self._results, []
        batch, self._batch = self._batch, []
        if error is not None:
            results = [AppendResult(callback, error=error) for _, callback in batch + self.drain()]
            self.reset_cache()
            self.recheck_past_ids()
        return results

    def put_back(self) -> None:
        """Have the messages of the batch wait again, before all others: its transaction was rolled back."""
        self._queued_text += sum([len(message.text) for message, _ in self._batch])
        self._queue[:0] = self._batch
        self._batch, self._results = [], []
        self.reset_cache()

    def reset_cache(self) -> None:
        """Read conversations and the next row from the database again: what is cached may be wrong."""
        self._heads.clear()
        self._next_row = 0

    def recheck_past_ids(self) -> None:
        """Have the next batch look up whether there are ids of pruned messages."""
        self._has_past_ids = None

    def conversation(
        self, db: sqlite3.Connection, key: str, name: str = "", creator: int | None = None, *, create: bool = True
    ) -> ConversationHead | None:
        """Return a conversation, created where it is missing: a direct one with `create`, a room only with a `name`."""
        conversation = self._heads.get(key)
        if conversation is None:
            row = db.execute(CONVERSATION, (key,)).fetchone()
            if row is None:
                if not create or (key[:1] == ROOM_PREFIX and not name):
                    return None
                added = db.execute(ADD_CONVERSATION, (key, name or key, creator))
                conversation = ConversationHead(int(added.lastrowid or 0), 0)
            else:
                conversation = ConversationHead(row[0], row[1])
            self._heads[key] = conversation
            if key[:1] != ROOM_PREFIX:
                # A name that is an account by now may read from here on; done again when accounts change (reset_cache).
                db.execute(ADD_DIRECT_PARTICIPANTS, (conversation.id, conversation.head + 1, *names_of_direct(key)))
        return conversation

    def _insert_together(self, db: sqlite3.Connection, batch: InsertedBatch, appends: Sequence[QueuedAppend]) -> None:
        """Insert all or none; of few look for duplicates first, of many only where a constraint fails.

        Hardly ever is a message sent again. Raises one of `BAD_MESSAGE_ERRORS`.
        """
        check_duplicates = len(appends) < MIN_OPTIMISTIC_BATCH or bool(self._has_past_ids)
        try:
            self._insert_in_savepoint(db, batch, appends, check_duplicates=check_duplicates)
        except sqlite3.IntegrityError:
            if check_duplicates:
                raise
            self._insert_in_savepoint(db, batch, appends, check_duplicates=True)

    def _insert_in_savepoint(
        self, db: sqlite3.Connection, batch: InsertedBatch, appends: Sequence[QueuedAppend], *, check_duplicates: bool
    ) -> None:
        results, steps = len(self._results), len(batch.last_steps)
        db.execute("SAVEPOINT chunk")
        try:
            self._insert_rows(db, batch, appends, check_duplicates=check_duplicates)
        except (sqlite3.IntegrityError, *BAD_MESSAGE_ERRORS):
            db.execute("ROLLBACK TO chunk")
            db.execute("RELEASE chunk")
            self.reset_cache()
            del self._results[results:], batch.last_steps[steps:]
            raise
        db.execute("RELEASE chunk")

    def _refuse(self, queued: QueuedAppend, error: Exception) -> None:
        FAILURE_LOG.log("store_refused", error)
        self._results.append(AppendResult(queued[1], error=NotStorable()))

    def _insert_rows(
        self, db: sqlite3.Connection, batch: InsertedBatch, appends: Sequence[QueuedAppend], *, check_duplicates: bool
    ) -> None:
        """Number messages and insert them; append their results."""
        rows: list[MessageRow] = []
        moved: dict[int, ConversationHead] = {}
        sent: SentInChunk = {}
        extras: list[ExtrasRow] = []
        self._next_row = row = self._next_row or _next_row(db)
        results, heads = self._results, self._heads
        for message, callback in appends:
            about, text = message.about, message.text
            conversation = heads.get(message.conversation) or self.conversation(
                db, message.conversation, create=may_begin(message)
            )
            if conversation is None:
                results.append(AppendResult(callback, error=missing_error(message)))
                continue
            if check_duplicates:
                duplicate = self._find_duplicate(db, message, conversation, sent)
                if duplicate is not None:
                    results.append(AppendResult(callback, duplicate[0], duplicate=True, error=duplicate[1]))
                    continue
            if about is not None:
                error = self._apply_about(db, batch, conversation, message, about)
                if error is not None:
                    results.append(AppendResult(callback, error=error))
                    continue
                text = own_text(message)
            if message.file is not None:
                error = take_file(db, conversation.id, conversation.head + 1, message)
                if error is not None:
                    results.append(AppendResult(callback, error=error))
                    continue
            conversation.head = seq = conversation.head + 1
            moved[conversation.id] = conversation
            if check_duplicates and message.id is not None and message.device is not None:
                sent[message.device, message.id, conversation.id] = (seq, message)
            if about is not None or message.kind:
                extras.append((message.kind, *about_columns(message), row))
            rows.append(
                (
                    row,
                    conversation.id,
                    seq,
                    message.sender,
                    message.to,
                    text,
                    message.time,
                    message.device,
                    message.id,
                    message.account,
                )
            )
            row += 1
            results.append(AppendResult(callback, seq))
        if self._may_defer and len(rows) == INSERT_BATCH and not extras:
            batch.chunks.append(list(chain.from_iterable(rows)))
        else:
            db.executemany(INSERT_MESSAGE, rows)
        if extras:
            db.executemany(SET_EXTRAS, extras)
        db.executemany(SET_HEAD, [(conversation.head, conversation.id) for conversation in moved.values()])
        self._next_row = row

    def _apply_about(
        self,
        db: sqlite3.Connection,
        batch: InsertedBatch,
        conversation: ConversationHead,
        message: NewMessage,
        about: About,
    ) -> WireError | None:
        """Check a reply, or make the changes of an amendment; return the error where it is refused."""
        if not about.what:
            return check_reply(db, conversation.id, conversation.head, message.account, about)
        error = amend(db, conversation.id, conversation.head + 1, message, about, batch)
        self.has_amended |= error is None and about.what in REMOVES_TEXT
        return error

    def _find_duplicate(
        self,
        db: sqlite3.Connection,
        message: NewMessage,
        conversation: ConversationHead,
        sent_in_chunk: SentInChunk,
    ) -> tuple[int, WireError | None] | None:
        """Return the seq that this id has, and `IdReused` where its text was another; None if it is new.

        Looks earlier in this chunk, in the database, and among the ids of pruned messages.
        """
        if message.id is None or message.device is None:
            return None
        earlier = sent_in_chunk.get((message.device, message.id, conversation.id))
        if earlier is not None:
            seq, first = earlier
            return seq, compare_with_stored(message, first.text, *about_columns(first), is_changed=False)
        row = db.execute(FIND_DUPLICATE, (message.device, message.id, conversation.id)).fetchone()
        if row is not None:
            seq, text, about, what, is_changed = row
            is_changed = is_changed or what in REMOVES_TEXT
            error = compare_with_stored(message, text, about, what, is_changed=is_changed)
            return seq, error or (None if is_changed else compare_file(db, conversation.id, seq, message))
        return past_ids.find(db, self.digest_key, message, conversation.id) if self._has_past_ids else None


def insert_chunks(db: sqlite3.Connection, batch: InsertedBatch) -> None:
    """Insert what `MessageInserter.insert` has left to the commit thread.

    Raises `RowsRefused`: the transaction must be rolled back, and the batch inserted without deferring.
    """
    try:
        for values in batch.chunks:
            db.execute(INSERT_CHUNK, values)
    except (sqlite3.IntegrityError, *BAD_MESSAGE_ERRORS) as error:
        raise RowsRefused from error


def _split_batch(appends: list[QueuedAppend]) -> Iterator[list[QueuedAppend]]:
    """Cut a batch into chunks of a few milliseconds; each amendment, or message with a file, is a chunk of its own.

    So what it amends has been inserted before it, and whether it was sent before is looked up first.
    """
    for is_alone, group in groupby(appends, key=lambda queued: is_inserted_alone(queued[0])):
        if is_alone:
            yield from ([queued] for queued in group)
        else:
            yield from _split_plain(list(group))


def _split_plain(appends: list[QueuedAppend]) -> Iterator[list[QueuedAppend]]:
    return (appends[first : first + INSERT_BATCH] for first in range(0, len(appends), INSERT_BATCH))


def _next_row(db: sqlite3.Connection) -> int:
    # A pruned row's number must not be given again: the index would find the old words under it.
    indexed = find_indexed_range(db)
    return max(find_newest_row(db) + 1, indexed.first, indexed.last + 1)
