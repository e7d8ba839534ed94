"""Copy a database into another file while it is in use."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import IO, Final

from gmessenger.durability import create_file, sync_file
from gmessenger.errors import FileError

COPY_CHUNK: Final = 1_048_576  # bytes


def spare_path(store: Path) -> Path:
    """Return the path of the intermediate copy that `copy_to_handle` may make."""
    return store.with_name(f"{store.name}.backup")


def remove_spare(store: Path) -> None:
    """Remove the copy that a server killed during a backup has left. Raises `FileError`."""
    try:
        spare_path(store.resolve()).unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"Cannot remove {spare_path(store)}: {error.strerror}.") from error


def copy_to_path(db: sqlite3.Connection, file: Path) -> int:
    """Write a database into a new file, on disk when it returns; return its bytes.

    Blocks: call it in a thread. Raises `FileError`.
    """
    with create_file(file) as output:
        return copy_to_handle(db, output, Path(output.name), None)


def copy_to_handle(db: sqlite3.Connection, target: IO[bytes], path: Path, spare: Path | None) -> int:
    """Write a database into an open and empty file, on disk when it returns; return its bytes.

    Args:
        path: the name under which another process opened the file; used if it is the same file here.
        spare: where an intermediate copy is made if it is not. Takes as much room as the database.

    Blocks: call it in a thread. Raises `FileError`.
    """
    try:
        if spare is None or _is_same_file(path, target):
            db.execute("VACUUM INTO ?", (str(path),))
        else:
            _copy_via_spare(spare, db, target)
        sync_file(target.fileno())
        return os.fstat(target.fileno()).st_size
    except (sqlite3.Error, OSError) as error:
        raise backup_error(error) from error


def backup_error(error: Exception) -> FileError:
    """Convert an error of the disk or the database to the error of a backup that cannot be written."""
    return FileError(f"Cannot write the backup: {getattr(error, 'strerror', None) or error}.")


def _copy_via_spare(spare: Path, db: sqlite3.Connection, target: IO[bytes]) -> None:
    """Copy to a path first: SQLite writes to paths only, and a sandboxed server cannot reach every path."""
    spare.unlink(missing_ok=True)
    try:
        os.close(os.open(spare, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db.execute("VACUUM INTO ?", (str(spare),))
        source = spare.open("rb")
    finally:
        spare.unlink(missing_ok=True)
    with source:
        shutil.copyfileobj(source, target, COPY_CHUNK)
    target.flush()


def _is_same_file(path: Path, target: IO[bytes]) -> bool:
    """Return whether a path here is the open file, and may be written."""
    try:
        found = path.stat()
        same = stat.S_ISREG(found.st_mode) and os.path.samestat(found, os.fstat(target.fileno()))
        return same and os.access(path, os.W_OK)
    except OSError:
        return False
