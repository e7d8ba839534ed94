"""Messages in PostgreSQL: appended, paged and searched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import gevent
from psycopg.errors import QueryCanceled

from gmessenger.chat.contract import Done
from gmessenger.chat.records import Hits, Page, Placed, Post, Remembered
from gmessenger.chat.way import Sent, Way
from gmessenger.errors import FileProblem, StoreUnavailable
from gmessenger.store.common import MAX_SENT_AS, PAGE, cut_rows, to_message, to_page, to_readers
from gmessenger.store.folding import phrases
from gmessenger.store.postgres.database import Database
from gmessenger.store.postgres.lines import Line
from gmessenger.store.postgres.rebuild import UNINDEXED
from gmessenger.store.postgres.words import query, storable
from gmessenger.store.search import Interrupted, Newest, Place

USAGE: Final = "SELECT coalesce(sum(bytes), 0)::bigint FROM usage WHERE account_id = %s"
SHOWN: Final = 'c.key, m.seq, m.sender, m."to", m.text, m.time, m.device_id, m.client_id, m.erased'
# Seqs have no holes: both ends of a page are known before it is read, and nothing else of the conversation is.
AFTER: Final = (
    f"SELECT {SHOWN} FROM conversations c CROSS JOIN LATERAL ("  # noqa: S608
    " SELECT * FROM messages WHERE conversation_id = c.id AND seq > greatest(least(%(after)s, c.head), c.first - 1)"
    " AND seq <= greatest(least(%(after)s, c.head), c.first - 1) + %(limit)s ORDER BY seq LIMIT %(limit)s"
    ") AS m WHERE c.key = %(conversation)s ORDER BY m.seq"
)
BEFORE: Final = (
    f"SELECT {SHOWN} FROM conversations c CROSS JOIN LATERAL ("  # noqa: S608
    " SELECT * FROM messages WHERE conversation_id = c.id AND seq < least(%(before)s, c.head + 1)"
    " AND seq >= greatest(%(visible)s, least(%(before)s, c.head + 1) - %(limit)s) ORDER BY seq DESC LIMIT %(limit)s"
    ") AS m WHERE c.key = %(conversation)s ORDER BY m.seq DESC"
)
PLACES: Final = (
    "SELECT c.id, c.key, p.visible, m.id FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "JOIN messages m ON m.conversation_id = c.id AND m.seq = c.head WHERE p.account_id = %(account)s "
    "AND m.seq >= p.visible AND left(c.key, 1) <> '!' "
    "AND (%(conversation)s::text IS NULL OR c.key = %(conversation)s) ORDER BY m.id DESC"
)
SEARCH: Final = (
    # `+ 0`: by the index of words alone, or else the planner may want to read whole conversations.
    "SELECT m.id FROM messages m JOIN unnest(%(ids)s::bigint[], %(visible)s::bigint[]) AS place(id, visible) "
    "ON place.id = m.conversation_id + 0 WHERE m.words @@ %(words)s::tsquery AND m.seq + 0 >= place.visible "
    "AND NOT m.erased ORDER BY m.id + 0 DESC LIMIT %(limit)s"
)
FOUND: Final = (
    f"SELECT {SHOWN} FROM messages m JOIN conversations c ON c.id = m.conversation_id "  # noqa: S608
    "WHERE m.id = ANY(%s) AND NOT m.erased AND left(c.key, 1) <> '!' ORDER BY m.id DESC"
)
ALL: Final = (
    f"SELECT {SHOWN}, m.id FROM messages m JOIN conversations c ON c.id = m.conversation_id "  # noqa: S608
    "WHERE m.id > %(after)s AND m.id <= %(end)s AND left(c.key, 1) <> '!' ORDER BY m.id LIMIT %(limit)s"
)
READABLE: Final = (
    # OFFSET 0: the messages are walked once in their order, whoever asks, instead of being sorted for each page.
    f"SELECT {SHOWN}, m.id FROM ("  # noqa: S608
    " SELECT * FROM messages WHERE id > %(after)s AND id <= %(end)s ORDER BY id OFFSET 0"
    ") AS m JOIN conversations c ON c.id = m.conversation_id "
    "JOIN participants p ON p.conversation_id = c.id AND p.account_id = %(account)s AND m.seq >= p.visible "
    "WHERE left(c.key, 1) <> '!' ORDER BY m.id LIMIT %(limit)s"
)
NEXT: Final = "SELECT min(id) FROM messages WHERE id > %s"
SCANNED: Final = 50_000
"""Messages that are walked through at a time."""
LAST_GIVEN: Final = "SELECT last_value FROM messages_id_seq"
AT_WORK: Final = (
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted "
    "AND relation = 'messages'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
LOOKS_AGAIN: Final = 0.01
MAX_TOGETHER: Final = 20  # conversations that are searched with one question
MAX_PIECES: Final = 1_000  # words of such a question, in all its conversations: the parser is recursive
TAKE_AT_MOST: Final = (
    "SELECT set_config('statement_timeout', %s, true), set_config('enable_seqscan', 'off', true), "
    "set_config('enable_indexscan', 'off', true)"
)
MARK_READ: Final = (
    "UPDATE participants p SET read = greatest(p.read, least(%(seq)s, c.head)) FROM conversations c "
    "WHERE c.key = %(conversation)s AND p.conversation_id = c.id AND p.account_id = %(account)s RETURNING p.read"
)
HEADS: Final = (
    "SELECT c.key, c.head FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "WHERE p.account_id = %s AND left(c.key, 1) <> '!'"
)
VISIBLE: Final = (
    "SELECT p.visible FROM participants p JOIN conversations c ON c.id = p.conversation_id "
    "WHERE c.key = %s AND p.account_id = %s"
)
CONVERSATION: Final = "SELECT id, head, first FROM conversations WHERE key = %s"
SENT: Final = (
    'SELECT m.sender, m."to", m.time, length(m.text), m.erased, m.device_id, d.name, m.client_id '
    "FROM messages m LEFT JOIN devices d ON d.id = m.device_id WHERE m.conversation_id = %s AND m.seq = %s"
)
READERS: Final = (
    "SELECT p.account_id, p.visible, p.read, d.id, d.name, greatest(u.seq, p.visible - 1) FROM participants p "
    "LEFT JOIN devices d ON d.account_id = p.account_id "
    "LEFT JOIN cursors u ON u.device_id = d.id AND u.conversation_id = p.conversation_id "
    "WHERE p.conversation_id = %s ORDER BY p.account_id, d.name"
)
SENT_AS: Final = (
    "SELECT c.key, m.seq FROM devices d JOIN messages m ON m.device_id = d.id AND m.client_id = %s "
    "JOIN conversations c ON c.id = m.conversation_id "
    "WHERE d.account_id = %s AND left(c.key, 1) <> '!' ORDER BY m.id DESC LIMIT %s"
)


class Messages(Database):
    """The part of the contract that is about what was said."""

    def append(self, post: Post, done: Done) -> None:
        self.writer.waiting.add(post, done)
        self.writer.wake()

    def append_all(self, posts: Sequence[tuple[Post, Done]]) -> None:
        self.writer.waiting.add_all(posts)
        self.writer.wake()

    def mark_read(self, account: int, conversation: str, seq: int) -> int:
        parameters = {"account": account, "conversation": conversation, "seq": seq}
        row = self.write(lambda db: db.execute(MARK_READ, parameters).fetchone())
        return int(row[0]) if row else 0

    def backlog(self, account: int) -> dict[str, int]:
        return dict(self.read(lambda db: db.execute(HEADS, (account,)).fetchall()))

    def page(self, account: int, conversation: str, after: int) -> Page:
        def find(db: Line) -> Page:
            # Two questions: in one, the index would be entered at the first that may be read, not behind `after`.
            row = db.execute(VISIBLE, (conversation, account)).fetchone()
            if row is None:
                return Page([], False)
            return Page(*_shown(db, AFTER, PAGE, conversation=conversation, after=max(after, row[0] - 1)))

        return self.read(find)

    def visible_from(self, account: int, conversation: str) -> int | None:
        row = self.read(lambda db: db.execute(VISIBLE, (conversation, account)).fetchone())
        return int(row[0]) if row else None

    def history(self, conversation: str, visible: int, before: int | None, after: int | None, limit: int) -> Page:
        def find(db: Line) -> Page:
            row = db.execute(CONVERSATION, (conversation,)).fetchone()
            first = max(visible, row[2] if row else 1)
            if after is not None:
                start = max(after, first - 1)
                return Page(*_shown(db, AFTER, limit, conversation=conversation, after=start), first)
            end = before if before is not None else 2**62
            found, more = _shown(db, BEFORE, limit, conversation=conversation, before=end, visible=visible)
            return Page(found[::-1], more, first)

        return self.read(find)

    def search(self, account: int, text: str, conversation: str | None, limit: int, timeout: float) -> Hits:
        if not (words := phrases(text)):
            return Hits([])
        together = max(1, min(MAX_TOGETHER, MAX_PIECES // sum(map(len, words))))

        def find(db: Line) -> tuple[list[int], bool]:
            until = time.monotonic() + timeout
            newest = Newest(limit + 1, until)

            def some(places: Sequence[Place]) -> list[int]:
                parameters = {
                    "ids": [place.id for place in places],
                    "visible": [place.visible for place in places],
                    "words": query([place.where for place in places], words),
                    "limit": limit + 1,
                }
                return _ids(db, parameters, until)

            lacking = db.execute(UNINDEXED).fetchone()
            places = db.execute(PLACES, {"account": account, "conversation": conversation}).fetchall()
            newest.look([Place(*place) for place in places], some, together)
            return newest.rows, newest.is_incomplete(lacking[0] if lacking else 0)

        found, incomplete = self.search_lines.use(find)
        messages, more = self.read(lambda db: to_page(db.execute(FOUND, (found,)), limit))
        return Hits(messages, more, incomplete)

    def usage(self, account: int | None) -> int:
        ((used,),) = self.read(lambda db: db.execute(USAGE, (account or 0,)).fetchall())
        return int(used)

    def trace(self, conversation: str, seq: int) -> Way | None:
        def find(db: Line) -> Way | None:
            row = db.execute(CONVERSATION, (conversation,)).fetchone()
            if row is None:
                return None
            id, head, first = row
            sent = db.execute(SENT, (id, seq)).fetchone()
            return Way(first, head, Sent(*sent) if sent else None, to_readers(db.execute(READERS, (id,)).fetchall()))

        moving = self._moving(conversation)
        way = self.read(find)
        for reader in way.readers if way is not None else ():
            for device in reader.devices:
                device.cursor = max(device.cursor, moving.get(device.id, 0))
        return way

    def _moving(self, conversation: str) -> dict[int, int]:
        """Acknowledgements that may not be on disk yet: the seq, by device."""
        moving = self.writer.moving | self.writer.cursors
        return {device: seq for (device, key), seq in moving.items() if key == conversation}

    def sent_as(self, account: int, id: str) -> list[tuple[str, int]]:
        return self.read(lambda db: db.execute(SENT_AS, (storable(id), account, MAX_SENT_AS)).fetchall())

    def everything(self, after: int, limit: int, account: int | None = None) -> tuple[list[Placed], bool]:
        end = self._settled()
        if account is None:
            rows = self._placed(ALL, after=after, end=end, limit=limit + 1)
        else:
            rows = self._readable(after, end, limit + 1, account)
        found, more = cut_rows(rows, limit)
        return [Placed(row[-1], to_message(row[:-1])) for row in found], more

    def _readable(self, after: int, end: int, limit: int, account: int) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        while len(rows) < limit:
            ((first,),) = self.read(lambda db, after=after: db.execute(NEXT, (after,)).fetchall())  # type: ignore[misc]
            if first is None or first > end:
                break
            after, before = min(first - 1 + SCANNED, end), first - 1
            rows += self._placed(READABLE, after=before, end=after, limit=limit - len(rows), account=account)
        return rows

    def _placed(self, statement: Any, **parameters: Any) -> list[tuple[Any, ...]]:
        return self.read(lambda db: db.execute(statement, parameters).fetchall())

    def _settled(self) -> int:
        """The last id before which no message will come to be seen any more.

        Ids are given before their messages are committed, so those are waited for that were writing when it was given.
        Raises `StoreUnavailable` where that takes too long.
        """
        ((last,),) = self.read(lambda db: db.execute(LAST_GIVEN).fetchall())
        until = time.monotonic() + self.lines.timeout
        writing = self._at_work()
        while writing:
            if time.monotonic() > until:
                raise StoreUnavailable("A write has been running for too long.")
            gevent.sleep(LOOKS_AGAIN)
            writing &= self._at_work()
        return int(last)

    def _at_work(self) -> set[str]:
        """The transactions that may have been given ids."""
        return {transaction for (transaction,) in self.read(lambda db: db.execute(AT_WORK).fetchall())}

    def backup(self, file: str, handle: int | None = None) -> int:
        raise FileProblem("A PostgreSQL store is backed up with pg_dump.")


def _ids(db: Line, parameters: dict[str, Any], until: float) -> list[int]:
    """The messages that a search finds in some conversations. Raises `Interrupted`."""
    left = max(1, int((until - time.monotonic()) * 1000))  # none would be no limit
    try:
        with db.transaction():
            db.execute(TAKE_AT_MOST, (f"{left}ms",))
            return [id for (id,) in db.execute(SEARCH, parameters).fetchall()]
    except QueryCanceled as error:
        raise Interrupted from error


def _shown(db: Line, statement: Any, limit: int, **parameters: Any) -> tuple[list[Remembered], bool]:
    return to_page(db.execute(statement, {**parameters, "limit": limit + 1}), limit)
