"""Copy a store into another one, of the same or another backend: everything or nothing.

Before the copy can be opened it is compared with the source, by the number of rows of each table and by a checksum of
their content that does not depend on their order.
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

PROGRESS_INTERVAL: Final = 10_000  # rows
CHECKSUM_MODULUS: Final = 1 << 128
CHECKSUM_DIGITS: Final = 16
ProgressCallback: TypeAlias = Callable[[Table, int, int], None]
"""Called with a table, the rows of it that were copied, and how many it has."""


@dataclass(slots=True)
class TableChecksum:
    """The number of rows of a table, and the sum of their digests."""

    rows: int = 0
    total: int = 0

    def count_rows(self, table: Table, rows: Iterable[TableRow]) -> Iterator[TableRow]:
        """Yield the same rows and add them to the checksum."""
        for row in rows:
            self.rows += 1
            self.total += _row_digest(table, row)
            yield row
        self.total %= CHECKSUM_MODULUS

    def subtract(self, table: Table, row: TableRow) -> None:
        """Take a row out of the checksum again."""
        self.rows -= 1
        self.total = (self.total - _row_digest(table, row)) % CHECKSUM_MODULUS

    def __str__(self) -> str:
        return f"{self.total:032x}"[:CHECKSUM_DIGITS]


def _row_digest(table: Table, row: TableRow) -> int:
    values = list(row)
    for name in table.booleans:
        index = table.columns.index(name)
        values[index] = bool(values[index])
    return int.from_bytes(blake2b(msgpack.encode(values), digest_size=16).digest(), "big")


REFERENCES: Final = {"account_id": "accounts", "device_id": "devices", "conversation_id": "conversations"}
"""The table that a column refers to, by the name of the column."""
NULLABLE_REFERENCES: Final = {("messages", "account_id"), ("messages", "device_id"), ("files", "account_id")}
"""Columns that may refer to a row that was deleted."""


@dataclass(slots=True)
class TransferReport:
    """What a transfer copied: a checksum by table, and what the target could not hold.

    `changed` counts rows with a value that it cannot hold as it was, `skipped` are rows that it cannot hold at all,
    `orphans` counts rows that were left out because they belong to skipped ones.
    """

    checksums: dict[str, TableChecksum] = field(default_factory=dict)
    changed: int = 0
    skipped: list[BadRow] = field(default_factory=list)
    orphans: int = 0
    _skipped_ids: dict[str, set[int]] = field(default_factory=dict)

    def skip(self, bad: BadRow) -> None:
        """Leave a row out, and all rows that belong to it."""
        self.skipped.append(bad)
        if "id" in bad.table.columns:
            self._skipped_ids.setdefault(bad.table.name, set()).add(bad.row[bad.table.columns.index("id")])

    def is_orphan(self, table: Table, row: TableRow) -> bool:
        """Return whether a row belongs to one that was left out."""
        if not self._skipped_ids:
            return False
        return any(
            row[index] in self._skipped_ids.get(REFERENCES[name], ())
            for index, name in enumerate(table.columns)
            if name in REFERENCES and (table.name, name) not in NULLABLE_REFERENCES
        )


def abort_on_bad_row(bad: BadRow) -> None:
    """End the transfer at a row that cannot be copied. Raises `FileError`, which names the row."""
    raise FileError(f"{bad} cannot be stored: {bad.reason}. Nothing was copied; --skip-bad leaves such rows out.")


def transfer(
    source: str,
    target: str,
    on_progress: ProgressCallback = lambda *_: None,
    on_bad_row: Callable[[BadRow], None] = abort_on_bad_row,
) -> TransferReport:
    """Copy the store of one URL into that of another, which is empty or not there yet.

    Args:
        on_bad_row: called with each row that the target cannot hold; where it returns, that row is left out, and the
            rows that belong to it.

    Raises:
        StoreLocked, ServerRunning: another process has one of them open.
        FileError: it cannot be done, or the copy differs. Nothing is left in the target then.
        ConfigError: as `open_store`.

    Blocks for as long as reading and writing all of it takes.
    """
    report = TransferReport()
    with _open_source(source) as reader, _open_sink(target) as sink:
        for table in TABLES:
            report.checksums[table.name] = _copy_table(table, reader, sink, report, on_progress, on_bad_row)
        sink.set_digest_key(reader.digest_key)
        sink.set_files_id(reader.files_id)
        if reader.vapid_key:
            sink.set_vapid_key(reader.vapid_key)
        sink.set_identity(reader.identity)
        for table in TABLES:
            _compare_table(table, report.checksums[table.name], sink)
        if sink.identity != reader.identity:
            raise FileError("The copy has another identity. It was discarded.")
    return report


def _copy_table(
    table: Table,
    source: TableSource,
    sink: TableSink,
    report: TransferReport,
    on_progress: ProgressCallback,
    on_bad_row: Callable[[BadRow], None],
) -> TableChecksum:
    checksum = TableChecksum()
    count = source.count(table)

    def converted_rows() -> Iterator[TableRow]:
        for number, row in enumerate(source.iter_rows(table)):
            if number % PROGRESS_INTERVAL == 0:
                on_progress(table, number, count)
            if report.is_orphan(table, row):
                report.orphans += 1
                continue
            converted = sink.convert_row(row)
            report.changed += converted is not row
            yield converted

    def skip(row: TableRow, reason: str) -> None:
        bad = BadRow(table, row, reason)
        on_bad_row(bad)
        report.skip(bad)
        checksum.subtract(table, row)

    sink.insert_rows(table, checksum.count_rows(table, converted_rows()), skip)
    if table.autoincrement:
        sink.set_sequence(table, source.last_id(table))
    on_progress(table, count, count)
    return checksum


def _compare_table(table: Table, expected: TableChecksum, sink: TableSink) -> None:
    actual = TableChecksum()
    for _ in actual.count_rows(table, sink.iter_rows(table)):
        pass
    if actual != expected:
        raise FileError(
            f"The copy differs: {table.name} {expected.rows} ({expected}) became {actual.rows} ({actual}). "
            "It was discarded."
        )


def _open_source(url: str) -> AbstractContextManager[TableSource]:
    if url.startswith(POSTGRES_PREFIXES):
        with require_postgres_driver():
            from gmessenger.store.postgres import tableio as postgres_tableio
        return postgres_tableio.open_source(url)
    from gmessenger.store.sqlite import tableio

    return tableio.open_source(_require_file(url))


def _open_sink(url: str) -> AbstractContextManager[TableSink]:
    if url.startswith(POSTGRES_PREFIXES):
        with require_postgres_driver():
            from gmessenger.store.postgres import tableio as postgres_tableio
        return postgres_tableio.open_sink(url)
    from gmessenger.store.sqlite import tableio

    return tableio.open_sink(_require_file(url))


def _require_file(url: str) -> Path:
    file = file_from_url(url)
    if file is None:
        raise ConfigError("A store in memory cannot be copied.")
    return file
