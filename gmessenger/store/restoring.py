"""A backup put in the place of a store, which is put aside and not touched."""

from __future__ import annotations

import datetime
import sqlite3
from contextlib import closing
from pathlib import Path

from gmessenger.durability import sync_directory
from gmessenger.errors import FileProblem
from gmessenger.store import schema
from gmessenger.store.backups import copy_into
from gmessenger.store.common import VerifyReport
from gmessenger.store.database import PARTS
from gmessenger.store.lock import Lock, check_only_name
from gmessenger.store.verifying import reading, verify_file


def restore_file(file: Path, store: Path) -> tuple[VerifyReport, Path | None]:
    """Make a store what a backup was; returns what was found in the backup, and where the old store is.

    The backup is verified first and copied beside the store, so that the exchange itself is a matter of names. Raises
    `StoreInUse`, `FileProblem` for a backup that is damaged or none, or `ConfigProblem` for one of a newer schema.
    """
    found = verify_file(file)
    if found.faults:
        raise FileProblem(f"{file} is damaged, and the store is unchanged: {found.faults[0]}")
    store = store.resolve()
    lock = Lock(store)
    try:
        check_only_name(store)
        fresh = store.with_name(f"{store.name}.restoring")
        fresh.unlink(missing_ok=True)
        with reading(file) as db:
            copy_into(db, fresh)
        try:
            _be_another(fresh)
        except sqlite3.Error as error:
            fresh.unlink()
            raise FileProblem(f"Cannot write {fresh}: {error}.") from error
        old = _put_aside(store) if store.exists() else None
        fresh.rename(store)
        sync_directory(store.parent)
    finally:
        lock.release()
    return found, old


def _be_another(store: Path) -> None:
    """What was said after the backup is gone, and its numbers will be given again: clients have to hear of it."""
    with closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = FULL")
        if db.execute("PRAGMA user_version").fetchone()[0] >= schema.WITH_FACTS:
            db.execute(schema.NEW_IDENTITY)


def _put_aside(store: Path) -> Path:
    """Rename the store, with what its log holds, so that it can still be opened under its new name."""
    old = store.with_name(f"{store.name}.{datetime.datetime.now():%Y-%m-%dT%H-%M-%S}")
    if old.exists():
        raise FileProblem(f"The file {old} already exists.")
    for part in reversed(PARTS):
        if (piece := store.with_name(store.name + part)).exists():
            piece.rename(old.with_name(old.name + part))
    return old
