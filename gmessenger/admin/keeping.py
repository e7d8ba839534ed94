"""What is remembered: what the commands `backup`, `verify`, `restore`, `export` and `prune` do."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from msgspec import json

from gmessenger.admin.office import Office, need_stopped, open_office, store_file
from gmessenger.errors import FileProblem
from gmessenger.options import AdminOptions
from gmessenger.store.restoring import restore_file
from gmessenger.store.verifying import Findings, verify_file


def backup(options: AdminOptions, given: Namespace) -> int:
    file = Path(given.file).absolute()  # the server stands in another directory
    with open_office(options.store_url) as office:
        size = office.ask("backup", file=str(file))  # who wrote it says so: this process may not see it
    print(f"{file}: {size} bytes, from {store_file(options.store_url)}.")
    return 0


def verify(options: AdminOptions, given: Namespace) -> int:
    """Reads the file itself, whether a server runs or not, and changes nothing."""
    file = Path(given.file) if given.file else store_file(options.store_url)
    found = verify_file(file)
    if found.counts:
        print(_counted(found))
    for fault in found.faults:
        print(f"gmessenger-admin: {file}: {fault}", file=sys.stderr)
    if not found.faults:
        print(f"{file} is whole.")
    return 1 if found.faults else 0


def restore(options: AdminOptions, given: Namespace) -> int:
    store = need_stopped(options.store_url, "restore")
    found, old = restore_file(Path(given.file), store)
    print(_counted(found))
    print(f"{store} is what {given.file} was." + (f" What it was before is in {old}." if old else ""))
    return 0


def _counted(found: Findings) -> str:
    return ", ".join(f"{what} {count}" for what, count in found.counts.items())


def prune(options: AdminOptions, given: Namespace) -> int:
    with open_office(options.store_url) as office:
        count = office.ask("prune", days=given.older_than)
    print(f"{count} messages dropped from {store_file(options.store_url)}.")
    return 0


def export(options: AdminOptions, given: Namespace) -> int:
    with open_office(options.store_url) as office, _output(given.file) as output:
        count = sum(output.write(json.encode(line) + b"\n") > 0 for line in _everything(office))
    if given.file is not None:
        print(f"{given.file}: {count} lines, from {store_file(options.store_url)}.")
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


@contextmanager
def _output(file: str | None) -> Iterator[IO[bytes]]:
    """A new file, of which nothing is left where it could not be written whole; or the output."""
    if file is None:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
            yield output
        return
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise FileProblem(f"Cannot write {file}: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as output:
            yield output
    except BaseException as error:
        Path(file).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileProblem(f"Cannot write {file}: {error.strerror}.") from error
        raise
