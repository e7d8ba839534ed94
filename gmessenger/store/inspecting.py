"""How a store is doing, seen from beside it: nothing is opened for writing, made, or held."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from gmessenger.errors import FileProblem
from gmessenger.store.lock import holder
from gmessenger.store.verifying import schema_of


@dataclass(frozen=True, slots=True)
class Condition:
    """`schema` is None where there is no store yet, `holder` the process that has it open, `free` in bytes, or None
    where the disk does not tell.
    """

    schema: int | None
    holder: str | None
    free: int | None


def inspect(file: Path) -> Condition:
    """Look at a store's file. Raises `FileProblem` where it could not be used, `ConfigProblem` for a newer schema."""
    file = file.resolve()
    place = next(each for each in file.parents if each.exists())
    if not place.is_dir():
        raise FileProblem(f"The store {file} cannot be made: {place} is not a directory.")
    for each in (file, place):
        if each.exists() and not os.access(each, os.W_OK):
            raise FileProblem(f"The store {file} cannot be written: {each} is not writable for this user.")
    return Condition(_schema(file) if file.exists() else None, holder(file), _free(place))


def _free(place: Path) -> int | None:
    """Not every file system tells; some say that they have no blocks at all."""
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        return None
    return usage.free if usage.total else None


def _schema(file: Path) -> int:
    if file.stat().st_size == 0:  # made, and left before anything was in it
        return 0
    try:
        return schema_of(file)
    except sqlite3.Error as error:
        raise FileProblem(f"The store {file} cannot be read: {error}.") from error
