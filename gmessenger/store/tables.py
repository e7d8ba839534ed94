"""What a store consists of, whatever keeps it: tables, and those of their columns that every kind of store has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

TableRow: TypeAlias = tuple[Any, ...]
"""The values of a table's columns, in their order; truths are numbers in some stores."""


@dataclass(frozen=True, slots=True)
class Table:
    """`truths` are the columns that are true or false. Of one that is `numbered` no id is ever given again, so that the
    last one given belongs to it as well.
    """

    name: str
    columns: tuple[str, ...]
    booleans: tuple[str, ...] = ()
    autoincrement: bool = False


SECRET_COLUMNS: Final = frozenset({"password", "hash", "digest", "text"})
MAX_VALUE_SHOWN: Final = 40
"""Characters of a value in the name of a row."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that a store cannot hold, and why."""

    table: Table
    row: TableRow
    reason: str

    def __str__(self) -> str:
        """What people know it by."""
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
        ("id", "key", "name", "password", "created", "disabled", "role"),
        booleans=("disabled",),
        autoincrement=True,
    ),
    Table("devices", ("id", "account_id", "name", "used"), autoincrement=True),
    Table("tokens", ("hash", "account_id", "device_id", "created")),
    Table("invites", ("hash", "created")),
    Table("conversations", ("id", "key", "name", "topic", "creator", "head", "first"), autoincrement=True),
    Table("participants", ("account_id", "conversation_id", "visible", "read")),
    Table("cursors", ("device_id", "conversation_id", "seq")),
    Table(
        "messages",
        (
            *("id", "conversation_id", "seq", "account_id", "device_id", "time", "erased", "client_id"),
            *("sender", "to", "text"),
        ),
        booleans=("erased",),
        autoincrement=True,
    ),
    Table("past_ids", ("device_id", "client_id", "conversation_id", "seq", "digest", "time")),
    Table("sanctions", ("kind", "target", "by", "reason", "since", "until")),
    Table("blocks", ("account_id", "key", "name")),
)
"""Besides, there is a store's identity; what else it has, it makes of these."""


class TableSource(Protocol):
    """A store that nobody changes meanwhile."""

    @property
    def identity(self) -> str:
        """What tells it from every other."""

    def iter_rows(self, table: Table) -> Iterator[TableRow]:
        """Every row of a table, a few at a time."""

    def count(self, table: Table) -> int:
        """How many those are."""

    def last_id(self, table: Table) -> int:
        """The last id that a numbered table has given."""


class TableSink(TableSource, Protocol):
    """A store to be filled, which is nobody's before it is intact."""

    def convert_row(self, row: TableRow) -> TableRow:
        """A row as this kind of store can have it."""

    def insert_rows(self, table: Table, rows: Iterator[TableRow], on_bad_row: BadRowCallback) -> None:
        """Insert rows and index what is searched; leave out those that it cannot hold, after calling `on_bad_row`."""

    def set_sequence(self, table: Table, last: int) -> None:
        """A numbered table gives ids behind this one from now on."""

    def set_identity(self, identity: str) -> None:
        """Have this identity."""
