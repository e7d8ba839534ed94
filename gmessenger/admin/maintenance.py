"""The commands on stored data: `backup`, `verify`, `restore`, `copy`, `export` and `prune`."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from msgspec import json

from gmessenger.admin.client import (
    AdminClient,
    StoreLocation,
    connect,
    location_from_url,
    require_stopped,
    store_location,
)
from gmessenger.config.options import AdminOptions
from gmessenger.console import is_terminal, print_error, print_line
from gmessenger.durability import create_file
from gmessenger.errors import FileError, UsageError
from gmessenger.sanitize import sanitize_json
from gmessenger.store import require_postgres_driver, verify_store
from gmessenger.store.common import VerifyReport
from gmessenger.store.tables import BadRow, Table
from gmessenger.store.transfer import abort_on_bad_row, transfer


def backup(options: AdminOptions, args: Namespace) -> int:
    """The file is opened here, and a running server writes to it wherever that is, in a sandbox too."""
    if store_location(options).file is None:
        raise FileError("A PostgreSQL store is backed up with pg_dump.")
    file = Path(args.file).absolute()  # the server stands in another directory
    with connect(options) as office, create_file(file) as output:
        size = office.call("backup", file=str(file), part=output.name, fd=output.fileno())
    print_line(f"{file}: {size} bytes, from {store_location(options).display_name}.")
    return 0


def verify(options: AdminOptions, args: Namespace) -> int:
    """Reads the file itself, whether a server runs or not, and changes nothing."""
    if args.file:
        from gmessenger.store.sqlite.verify import verify_file

        return _report_result(verify_file(Path(args.file)), args.file)
    site = store_location(options)
    return _report_result(verify_store(site.url), site.display_name)


def _report_result(report: VerifyReport, store_name: str) -> int:
    if report.counts:
        print_line(_format_counts(report))
    return _report_faults(report, store_name)


def _report_faults(report: VerifyReport, store_name: str) -> int:
    for fault in report.faults:
        print_error(f"gmessenger-admin: {store_name}: {fault}")
    if not report.faults:
        print_line(f"{store_name} is intact.")
    return 1 if report.faults else 0


def restore(options: AdminOptions, args: Namespace) -> int:
    site = require_stopped(options, "restore")
    if site.file is None:
        return _complete_pg_restore(site, args.file)
    if args.file is None:
        raise UsageError("Name the backup to restore.")
    from gmessenger.store.sqlite.backup import restore_file

    found, old = restore_file(Path(args.file), site.file)
    print_line(_format_counts(found))
    print_line(f"{site.file} is restored from {args.file}." + (f" The previous store is in {old}." if old else ""))
    return 0


def _complete_pg_restore(location: StoreLocation, file: str | None) -> int:
    """What pg_restore cannot do."""
    if file is not None:
        raise UsageError(f"{location.display_name} is restored with pg_restore, and then by `restore` without a file.")
    with require_postgres_driver():
        from gmessenger.store.postgres.tableio import renew_identity
    location.require_store()
    renew_identity(location.url)
    print_line(f"{location.display_name} has a new identity now; clients will notice it when they connect.")
    return 0


def replace_bus_key(options: AdminOptions, args: Namespace) -> int:
    """Works on the store, whether servers run or not: they follow."""
    site = store_location(options)
    if site.file is not None:
        raise UsageError(f"{site.display_name} is a SQLite store, which has no bus.")
    with require_postgres_driver():
        from gmessenger.store.postgres.bus_keys import replace_bus_key as replace
    site.require_store()
    replace(site.url)
    print(f"The servers of {site.display_name} have a new key for the bus; running servers use it within seconds.")
    return 0


def copy(options: AdminOptions, args: Namespace) -> int:
    """From one store into another; neither has to be the one of the options."""
    source, target = (location_from_url(url, options.port) for url in (args.source, args.target))
    progress = _make_progress_callback() if sys.stderr.isatty() else lambda *_: None
    copied = transfer(source.url, target.url, progress, _report_skipped if args.skip_bad else abort_on_bad_row)
    for name, total in copied.checksums.items():
        print_line(f"{name:<14}{total.rows:>12}  {total}")
    if copied.changed:
        print_line(
            f"{copied.changed} rows contained the NUL character, which PostgreSQL cannot store: U+FFFD replaces it."
        )
    if copied.skipped:
        print_line(f"Rows left out: {len(copied.skipped)}, and {copied.orphans} rows that refer to them.")
        print_line(f"{target.display_name} has all other rows of {source.display_name}.")
        return _report_faults(verify_store(target.url), target.display_name) or 1
    print_line(f"{target.display_name} is identical to {source.display_name}: same row counts, same checksums.")
    return _report_faults(verify_store(target.url), target.display_name)


def _report_skipped(row: BadRow) -> None:
    """A row is left out, and named."""
    print_error(f"gmessenger-admin: left out: {row}: {row.reason}.")


def _make_progress_callback() -> Callable[[Table, int, int], None]:
    def told(table: Table, done: int, count: int) -> None:
        print(f"\r\x1b[K{table.name} {done} of {count}", end="" if done < count else "\r\x1b[K", file=sys.stderr)
        sys.stderr.flush()

    return told


def _format_counts(report: VerifyReport) -> str:
    return ", ".join(f"{what} {count}" for what, count in report.counts.items())


def prune(options: AdminOptions, args: Namespace) -> int:
    with connect(options) as office:
        count = office.call("prune", days=args.older_than)
    print_line(f"{count} messages deleted from {store_location(options).display_name}.")
    return 0


def export(options: AdminOptions, args: Namespace) -> int:
    with connect(options) as office, _open_output(args.file) as output:
        safe = args.file is None and is_terminal(sys.stdout)
        count = sum(output.write(_encode_line(line, safe=safe)) > 0 for line in _export_objects(office))
    if args.file is not None:
        print_line(f"{args.file}: {count} lines, from {store_location(options).display_name}.")
    return 0


def _export_objects(client: AdminClient) -> Iterator[dict[str, Any]]:
    for account in client.call("accounts"):
        yield {"kind": "account", "name": account["name"], "disabled": account["disabled"], "role": account["role"]}
    for room in client.call("rooms"):
        yield {"kind": "room", **{key: room[key] for key in ("name", "topic", "creator", "seq")}}
    after = 0
    while after is not None:
        page = client.call("messages", after=after)
        yield from ({"kind": "message", **message} for message in page["messages"])
        after = page["after"]


def _encode_line(line: dict[str, Any], *, safe: bool) -> bytes:
    """A line of JSON; `safe` for a terminal, with escapes for what could steer it."""
    encoded = json.encode(line)
    if safe:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        encoded = sanitize_json(encoded.decode(), encoding).encode(encoding)
    return encoded + b"\n"


@contextmanager
def _open_output(file: str | None) -> Iterator[IO[bytes]]:
    """A new file, which gets its name when it is whole; or the output."""
    if file is None:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
            yield output
        return
    with create_file(Path(file)) as output:
        yield output
