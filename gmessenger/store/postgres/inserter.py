"""Numbering and inserting a batch of messages: the part of the store that is measured in messages per second.

PostgreSQL numbers them itself, under the locks of their conversations: what is sent is what was posted, as JSON, which
costs this process less than rows by COPY, and much less than arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from gmessenger.chat.records import NewMessage
from gmessenger.errors import IdReused, NoSuchRoom
from gmessenger.store.common import CursorsByDevice, text_digest
from gmessenger.store.group_commit import AppendResult, QueuedAppend
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.tsvector import make_tsvector, replace_nul
from gmessenger.timeslice import TimeSlice

Duplicate: TypeAlias = tuple[int, bool | None, str | None]
"""A message that was kept before: its place in the batch, whether its text was the same, or else a digest of that."""
MAX_CACHED_CONVERSATIONS: Final = 50_000
NAME_LOCK_COUNT: Final = 128
"""Names are locked by so many locks, which a transaction may have all of."""
NAME_LOCK_BASE: Final = 0x676D0000
"""Where the numbers of those locks begin."""
LOCK_NAMES: Final = (
    # Against an account of that name being made now: either it finds the conversation, or the conversation finds it.
    f"SELECT pg_advisory_xact_lock_shared({NAME_LOCK_BASE} + place) FROM ("  # noqa: S608
    f"SELECT DISTINCT abs(hashtext(name) %% {NAME_LOCK_COUNT}) AS place "
    "FROM unnest(%s::text[]) AS name ORDER BY place) AS places"
)
CREATE_DIRECT: Final = (
    "WITH made AS ("
    " INSERT INTO conversations (key, name) SELECT key, key FROM unnest(%s::text[]) AS key ORDER BY key"
    " ON CONFLICT (key) DO NOTHING RETURNING id, key"
    ") INSERT INTO participants (account_id, conversation_id, visible) SELECT a.id, made.id, 1 FROM made "
    "JOIN accounts a ON a.key IN (split_part(made.key, ' ', 1), split_part(made.key, ' ', 2))"
)
LOCK_CONVERSATIONS: Final = (
    "SELECT count(*) FROM (SELECT FROM conversations WHERE key = ANY(%s) ORDER BY key FOR NO KEY UPDATE) AS locked"
)
INSERT_BATCH: Final = """
-- Was it kept before? `+ 0`: else the planner may want to read the whole conversation for each message to find out.
WITH given AS (
    SELECT g.*, c.id AS conversation_id, c.head, coalesce(m.seq, p.seq) AS before,
        m.text = g.text AS same, encode(p.digest, 'hex') AS digest
    FROM ROWS FROM (
        json_to_recordset(%s::json) AS (conversation text, sender text, "to" text, text text, time double precision,
            account bigint, device bigint, id text),
        json_array_elements_text(%s::json)
    ) WITH ORDINALITY AS g(conversation, sender, "to", text, time, account, device, id, words, place)
    LEFT JOIN conversations c ON c.key = g.conversation
    LEFT JOIN messages m ON m.device_id = g.device AND m.client_id = g.id AND m.conversation_id + 0 = c.id
    LEFT JOIN past_ids p ON p.device_id = g.device AND p.client_id = g.id AND p.conversation_id = c.id
), numbered AS (
    SELECT *, head + count(*) FILTER (WHERE before IS NULL) OVER (PARTITION BY conversation_id ORDER BY place) AS seq
    FROM given
), kept AS (
    INSERT INTO messages (conversation_id, seq, account_id, device_id, time, client_id, sender, "to", text, words)
    SELECT conversation_id, seq, account, device, time, id, sender, "to", text, words::tsvector
    FROM numbered WHERE before IS NULL AND conversation_id IS NOT NULL ORDER BY place
), moved AS (
    UPDATE conversations c SET head = now.head
    FROM (SELECT conversation_id, max(seq) AS head FROM numbered WHERE before IS NULL GROUP BY 1) AS now
    WHERE c.id = now.conversation_id RETURNING c.key, c.head
), told AS (
    INSERT INTO moves (heads) SELECT json_object_agg(key, head) FROM moved HAVING count(*) > 0
)
SELECT json_agg(coalesce(before, seq, 0) ORDER BY place)::text,
    json_agg(json_build_array(place - 1, same, digest)) FILTER (WHERE before IS NOT NULL)::text
FROM numbered
"""
ADVANCE_CURSORS: Final = """
INSERT INTO cursors (device_id, conversation_id, seq)
SELECT d.id, c.id, least(given.seq, c.head)
FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS given(device, conversation, seq)
JOIN devices d ON d.id = given.device JOIN conversations c ON c.key = given.conversation ORDER BY d.id, c.id
ON CONFLICT (device_id, conversation_id) DO UPDATE SET seq = excluded.seq WHERE cursors.seq < excluded.seq
"""

JSON_NUL: Final = r"\u0000"
"""How JSON writes the character that PostgreSQL cannot hold."""

_encode: Final = msgspec.json.Encoder().encode
_decode_seqs: Final = msgspec.json.Decoder(list[int]).decode
_decode_duplicates: Final = msgspec.json.Decoder(list[Duplicate]).decode


class BatchInserter:
    """Keeps batches of messages; remembers nothing but which conversations of two names there are."""

    def __init__(self) -> None:
        self._known_conversations: set[str] = set()

    def insert(self, db: PgConnection, posts: Sequence[QueuedAppend], cursors: CursorsByDevice) -> list[AppendResult]:
        """Have messages and cursors on disk; what became of each message. Raises psycopg's errors."""
        sent, repeated = _deduplicate([post for post, _ in posts])
        keys = sorted({post.conversation for post in sent})
        fresh = [key for key in keys if key not in self._known_conversations and key[:1] != "#"]
        # Before anything is locked: it may take long, and others have their turns.
        given = (_encode_posts(sent), _encode_vectors(sent))
        with db.pipeline():
            db.execute("BEGIN")
            if fresh:
                db.execute(LOCK_NAMES, ([name for key in fresh for name in key.split(" ")],))
                db.execute(CREATE_DIRECT, (fresh,))
            if sent:
                db.execute(LOCK_CONVERSATIONS, (keys,))
                kept = db.execute(INSERT_BATCH, given)
            if cursors:
                db.execute(ADVANCE_CURSORS, _cursor_columns(cursors))
            db.execute("COMMIT")
        if len(self._known_conversations) > MAX_CACHED_CONVERSATIONS:
            self._known_conversations.clear()
        self._known_conversations.update(fresh)
        outcomes = _results(posts, repeated, kept.fetchone()) if posts else []
        return self._retry_missing(db, posts, outcomes, set(keys) & self._known_conversations - set(fresh))

    def _retry_missing(
        self, db: PgConnection, posts: Sequence[QueuedAppend], results: list[AppendResult], known: set[str]
    ) -> list[AppendResult]:
        """Of conversations that were there once and are gone: they are made again."""
        places = [at for at, outcome in enumerate(results) if not outcome.seq and posts[at][0].conversation in known]
        if places:
            self._known_conversations -= {posts[at][0].conversation for at in places}
            again = self.insert(db, [posts[at] for at in places], {})
            for at, outcome in zip(places, again, strict=True):
                results[at] = outcome
        return results


def _encode_vectors(posts: list[NewMessage]) -> str:
    turn = TimeSlice()
    words = []
    for post in posts:
        words.append(make_tsvector(post.conversation, post.text))
        turn.yield_if_expired()
    return _encode(words).decode()


def _encode_posts(posts: list[NewMessage]) -> str:
    found = _encode(posts).decode()
    if JSON_NUL not in found:
        return found
    return _encode(
        [replace(each, text=replace_nul(each.text), id=each.id and replace_nul(each.id)) for each in posts]
    ).decode()


def _deduplicate(posts: list[NewMessage]) -> tuple[list[NewMessage], dict[int, int]]:
    """Each message once; and of those that are another's repetition, by their places, whose."""
    ids = [(post.device, post.id, post.conversation) for post in posts if post.id is not None]
    if len(set(ids)) == len(ids):
        return posts, {}
    sent: list[NewMessage] = []
    repeated: dict[int, int] = {}
    places: dict[tuple[int | None, str, str], int] = {}
    for place, post in enumerate(posts):
        if post.id is not None and post.device is not None:
            first = places.setdefault((post.device, post.id, post.conversation), place)
            if first != place:
                repeated[place] = first
                continue
        sent.append(post)
    return sent, repeated


def _cursor_columns(cursors: CursorsByDevice) -> tuple[list[int], list[str], list[int]]:
    return [device for device, _ in cursors], [key for _, key in cursors], list(cursors.values())


def _results(
    posts: Sequence[QueuedAppend], repeated: dict[int, int], row: tuple[Any, ...] | None
) -> list[AppendResult]:
    assert row is not None  # aggregates always have one
    seqs, befores = iter(_decode_seqs(row[0])), {place: rest for place, *rest in _decode_duplicates(row[1] or "[]")}
    outcomes: list[AppendResult] = []
    at = 0
    for place, (post, done) in enumerate(posts):
        first = repeated.get(place)
        if first is not None:
            outcomes.append(_repeated_result(done, outcomes[first], posts[first][0].text == post.text))
            continue
        outcomes.append(_result(post, done, next(seqs), befores.get(at)))
        at += 1
    return outcomes


def _result(post: NewMessage, done: Any, seq: int, duplicate: list[Any] | None) -> AppendResult:
    if duplicate is None:
        return AppendResult(done, seq) if seq else AppendResult(done, error=NoSuchRoom())
    same, digest = duplicate
    if same is None:
        same = bytes.fromhex(digest) == text_digest(replace_nul(post.text))
    return AppendResult(done, seq, duplicate=True, error=None if same else IdReused())


def _repeated_result(done: Any, first: AppendResult, same: bool) -> AppendResult:
    if isinstance(first.error, NoSuchRoom):
        return AppendResult(done, error=first.error)
    return AppendResult(done, first.seq, duplicate=True, error=None if same else IdReused())
