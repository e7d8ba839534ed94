"""The tables of a store as every backend has them, and the interfaces to read one and to fill another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

TableRow: TypeAlias = tuple[Any, ...]
"""The values of a table's columns, in their order; booleans are 0 and 1 in SQLite."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table. With `autoincrement` no id is ever used again, so its last id is part of its content."""

    name: str
    columns: tuple[str, ...]
    booleans: tuple[str, ...] = ()
    autoincrement: bool = False


SECRET_COLUMNS: Final = frozenset(
    {"password", "password_by", "hash", "digest", "text", "endpoint", "p256dh", "auth", "rules"}
)
MAX_VALUE_SHOWN: Final = 40  # characters of a value in the description of a row


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that a store cannot hold, and why."""

    table: Table
    row: TableRow
    reason: str

    def __str__(self) -> str:
        """Describe the row by its columns, those with secrets or texts left out."""
        named = zip(self.table.columns, self.row, strict=True)
        shown = " ".join(f"{name}={_shorten(value)}" for name, value in named if name not in SECRET_COLUMNS)
        return f"{self.table.name} {shown}"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_SHOWN else f"{text[:MAX_VALUE_SHOWN]}… ({len(str(value))} characters)"


BadRowCallback: TypeAlias = Callable[[TableRow, str], None]
"""Called with a row that the store cannot hold, and why; may raise."""


TABLES: Final = (
    Table(
        "accounts",
        (
            *("id", "key", "name", "password", "created", "disabled", "role", "password_until", "password_by"),
            *("settings", "profile"),
        ),
        booleans=("disabled",),
        autoincrement=True,
    ),
    Table("devices", ("id", "account_id", "name", "used"), autoincrement=True),
    Table("tokens", ("hash", "account_id", "device_id", "created", "used")),
    Table("invites", ("hash", "created", "id", "by", "expires", "uses")),
    Table(
        "conversations",
        (
            *("id", "key", "name", "topic", "creator", "head", "first", "rules", "passing", "topic_by", "topic_at"),
            *("created", "profile"),
        ),
        booleans=("passing",),
        autoincrement=True,
    ),
    Table(
        "participants", ("account_id", "conversation_id", "visible", "read", "role", "joined", "joined_seq", "left_seq")
    ),
    Table("absences", ("account_id", "conversation_id", "first", "last")),
    Table("room_sanctions", ("conversation_id", "kind", "target", "name", "by", "reason", "since", "until")),
    Table("room_masks", ("conversation_id", "kind", "mask", "by", "since")),
    Table("invitations", ("conversation_id", "key", "name", "by", "since")),
    Table("cursors", ("device_id", "conversation_id", "seq")),
    Table(
        "messages",
        (
            *("id", "conversation_id", "seq", "account_id", "device_id", "time", "erased", "client_id"),
            *("sender", "to", "text", "kind", "about", "what", "edited", "erased_by", "erased_at"),
        ),
        booleans=("erased",),
        autoincrement=True,
    ),
    Table("reactions", ("conversation_id", "seq", "text", "account_id")),
    Table("reaction_messages", ("conversation_id", "about", "seq")),
    Table("past_ids", ("device_id", "client_id", "conversation_id", "seq", "digest", "time")),
    Table("sanctions", ("kind", "target", "by", "reason", "since", "until")),
    Table("blocks", ("account_id", "key", "name")),
    Table("hooks", ("account_id", "conversation_id", "hash", "creator", "by", "created")),
    Table("alerts", ("account_id", "fingerprint", "seq", "time")),
    Table(
        "files",
        (
            *("id", "digest", "name", "type", "size", "width", "height", "account_id", "conversation_id", "seq"),
            "time",
        ),
    ),
    Table("push_subscriptions", ("device_id", "endpoint", "p256dh", "auth")),
    Table("certificates", ("device_id", "fingerprint", "added", "used")),
)
"""All that a transfer copies, beside the identity; each backend derives its indexes and counters from these."""


class TableSource(Protocol):
    """A store that is read table by table; no process changes it meanwhile."""

    @property
    def identity(self) -> str:
        """Return the random word that tells this store from every other."""

    @property
    def digest_key(self) -> str:
        """Return the secret that keys the digests of pruned messages."""

    @property
    def files_id(self) -> str:
        """Return what tells the files of this store from those of others."""

    @property
    def vapid_key(self) -> str:
        """Return the private key by which push services know the server; empty where it has none."""

    def iter_rows(self, table: Table) -> Iterator[TableRow]:
        """Yield every row of a table; a batch at a time is in memory."""

    def count(self, table: Table) -> int:
        """Return the number of rows of a table."""

    def last_id(self, table: Table) -> int:
        """Return the last id that an autoincrement table has given."""


class TableSink(TableSource, Protocol):
    """A new or empty store that is filled; it can be opened only after all of it was written."""

    def convert_row(self, row: TableRow) -> TableRow:
        """Return the row as this backend can hold it: the row itself where nothing has to change."""

    def insert_rows(self, table: Table, rows: Iterator[TableRow], on_bad_row: BadRowCallback) -> None:
        """Insert rows and index their texts; leave out those it cannot hold, after calling `on_bad_row`."""

    def set_sequence(self, table: Table, last: int) -> None:
        """Make an autoincrement table give ids after `last`."""

    def set_digest_key(self, key: str) -> None:
        """Replace the secret that keys the digests of pruned messages."""

    def set_files_id(self, id: str) -> None:
        """Replace what tells the files of this store from those of others."""

    def set_vapid_key(self, key: str) -> None:
        """Set the private key by which push services know the server."""

    def set_identity(self, identity: str) -> None:
        """Replace the identity of the store."""
