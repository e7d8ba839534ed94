"""What can be uploaded: a file on a disk, which is read in a thread, or bytes."""

from __future__ import annotations

import errno
import mimetypes
import os
import stat
from collections.abc import Callable
from contextlib import closing
from functools import partial
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO, Final, TypeVar, cast

from gevent import Timeout

from gmessenger.text import Text
from gmessenger.threads import run_in_thread

ResultT = TypeVar("ResultT")
UNKNOWN_TYPE: Final = "application/octet-stream"
DISK_TIMEOUT: Final = 30.0  # seconds
NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer can be opened at once, and be refused


class LocalFile:
    """A file to upload, by its path. Blocks, for at most DISK_TIMEOUT seconds.

    Raises OSError if it cannot be read, or is no file.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._path = path
        with closing(self.open()) as opened:  # a directory, or one that may not be read, is found now
            self.size = opened.seek(0, SEEK_END)
        self.name = (name or path.name).encode(errors="replace").decode()  # a name on disk may be no UTF-8
        self.type = guess_type(self.name)

    def open(self) -> BinaryIO:
        """Open it at its beginning. Raises OSError, also where the disk or the network mount does not answer."""
        return await_disk(partial(_open_regular, self._path))


def _open_regular(path: Path) -> BinaryIO:
    """Open a file; none that another process would have to write into. Unbuffered: `close` waits for no read."""
    try:
        opened = open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | NONBLOCK))  # noqa: SIM115
    except ValueError as error:  # a path has no NUL
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path)) from error
    if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        opened.close()
        raise OSError(errno.EINVAL, Text("not a regular file"), str(path))
    return cast(BinaryIO, opened)


def await_disk(call: Callable[[], ResultT]) -> ResultT:
    """Return what a call returns that reads from a disk, or a network mount. Raises OSError.

    It is made in a thread. Blocks the greenlet for at most DISK_TIMEOUT seconds.
    """
    with Timeout(DISK_TIMEOUT, TimeoutError(Text("the disk has not answered in time"))):
        return run_in_thread(call)


class FileContent:
    """Bytes to upload as a file."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self.size = len(content)
        self.name = name
        self.type = guess_type(name)

    def open(self) -> BinaryIO:
        """Return its bytes from the beginning on."""
        return BytesIO(self._content)


def guess_type(name: str) -> str:
    """Return the type of a file by its name."""
    return mimetypes.guess_type(name, strict=False)[0] or UNKNOWN_TYPE
