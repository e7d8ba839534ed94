"""Number and insert batches of messages: the part of a store that is measured in messages per second.

PostgreSQL numbers them itself, under the locks of their conversations. They are sent as JSON, which costs this process
less than COPY, and much less than arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from gmessenger.chat.records import NewMessage
from gmessenger.chat.storage import AppendCallback
from gmessenger.errors import IdReused, NoSuchMessage, NoSuchRoom, NotMember, WireError
from gmessenger.names import ROOM_PREFIX, names_of_direct
from gmessenger.store.amendments import may_begin
from gmessenger.store.common import CursorsByDevice
from gmessenger.store.group_commit import AppendResult, QueuedAppend
from gmessenger.store.postgres.amendments import insert_amendments
from gmessenger.store.postgres.pool import PgConnection
from gmessenger.store.postgres.tsvector import replace_nul
from gmessenger.store.resends import about_columns, compare_with_digest

Duplicate: TypeAlias = tuple[int, bool | None, str | None]
"""A message that was stored before: its index in the batch, whether its text is the same, or a digest of its text.

The digest is that of a pruned message, of which nothing else is left.
"""
MAX_CACHED_CONVERSATIONS: Final = 50_000
NAME_LOCK_COUNT: Final = 128  # advisory locks that names are spread over; a transaction may hold all of them
NAME_LOCK_BASE: Final = 0x676D0000  # the first of their numbers
LOCK_NAMES: Final = (
    # If an account of that name is created meanwhile, it finds the conversation, or the conversation finds it.
    f"SELECT pg_advisory_xact_lock_shared({NAME_LOCK_BASE} + number) FROM ("  # noqa: S608
    f"SELECT DISTINCT abs(hashtext(name) %% {NAME_LOCK_COUNT}) AS number "
    "FROM unnest(%s::text[]) AS name ORDER BY number) AS numbers"
)
CREATE_DIRECT: Final = (
    "WITH created AS ("
    " INSERT INTO conversations (key, name) SELECT key, key FROM unnest(%s::text[]) AS key ORDER BY key"
    " ON CONFLICT (key) DO NOTHING RETURNING id, key"
    ") INSERT INTO participants (account_id, conversation_id, visible) SELECT a.id, created.id, 1 FROM created "
    "JOIN accounts a ON a.key IN (split_part(created.key, ' ', 1), split_part(created.key, ' ', 2))"
)
LOCK_CONVERSATIONS: Final = (
    "SELECT count(*) FROM (SELECT FROM conversations WHERE key = ANY(%s) ORDER BY key FOR NO KEY UPDATE) AS locked"
)
INSERT_BATCH: Final = """
-- `+ 0`: else the planner may read the whole conversation of each message to find its duplicate.
WITH batch AS (
    SELECT b.*, c.id AS conversation_id, c.head, coalesce(m.seq, p.seq) AS duplicate_seq,
        CASE WHEN m.seq IS NOT NULL THEN m.what = '' AND m.about IS NOT DISTINCT FROM (b.about->>'seq')::bigint
            AND (m.erased OR m.edited IS NOT NULL OR m.text = b.text
                -- No EXISTS, for which the planner may read all files.
                AND (SELECT f.id FROM files f WHERE f.conversation_id = m.conversation_id AND f.seq = m.seq) IS NULL
            ) END AS same, encode(p.digest, 'hex') AS digest,
        CASE WHEN c.id IS NULL THEN NULL
        WHEN b.needs_membership AND NOT EXISTS (
                SELECT FROM participants p WHERE p.account_id = b.account AND p.conversation_id = c.id
                AND p.left_seq IS NULL) THEN -2
        WHEN b.about IS NOT NULL AND (
            (b.about->>'seq')::bigint NOT BETWEEN c.first AND c.head
            OR b.account IS NOT NULL AND NOT EXISTS (
                SELECT FROM participants p WHERE p.account_id = b.account AND p.conversation_id = c.id
                AND p.visible <= (b.about->>'seq')::bigint AND NOT EXISTS (
                    SELECT FROM absences a WHERE a.account_id = p.account_id AND a.conversation_id = p.conversation_id
                    AND a.first <= (b.about->>'seq')::bigint AND a.last >= (b.about->>'seq')::bigint))) THEN -1
        END AS fault
    FROM ROWS FROM (
        json_to_recordset(%s::json) AS (conversation text, sender text, "to" text, text text, time double precision,
            account bigint, device bigint, id text, kind text, about json, needs_membership boolean)
    ) WITH ORDINALITY AS b(
        conversation, sender, "to", text, time, account, device, id, kind, about, needs_membership, ordinal)
    LEFT JOIN conversations c ON c.key = b.conversation
    LEFT JOIN messages m ON m.device_id = b.device AND m.client_id = b.id AND m.conversation_id + 0 = c.id
    LEFT JOIN past_ids p ON p.device_id = b.device AND p.client_id = b.id AND p.conversation_id = c.id
), numbered AS (
    SELECT *, duplicate_seq IS NULL AND fault IS NULL AS is_new,
        head + count(*) FILTER (WHERE duplicate_seq IS NULL AND fault IS NULL)
        OVER (PARTITION BY conversation_id ORDER BY ordinal) AS seq
    FROM batch
), inserted AS (
    INSERT INTO messages (conversation_id, seq, account_id, device_id, time, client_id, sender, "to", text, kind, about)
    SELECT conversation_id, seq, account, device, time, id, sender, "to", text, coalesce(kind, ''),
        (about->>'seq')::bigint
    FROM numbered WHERE is_new AND conversation_id IS NOT NULL ORDER BY ordinal
), advanced AS (
    UPDATE conversations c SET head = newest.head
    FROM (SELECT conversation_id, max(seq) AS head FROM numbered WHERE is_new GROUP BY 1) AS newest
    WHERE c.id = newest.conversation_id RETURNING c.key, c.head
), reported AS (
    INSERT INTO moves (heads) SELECT json_object_agg(key, head) FROM advanced HAVING count(*) > 0
)
SELECT json_agg(coalesce(duplicate_seq, fault, seq, 0) ORDER BY ordinal)::text,
    json_agg(json_build_array(ordinal - 1, same, digest)) FILTER (WHERE duplicate_seq IS NOT NULL)::text
FROM numbered
"""
ADVANCE_CURSORS: Final = """
INSERT INTO cursors (device_id, conversation_id, seq)
SELECT d.id, c.id, least(a.seq, c.head)
FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS a(device, conversation, seq)
JOIN devices d ON d.id = a.device JOIN conversations c ON c.key = a.conversation ORDER BY d.id, c.id
ON CONFLICT (device_id, conversation_id) DO UPDATE SET seq = excluded.seq WHERE cursors.seq < excluded.seq
"""

NO_CURSORS: Final[CursorsByDevice] = {}
LACKS_ABOUT: Final = -1  # instead of a seq: there is no message that this one could be about
LACKS_MEMBERSHIP: Final = -2  # instead of a seq: the sender is not a member of the room
JSON_NUL: Final = r"\u0000"  # the character that PostgreSQL cannot hold, as JSON writes it

_encode: Final = msgspec.json.Encoder().encode
_decode_seqs: Final = msgspec.json.Decoder(list[int]).decode
_decode_duplicates: Final = msgspec.json.Decoder(list[Duplicate]).decode


class BatchInserter:
    """Inserts batches of messages; caches nothing but which direct conversations exist."""

    def __init__(self, digest_key: bytes) -> None:
        """`digest_key`: the secret of the store that keys digests of pruned messages."""
        self._known_conversations: set[str] = set()
        self._digest_key = digest_key

    def insert(
        self, db: PgConnection, appends: Sequence[QueuedAppend], cursors: CursorsByDevice = NO_CURSORS
    ) -> list[AppendResult]:
        """Insert messages and cursors in one transaction; return the result of each message once on disk.

        One round trip; blocks the greenlet. Raises psycopg's errors.
        """
        sent, repeated = _deduplicate([message for message, _ in appends])
        keys = sorted({message.conversation for message in sent})
        new_keys = [key for key in keys if key not in self._known_conversations and key[:1] != ROOM_PREFIX]
        if new_keys:  # a reply begins none: there is nothing that it could be about
            begun = {message.conversation for message in sent if message.about is None}
            new_keys = [key for key in new_keys if key in begun]
        rows = (_encode_messages(sent),)
        with db.pipeline():
            db.execute("BEGIN")
            if new_keys:
                db.execute(LOCK_NAMES, ([name for key in new_keys for name in names_of_direct(key)],))
                db.execute(CREATE_DIRECT, (new_keys,))
            if sent:
                db.execute(LOCK_CONVERSATIONS, (keys,))
                inserted = db.execute(INSERT_BATCH, rows)
            if cursors:
                db.execute(ADVANCE_CURSORS, _cursor_columns(cursors))
            db.execute("COMMIT")
        if len(self._known_conversations) > MAX_CACHED_CONVERSATIONS:
            self._known_conversations.clear()
        self._known_conversations.update(new_keys)
        results = self._results(appends, repeated, inserted.fetchone()) if appends else []
        return self._retry_missing(db, appends, results, set(keys) & self._known_conversations - set(new_keys))

    def insert_alone(self, db: PgConnection, appends: Sequence[QueuedAppend]) -> list[AppendResult]:
        """Insert amendments, or messages with files, and make their changes, as `amendments.insert_amendments`."""
        begun = {message.conversation for message, _ in appends if may_begin(message)}
        new_keys = sorted(key for key in begun if key[:1] != ROOM_PREFIX)

        def begin_conversations() -> None:
            if new_keys:
                db.execute(LOCK_NAMES, ([name for key in new_keys for name in names_of_direct(key)],))
                db.execute(CREATE_DIRECT, (new_keys,))

        return insert_amendments(db, appends, self._digest_key, begin_conversations)

    def _retry_missing(
        self, db: PgConnection, appends: Sequence[QueuedAppend], results: list[AppendResult], known: set[str]
    ) -> list[AppendResult]:
        """Insert again messages to cached conversations that were deleted meanwhile; create those again."""
        missing = [
            i
            for i, result in enumerate(results)
            if isinstance(result.error, NoSuchRoom) and appends[i][0].conversation in known
        ]
        if missing:
            self._known_conversations -= {appends[i][0].conversation for i in missing}
            for i, result in zip(missing, self.insert(db, [appends[i] for i in missing], {}), strict=True):
                results[i] = result
        return results

    def _results(
        self, appends: Sequence[QueuedAppend], repeated: dict[int, int], row: tuple[Any, ...] | None
    ) -> list[AppendResult]:
        """Return the result of each message of a batch.

        Args:
            repeated: by the index of a repetition within the batch, the index of the first.
            row: of `INSERT_BATCH`, as JSON: the seqs of the messages that were sent, and the duplicates among them.
        """
        assert row is not None  # aggregates always have one
        seqs = iter(_decode_seqs(row[0]))
        duplicates = {index: (same, digest) for index, same, digest in _decode_duplicates(row[1] or "[]")}
        results: list[AppendResult] = []
        sent = 0
        for index, (message, callback) in enumerate(appends):
            first = repeated.get(index)
            if first is not None:
                results.append(_repeated_result(callback, results[first], appends[first][0], message))
                continue
            results.append(self._result(message, callback, next(seqs), duplicates.get(sent)))
            sent += 1
        return results

    def _result(
        self, message: NewMessage, callback: AppendCallback, seq: int, duplicate: tuple[bool | None, str | None] | None
    ) -> AppendResult:
        if duplicate is None:
            error = None if seq > 0 else _missing_error(message, seq)
            return AppendResult(callback, max(seq, 0), error=error)
        same, digest = duplicate
        if same is None:
            sent = replace(message, text=replace_nul(message.text))
            return AppendResult(
                callback,
                seq,
                duplicate=True,
                error=compare_with_digest(self._digest_key, sent, bytes.fromhex(digest or "")),
            )
        return AppendResult(callback, seq, duplicate=True, error=None if same else IdReused())


def _encode_messages(messages: list[NewMessage]) -> str:
    encoded = _encode(messages).decode()
    if JSON_NUL not in encoded:
        return encoded
    storable = [
        replace(message, text=replace_nul(message.text), id=message.id and replace_nul(message.id))
        for message in messages
    ]
    return _encode(storable).decode()


def _deduplicate(messages: list[NewMessage]) -> tuple[list[NewMessage], dict[int, int]]:
    """Return each message once, and by the index of each repetition in the batch the index of the first."""
    ids = [(message.device, message.id, message.conversation) for message in messages if message.id is not None]
    if len(set(ids)) == len(ids):
        return messages, {}
    unique: list[NewMessage] = []
    repeated: dict[int, int] = {}
    first_by_id: dict[tuple[int, str, str], int] = {}
    for index, message in enumerate(messages):
        if message.id is not None and message.device is not None:
            first = first_by_id.setdefault((message.device, message.id, message.conversation), index)
            if first != index:
                repeated[index] = first
                continue
        unique.append(message)
    return unique, repeated


def _cursor_columns(cursors: CursorsByDevice) -> tuple[list[int], list[str], list[int]]:
    return [device for device, _ in cursors], [key for _, key in cursors], list(cursors.values())


def _missing_error(message: NewMessage, seq: int) -> WireError:
    """Return the error of a message that was not inserted.

    seq: what `INSERT_BATCH` has returned: 0 where the conversation does not exist, or one of the `LACKS_` constants.
    """
    if seq == LACKS_MEMBERSHIP:
        return NotMember()
    if seq == LACKS_ABOUT or (message.about is not None and message.conversation[:1] != ROOM_PREFIX):
        return NoSuchMessage()
    return NoSuchRoom()


def _repeated_result(
    callback: AppendCallback, first: AppendResult, sent: NewMessage, message: NewMessage
) -> AppendResult:
    if first.error is not None and not first.duplicate:
        return AppendResult(callback, error=first.error)
    same = (sent.text, about_columns(sent)) == (message.text, about_columns(message))
    return AppendResult(callback, first.seq, duplicate=True, error=None if same else IdReused())
