"""Helpers of both backends: limits, hashes, pages of rows, pending cursors, verification reports.

Imports no database: neither backend imports anything of the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from gmessenger.chat.records import (
    MAX_PAGE_CHARACTERS,
    DeviceCursor,
    ExportedMessage,
    MessageTrace,
    ReaderInfo,
    StoredMessage,
)

ONCE_EXPIRED: Final = "This one-time password has expired: ask an operator for another."
ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT", bound=tuple[Any, ...])
AboutColumns: TypeAlias = tuple[str, int | None, str, float | None, str | None, float | None]
MessageColumns: TypeAlias = tuple[str, int, str, str, str, float, int | None, str | None, bool, *AboutColumns]
"""Conversation key, seq, sender, to, text, time, device id, the client's message id, erased; kind, about, what, edited,
erased by, erased at: a `StoredMessage`."""
ExportRow: TypeAlias = tuple[int, *MessageColumns]
"""The message's place among all that are stored, and its columns."""
ReaderRow: TypeAlias = tuple[int, int, int, bool | int, int | None, str, int]
"""Account id, first visible seq, read seq, whether it is absent; device id (None: no device), its name and cursor."""
SeqGapRow: TypeAlias = tuple[str, int, int, int, int, int]
"""Name, first, head; the number of messages, and the lowest and highest seq."""
CursorsByDevice: TypeAlias = dict[tuple[int, str], int]
"""Acknowledged seqs, by device id and conversation key."""

NO_PASSWORD: Final = ""
"""In place of the hash of a password, for an account that has none: no password is verified against it."""
INVITE_ID_SIZE: Final = 8  # hexadecimal digits of the hash
PAGE_SIZE: Final = 200  # messages read for a client at a time
MAX_QUIET: Final = 1000  # amendments that are counted among the unread of a conversation
MAX_UNREAD: Final = 1000  # unread messages of a conversation that are counted for a push message
MAX_SENT_AS: Final = 20  # messages found by the id that their client gave them
PAST_ID_TTL: Final = 30 * 86_400.0  # seconds; for so long the ids of pruned messages stay known

PRUNE_BATCH: Final = 500  # messages pruned or blanked at a time
PRUNE_DELAY: Final = 0.02  # seconds between two batches, in which other requests run
SCAN_CHUNK: Final = 20_000  # rows searched at a time for those of an account
REINDEX_BATCH: Final = 500  # messages indexed again at a time
REINDEX_BATCH_TEXT: Final = 16_384  # characters of them; a single message may have more

TEXT_COLUMN: Final = 4  # of `MessageColumns`
EXPORT_TEXT_COLUMN: Final = 5  # behind the message's place

MAX_FAULTS: Final = 20  # of one kind that a verification lists

IDENTITY: Final = "SELECT value FROM facts WHERE name = 'identity'"
VAPID_KEY: Final = "SELECT value FROM facts WHERE name = 'vapid key'"
FILES_ID: Final = "SELECT value FROM facts WHERE name = 'files'"
DIGEST_KEY: Final = "SELECT value FROM facts WHERE name = 'digest key'"
SELECT_HOOKS: Final = (
    # The columns are in the order of the record's fields.
    'SELECT h.account_id, a.name, c.key, d.id, h.creator, h."by", h.created, d.used FROM hooks h '
    "JOIN accounts a ON a.id = h.account_id JOIN devices d ON d.account_id = h.account_id "
    "JOIN conversations c ON c.id = h.conversation_id"
)
SELECT_ALL_HOOKS: Final = f"{SELECT_HOOKS} ORDER BY c.key, a.key"
SELECT_SEQ_GAPS: Final = (
    # A seq is unique in its conversation: the right number of them between the right ends leaves no gap.
    "SELECT c.name, c.first, c.head, count(m.seq), coalesce(min(m.seq), c.first), coalesce(max(m.seq), c.head) AS last "
    "FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.id GROUP BY c.id "
    "HAVING count(m.seq) != c.head - c.first + 1 OR min(m.seq) != c.first OR max(m.seq) != c.head"
)


def hash_secret(secret: str) -> bytes:
    """Hash a token or an invite. Random secrets need no slow hash: they cannot be guessed."""
    return hashlib.sha256(secret.encode()).digest()


def invite_id(invite: str) -> str:
    """Return what names an invite in lists and in the log; it is of no use for registering."""
    return hash_secret(invite).hex()[:INVITE_ID_SIZE]


def indexed_text(text: str, what: str) -> str:
    """Return the text whose words are indexed: of an amendment none, as a search does not find it."""
    return "" if what else text


def readers_from_rows(rows: Iterable[ReaderRow]) -> list[ReaderInfo]:
    """Return the participants of a conversation, from one row per device (device None: none)."""
    readers: dict[int, ReaderInfo] = {}
    for account, visible, read, absent, device, name, cursor in rows:
        reader = readers.setdefault(account, ReaderInfo(account, visible, read, [], bool(absent)))
        if device is not None:
            reader.devices.append(DeviceCursor(device, name, cursor))
    return list(readers.values())


def message_from_row(row: MessageColumns) -> StoredMessage:
    message = StoredMessage(*row)
    message.erased = bool(message.erased)  # 0 or 1 in SQLite
    return message


def page_from_rows(rows: Iterable[MessageColumns], limit: int) -> tuple[list[StoredMessage], bool]:
    """Return the messages that fit in a page, and whether there are more; see `cut_page`."""
    page, more = cut_page(rows, limit)
    return [message_from_row(row) for row in page], more


def export_from_rows(rows: Iterable[ExportRow], limit: int) -> tuple[list[ExportedMessage], bool]:
    """Return the messages that fit in a page of an export, and whether there are more; see `cut_page`."""
    page, more = cut_page(rows, limit, EXPORT_TEXT_COLUMN)
    return [ExportedMessage(row[0], message_from_row(row[1:])) for row in page], more


def cut_page(rows: Iterable[RowT], limit: int, text_column: int = TEXT_COLUMN) -> tuple[list[RowT], bool]:
    """Return the rows that fit in a page, and whether there are more.

    Args:
        rows: of a query with LIMIT `limit + 1`; read no further than the page goes.
        text_column: its characters count; a page ends after the row that exceeds `MAX_PAGE_CHARACTERS`.
    """
    page: list[RowT] = []
    size = 0
    for row in rows:
        if len(page) == limit or size > MAX_PAGE_CHARACTERS:
            return page, True
        page.append(row)
        size += len(row[text_column])
    return page, False


def bisect_time(
    conversation: tuple[int, int, int] | None, time: float, find_next: Callable[[int, int], tuple[int, float] | None]
) -> int:
    """Return the smallest seq of a message that is not from before `time`, in Unix seconds; else the next one's seq.

    Args:
        conversation: its id, its head, and the first seq that is stored; None if there is none.
        find_next: returns seq and time of the first message of a conversation, by its id, from a seq on; or None.
    """
    if conversation is None:
        return 1
    id, head, low = conversation
    found = high = head + 1
    while low < high:  # what is before `low` is too old, and `found` is the first message from `high` on
        middle = (low + high) // 2
        row = find_next(id, middle)
        if row is not None and row[0] < high and row[1] < time:
            low = row[0] + 1
        else:
            high = middle
            found = min(found, row[0]) if row is not None else found
    return found


class PendingCursors:
    """Acknowledgements that are not on disk yet: those that wait, and those of the commit in flight.

    Used on the loop's thread only; no method yields.
    """

    __slots__ = ("_in_flight", "_pending")

    def __init__(self) -> None:
        self._pending: CursorsByDevice = {}
        self._in_flight: CursorsByDevice = {}

    def advance(self, device: int, conversation: str, seq: int) -> None:
        """Have a device's cursor moved on with the next commit, never back."""
        key, pending = (device, conversation), self._pending
        if seq > pending.get(key, 0):
            pending[key] = seq

    def take(self) -> CursorsByDevice:
        """Return the cursors that wait; until `end_commit` they count as in flight."""
        taken, self._pending = self._pending, {}
        self._in_flight |= taken
        return taken

    def end_commit(self, *, is_committed: bool) -> bool:
        """End the commit in flight; return whether its cursors wait for the next one, because it failed.

        No session acknowledges again what it has acknowledged.
        """
        in_flight, self._in_flight = self._in_flight, {}
        if is_committed:
            return False
        for (device, conversation), seq in in_flight.items():
            self.advance(device, conversation, seq)
        return bool(in_flight)

    def find(self, device: int, conversation: str) -> int:
        """Return the seq of a cursor that may not be on disk yet; 0 where there is none."""
        key = (device, conversation)
        return self._pending.get(key) or self._in_flight.get(key, 0)

    def uncommitted(self, conversation: str) -> dict[int, int]:
        """Return the seqs of a conversation that may not be on disk yet, by device."""
        cursors = self._in_flight | self._pending
        return {device: seq for (device, key), seq in cursors.items() if key == conversation}


def advance_cursors(trace: MessageTrace | None, uncommitted: Mapping[int, int]) -> MessageTrace | None:
    """Move the cursors of a trace on to acknowledgements that were not on disk; return the trace."""
    for reader in trace.readers if trace is not None else ():
        for device in reader.devices:
            device.cursor = max(device.cursor, uncommitted.get(device.id, 0))
    return trace


def bisect_bad(
    items: Sequence[ItemT],
    insert: Callable[[Sequence[ItemT]], object],
    on_bad: Callable[[ItemT, Exception], object],
    errors: tuple[type[Exception], ...],
) -> None:
    """Insert items together; where that fails, by halves, so that only the bad ones are left out.

    Items keep their order. One bad item among n costs about 2 log2(n) insertions more.

    Args:
        insert: inserts some of the items, or raises one of `errors` and has inserted none of them.
        on_bad: called with each item that cannot be inserted even alone, and the error.
    """
    try:
        insert(items)
    except errors as error:
        if len(items) <= 1:
            for item in items:
                on_bad(item, error)
            return
        half = len(items) // 2
        bisect_bad(items[:half], insert, on_bad, errors)
        bisect_bad(items[half:], insert, on_bad, errors)


@dataclass(slots=True)
class VerifyReport:
    """What a verification found: the number of rows of each kind, and faults as sentences for operators."""

    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def describe_seq_gaps(rows: Iterable[SeqGapRow], counts: dict[str, int], unindexed: int = 0) -> list[str]:
    """Describe gaps in the seqs of conversations, and messages missing from the search index.

    Args:
        rows: of `SELECT_SEQ_GAPS`.
        counts: the number of messages of each kind; `messages`, `erased` and `indexed` are compared.
        unindexed: messages that the index need not have yet.
    """
    faults = [
        f"{name} should have messages {first} to {head} and has {count}, from {lowest} to {last}."
        for name, first, head, count, lowest, last in rows
    ]
    if counts["indexed"] != (searchable := counts["messages"] - counts["erased"] - unindexed):
        faults.append(f"{counts['indexed']} messages can be found by their words, but there are {searchable}.")
    return faults


def describe_miscounted(accounts: int) -> list[str]:
    """Describe wrong byte counts of so many accounts (guests count as one); no fault for 0."""
    return [f"the stored byte counts are wrong (accounts: {accounts}); quotas depend on them."] if accounts else []
