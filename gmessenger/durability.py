"""Waiting until something is on disk, as far as the file system knows how."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

NO_SYNC: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.EROFS, errno.EBADF})
"""Errors that say that a file system, or a sandbox, has no such thing; what the disk says are others."""


def sync_file(handle: int) -> None:
    """Wait until an open file is on disk. Blocks. Raises OSError where the disk refuses it.

    A file system that cannot be asked for that is as durable as it is.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on disk. Blocks. Raises OSError where the disk refuses it.

    Many systems cannot do that, and a directory may be one that can be written and not be read.
    """
    with contextlib.suppress(PermissionError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            sync_file(handle)
        finally:
            os.close(handle)
