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

from gmessenger.errors import ConfigError, FileError
from gmessenger.store import POSTGRES_PREFIXES, file_from_url, require_postgres_driver
from gmessenger.store.tables import TABLES, BadRow, Table, TableRow, TableSink, TableSource

PROGRESS_INTERVAL: Final = 10_000
CHECKSUM_MODULUS: Final = 1 << 128
CHECKSUM_DIGITS: Final = 16
ProgressCallback: TypeAlias = Callable[[Table, int, int], None]
"""Told how many rows of how many of a table have been copied."""


@dataclass(slots=True)
class TableChecksum:
    """What a table holds, in short."""

    rows: int = 0
    total: int = 0

    def count_rows(self, table: Table, found: Iterable[TableRow]) -> Iterator[TableRow]:
        """The same rows, counted and added up on their way."""
        for row in found:
            self.rows += 1
            self.total += _row_digest(table, row)
            yield row
        self.total %= CHECKSUM_MODULUS

    def subtract(self, table: Table, row: TableRow) -> None:
        """Take a row back that was counted."""
        self.rows -= 1
        self.total = (self.total - _row_digest(table, row)) % CHECKSUM_MODULUS

    def __str__(self) -> str:
        return f"{self.total:032x}"[:CHECKSUM_DIGITS]


def _row_digest(table: Table, row: TableRow) -> int:
    seen = list(row)
    for name in table.booleans:
        place = table.columns.index(name)
        seen[place] = bool(seen[place])
    return int.from_bytes(blake2b(msgpack.encode(seen), digest_size=16).digest(), "big")


REFERENCES: Final = {"account_id": "accounts", "device_id": "devices", "conversation_id": "conversations"}
"""By column, the table that it refers to."""
NULLABLE_REFERENCES: Final = {("messages", "account_id"), ("messages", "device_id")}
"""What may refer to something that is gone."""


@dataclass(slots=True)
class TransferReport:
    """By table, what there is; and how many rows hold something that the new kind of store cannot hold as it was.

    `skipped` are the rows that it cannot hold at all, and `orphans` counts those that belonged to them.
    """

    checksums: dict[str, TableChecksum] = field(default_factory=dict)
    changed: int = 0
    skipped: list[BadRow] = field(default_factory=list)
    orphans: int = 0
    _skipped_ids: dict[str, set[int]] = field(default_factory=dict)

    def skip(self, bad: BadRow) -> None:
        """Leave a row out, and all that belongs to it."""
        self.skipped.append(bad)
        if "id" in bad.table.columns:
            self._skipped_ids.setdefault(bad.table.name, set()).add(bad.row[bad.table.columns.index("id")])

    def is_orphan(self, table: Table, row: TableRow) -> bool:
        """Whether a row belongs to one that was left out."""
        if not self._skipped_ids:
            return False
        return any(
            row[place] in self._skipped_ids.get(REFERENCES[name], ())
            for place, name in enumerate(table.columns)
            if name in REFERENCES and (table.name, name) not in NULLABLE_REFERENCES
        )


def abort_on_bad_row(bad: BadRow) -> None:
    """Copy nothing where one row cannot be copied. Raises `FileError`, which names it."""
    raise FileError(f"{bad} cannot be stored: {bad.reason}. Nothing was copied; --skip-bad leaves such rows out.")


def transfer(
    source: str,
    target: str,
    on_progress: ProgressCallback = lambda *_: None,
    on_bad_row: Callable[[BadRow], None] = abort_on_bad_row,
) -> TransferReport:
    """Copy the store of one URL into that of another, which is empty or not there yet.

    `bad` is called with each row that the target cannot hold; where it returns, the row is left out, and what belongs
    to it.

    Raises `StoreLocked` or `ServerRunning` where somebody has one of them open, `FileError` where it cannot be done or
    is not the same afterwards, and as `open_store`. Then there is nothing in the target.
    """
    copied = TransferReport()
    with _open_source(source) as one, _open_sink(target) as other:
        for table in TABLES:
            copied.checksums[table.name] = _copy_table(table, one, other, copied, on_progress, on_bad_row)
        other.set_identity(one.identity)
        for table in TABLES:
            _compare_table(table, copied.checksums[table.name], other)
        if other.identity != one.identity:
            raise FileError("The copy has another identity. It was discarded.")
    return copied


def _copy_table(
    table: Table,
    source: TableSource,
    sink: TableSink,
    report: TransferReport,
    on_progress: ProgressCallback,
    on_bad_row: Callable[[BadRow], None],
) -> TableChecksum:
    found = TableChecksum()
    count = source.count(table)

    def fitting() -> Iterator[TableRow]:
        for number, row in enumerate(source.iter_rows(table)):
            if number % PROGRESS_INTERVAL == 0:
                on_progress(table, number, count)
            if report.is_orphan(table, row):
                report.orphans += 1
                continue
            fits = sink.convert_row(row)
            report.changed += fits is not row
            yield fits

    def skip(row: TableRow, reason: str) -> None:
        bad = BadRow(table, row, reason)
        on_bad_row(bad)
        report.skip(bad)
        found.subtract(table, row)

    sink.insert_rows(table, found.count_rows(table, fitting()), skip)
    if table.autoincrement:
        sink.set_sequence(table, source.last_id(table))
    on_progress(table, count, count)
    return found


def _compare_table(table: Table, expected: TableChecksum, sink: TableSink) -> None:
    there = TableChecksum()
    for _ in there.count_rows(table, sink.iter_rows(table)):
        pass
    if there != expected:
        raise FileError(
            f"The copy differs: {table.name} {expected.rows} ({expected}) became {there.rows} ({there}). "
            "It was discarded."
        )


def _open_source(url: str) -> AbstractContextManager[TableSource]:
    if url.startswith(POSTGRES_PREFIXES):
        with require_postgres_driver():
            from gmessenger.store.postgres import tableio as postgres_rows
        return postgres_rows.open_source(url)
    from gmessenger.store.sqlite import tableio

    return tableio.open_source(_require_file(url))


def _open_sink(url: str) -> AbstractContextManager[TableSink]:
    if url.startswith(POSTGRES_PREFIXES):
        with require_postgres_driver():
            from gmessenger.store.postgres import tableio as postgres_rows
        return postgres_rows.open_sink(url)
    from gmessenger.store.sqlite import tableio

    return tableio.open_sink(_require_file(url))


def _require_file(url: str) -> Path:
    file = file_from_url(url)
    if file is None:
        raise ConfigError("A store in memory cannot be copied.")
    return file
