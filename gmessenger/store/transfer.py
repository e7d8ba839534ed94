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
from typing import Final, TypeAlias

from msgspec import msgpack

from gmessenger.errors import ConfigProblem, FileProblem
from gmessenger.store import POSTGRES, file_of, taking_a_library
from gmessenger.store.tables import TABLES, BadRow, Empty, Filled, Row, Table

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
        for row in found:
            self.rows += 1
            self.total += _digest(table, row)
            yield row
        self.total %= SUMS_BELOW

    def drop(self, table: Table, row: Row) -> None:
        """Take a row back that was counted."""
        self.rows -= 1
        self.total = (self.total - _digest(table, row)) % SUMS_BELOW

    def __str__(self) -> str:
        return f"{self.total:032x}"[:SHOWN_DIGITS]


def _digest(table: Table, row: Row) -> int:
    seen = list(row)
    for name in table.truths:
        place = table.columns.index(name)
        seen[place] = bool(seen[place])
    return int.from_bytes(blake2b(msgpack.encode(seen), digest_size=16).digest(), "big")


REFERENCES: Final = {"account_id": "accounts", "device_id": "devices", "conversation_id": "conversations"}
"""By column, the table that it refers to."""
OUTLIVED: Final = {("messages", "account_id"), ("messages", "device_id")}
"""What may refer to something that is gone."""


@dataclass(slots=True)
class Copied:
    """By table, what there is; and how many rows hold something that the new kind of store cannot hold as it was.

    `skipped` are the rows that it cannot hold at all, and `orphans` counts those that belonged to them.
    """

    sums: dict[str, Sum] = field(default_factory=dict)
    changed: int = 0
    skipped: list[BadRow] = field(default_factory=list)
    orphans: int = 0
    _lost: dict[str, set[int]] = field(default_factory=dict)

    def skip(self, bad: BadRow) -> None:
        """Leave a row out, and all that belongs to it."""
        self.skipped.append(bad)
        if "id" in bad.table.columns:
            self._lost.setdefault(bad.table.name, set()).add(bad.row[bad.table.columns.index("id")])

    def is_orphan(self, table: Table, row: Row) -> bool:
        """Whether a row belongs to one that was left out."""
        if not self._lost:
            return False
        return any(
            row[place] in self._lost.get(REFERENCES[name], ())
            for place, name in enumerate(table.columns)
            if name in REFERENCES and (table.name, name) not in OUTLIVED
        )


def stop(bad: BadRow) -> None:
    """Copy nothing where one row cannot be copied. Raises `FileProblem`, which names it."""
    raise FileProblem(f"{bad} cannot be stored: {bad.reason}. Nothing was copied; --skip-bad leaves such rows out.")


def transfer(source: str, target: str, told: Told = lambda *_: None, bad: Callable[[BadRow], None] = stop) -> Copied:
    """Copy the store of one URL into that of another, which is empty or not there yet.

    `bad` is called with each row that the target cannot hold; where it returns, the row is left out, and what belongs
    to it.

    Raises `StoreInUse` or `ServerRunning` where somebody has one of them open, `FileProblem` where it cannot be done or
    is not the same afterwards, and as `open_store`. Then there is nothing in the target.
    """
    copied = Copied()
    with _filled(source) as one, _empty(target) as other:
        for table in TABLES:
            copied.sums[table.name] = _copy(table, one, other, copied, told, bad)
        other.be(one.identity)
        for table in TABLES:
            _compare(table, copied.sums[table.name], other)
        if other.identity != one.identity:
            raise FileProblem("The copy has another identity. It was discarded.")
    return copied


def _copy(table: Table, one: Filled, other: Empty, copied: Copied, told: Told, bad: Callable[[BadRow], None]) -> Sum:
    found = Sum()
    count = one.count(table)

    def fitting() -> Iterator[Row]:
        for number, row in enumerate(one.rows(table)):
            if number % TOLD_EVERY == 0:
                told(table, number, count)
            if copied.is_orphan(table, row):
                copied.orphans += 1
                continue
            fits = other.fit(row)
            copied.changed += fits is not row
            yield fits

    def refused(row: Row, reason: str) -> None:
        one_bad = BadRow(table, row, reason)
        bad(one_bad)
        copied.skip(one_bad)
        found.drop(table, row)

    other.refused = refused
    other.take(table, found.over(table, fitting()))
    if table.numbered:
        other.number_from(table, one.last_id(table))
    told(table, count, count)
    return found


def _compare(table: Table, found: Sum, other: Empty) -> None:
    there = Sum()
    for _ in there.over(table, other.rows(table)):
        pass
    if there != found:
        raise FileProblem(
            f"The copy differs: {table.name} {found.rows} ({found}) became {there.rows} ({there}). It was discarded."
        )


def _filled(url: str) -> AbstractContextManager[Filled]:
    if url.startswith(POSTGRES):
        with taking_a_library():
            from gmessenger.store.postgres import rows as postgres_rows
        return postgres_rows.reading(url)
    from gmessenger.store import rows

    return rows.reading(_file(url))


def _empty(url: str) -> AbstractContextManager[Empty]:
    if url.startswith(POSTGRES):
        with taking_a_library():
            from gmessenger.store.postgres import rows as postgres_rows
        return postgres_rows.filling(url)
    from gmessenger.store import rows

    return rows.filling(_file(url))


def _file(url: str) -> Path:
    file = file_of(url)
    if file is None:
        raise ConfigProblem("A store in memory cannot be copied.")
    return file
