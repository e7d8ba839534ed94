"""The commands on stored data: `backup`, `verify`, `restore`, `copy`, `export` and `prune`."""

from __future__ import annotations

import os
import re
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
from gmessenger.admin.results import parse_result
from gmessenger.chat.admin_results import AccountRow, RoomRow
from gmessenger.config.options import AdminOptions
from gmessenger.console import is_terminal, print_error, print_line
from gmessenger.contents.copies import compare_contents, copy_contents
from gmessenger.durability import create_file
from gmessenger.errors import FileError, UsageError
from gmessenger.sanitize import sanitize_json
from gmessenger.store import require_postgres_driver, stored_contents, verify_store
from gmessenger.store.common import VerifyReport
from gmessenger.store.tables import BadRow, Table
from gmessenger.store.transfer import abort_on_bad_row, transfer
from gmessenger.urls import redact_text


def backup(options: AdminOptions, args: Namespace) -> int:
    """Run `backup`.

    The file is opened here: a running server may be in a sandbox where the file's folder is not visible.
    """
    if store_location(options).file is None:
        raise FileError("A PostgreSQL store is backed up with pg_dump.")
    folder = _parse_folder(args.folder)
    file = Path(args.file).absolute()  # the server has another working directory
    with connect(options) as client, create_file(file) as output:
        size = client.call("backup", file=str(file), part=output.name, fd=output.fileno())
    print_line(f"{file}: {size} bytes, from {store_location(options).display_name}.")
    if folder is not None:
        # After the store: every file that the copied store refers to is in the folder by then.
        _copy_files(_require_folder(options), folder)
    return 0


def _parse_folder(folder: str | None) -> Path | None:
    """Return a folder that was given. Raises `UsageError` for a URL, which would be shown with its password."""
    if folder is not None and (redact_text(folder) != folder or ("@" in folder and re.search("[:%?]", folder))):
        raise UsageError("Give a folder for the files, not a URL.")
    return Path(folder) if folder is not None else None


def _copy_files(source: Path, target: Path) -> None:
    report = copy_contents(source, target)
    known = f", {report.known} were there already" if report.known else ""
    print_line(f"{target}: {report.count} files, {report.size} bytes, from {source}{known}.")


def _require_folder(options: AdminOptions) -> Path:
    if (folder := options.files_folder) is None:
        raise UsageError("Name the server's folder for files with --files.")
    return folder


def verify(options: AdminOptions, args: Namespace) -> int:
    """Run `verify`: read the store or a backup, whether a server runs or not, and change nothing."""
    copied_files = _parse_folder(args.folder)
    if args.file:
        from gmessenger.store.sqlite.verify import contents_of_file, verify_file

        report = verify_file(Path(args.file))
        if copied_files is not None and not report.faults:
            report.faults += compare_contents(copied_files, contents_of_file(Path(args.file)))
        return _report_result(report, args.file)
    location = store_location(options)
    report = verify_store(location.url)
    folder = options.files_folder
    if folder is not None and not report.faults and (options.files or folder.exists()):
        report.faults += compare_contents(folder, stored_contents(location.url))
    return _report_result(report, location.display_name)


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
    """Run `restore`."""
    location = require_stopped(options, "restore")
    if location.file is None:
        return _complete_pg_restore(location, args.file)
    if args.file is None:
        raise UsageError("Name the backup to restore.")
    folder = _parse_folder(args.folder)
    from gmessenger.store.sqlite.backup import restore_file

    report, old = restore_file(Path(args.file), location.file)
    print_line(_format_counts(report))
    print_line(f"{location.file} is restored from {args.file}." + (f" The previous store is in {old}." if old else ""))
    if folder is not None:
        _copy_files(folder, _require_folder(options))
    return 0


def _complete_pg_restore(location: StoreLocation, file: str | None) -> int:
    """Give a database that pg_restore has loaded an identity of its own."""
    if file is not None:
        raise UsageError(f"{location.display_name} is restored with pg_restore, and then by `restore` without a file.")
    with require_postgres_driver():
        from gmessenger.store.postgres.tableio import renew_identity
    location.require_store()
    renew_identity(location.url)
    print_line(f"{location.display_name} has a new identity now; clients will notice it when they connect.")
    return 0


def replace_bus_key(options: AdminOptions, args: Namespace) -> int:
    """Run `bus-key`: replace the key in the store; running servers follow."""
    location = store_location(options)
    if location.file is not None:
        raise UsageError(f"{location.display_name} is a SQLite store, which has no bus.")
    with require_postgres_driver():
        from gmessenger.store.postgres.bus_keys import replace_bus_key as replace
    location.require_store()
    replace(location.url)
    print(f"The servers of {location.display_name} have a new key for the bus; running servers use it within seconds.")
    return 0


def copy(options: AdminOptions, args: Namespace) -> int:
    """Run `copy`: from one store into another; neither has to be the store of the options."""
    source, target = (location_from_url(url, options.port) for url in (args.source, args.target))
    progress = _make_progress_callback() if sys.stderr.isatty() else lambda *_: None
    report = transfer(source.url, target.url, progress, _report_skipped if args.skip_bad else abort_on_bad_row)
    for name, checksum in report.checksums.items():
        print_line(f"{name:<14}{checksum.rows:>12}  {checksum}")
    if report.changed:
        print_line(
            f"{report.changed} rows contained the NUL character, which PostgreSQL cannot store: U+FFFD replaces it."
        )
    if report.skipped:
        print_line(f"Rows left out: {len(report.skipped)}, and {report.orphans} rows that refer to them.")
        print_line(f"{target.display_name} has all other rows of {source.display_name}.")
        return _report_faults(verify_store(target.url), target.display_name) or 1
    print_line(f"{target.display_name} is identical to {source.display_name}: same row counts, same checksums.")
    return _report_faults(verify_store(target.url), target.display_name)


def _report_skipped(row: BadRow) -> None:
    """Print which row is left out, and why."""
    print_error(f"gmessenger-admin: left out: {row}: {row.reason}.")


def _make_progress_callback() -> Callable[[Table, int, int], None]:
    def print_progress(table: Table, done: int, count: int) -> None:
        print(f"\r\x1b[K{table.name} {done} of {count}", end="" if done < count else "\r\x1b[K", file=sys.stderr)
        sys.stderr.flush()

    return print_progress


def _format_counts(report: VerifyReport) -> str:
    return ", ".join(f"{what} {count}" for what, count in report.counts.items())


def prune(options: AdminOptions, args: Namespace) -> int:
    """Run `prune`."""
    with connect(options) as client:
        count = client.call("prune", days=args.older_than)
    print_line(f"{count} messages deleted from {store_location(options).display_name}.")
    return 0


def export(options: AdminOptions, args: Namespace) -> int:
    """Run `export`."""
    with connect(options) as client, _open_output(args.file) as output:
        safe = args.file is None and is_terminal(sys.stdout)
        count = 0
        for line in _export_lines(client):
            output.write(_encode_line(line, safe=safe))
            count += 1
    if args.file is not None:
        print_line(f"{args.file}: {count} lines, from {store_location(options).display_name}.")
    return 0


def _export_lines(client: AdminClient) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of an export; a message is passed on as the server sends it."""
    for account in parse_result(client.call("accounts"), list[AccountRow]):
        yield {"kind": "account", "name": account.name, "disabled": account.disabled, "role": account.role}
    for room in parse_result(client.call("rooms"), list[RoomRow]):
        creator = {"creator": room.creator} if room.creator is not None else {}
        ownership = {**creator, "owners": room.owners, "rules": room.rules}
        topic = {"topic": room.topic} | (
            {"topic_by": room.topic_by, "topic_at": room.topic_at} if room.topic_by else {}
        )
        yield {"kind": "room", "name": room.name, **topic, **ownership, "seq": room.seq}
    after = 0
    while after is not None:
        page = client.call("messages", after=after)
        yield from map(_message_line, page["messages"])
        after = page["after"]


def _message_line(message: dict[str, Any]) -> dict[str, Any]:
    """Return the line of a message, whose own kind gets another key beside that of the line."""
    kind = {"message_kind": message.pop("kind")} if "kind" in message else {}
    return {"kind": "message", **message, **kind}


def _encode_line(line: dict[str, Any], *, safe: bool) -> bytes:
    """Encode an object as a line of JSON; `safe`: escape what a terminal would interpret."""
    encoded = json.encode(line)
    if safe:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        encoded = sanitize_json(encoded.decode(), encoding).encode(encoding)
    return encoded + b"\n"


@contextmanager
def _open_output(file: str | None) -> Iterator[IO[bytes]]:
    """Open a new file, which gets its name once it is complete; without `file`, standard output."""
    if file is None:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
            yield output
        return
    with create_file(Path(file)) as output:
        yield output
