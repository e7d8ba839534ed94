"""A store copied into another one, of whatever kind: everything, or nothing.

Both are compared before the new one becomes anybody's: by the number of rows in each table, and by a sum over what is
in them, which does not depend on the order that a database has them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias

from msgspec import msgpack

from gmessenger.errors import ConfigProblem, FileProblem
from gmessenger.store import POSTGRES, file_of, rows, taking_a_library
from gmessenger.store.tables import TABLES, Empty, Filled, Row, Table

TOLD_EVERY: Final = 10_000
SUMS_BELOW: Final = 1 << 128
SHOWN_DIGITS: Final = 16
Told: TypeAlias = Callable[[Table, int, int], None]
"""Told how many rows of how many of a table have been copied."""


@dataclass(slots=True)
class Sum:
    """What a table holds, in short."""

    rows: int = 0
    total: int = 0

    def over(self, table: Table, found: Iterable[Row]) -> Iterator[Row]:
        """The same rows, counted and added up on their way."""
        truths = [table.columns.index(name) for name in table.truths]
        for row in found:
            seen = list(row)
            for place in truths:
                seen[place] = bool(seen[place])
            self.rows += 1
            self.total += int.from_bytes(blake2b(msgpack.encode(seen), digest_size=16).digest(), "big")
            yield row
        self.total %= SUMS_BELOW

    def __str__(self) -> str:
        return f"{self.total:032x}"[:SHOWN_DIGITS]


@dataclass(slots=True)
class Copied:
    """By table, what there is; and how many rows hold something that the new kind of store cannot hold as it was."""

    sums: dict[str, Sum] = field(default_factory=dict)
    changed: int = 0


def transfer(source: str, target: str, told: Told = lambda *_: None) -> Copied:
    """Copy the store of one URL into that of another, which is empty or not there yet.

    Raises `StoreInUse` or `ServerRunning` where somebody has one of them open, `FileProblem` where it cannot be done or
    is not the same afterwards, and as `open_store`. Then there is nothing in the target.
    """
    copied = Copied()
    with _filled(source) as one, _empty(target) as other:
        for table in TABLES:
            copied.sums[table.name] = _copy(table, one, other, copied, told)
        other.be(one.identity)
        for table in TABLES:
            _compare(table, copied.sums[table.name], other)
        if other.identity != one.identity:
            raise FileProblem("The copy has another identity. Nothing was kept of it.")
    return copied


def _copy(table: Table, one: Filled, other: Empty, copied: Copied, told: Told) -> Sum:
    found = Sum()
    count = one.count(table)

    def fitting() -> Iterator[Row]:
        for number, row in enumerate(one.rows(table)):
            if number % TOLD_EVERY == 0:
                told(table, number, count)
            fits = other.fit(row)
            copied.changed += fits is not row
            yield fits

    other.take(table, found.over(table, fitting()))
    if table.numbered:
        other.number_from(table, one.last_id(table))
    told(table, found.rows, count)
    return found


def _compare(table: Table, found: Sum, other: Empty) -> None:
    there = Sum()
    for _ in there.over(table, other.rows(table)):
        pass
    if there != found:
        raise FileProblem(
            f"The copy differs: {table.name} {found.rows} ({found}) became {there.rows} ({there}). "
            "Nothing was kept of it."
        )


def _filled(url: str) -> AbstractContextManager[Filled]:
    return _postgres().reading(url) if url.startswith(POSTGRES) else rows.reading(_file(url))


def _empty(url: str) -> AbstractContextManager[Empty]:
    return _postgres().filling(url) if url.startswith(POSTGRES) else rows.filling(_file(url))


def _postgres() -> ModuleType:
    with taking_a_library():
        from gmessenger.store.postgres import rows as those_of_postgres
    return those_of_postgres


def _file(url: str) -> Path:
    file = file_of(url)
    if file is None:
        raise ConfigProblem("What is kept in memory cannot be copied.")
    return file
