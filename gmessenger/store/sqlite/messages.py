"""Messages and conversations in SQLite: append, acknowledge, page, search and trace."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from gmessenger.chat.records import (
    ConversationRow,
    MessagePage,
    MessageTrace,
    NewMessage,
    ReadRange,
    SearchResult,
    SentInfo,
    StoredMessage,
)
from gmessenger.chat.storage import AppendCallback
from gmessenger.errors import StoreUnavailable
from gmessenger.store.absences import (
    SeqRange,
    absences_after,
    blank_outdated_edits,
    edits_of_unreadable,
    first_readable,
    growing_ranges,
    ranges_after,
    ranges_before,
    readable_ranges,
)
from gmessenger.store.amendments import MAX_REACTION_NAMES, attach_reactions, seqs_by_conversation
from gmessenger.store.common import (
    MAX_QUIET,
    MAX_SENT_AS,
    PAGE_SIZE,
    advance_cursors,
    bisect_time,
    page_from_rows,
    readers_from_rows,
)
from gmessenger.store.search import NewestFirstSearch, SearchScope, SearchTimeout
from gmessenger.store.search_text import parse_query
from gmessenger.store.sqlite import usage
from gmessenger.store.sqlite.database import Database
from gmessenger.store.sqlite.file_rows import add_files
from gmessenger.store.sqlite.inserter import CONVERSATION
from gmessenger.store.sqlite.membership import NOT_ABSENT, find_read_range
from gmessenger.store.sqlite.search_index import FIND_UNINDEXED, find_indexed_range, find_newest_row, fts_query

COLUMNS: Final = (
    "c.key, m.seq, m.sender, m.\"to\", CASE WHEN m.what = 'edit' THEN coalesce(o.text, '') "
    "WHEN o.erased THEN '' ELSE m.text END, m.time, "
    "m.device_id, m.client_id, m.erased OR m.what <> 'erase' AND coalesce(o.erased, 0), m.kind, m.about, m.what, "
    "m.edited, CASE m.what WHEN 'erase' THEN nullif(o.erased_by, m.sender) ELSE m.erased_by END, m.erased_at"
)
"""In the order of the record's fields. The text of an edit is the one that the edited message has now; a reaction to an
erased message has none."""
COLUMNS_OF_LAST_EDITS: Final = COLUMNS.replace("CASE ", "CASE WHEN m.what = 'edit' AND o.edited <> m.time THEN '' ", 1)
"""The same, but of edits that were followed by others no text: that may be from an absence of the reader."""
JOIN_AMENDED: Final = (
    "LEFT JOIN messages o ON m.what <> '' AND o.conversation_id = m.conversation_id AND o.seq = m.about"
)
MESSAGES: Final = f"messages m JOIN conversations c ON c.id = m.conversation_id {JOIN_AMENDED}"
AFTER: Final = f"SELECT {COLUMNS} FROM {MESSAGES} WHERE c.key = ? AND m.seq > ? ORDER BY m.seq LIMIT ?"  # noqa: S608
BEFORE: Final = (
    f"SELECT {COLUMNS} FROM {MESSAGES} "  # noqa: S608
    "WHERE c.key = ? AND m.seq < ? AND m.seq >= ? ORDER BY m.seq DESC LIMIT ?"
)
BETWEEN: Final = f"SELECT {COLUMNS} FROM {MESSAGES} WHERE c.key = ? AND m.seq BETWEEN ? AND ? ORDER BY m.seq "  # noqa: S608
SELECT_NEXT_TIME: Final = "SELECT seq, time FROM messages WHERE conversation_id = ? AND seq >= ? ORDER BY seq LIMIT 1"
WITHOUT_AMENDMENTS: Final = "AND m.what = '' ORDER BY"
AFTER_SHOWN: Final = AFTER.replace("ORDER BY", WITHOUT_AMENDMENTS)
BEFORE_SHOWN: Final = BEFORE.replace("ORDER BY", WITHOUT_AMENDMENTS)
BETWEEN_SHOWN: Final = BETWEEN.replace("ORDER BY", WITHOUT_AMENDMENTS)
REACTIONS: Final = (
    "SELECT ?, seq, text, count, name FROM ("  # noqa: S608
    " SELECT r.seq, r.text, a.name, count(*) OVER (PARTITION BY r.seq, r.text) AS count,"
    " row_number() OVER (PARTITION BY r.seq, r.text ORDER BY r.account_id) AS number"
    " FROM reactions r JOIN conversations c ON c.id = r.conversation_id JOIN accounts a ON a.id = r.account_id"
    " WHERE c.key = ? AND r.seq IN (SELECT value FROM json_each(?))"
    f") WHERE number <= {MAX_REACTION_NAMES} ORDER BY seq, text, number"
)
EDITED: Final = "SELECT seq, edited FROM messages WHERE conversation_id = ? AND seq IN (SELECT value FROM json_each(?))"
HEADS: Final = (
    "SELECT c.key, c.head FROM conversations c JOIN participants p ON p.conversation_id = c.id "
    "WHERE p.account_id = ? AND p.left_seq IS NULL AND c.key NOT LIKE '!%'"
)
READ: Final = (
    "UPDATE participants SET read = max(participants.read, min(:seq, c.head)) FROM conversations c "
    "WHERE participants.account_id = :account AND participants.conversation_id = c.id AND c.key = :conversation "
    "AND participants.left_seq IS NULL RETURNING read"
)
SENT: Final = (
    'SELECT m.sender, m."to", m.time, length(m.text), m.erased, m.device_id, d.name, m.client_id, '
    "m.kind, m.about, m.what, m.edited, m.erased_by, m.erased_at "
    "FROM messages m LEFT JOIN devices d ON d.id = m.device_id WHERE m.conversation_id = ? AND m.seq = ?"
)
SENT_AS: Final = (
    "SELECT c.key, m.seq FROM messages m JOIN devices d ON d.id = m.device_id "
    "JOIN conversations c ON c.id = m.conversation_id "
    "WHERE d.account_id = ? AND m.client_id = ? AND c.key NOT LIKE '!%' ORDER BY m.rowid DESC LIMIT ?"
)
READERS: Final = (
    f"SELECT p.account_id, p.visible, p.read, NOT {NOT_ABSENT}, d.id, d.name, "  # noqa: S608
    "max(coalesce(u.seq, 0), p.visible - 1, p.joined_seq) FROM (SELECT ? AS seq) AS m CROSS JOIN participants p "
    "LEFT JOIN devices d ON d.account_id = p.account_id "
    "LEFT JOIN cursors u ON u.device_id = d.id AND u.conversation_id = p.conversation_id "
    "WHERE p.conversation_id = ? AND p.left_seq IS NULL ORDER BY p.account_id, d.name"
)
SELECT_SCOPES: Final = (
    "SELECT c.id, p.visible, m.rowid FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "JOIN messages m ON m.conversation_id = c.id AND m.seq = c.head WHERE p.account_id = :account "
    "AND p.left_seq IS NULL AND m.seq >= p.visible AND c.key NOT LIKE '!%' "
    "AND (:conversation IS NULL OR c.key = :conversation) ORDER BY m.rowid DESC"
)
SEARCH: Final = (
    "SELECT m.rowid FROM words w CROSS JOIN messages m ON m.rowid = w.rowid CROSS JOIN participants p "  # noqa: S608
    "ON p.account_id = :account AND p.conversation_id = m.conversation_id AND p.left_seq IS NULL "
    f"AND m.seq >= p.visible AND {NOT_ABSENT} WHERE words MATCH :words ORDER BY w.rowid DESC LIMIT :limit"
)
SELECT_FIRST_INDEXED: Final = f"SELECT coalesce(({FIND_UNINDEXED}), 0)"
SELECT_HIT: Final = (
    f"SELECT {COLUMNS} FROM {MESSAGES} "  # noqa: S608
    "WHERE m.rowid = ? AND NOT m.erased AND m.what = '' AND c.key NOT LIKE '!%'"
)
SEARCH_BATCH: Final = 20  # conversations that are searched with one query
MAX_QUERY_TERMS: Final = 250  # words of such a query, in all its conversations: FTS5 bounds its depth

SELECT_CONVERSATIONS: Final = (
    # The page is cut before anything is joined to it: a thousand conversations cost little more than two hundred.
    # Compared by `substr`, because `LIKE` would take the `_` of a name for any character.
    "WITH mine AS ("  # noqa: S608
    " SELECT c.id, c.name, c.head, max(p.visible, c.first) AS first, p.read, CASE"
    " WHEN c.key LIKE '#%' THEN c.key"
    " WHEN substr(c.key, 1, length(me.key) + 1) = me.key || ' ' THEN substr(c.key, length(me.key) + 2)"
    " ELSE substr(c.key, 1, instr(c.key, ' ') - 1) END AS other"
    " FROM participants p JOIN conversations c ON c.id = p.conversation_id JOIN accounts me ON me.id = p.account_id"
    " WHERE p.account_id = :account AND p.left_seq IS NULL AND c.key NOT LIKE '!%'"
    "), page AS ("
    " SELECT id, name, other, read, coalesce((SELECT max(a.last) + 1 FROM absences a WHERE a.account_id = :account"
    "  AND a.conversation_id = mine.id AND a.first <= mine.first AND a.last >= mine.first), first) AS first,"
    " coalesce((SELECT min(a.first) - 1 FROM absences a WHERE a.account_id = :account"
    "  AND a.conversation_id = mine.id AND a.last >= mine.head), head) AS head"
    " FROM mine WHERE other > :after AND (head >= first OR other LIKE '#%') ORDER BY other LIMIT :limit"
    ") SELECT other, CASE WHEN other LIKE '#%' THEN page.name"
    ' ELSE coalesce(a.name, CASE WHEN m.account_id = :account THEN m."to" ELSE m.sender END, other) END,'
    " CASE WHEN head >= first THEN head ELSE 0 END, first, read, CASE WHEN NOT m.erased THEN m.time END,"
    " (SELECT count(*) FROM (SELECT 1 FROM messages q WHERE q.conversation_id = page.id AND q.what <> ''"
    " AND q.seq > max(page.read, page.first - 1) AND q.seq <= page.head"
    " AND NOT EXISTS (SELECT 1 FROM absences a WHERE a.account_id = :account AND a.conversation_id = page.id"
    f"  AND a.first <= q.seq AND a.last >= q.seq) LIMIT {MAX_QUIET}))"
    " FROM page LEFT JOIN accounts a ON a.key = other"
    " LEFT JOIN messages m ON m.conversation_id = page.id AND m.seq = head AND head >= first ORDER BY other"
)


class MessageStore(Database):
    """The part of the store that has messages and conversations."""

    def append(self, message: NewMessage, callback: AppendCallback) -> None:
        self.inserter.add(message, callback)
        self.writer.wake()

    def append_all(self, messages: Sequence[tuple[NewMessage, AppendCallback]]) -> None:
        self.inserter.add_all(messages)
        self.writer.wake()

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        self.cursors.advance(device, conversation, seq)
        self.writer.wake_later()

    def mark_read(self, account: int, conversation: str, seq: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            row = db.execute(READ, {"account": account, "conversation": conversation, "seq": seq}).fetchone()
            return int(row[0]) if row else 0

        return self.writer.execute(change)

    def backlog(self, account: int) -> dict[str, int]:
        return self.read(lambda db: dict(db.execute(HEADS, (account,)).fetchall()))

    def page(self, account: int, conversation: str, after: int) -> MessagePage:
        def find(db: sqlite3.Connection) -> MessagePage:
            # Two queries: one would enter the index at the first visible message, not behind `after`.
            readable = find_read_range(db, account, conversation)
            if readable is None:
                return MessagePage([], False)
            if readable.absences:
                page = _page_between_absences(db, conversation, readable, None, after, PAGE_SIZE, amendments=True)
            else:
                start = max(after, readable.visible_from - 1)
                rows = db.execute(AFTER, (conversation, start, PAGE_SIZE + 1))
                page = MessagePage(*page_from_rows(rows, PAGE_SIZE))
            add_files(db, page.messages)
            return page

        return self.read(find)

    def read_range(self, account: int, conversation: str) -> ReadRange | None:
        return self.read(lambda db: find_read_range(db, account, conversation))

    def history(
        self,
        conversation: str,
        readable: ReadRange,
        before: int | None,
        after: int | None,
        limit: int,
        *,
        amendments: bool = False,
    ) -> MessagePage:
        def find(db: sqlite3.Connection) -> MessagePage:
            find_page = _page_between_absences if readable.absences else _page
            page = find_page(db, conversation, readable, before, after, limit, amendments=amendments)
            if not amendments:
                _add_reactions(db, page.messages)
            add_files(db, page.messages)
            return page

        return self.read(find)

    def seq_at(self, conversation: str, time: float) -> int:
        def find(db: sqlite3.Connection) -> int:
            row = db.execute(CONVERSATION, (conversation,)).fetchone()
            return bisect_time(row, time, lambda *start: db.execute(SELECT_NEXT_TIME, start).fetchone())

        return self.read(find)

    def search(self, account: int, text: str, conversation: str | None, limit: int, timeout: float) -> SearchResult:
        if not (words := parse_query(text)):
            return SearchResult([])
        deadline = time.monotonic() + timeout
        search = NewestFirstSearch(limit + 1, deadline)
        batch = max(1, min(SEARCH_BATCH, MAX_QUERY_TERMS // sum(map(len, words))))
        is_lagging = not self._index_all(time.monotonic() + timeout / 2)

        def find(db: sqlite3.Connection) -> bool:
            def search_scopes(scopes: Sequence[SearchScope]) -> list[int]:
                parameters = {"words": fts_query([scope.id for scope in scopes], words), "account": account}
                return [row for (row,) in execute_interruptible(db, SEARCH, parameters | {"limit": limit + 1})]

            try:
                ((unindexed,),) = execute_interruptible(db, SELECT_FIRST_INDEXED, {})
                scopes = execute_interruptible(db, SELECT_SCOPES, {"account": account, "conversation": conversation})
            except SearchTimeout:
                return True
            search.run([SearchScope(*row) for row in scopes], search_scopes, batch)
            return search.is_incomplete(unindexed)

        incomplete = self.read_until(deadline, find) or is_lagging

        def read_hits(db: sqlite3.Connection) -> tuple[list[StoredMessage], bool]:
            messages, more = page_from_rows(_iter_hits(db, search.rows), limit)
            _add_reactions(db, messages)
            add_files(db, messages)
            return messages, more

        messages, more = self.read(read_hits)
        return SearchResult(messages, more, incomplete)

    def _index_all(self, deadline: float) -> bool:
        """Index the messages that are in the store by now; return whether that was done by the deadline. Blocks."""
        if not self.indexer.is_lagging:
            return True
        newest = self.read(find_newest_row)
        while (remaining := deadline - time.monotonic()) > 0:
            self.indexer.request_step()
            try:
                self.writer.execute(lambda db: None, remaining)
            except StoreUnavailable:
                return False
            if not self.indexer.is_lagging or self.read(find_indexed_range).last >= newest:
                return True
        return False

    def stored_bytes(self, account: int | None) -> int:
        return self.read(lambda db: usage.find_usage(db, account))

    def trace(self, conversation: str, seq: int) -> MessageTrace | None:
        def find(db: sqlite3.Connection) -> MessageTrace | None:
            row = db.execute(CONVERSATION, (conversation,)).fetchone()
            if row is None:
                return None
            id, head, first = row
            sent = db.execute(SENT, (id, seq)).fetchone()
            readers = readers_from_rows(db.execute(READERS, (seq, id)))
            return MessageTrace(first, head, _sent_from_row(sent) if sent else None, readers)

        uncommitted = self.cursors.uncommitted(conversation)  # before they can be committed unseen
        return advance_cursors(self.read(find), uncommitted)

    def find_by_message_id(self, account: int, id: str) -> list[tuple[str, int]]:
        return self.read(lambda db: db.execute(SENT_AS, (account, id, MAX_SENT_AS)).fetchall())

    def conversations(self, account: int, after: str, limit: int) -> tuple[list[ConversationRow], bool]:
        def find(db: sqlite3.Connection) -> list[ConversationRow]:
            parameters = {"account": account, "after": after, "limit": limit + 1}
            return [ConversationRow(*row) for row in db.execute(SELECT_CONVERSATIONS, parameters)]

        rows = self.read(find)
        return rows[:limit], len(rows) > limit


def _page(
    db: sqlite3.Connection,
    conversation: str,
    readable: ReadRange,
    before: int | None,
    after: int | None,
    limit: int,
    *,
    amendments: bool,
) -> MessagePage:
    """Return a page of a conversation that may be read without a gap: after a seq, else before one."""
    row = db.execute(CONVERSATION, (conversation,)).fetchone()
    first = max(readable.visible_from, row[2] if row else 1)
    if after is not None:
        start = max(after, first - 1)
        rows = db.execute(AFTER if amendments else AFTER_SHOWN, (conversation, start, limit + 1))
        return MessagePage(*page_from_rows(rows, limit), first)
    end = before if before is not None else 2**62
    statement = BEFORE if amendments else BEFORE_SHOWN
    rows = db.execute(statement, (conversation, end, readable.visible_from, limit + 1))
    messages, more = page_from_rows(rows, limit)
    return MessagePage(messages[::-1], more, first)


def _page_between_absences(
    db: sqlite3.Connection,
    conversation: str,
    readable: ReadRange,
    before: int | None,
    after: int | None,
    limit: int,
    *,
    amendments: bool,
) -> MessagePage:
    """Return a page of a conversation of which some ranges may not be read: after a seq, else before one."""
    id, head, first = db.execute(CONVERSATION, (conversation,)).fetchone() or (0, 0, 1)
    ranges = readable_ranges(readable, first, head)
    more, position = False, before if before is not None else head + 1
    if not amendments:
        start = after if after is not None else position
        parts = growing_ranges(ranges, start, limit + 1, is_forward=after is not None)
        taken: Iterable[SeqRange] = chain.from_iterable(parts)
    elif after is not None:
        taken, more = ranges_after(ranges, after, limit)
    else:
        taken, more = ranges_before(ranges, position, limit)
    statement = (BETWEEN if amendments else BETWEEN_SHOWN) + ("" if after is not None else "DESC")
    rows = (row for start, end in taken for row in db.execute(statement, (conversation, start, end)))
    messages, is_cut = page_from_rows(rows, limit)
    if seqs := edits_of_unreadable(messages, readable):
        blank_outdated_edits(messages, dict(db.execute(EDITED, (id, json.dumps(seqs)))))
    ordered = messages if after is not None else messages[::-1]
    return MessagePage(ordered, more or is_cut, first_readable(readable, first), absences_after(readable, first))


def execute_interruptible(db: sqlite3.Connection, statement: str, parameters: dict[str, Any]) -> list[Any]:
    """Execute a query and return its rows. Raises `SearchTimeout` where it was interrupted."""
    try:
        return db.execute(statement, parameters).fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise SearchTimeout from error
        raise


def _add_reactions(db: sqlite3.Connection, messages: Sequence[StoredMessage]) -> None:
    """Read the reactions to the messages of a page."""
    for conversation, seqs in seqs_by_conversation(messages).items():
        attach_reactions(messages, db.execute(REACTIONS, (conversation, conversation, json.dumps(seqs))))


def _iter_hits(db: sqlite3.Connection, row_ids: Iterable[int]) -> Iterator[tuple[Any, ...]]:
    for row_id in row_ids:
        yield from db.execute(SELECT_HIT, (row_id,))


def _sent_from_row(row: tuple[Any, ...]) -> SentInfo:
    sender, to, time, size, erased, device_id, device, id, *more = row
    return SentInfo(sender, to, time, size, bool(erased), device_id, device, id, *more)
