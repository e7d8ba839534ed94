"""What a store consists of, whatever keeps it: tables, and those of their columns that every kind of store has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

Row: TypeAlias = tuple[Any, ...]
"""The values of a table's columns, in their order; truths are numbers in some stores."""


@dataclass(frozen=True, slots=True)
class Table:
    """`truths` are the columns that are true or false. Of one that is `numbered` no id is ever given again, so that the
    last one given belongs to it as well.
    """

    name: str
    columns: tuple[str, ...]
    truths: tuple[str, ...] = ()
    numbered: bool = False


TABLES: Final = (
    Table(
        "accounts",
        ("id", "key", "name", "password", "created", "disabled", "role"),
        truths=("disabled",),
        numbered=True,
    ),
    Table("devices", ("id", "account_id", "name", "used"), numbered=True),
    Table("tokens", ("hash", "account_id", "device_id", "created")),
    Table("invites", ("hash", "created")),
    Table("conversations", ("id", "key", "name", "topic", "creator", "head", "first"), numbered=True),
    Table("participants", ("account_id", "conversation_id", "visible", "read")),
    Table("cursors", ("device_id", "conversation_id", "seq")),
    Table(
        "messages",
        (
            *("id", "conversation_id", "seq", "account_id", "device_id", "time", "erased", "client_id"),
            *("sender", "to", "text"),
        ),
        truths=("erased",),
        numbered=True,
    ),
    Table("past_ids", ("device_id", "client_id", "conversation_id", "seq", "digest", "time")),
    Table("sanctions", ("kind", "target", "by", "reason", "since", "until")),
    Table("blocks", ("account_id", "key", "name")),
)
"""Besides, there is a store's identity; what else it has, it makes of these."""


class Filled(Protocol):
    """A store that nobody changes meanwhile."""

    @property
    def identity(self) -> str:
        """What tells it from every other."""

    def rows(self, table: Table) -> Iterator[Row]:
        """Every row of a table, a few at a time."""

    def count(self, table: Table) -> int:
        """How many those are."""

    def last_id(self, table: Table) -> int:
        """The last id that a numbered table has given."""


class Empty(Filled, Protocol):
    """A store to be filled, which is nobody's before it is whole."""

    def fit(self, row: Row) -> Row:
        """A row as this kind of store can have it."""

    def take(self, table: Table, rows: Iterator[Row]) -> None:
        """Have these rows, and whatever is made of them."""

    def number_from(self, table: Table, last: int) -> None:
        """A numbered table gives ids behind this one from now on."""

    def be(self, identity: str) -> None:
        """Have this identity."""
