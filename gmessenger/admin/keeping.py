"""What is remembered: what the commands `backup`, `verify`, `restore`, `copy`, `export` and `prune` do."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from msgspec import json

from gmessenger.admin.office import Office, need_stopped, open_office
from gmessenger.admin.site import Site, site_at, site_of
from gmessenger.errors import FileProblem, UsageError
from gmessenger.new_files import new_file
from gmessenger.options import AdminOptions
from gmessenger.store import taking_a_library, verify_store
from gmessenger.store.common import VerifyReport
from gmessenger.store.tables import BadRow, Table
from gmessenger.store.transfer import stop, transfer
from gmessenger.terminal_text import is_terminal, print_error, print_line, visible_json


def backup(options: AdminOptions, given: Namespace) -> int:
    """The file is opened here, and a running server writes to it wherever that is, in a sandbox too."""
    if site_of(options).file is None:
        raise FileProblem("A PostgreSQL store is backed up with pg_dump.")
    file = Path(given.file).absolute()  # the server stands in another directory
    with open_office(options) as office, new_file(file) as output:
        size = office.ask("backup", file=str(file), part=output.name, handle=output.fileno())
    print_line(f"{file}: {size} bytes, from {site_of(options).shown}.")
    return 0


def verify(options: AdminOptions, given: Namespace) -> int:
    """Reads the file itself, whether a server runs or not, and changes nothing."""
    if given.file:
        from gmessenger.store.verifying import verify_file

        return _report(verify_file(Path(given.file)), given.file)
    site = site_of(options)
    return _report(verify_store(site.url), site.shown)


def _report(found: VerifyReport, shown: str) -> int:
    if found.counts:
        print_line(_counted(found))
    return _judge(found, shown)


def _judge(found: VerifyReport, shown: str) -> int:
    for fault in found.faults:
        print_error(f"gmessenger-admin: {shown}: {fault}")
    if not found.faults:
        print_line(f"{shown} is intact.")
    return 1 if found.faults else 0


def restore(options: AdminOptions, given: Namespace) -> int:
    site = need_stopped(options, "restore")
    if site.file is None:
        return _restored(site, given.file)
    if given.file is None:
        raise UsageError("Name the backup to restore.")
    from gmessenger.store.restoring import restore_file

    found, old = restore_file(Path(given.file), site.file)
    print_line(_counted(found))
    print_line(f"{site.file} is restored from {given.file}." + (f" The previous store is in {old}." if old else ""))
    return 0


def _restored(site: Site, file: str | None) -> int:
    """What pg_restore cannot do."""
    if file is not None:
        raise UsageError(f"{site.shown} is restored with pg_restore, and then by `restore` without a file.")
    with taking_a_library():
        from gmessenger.store.postgres.restoring import restored
    site.check_it_is_there()
    restored(site.url)
    print_line(f"{site.shown} has a new identity now; clients will notice it when they connect.")
    return 0


def replace_bus_key(options: AdminOptions, given: Namespace) -> int:
    """Works on the store, whether servers run or not: they follow."""
    site = site_of(options)
    if site.file is not None:
        raise UsageError(f"{site.shown} is a SQLite store, which has no bus.")
    with taking_a_library():
        from gmessenger.store.postgres.bus_keys import replace_bus_key as replace
    site.check_it_is_there()
    replace(site.url)
    print(f"The servers of {site.shown} have a new key for the bus; running servers use it within seconds.")
    return 0


def copy(options: AdminOptions, given: Namespace) -> int:
    """From one store into another; neither has to be the one of the options."""
    source, target = (site_at(url, options.port) for url in (given.source, given.target))
    progress = _progress() if sys.stderr.isatty() else lambda *_: None
    copied = transfer(source.url, target.url, progress, _told_of if given.skip_bad else stop)
    for name, total in copied.sums.items():
        print_line(f"{name:<14}{total.rows:>12}  {total}")
    if copied.changed:
        print_line(
            f"{copied.changed} rows contained the NUL character, which PostgreSQL cannot store: U+FFFD replaces it."
        )
    if copied.skipped:
        print_line(f"Rows left out: {len(copied.skipped)}, and {copied.orphans} rows that refer to them.")
        print_line(f"{target.shown} has all other rows of {source.shown}.")
        return _judge(verify_store(target.url), target.shown) or 1
    print_line(f"{target.shown} is identical to {source.shown}: same row counts, same checksums.")
    return _judge(verify_store(target.url), target.shown)


def _told_of(bad: BadRow) -> None:
    """A row is left out, and named."""
    print_error(f"gmessenger-admin: left out: {bad}: {bad.reason}.")


def _progress() -> Callable[[Table, int, int], None]:
    def told(table: Table, done: int, count: int) -> None:
        print(f"\r\x1b[K{table.name} {done} of {count}", end="" if done < count else "\r\x1b[K", file=sys.stderr)
        sys.stderr.flush()

    return told


def _counted(found: VerifyReport) -> str:
    return ", ".join(f"{what} {count}" for what, count in found.counts.items())


def prune(options: AdminOptions, given: Namespace) -> int:
    with open_office(options) as office:
        count = office.ask("prune", days=given.older_than)
    print_line(f"{count} messages deleted from {site_of(options).shown}.")
    return 0


def export(options: AdminOptions, given: Namespace) -> int:
    with open_office(options) as office, _output(given.file) as output:
        safe = given.file is None and is_terminal(sys.stdout)
        count = sum(output.write(_json(line, safe=safe)) > 0 for line in _everything(office))
    if given.file is not None:
        print_line(f"{given.file}: {count} lines, from {site_of(options).shown}.")
    return 0


def _everything(office: Office) -> Iterator[dict[str, Any]]:
    for account in office.ask("accounts"):
        yield {"kind": "account", "name": account["name"], "disabled": account["disabled"], "role": account["role"]}
    for room in office.ask("rooms"):
        yield {"kind": "room", **{key: room[key] for key in ("name", "topic", "creator", "seq")}}
    after = 0
    while after is not None:
        page = office.ask("messages", after=after)
        yield from ({"kind": "message", **message} for message in page["messages"])
        after = page["after"]


def _json(line: dict[str, Any], *, safe: bool) -> bytes:
    """A line of JSON; `safe` for a terminal, with escapes for what could steer it."""
    encoded = json.encode(line)
    if safe:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        encoded = visible_json(encoded.decode(), encoding).encode(encoding)
    return encoded + b"\n"


@contextmanager
def _output(file: str | None) -> Iterator[IO[bytes]]:
    """A new file, which gets its name when it is whole; or the output."""
    if file is None:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
            yield output
        return
    with new_file(Path(file)) as output:
        yield output
