"""Numbering and inserting a batch of messages: the part of the store that is measured in messages per second."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from gmessenger.chat.contract import Done
from gmessenger.chat.records import Post
from gmessenger.errors import IdReused, NoSuchRoom, NotStorable, WireError
from gmessenger.store import past
from gmessenger.store.failures import FAILURES
from gmessenger.store.index import Fresh, folded_all, unindexed
from gmessenger.store.settling import Outcome
from gmessenger.store.waiting import Waiting
from gmessenger.turns import Turn

SLICE: Final = 500
MAX_SLICE_TEXT: Final = 16_384  # characters of a slice, unless they are all one message's
PLAIN_SHARE: Final = 8  # characters of ASCII that are folded as quickly as one other
UNSTORABLE: Final = (sqlite3.DataError, OverflowError, UnicodeError)
"""What is wrong with a message itself, however often it is tried."""
FEW: Final = 8
MOST_CONVERSATIONS_KNOWN: Final = 20_000
INSERT: Final = (
    'INSERT INTO messages (rowid, conversation_id, seq, sender, "to", text, time, device_id, client_id, account_id) '
    "VALUES (?,?,?,?,?,?,?,?,?,?)"
)
TEXT: Final = 5
"""Its place among those."""
CONVERSATION: Final = "SELECT id, head, first FROM conversations WHERE key = ?"
ADD_CONVERSATION: Final = "INSERT INTO conversations (key, name, creator) VALUES (?,?,?)"
SENT_BEFORE: Final = "SELECT seq, text FROM messages WHERE device_id = ? AND client_id = ? AND conversation_id = ?"
MOVE_HEAD: Final = "UPDATE conversations SET head = ? WHERE id = ?"
ADMIT: Final = (
    "INSERT OR IGNORE INTO participants (account_id, conversation_id, visible) SELECT id, ?, ? FROM accounts "
    "WHERE key IN (?,?)"
)


@dataclass(slots=True)
class Known:
    """What the writer knows of a conversation without asking: it is the only one who changes it."""

    id: int
    head: int


class Posts(Waiting):
    """Waiting messages, and the conversations' heads. Everything here runs on the loop's thread."""

    def __init__(self) -> None:
        super().__init__()
        self._taken: list[tuple[Post, Done]] = []
        self._outcomes: list[Outcome] = []
        self._known: dict[str, Known] = {}
        self._next_row = 0
        self.past = False
        """Whether ids of messages that are kept no more have to be looked for."""
        self.oldest = 0.0
        """When the first message of the batch on its way was posted, in Unix seconds."""

    def insert(self, db: sqlite3.Connection) -> Fresh | None:
        """Number and insert what waits; returns what makes it findable, None where nothing waited."""
        self._taken = self.take()
        if len(self._known) >= MOST_CONVERSATIONS_KNOWN:  # here, where no head is ahead of the database
            self._known.clear()
        if not self._taken:
            return None
        self.oldest = self._taken[0][0].time
        self._next_row = self._next_row or _next_row(db)
        fresh = Fresh(self._next_row)
        turn = Turn()
        for posts in _slices(self._taken):
            turn.give_way()  # a slice is a few milliseconds, and the loop is everybody's
            fresh.extend(self._insert_slice(db, posts))
        return fresh

    def settle(self, refusal: WireError | None) -> list[Outcome]:
        """The outcomes of the batch that was committed, or of everything that waits where it was not."""
        outcomes, self._outcomes = self._outcomes, []
        taken, self._taken = self._taken, []
        if refusal is not None:
            # Also for those that the insert never came to.
            outcomes = [Outcome(done, error=refusal) for _, done in taken + self.take_all()]
            self.forget()
        return outcomes

    def forget(self) -> None:
        """Read everything again: what was known may not be so any more."""
        self._known.clear()
        self._next_row = 0

    def known(self, db: sqlite3.Connection, key: str, name: str = "", creator: int | None = None) -> Known | None:
        """A conversation, made if need be: a room only by its `name`."""
        known = self._known.get(key)
        if known is None:
            row = db.execute(CONVERSATION, (key,)).fetchone()
            if row is None:
                if key[:1] == "#" and not name:
                    return None
                added = db.execute(ADD_CONVERSATION, (key, name or key, creator))
                known = Known(int(added.lastrowid or 0), 0)
            else:
                known = Known(row[0], row[1])
            self._known[key] = known
            if key[:1] != "#":
                # Whoever of the two is an account by now may read from here on; asked again when accounts change.
                db.execute(ADMIT, (known.id, known.head + 1, *key.split(" ")))
        return known

    def _insert_slice(self, db: sqlite3.Connection, posts: list[tuple[Post, Done]], *, look: bool = False) -> list[str]:
        """Insert, and return the folded texts for the index.

        Hardly ever is anything sent again: of many it is found out by trying, of few by looking. What cannot be kept at
        all is looked for by halves, and no other is refused for its sake.
        """
        look = look or len(posts) < FEW or self.past
        before = len(self._outcomes)
        db.execute("SAVEPOINT slice")
        try:
            rows = self._insert(db, posts, look=look)
        except (sqlite3.IntegrityError, *UNSTORABLE) as error:
            if look and isinstance(error, sqlite3.IntegrityError):
                raise
            db.execute("ROLLBACK TO slice")
            self.forget()
            del self._outcomes[before:]
            rows = self._insert_apart(db, posts, error, look=look)
        db.execute("RELEASE slice")
        return rows

    def _insert_apart(
        self, db: sqlite3.Connection, posts: list[tuple[Post, Done]], error: Exception, *, look: bool
    ) -> list[str]:
        """Insert what could not be inserted together."""
        if isinstance(error, sqlite3.IntegrityError):
            return self._insert_slice(db, posts, look=True)
        if len(posts) == 1:
            FAILURES.tell("store_refused", error)
            self._outcomes.append(Outcome(posts[0][1], error=NotStorable()))
            return []
        half = len(posts) // 2
        halves = (posts[:half], posts[half:])
        return [row for each in halves for row in self._insert_slice(db, each, look=look)]

    def _insert(self, db: sqlite3.Connection, posts: list[tuple[Post, Done]], *, look: bool) -> list[str]:
        rows: list[tuple[Any, ...]] = []
        moved: dict[int, Known] = {}
        sent: dict[tuple[int, str, int], tuple[int, str]] = {}
        self._next_row = row = self._next_row or _next_row(db)
        outcomes, conversations = self._outcomes, self._known
        for post, done in posts:
            known = conversations.get(post.conversation) or self.known(db, post.conversation)
            if known is None:
                outcomes.append(Outcome(done, error=NoSuchRoom()))
                continue
            if look:
                before = self._before(db, post, known, sent)
                if before is not None:
                    outcomes.append(Outcome(done, before[0], duplicate=True, error=before[1]))
                    continue
            known.head = seq = known.head + 1
            moved[known.id] = known
            if look and post.id is not None and post.device is not None:
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
            outcomes.append(Outcome(done, seq))
        db.executemany(INSERT, rows)
        db.executemany(MOVE_HEAD, [(known.head, known.id) for known in moved.values()])
        self._next_row = row
        return folded_all([row[TEXT] for row in rows])

    def _before(
        self, db: sqlite3.Connection, post: Post, known: Known, sent: dict[tuple[int, str, int], tuple[int, str]]
    ) -> tuple[int, WireError | None] | None:
        """The seq under which this id was kept already, and whether it may not be used for this text.

        It is looked for earlier in this slice, in the database, and among those that are kept no more.
        """
        if post.id is None or post.device is None:
            return None
        here = sent.get((post.device, post.id, known.id))
        row = here or db.execute(SENT_BEFORE, (post.device, post.id, known.id)).fetchone()
        if row is not None:
            return row[0], None if row[1] == post.text else IdReused()
        return past.find(db, post.device, post.id, known.id, post.text) if self.past else None


def _slices(posts: list[tuple[Post, Done]]) -> Iterator[list[tuple[Post, Done]]]:
    """Cut a batch into what the loop can do at a time, by how many there are and by what has to be folded of them."""
    for first in range(0, len(posts), SLICE):
        some = posts[first : first + SLICE]
        if sum([len(post.text) for post, _ in some]) <= MAX_SLICE_TEXT:
            yield some
            continue
        start = size = 0
        for at, (post, _) in enumerate(some):
            if size >= MAX_SLICE_TEXT:
                yield some[start:at]
                start, size = at, 0
            size += len(post.text) // PLAIN_SHARE if post.text.isascii() else len(post.text)
        yield some[start:]


def _next_row(db: sqlite3.Connection) -> int:
    # Rows that were pruned may not lend their number to a new one: the index would find the old words under it.
    last = int(db.execute("SELECT coalesce(max(rowid), 0) FROM messages").fetchone()[0])
    return max(last + 1, unindexed(db))
