"""What a store consists of, whatever keeps it: tables, and those of their columns that every kind of store has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from gmessenger.errors import FileProblem

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


SECRET: Final = frozenset({"password", "hash", "digest", "text"})
MAX_SHOWN: Final = 40
"""Characters of a value in the name of a row."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that a store cannot hold, and why."""

    table: Table
    row: Row
    reason: str

    def __str__(self) -> str:
        """What people know it by."""
        named = zip(self.table.columns, self.row, strict=True)
        shown = " ".join(f"{name}={_short(value)}" for name, value in named if name not in SECRET)
        return f"{self.table.name} {shown}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(str(value))} characters)"


Refused: TypeAlias = Callable[[Row, str], None]
"""Told of a row that cannot be held, and why."""


def refuse(row: Row, reason: str) -> None:
    """Hold no store of which a row is missing. Raises `FileProblem`."""
    raise FileProblem(f"A row cannot be stored: {reason}.")


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
    """A store to be filled, which is nobody's before it is intact."""

    def fit(self, row: Row) -> Row:
        """A row as this kind of store can have it."""

    refused: Refused
    """Called with each row that it cannot hold, which is left out then; it may raise."""

    def take(self, table: Table, rows: Iterator[Row]) -> None:
        """Have these rows, and whatever is made of them."""

    def number_from(self, table: Table, last: int) -> None:
        """A numbered table gives ids behind this one from now on."""

    def be(self, identity: str) -> None:
        """Have this identity."""
