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
"""Errors that say that a file system, or a sandbox, has no such thing; what the disk says are others."""


def sync_file(fd: int) -> None:
    """Wait until an open file is on disk. Blocks. Raises OSError where the disk refuses it.

    A file system that cannot be asked for that is as durable as it is.
    """
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in SYNC_UNSUPPORTED:
            raise


def sync_path(path: Path) -> None:
    """Wait until a file is on disk. Blocks. Raises OSError where the disk refuses it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        sync_file(handle)
    finally:
        os.close(handle)


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on disk. Blocks. Raises OSError where the disk refuses it.

    Many systems cannot do that, and a directory may be one that can be written and not be read.
    """
    with contextlib.suppress(PermissionError):
        sync_path(directory)


def replace_file(file: Path, data: bytes, part: Path | None = None) -> None:
    """Create a file, or replace its content atomically: readers, and a crash, find the old content or the new.

    The data is written to `part` (by default, a new name in the same directory), synced, and renamed. A `part` that a
    killed process left is overwritten. The file keeps its permissions; a new one has mode 0600. Blocks.

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
            sync_file(opened.fileno())
        part.replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


PART_SUFFIX: Final = ".part"
"""How the name ends under which a file is written; it begins with a dot and the name that it is to have."""
MAX_PART_PREFIX: Final = 100  # characters of it that the other one begins with; a file system takes 255 bytes


@contextlib.contextmanager
def create_file(file: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write to, mode 0600, whose `name` is not `file` yet; at the end of the block it is, and on disk.

    Nothing is ever overwritten, and where the block raises nothing is left behind; a killed process leaves the part it
    had written under a name of its own. Blocks.

    Raises `FileError` where there is such a file, or none can be written.
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
    """Raises FileExistsError where there is such a file meanwhile."""
    try:
        file.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:  # there are no links on this disk
        if os.path.lexists(file):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        part.rename(file)
