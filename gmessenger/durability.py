"""Durable files: sync a file or directory to disk, and create files that get their name only when complete."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from gmessenger.errors import FileError

SYNC_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.EROFS, errno.EBADF})
"""Errors by which a file system or a sandbox says that it cannot sync; those of a disk are others."""


def sync_file(fd: int) -> None:
    """Write an open file to disk. Blocks. Raises OSError if the disk fails.

    Does nothing on a file system that does not support it.
    """
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in SYNC_UNSUPPORTED:
            raise


def sync_path(path: Path) -> None:
    """Write a file to disk. Blocks. Raises OSError if the disk fails."""
    fd = os.open(path, os.O_RDONLY)
    try:
        sync_file(fd)
    finally:
        os.close(fd)


def sync_directory(directory: Path) -> None:
    """Write the names in a directory to disk. Blocks. Raises OSError if the disk fails.

    Does nothing on systems that do not support it, or if the directory may be written but not read.
    """
    with contextlib.suppress(PermissionError):
        sync_path(directory)


def replace_file(file: Path, data: bytes, part: Path | None = None, *, sync: bool = True) -> None:
    """Create a file, or replace its content atomically: readers, and a crash, find the old content or the new.

    The data is written to `part` (by default, a new name in the same directory), synced, and renamed. A `part` that a
    killed process left is overwritten. The file keeps its permissions; a new one has mode 0600. Blocks.

    `sync=False`: do not wait for the disk; then a crash of the machine may leave neither content.

    Raises OSError; then the file is as it was, and `part` is removed.
    """
    if part is None:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        part = Path(name)
    else:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            if file.exists():
                with contextlib.suppress(OSError):
                    part.chmod(stat.S_IMODE(file.stat().st_mode))
            opened.write(data)
            opened.flush()
            if sync:
                sync_file(opened.fileno())
        part.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


PART_SUFFIX: Final = ".part"
"""The suffix of the temporary name of a file; before it are a dot, the final name and random characters."""
MAX_PART_PREFIX: Final = 100  # characters of the final name in the temporary one; a name has at most 255 bytes


@contextlib.contextmanager
def create_file(file: Path) -> Iterator[IO[bytes]]:
    """Create a file with mode 0600: yield it under a temporary name, and rename it, synced, when the block ends.

    An existing file is never overwritten. If the block raises, nothing is left; a killed process leaves the temporary
    file. Blocks.

    Raises:
        FileError: the file exists, or cannot be written.
    """
    try:
        if os.path.lexists(file):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        prefix = f".{file.name[:MAX_PART_PREFIX]}."
        with tempfile.NamedTemporaryFile(
            "w+b", prefix=prefix, suffix=PART_SUFFIX, dir=file.parent, delete=False
        ) as part:
            try:
                yield part
                part.flush()
                sync_file(part.fileno())
                _rename_exclusively(Path(part.name), file)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    Path(part.name).unlink()
        sync_directory(file.parent)
    except OSError as error:
        raise FileError(f"Cannot write {file}: {error.strerror or error}.") from error


def _rename_exclusively(part: Path, file: Path) -> None:
    """Rename a file without overwriting another one. Raises FileExistsError if there is one by now."""
    try:
        file.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links
        if os.path.lexists(file):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        part.rename(file)
