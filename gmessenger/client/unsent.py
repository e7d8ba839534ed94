"""Messages that were not answered, kept in a file, so that they are sent when this process is no more.

A line is added for a message, and another one when it was answered; when nothing is left the file is emptied.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from gevent import get_hub

from gmessenger.client.outbox import Message, restore
from gmessenger.durability import sync_file
from gmessenger.errors import BadText
from gmessenger.sentences import Sentence
from gmessenger.wire.encoding import encode

try:
    import fcntl
except ImportError:  # not every system has these locks
    fcntl = None  # type: ignore[assignment]

READ_AT_ONCE: Final = 1_048_576


class _Line(msgspec.Struct):
    """A message, or just the `id` of one that was answered."""

    id: str
    to: str | None = None
    message: str | None = None


_LINES: Final = msgspec.json.Decoder(_Line)


class Unsent:
    """One process at a time has the file, by a lock that ends with the process; to the others it is as if there were
    none. All methods but `close` raise OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._waiting: set[str] = set()

    def open(self) -> list[Message]:
        """Take the file, if nobody has it; returns what was left in it, in order, by whoever had it before.

        One that was moved away or removed since is taken anew: nothing would be found in it by the next process.
        """
        if self._fd is not None:
            if self._is_in_place():
                return []
            self.close()
            self._waiting = set()
        if fcntl is None:
            raise OSError(errno.ENOTSUP, Sentence("this system does not support the file locks it needs"))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):  # made so, unless somebody else has made it
                os.fchmod(fd, 0o600)
            left = _left(fd)
        except BaseException as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return []
            raise
        self._fd = fd
        self._waiting = {message.id for message in left}
        if not left:
            os.ftruncate(fd, 0)
        return left

    def add(self, messages: Iterable[Message]) -> None:
        """When this returns they are on disk."""
        lines = {each.id: b"\n" + encode(_Line(each.id, each.to, each.text)) for each in messages}
        if self._fd is not None and lines:
            self._append(b"".join(lines.values()))
            self._waiting |= lines.keys()  # now, or an answer that comes meanwhile would empty the file
            if (error := get_hub().threadpool.apply(_sync, (self._fd,))) is not None:
                self._waiting -= lines.keys()
                raise error

    def holds(self, message: Message) -> bool:
        """Whether the next process will send it."""
        return self._fd is not None and message.id in self._waiting

    def remove(self, message: Message) -> None:
        """It was answered. Not at once on disk: sent again with its id, it does no harm."""
        if self._fd is None or message.id not in self._waiting:
            return
        self._waiting.remove(message.id)
        if self._waiting:
            self._append(encode(_Line(message.id)))
        else:
            os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Leave what is left to the next process."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _is_in_place(self) -> bool:
        assert self._fd is not None
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._fd))
        except OSError:
            return False

    def _append(self, line: bytes) -> None:
        assert self._fd is not None
        before = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, line) < len(line):  # as much as there was room for
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, before)
            raise


def _sync(fd: int) -> OSError | None:
    # Returned, not raised: an error in the pool's thread would be printed with its traceback.
    try:
        sync_file(fd)
    except OSError as error:
        return error
    return None


def _left(fd: int) -> list[Message]:
    """The messages that no later line says were answered; a line that was not written whole does not count."""
    left: dict[str, Message] = {}
    data = b""
    while piece := os.read(fd, READ_AT_ONCE):
        data += piece
    for text in data.split(b"\n"):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, BadText):
            line = _LINES.decode(text)
            if line.to is None or line.message is None:
                left.pop(line.id, None)
            else:
                left[line.id] = restore(line.id, line.to, line.message)
    return list(left.values())
