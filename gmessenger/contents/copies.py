"""Copies of a folder of contents, for backups, and its comparison with the rows of a store. These functions block."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gmessenger.contents.folder import DIGEST, INCOMING, MARKER, PREFIX, REMOVED
from gmessenger.durability import replace_file, sync_directory, sync_file
from gmessenger.errors import FileError

CHUNK: Final = 1_048_576  # bytes that are read at a time
MAX_FAULTS: Final = 20
"""Contents that are named in a report."""


@dataclass(slots=True)
class CopyReport:
    """The number of contents that were copied, and their bytes. `known`: those that the target had already."""

    count: int = 0
    size: int = 0
    known: int = 0


def copy_contents(source: Path, target: Path) -> CopyReport:
    """Copy what a folder has and another one lacks; a server may use the first one meanwhile.

    What is there is complete: it has got its name last. Raises `FileError` where one of them cannot be used, or the
    other one is that of another store.
    """
    report = CopyReport()
    try:
        _prepare(source, target)
        for file in _iter_files(source):
            place = target / file.name[:2] / file.name
            if place.exists() and place.stat().st_size == file.stat().st_size:
                report.known += 1
                continue
            report.size += _copy(file, place, target / INCOMING / secrets.token_hex(16))
            report.count += 1
    except OSError as error:
        raise FileError(f"Cannot copy {source} to {target}: {error.strerror or error}.") from error
    return report


def compare_contents(folder: Path, rows: Iterable[tuple[str, int]]) -> list[str]:
    """Return what is wrong with the contents that rows of a store name, by digest and size, as sentences.

    Reads all of them.
    """
    faults: list[str] = []
    count = 0
    for digest, size in rows:
        fault = _find_fault(folder, digest, size)
        if fault:
            count += 1
            faults += [f"the content {digest[:12]}… {fault}."] if count <= MAX_FAULTS else []
    if count > MAX_FAULTS:
        faults.append(f"{count - MAX_FAULTS} more contents are missing or damaged.")
    return faults


def _prepare(source: Path, target: Path) -> None:
    marker = (source / MARKER).read_bytes()
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (target / MARKER).exists():
        if (target / MARKER).read_bytes() != marker:
            raise FileError(f"{target} has the files of another store.")
    elif any(target.iterdir()):
        raise FileError(f"{target} is not empty, and has no files of a store.")
    else:
        replace_file(target / MARKER, marker)
    for name in (INCOMING, REMOVED):
        (target / name).mkdir(mode=0o700, exist_ok=True)


def _iter_files(folder: Path) -> Iterator[Path]:
    for prefix in sorted(path for path in folder.iterdir() if PREFIX.fullmatch(path.name)):
        yield from sorted(path for path in prefix.iterdir() if DIGEST.fullmatch(path.name))


def _copy(file: Path, place: Path, part: Path) -> int:
    """Copy a content; return its size, 0 where it was removed meanwhile."""
    size = 0
    try:
        with (
            file.open("rb") as source,
            os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out,
        ):
            while chunk := source.read(CHUNK):
                out.write(chunk)
                size += len(chunk)
            out.flush()
            sync_file(out.fileno())
        place.parent.mkdir(mode=0o700, exist_ok=True)
        part.replace(place)
        sync_directory(place.parent)
    except FileNotFoundError:
        return 0
    finally:
        part.unlink(missing_ok=True)
    return size


def _find_fault(folder: Path, digest: str, size: int) -> str:
    hashed, length = hashlib.sha256(), 0
    try:
        with (folder / digest[:2] / digest).open("rb") as opened:
            while chunk := opened.read(CHUNK):
                hashed.update(chunk)
                length += len(chunk)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if length != size:
        return f"has {length} bytes instead of {size}"
    return "" if hashed.hexdigest() == digest else "is damaged"
