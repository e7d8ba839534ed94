"""Messages and conversations in PostgreSQL: append, page, search, trace and export."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, LiteralString

import gevent
from psycopg.errors import QueryCanceled

from gmessenger.chat.records import (
    ConversationRow,
    ExportedMessage,
    MessagePage,
    MessageTrace,
    NewMessage,
    ReadRange,
    SearchResult,
    SentInfo,
    StoredMessage,
)
from gmessenger.chat.storage import AppendCallback
from gmessenger.errors import FileError, StoreUnavailable
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
    ExportRow,
    advance_cursors,
    bisect_time,
    export_from_rows,
    page_from_rows,
    readers_from_rows,
)
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.files import add_files
from gmessenger.store.postgres.membership import NOT_ABSENT, find_read_range
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.search_index import FIND_FIRST_INDEXED
from gmessenger.store.postgres.settled_ids import find_last_id, find_open_writes
from gmessenger.store.postgres.tsvector import make_tsquery, replace_nul
from gmessenger.store.search import NewestFirstSearch, SearchScope, SearchTimeout
from gmessenger.store.search_text import parse_query

FIND_USAGE: Final = "SELECT coalesce(sum(bytes), 0)::bigint FROM usage WHERE account_id = %s"
MESSAGE_COLUMNS: Final = (
    "c.key, m.seq, m.sender, m.\"to\", CASE WHEN m.what = 'edit' THEN coalesce(o.text, '') "
    "WHEN o.erased THEN '' ELSE m.text END, m.time, "
    "m.device_id, m.client_id, m.erased OR m.what <> 'erase' AND coalesce(o.erased, false), m.kind, m.about, m.what, "
    "m.edited, CASE m.what WHEN 'erase' THEN nullif(o.erased_by, m.sender) ELSE m.erased_by END, m.erased_at"
)
"""In the order of the record's fields. The text of an edit is the one that the edited message has now; a reaction to an
erased message has none."""
COLUMNS_OF_LAST_EDITS: Final = MESSAGE_COLUMNS.replace(
    "CASE ", "CASE WHEN m.what = 'edit' AND o.edited <> m.time THEN '' ", 1
)
"""The same, but of edits that were followed by others no text: that may be from an absence of the reader."""
JOIN_AMENDED: Final = (
    # OFFSET 0: looked up for each amendment; else the planner may read the whole conversation to join it.
    "LEFT JOIN LATERAL (SELECT a.text, a.erased, a.edited, a.erased_by FROM messages a WHERE m.what <> ''"
    " AND a.conversation_id = m.conversation_id AND a.seq = m.about OFFSET 0) AS o ON true"
)
# Seqs have no gaps: both ends of a page are known before it is read, so nothing else of the conversation is read.
SELECT_AFTER: Final = (
    f"SELECT {MESSAGE_COLUMNS} FROM conversations c CROSS JOIN LATERAL ("  # noqa: S608
    " SELECT * FROM messages WHERE conversation_id = c.id AND seq > greatest(least(%(after)s, c.head), c.first - 1)"
    " AND seq <= greatest(least(%(after)s, c.head), c.first - 1) + %(limit)s ORDER BY seq LIMIT %(limit)s"
    f") AS m {JOIN_AMENDED} WHERE c.key = %(conversation)s ORDER BY m.seq"
)
SELECT_BEFORE: Final = (
    f"SELECT {MESSAGE_COLUMNS} FROM conversations c CROSS JOIN LATERAL ("  # noqa: S608
    " SELECT * FROM messages WHERE conversation_id = c.id AND seq < least(%(before)s, c.head + 1)"
    " AND seq >= greatest(%(visible)s, least(%(before)s, c.head + 1) - %(limit)s) ORDER BY seq DESC LIMIT %(limit)s"
    f") AS m {JOIN_AMENDED} WHERE c.key = %(conversation)s ORDER BY m.seq DESC"
)
SELECT_NEXT_TIME: Final = "SELECT seq, time FROM messages WHERE conversation_id = %s AND seq >= %s ORDER BY seq LIMIT 1"
WITHOUT_AMENDMENTS: Final = "WHERE m.what = '' AND c.key"
SELECT_AFTER_SHOWN: Final = SELECT_AFTER.replace("WHERE c.key", WITHOUT_AMENDMENTS)
SELECT_BEFORE_SHOWN: Final = SELECT_BEFORE.replace("WHERE c.key", WITHOUT_AMENDMENTS)
STATEMENTS: Final = {
    (True, True): SELECT_AFTER,
    (False, True): SELECT_BEFORE,
    (True, False): SELECT_AFTER_SHOWN,
    (False, False): SELECT_BEFORE_SHOWN,
}
"""By whether they read forward, and with amendments."""
MAX_RANGE: Final = 10_000  # seqs that are looked at with one query, where amendments are left out
REACTIONS: Final = (
    "SELECT key, seq, text, count, name FROM ("  # noqa: S608
    " SELECT c.key, r.seq, r.text, a.name, count(*) OVER (PARTITION BY r.seq, r.text) AS count,"
    " row_number() OVER (PARTITION BY r.seq, r.text ORDER BY r.account_id) AS number"
    " FROM conversations c JOIN reactions r ON r.conversation_id = c.id JOIN accounts a ON a.id = r.account_id"
    " WHERE c.key = %s AND r.seq = ANY(%s)"
    f") AS numbered WHERE number <= {MAX_REACTION_NAMES} ORDER BY seq, text, number"
)
SELECT_BETWEEN: Final = (
    f"SELECT {MESSAGE_COLUMNS} FROM conversations c CROSS JOIN LATERAL ("  # noqa: S608
    " SELECT m.* FROM unnest(%(starts)s::bigint[], %(ends)s::bigint[]) AS range(first, last)"
    " JOIN messages m ON m.conversation_id = c.id AND m.seq BETWEEN range.first AND range.last"
    f") AS m {JOIN_AMENDED} WHERE c.key = %(conversation)s ORDER BY m.seq"
)
SELECT_BETWEEN_SHOWN: Final = SELECT_BETWEEN.replace("WHERE c.key", WITHOUT_AMENDMENTS)
SELECT_SCOPES: Final = (
    "SELECT c.id, p.visible, m.id FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "JOIN messages m ON m.conversation_id = c.id AND m.seq = c.head WHERE p.account_id = %(account)s "
    "AND p.left_seq IS NULL AND m.seq >= p.visible AND left(c.key, 1) <> '!' "
    "AND (%(conversation)s::text IS NULL OR c.key = %(conversation)s) ORDER BY m.id DESC"
)
HAS_ABSENCES: Final = "SELECT EXISTS (SELECT FROM absences WHERE account_id = %s)"
FIND_WORDS: Final = (
    # `+ 0`: use the index of words alone, not that of ids.
    "SELECT w.id FROM message_words w JOIN unnest(%(ids)s::bigint[], %(visible)s::bigint[]) AS scope(id, visible) "
    "ON scope.id = w.conversation_id WHERE w.words @@ %(words)s::tsquery AND w.seq >= scope.visible "
)
NEWEST: Final = "ORDER BY w.id + 0 DESC LIMIT %(limit)s"
SEARCH: Final = FIND_WORDS + NEWEST
SEARCH_BETWEEN_ABSENCES: Final = (
    f"{FIND_WORDS} AND NOT EXISTS (SELECT FROM absences a WHERE a.account_id = %(account)s "
    f"AND a.conversation_id = w.conversation_id AND a.first <= w.seq AND a.last >= w.seq) {NEWEST}"
)
SELECT_HITS: Final = (
    f"SELECT {MESSAGE_COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation_id {JOIN_AMENDED} "  # noqa: S608
    "WHERE m.id = ANY(%s) AND NOT m.erased AND m.what = '' AND left(c.key, 1) <> '!' ORDER BY m.id DESC"
)
EXPORT_ALL: Final = (
    f"SELECT m.id, {MESSAGE_COLUMNS} FROM messages m JOIN conversations c ON c.id = m.conversation_id {JOIN_AMENDED} "  # noqa: S608
    "WHERE m.id > %(after)s AND m.id <= %(end)s AND left(c.key, 1) <> '!' ORDER BY m.id LIMIT %(limit)s"
)
EXPORT_READABLE: Final = (
    # OFFSET 0: messages are read once in the order of their ids, instead of being sorted for each page.
    f"SELECT m.id, {COLUMNS_OF_LAST_EDITS} FROM ("  # noqa: S608
    " SELECT * FROM messages WHERE id > %(after)s AND id <= %(end)s ORDER BY id OFFSET 0"
    ") AS m JOIN conversations c ON c.id = m.conversation_id "
    "LEFT JOIN participants p ON p.conversation_id = c.id AND p.account_id = %(account)s AND p.left_seq IS NULL "
    f"{JOIN_AMENDED} WHERE (m.account_id = %(account)s OR m.seq >= p.visible AND {NOT_ABSENT}) "
    "AND left(c.key, 1) <> '!' ORDER BY m.id LIMIT %(limit)s"
)
FIND_NEXT_ID: Final = "SELECT min(id) FROM messages WHERE id > %s"
EXPORT_CHUNK: Final = 50_000  # ids that are read through at a time
POLL_INTERVAL: Final = 0.01  # seconds
SEARCH_BATCH: Final = 20  # conversations that are searched with one query
MAX_QUERY_TERMS: Final = 1_000  # words of such a query, in all its conversations: its parser is recursive
SEARCH_SETTINGS: Final = (
    "SELECT set_config('statement_timeout', %s, true), set_config('enable_seqscan', 'off', true), "
    "set_config('enable_indexscan', 'off', true)"
)
MARK_READ: Final = (
    "UPDATE participants p SET read = greatest(p.read, least(%(seq)s, c.head)) FROM conversations c "
    "WHERE c.key = %(conversation)s AND p.conversation_id = c.id AND p.account_id = %(account)s "
    "AND p.left_seq IS NULL RETURNING p.read"
)
EDITED: Final = "SELECT seq, edited FROM messages WHERE conversation_id = %s AND seq = ANY(%s)"
HEADS: Final = (
    "SELECT c.key, c.head FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "WHERE p.account_id = %s AND p.left_seq IS NULL AND left(c.key, 1) <> '!'"
)
CONVERSATION: Final = "SELECT id, head, first FROM conversations WHERE key = %s"
SENT: Final = (
    'SELECT m.sender, m."to", m.time, length(m.text), m.erased, m.device_id, d.name, m.client_id, '
    "m.kind, m.about, m.what, m.edited, m.erased_by, m.erased_at "
    "FROM messages m LEFT JOIN devices d ON d.id = m.device_id WHERE m.conversation_id = %s AND m.seq = %s"
)
READERS: Final = (
    f"SELECT p.account_id, p.visible, p.read, NOT {NOT_ABSENT}, d.id, d.name, "  # noqa: S608
    "greatest(u.seq, p.visible - 1, p.joined_seq) FROM (SELECT %s::bigint AS seq) AS m CROSS JOIN participants p "
    "LEFT JOIN devices d ON d.account_id = p.account_id "
    "LEFT JOIN cursors u ON u.device_id = d.id AND u.conversation_id = p.conversation_id "
    "WHERE p.conversation_id = %s AND p.left_seq IS NULL ORDER BY p.account_id, d.name"
)
SENT_AS: Final = (
    "SELECT c.key, m.seq FROM devices d JOIN messages m ON m.device_id = d.id AND m.client_id = %s "
    "JOIN conversations c ON c.id = m.conversation_id "
    "WHERE d.account_id = %s AND left(c.key, 1) <> '!' ORDER BY m.id DESC LIMIT %s"
)

SELECT_CONVERSATIONS: Final = """
WITH mine AS (
    SELECT c.id, c.name, c.head, greatest(p.visible, c.first) AS first, p.read, left(c.key, 1) = '#' AS is_room,
        CASE WHEN left(c.key, 1) = '#' THEN c.key
            WHEN split_part(c.key, ' ', 1) = me.key THEN split_part(c.key, ' ', 2)
            ELSE split_part(c.key, ' ', 1) END AS other
    FROM participants p JOIN conversations c ON c.id = p.conversation_id JOIN accounts me ON me.id = p.account_id
    WHERE p.account_id = %(account)s AND p.left_seq IS NULL AND left(c.key, 1) <> '!'
), page AS (
    -- Cut before anything is joined to it. Neither the first nor the last is one that may not be read.
    SELECT id, name, other, is_room, read,
        coalesce((SELECT max(a.last) + 1 FROM absences a WHERE a.account_id = %(account)s
            AND a.conversation_id = mine.id AND a.first <= mine.first AND a.last >= mine.first), first) AS first,
        coalesce((SELECT min(a.first) - 1 FROM absences a WHERE a.account_id = %(account)s
            AND a.conversation_id = mine.id AND a.last >= mine.head), head) AS head
    FROM mine WHERE other > %(after)s AND (head >= first OR is_room) ORDER BY other LIMIT %(limit)s
)
SELECT other,
    CASE WHEN is_room THEN page.name
        ELSE coalesce(a.name, CASE WHEN m.account_id = %(account)s THEN m."to" ELSE m.sender END, other) END,
    CASE WHEN head >= first THEN head ELSE 0 END, first, read, CASE WHEN NOT m.erased THEN m.time END,
    (SELECT count(*) FROM (
        SELECT FROM messages q WHERE q.conversation_id = page.id AND q.what <> ''
            AND q.seq > greatest(page.read, page.first - 1) AND q.seq <= page.head
            AND NOT EXISTS (SELECT FROM absences a WHERE a.account_id = %(account)s AND a.conversation_id = page.id
                AND a.first <= q.seq AND a.last >= q.seq) LIMIT %(quiet)s
    ) AS unread)
FROM page LEFT JOIN accounts a ON a.key = other
LEFT JOIN messages m ON m.conversation_id = page.id AND m.seq = head AND head >= first
ORDER BY other
"""


class MessageStore(Database):
    """The part of the store that has messages and conversations."""

    def append(self, message: NewMessage, callback: AppendCallback) -> None:
        self.writer.queue.add(message, callback)
        self.writer.wake()

    def append_all(self, messages: Sequence[tuple[NewMessage, AppendCallback]]) -> None:
        self.writer.queue.add_all(messages)
        self.writer.wake()

    def mark_read(self, account: int, conversation: str, seq: int) -> int:
        parameters = {"account": account, "conversation": conversation, "seq": seq}
        row = self.write(lambda db: db.execute(MARK_READ, parameters).fetchone())
        return int(row[0]) if row else 0

    def backlog(self, account: int) -> dict[str, int]:
        return dict(self.read(lambda db: db.execute(HEADS, (account,)).fetchall()))

    def page(self, account: int, conversation: str, after: int) -> MessagePage:
        def find(db: PgConnection) -> MessagePage:
            # Two queries: one would enter the index at the first visible message, not behind `after`.
            readable = find_read_range(db, account, conversation)
            if readable is None:
                return MessagePage([], False)
            if readable.absences:
                page = _page_between_absences(db, conversation, readable, None, after, PAGE_SIZE, amendments=True)
            else:
                start = max(after, readable.visible_from - 1)
                page = MessagePage(*_select_page(db, SELECT_AFTER, PAGE_SIZE, conversation=conversation, after=start))
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
        def find(db: PgConnection) -> MessagePage:
            find_page = _page_between_absences if readable.absences else _page
            page = find_page(db, conversation, readable, before, after, limit, amendments=amendments)
            if not amendments:
                _add_reactions(db, page.messages)
            add_files(db, page.messages)
            return page

        return self.read(find)

    def seq_at(self, conversation: str, time: float) -> int:
        def find(db: PgConnection) -> int:
            row = db.execute(CONVERSATION, (conversation,)).fetchone()
            return bisect_time(row, time, lambda *start: db.execute(SELECT_NEXT_TIME, start).fetchone())

        return self.read(find)

    def search(self, account: int, text: str, conversation: str | None, limit: int, timeout: float) -> SearchResult:
        if not (words := parse_query(text)):
            return SearchResult([])
        batch = max(1, min(SEARCH_BATCH, MAX_QUERY_TERMS // sum(map(len, words))))
        started = time.monotonic()
        is_lagging = not self.indexer.catch_up(timeout / 2)
        remaining = timeout - (time.monotonic() - started)

        def find(db: PgConnection) -> tuple[list[int], bool]:
            deadline = time.monotonic() + remaining
            search = NewestFirstSearch(limit + 1, deadline)

            def search_scopes(scopes: Sequence[SearchScope]) -> list[int]:
                parameters = {
                    "ids": [scope.id for scope in scopes],
                    "visible": [scope.visible for scope in scopes],
                    "words": make_tsquery([scope.id for scope in scopes], words),
                    "account": account,
                    "has_absences": has_absences,
                    "limit": limit + 1,
                }
                return _search_ids(db, parameters, deadline)

            ((has_absences,),) = db.execute(HAS_ABSENCES, (account,)).fetchall()

            first = db.execute(FIND_FIRST_INDEXED).fetchone()
            scopes = db.execute(SELECT_SCOPES, {"account": account, "conversation": conversation}).fetchall()
            search.run([SearchScope(*row) for row in scopes], search_scopes, batch)
            return search.rows, search.is_incomplete(first[0] if first else 0)

        ids, incomplete = self.search_pool.run(find)

        def read_hits(db: PgConnection) -> tuple[list[StoredMessage], bool]:
            messages, more = page_from_rows(db.execute(SELECT_HITS, (ids,)), limit)
            _add_reactions(db, messages)
            add_files(db, messages)
            return messages, more

        messages, more = self.read(read_hits)
        return SearchResult(messages, more, incomplete or is_lagging)

    def stored_bytes(self, account: int | None) -> int:
        ((used,),) = self.read(lambda db: db.execute(FIND_USAGE, (account or 0,)).fetchall())
        return int(used)

    def trace(self, conversation: str, seq: int) -> MessageTrace | None:
        def find(db: PgConnection) -> MessageTrace | None:
            row = db.execute(CONVERSATION, (conversation,)).fetchone()
            if row is None:
                return None
            id, head, first = row
            sent = db.execute(SENT, (id, seq)).fetchone()
            readers = readers_from_rows(db.execute(READERS, (seq, id)).fetchall())
            return MessageTrace(first, head, SentInfo(*sent) if sent else None, readers)

        uncommitted = self.writer.cursors.uncommitted(conversation)  # before they can be committed unseen
        return advance_cursors(self.read(find), uncommitted)

    def find_by_message_id(self, account: int, id: str) -> list[tuple[str, int]]:
        return self.read(lambda db: db.execute(SENT_AS, (replace_nul(id), account, MAX_SENT_AS)).fetchall())

    def export_page(self, after: int, limit: int, account: int | None = None) -> tuple[list[ExportedMessage], bool]:
        end = self._last_settled_id()
        if account is None:
            rows = self._export_rows(EXPORT_ALL, after=after, end=end, limit=limit + 1)
        else:
            rows = self._export_readable(after, end, limit + 1, account)
        exported, more = export_from_rows(rows, limit)
        self.read(lambda db: add_files(db, [each.message for each in exported]))
        return exported, more

    def _export_readable(self, after: int, end: int, limit: int, account: int) -> list[ExportRow]:
        """Return the rows of messages that an account may read, with ids after `after` up to `end`."""
        rows: list[ExportRow] = []
        while len(rows) < limit:
            ((first,),) = self.read(lambda db, after=after: db.execute(FIND_NEXT_ID, (after,)).fetchall())  # type: ignore[misc]
            if first is None or first > end:
                break
            after, before = min(first - 1 + EXPORT_CHUNK, end), first - 1
            rows += self._export_rows(
                EXPORT_READABLE, after=before, end=after, limit=limit - len(rows), account=account
            )
        return rows

    def _export_rows(self, statement: LiteralString, **parameters: int) -> list[ExportRow]:
        return self.read(lambda db: db.execute(statement, parameters).fetchall())

    def _last_settled_id(self) -> int:
        """Return an id up to which no further message will appear.

        Ids are given before their messages are committed, so this waits for the transactions that are writing now.
        Blocks. Raises `StoreUnavailable` where that takes too long.
        """
        last = self.read(find_last_id)
        deadline = time.monotonic() + self.pool.timeout
        writing = self.read(find_open_writes)
        while writing:
            if time.monotonic() > deadline:
                raise StoreUnavailable("A write has been running for too long.")
            gevent.sleep(POLL_INTERVAL)
            writing &= self.read(find_open_writes)
        return last

    def backup(self, file: str, fd: int | None = None) -> int:
        raise FileError("A PostgreSQL store is backed up with pg_dump.")

    def conversations(self, account: int, after: str, limit: int) -> tuple[list[ConversationRow], bool]:
        parameters = {"account": account, "after": after, "limit": limit + 1, "quiet": MAX_QUIET}
        rows = self.read(lambda db: db.execute(SELECT_CONVERSATIONS, parameters).fetchall())
        return [ConversationRow(*row) for row in rows[:limit]], len(rows) > limit


def _search_ids(db: PgConnection, parameters: dict[str, Any], deadline: float) -> list[int]:
    """Return the ids of matches in some conversations. Blocks. Raises `SearchTimeout` at the deadline."""
    remaining = max(1, int((deadline - time.monotonic()) * 1000))  # milliseconds; 0 would be no limit
    try:
        with db.transaction():
            db.execute(SEARCH_SETTINGS, (f"{remaining}ms",))
            statement = SEARCH_BETWEEN_ABSENCES if parameters["has_absences"] else SEARCH
            return [id for (id,) in db.execute(statement, parameters).fetchall()]
    except QueryCanceled as error:
        raise SearchTimeout from error


def _page(
    db: PgConnection,
    conversation: str,
    readable: ReadRange,
    before: int | None,
    after: int | None,
    limit: int,
    *,
    amendments: bool,
) -> MessagePage:
    """Return a page of a conversation that may be read without a gap: after a seq, else before one."""
    _, head, stored_first = db.execute(CONVERSATION, (conversation,)).fetchone() or (0, 0, 1)
    first = max(readable.visible_from, stored_first)
    is_forward = after is not None
    end = head + 1 if before is None else min(before, head + 1)
    start = max(after, first - 1) if after is not None else end
    ranges = [(start, limit + 1)] if amendments else _seq_ranges(start, first, head, limit + 1, is_forward)
    rows = _iter_ranges(db, STATEMENTS[is_forward, amendments], conversation, first, ranges)
    messages, more = page_from_rows(rows, limit)
    return MessagePage(messages if is_forward else messages[::-1], more, first)


def _page_between_absences(
    db: PgConnection,
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
    is_forward, more = after is not None, False
    start = after if after is not None else before if before is not None else head + 1
    if amendments:
        taken, more = ranges_after(ranges, start, limit) if is_forward else ranges_before(ranges, start, limit)
        parts: Iterable[list[SeqRange]] = [taken]
    else:
        parts = growing_ranges(ranges, start, limit + 1, is_forward=is_forward)
    statement = SELECT_BETWEEN if amendments else SELECT_BETWEEN_SHOWN
    messages, is_cut = page_from_rows(_iter_parts(db, statement, conversation, parts, is_forward), limit)
    if seqs := edits_of_unreadable(messages, readable):
        blank_outdated_edits(messages, dict(db.execute(EDITED, (id, seqs)).fetchall()))
    ordered = messages if after is not None else messages[::-1]
    return MessagePage(ordered, more or is_cut, first_readable(readable, first), absences_after(readable, first))


def _select_page(
    db: PgConnection, statement: LiteralString, limit: int, **parameters: str | int
) -> tuple[list[StoredMessage], bool]:
    return page_from_rows(db.execute(statement, {**parameters, "limit": limit + 1}), limit)


def _seq_ranges(start: int, first: int, head: int, size: int, is_forward: bool) -> Iterator[tuple[int, int]]:
    """Yield where to read on, and how many seqs, until a conversation ends: among amendments in growing steps."""
    while start < head if is_forward else start > first:
        yield start, size
        start += size if is_forward else -size
        size = min(2 * size, MAX_RANGE)


def _iter_ranges(
    db: PgConnection, statement: LiteralString, conversation: str, first: int, ranges: Iterable[tuple[int, int]]
) -> Iterator[Any]:
    """Yield the messages of some ranges; a range is read only when those before it were taken."""
    for start, size in ranges:
        parameters = {"conversation": conversation, "visible": first, "after": start, "before": start, "limit": size}
        yield from db.execute(statement, parameters).fetchall()


def _iter_parts(
    db: PgConnection, statement: LiteralString, conversation: str, parts: Iterable[list[SeqRange]], is_forward: bool
) -> Iterator[Any]:
    """Yield the messages of ranges, part by part; a part is read only when those before it were taken."""
    for part in parts:
        starts, ends = [start for start, _ in part], [end for _, end in part]
        rows = db.execute(statement, {"conversation": conversation, "starts": starts, "ends": ends}).fetchall()
        yield from rows if is_forward else reversed(rows)


def _add_reactions(db: PgConnection, messages: Sequence[StoredMessage]) -> None:
    """Read the reactions to the messages of a page."""
    for conversation, seqs in seqs_by_conversation(messages).items():
        attach_reactions(messages, db.execute(REACTIONS, (conversation, seqs)).fetchall())
