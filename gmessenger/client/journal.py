"""Messages that were not answered, kept in a file, so that they are sent when this process is no more.

A line is added for a message, and another one when it was answered; when nothing is left the file is emptied.

Keeps an account's messages on disk until they are answered; a disk that fails is told of, and stops nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from gevent import get_hub

from gmessenger.client.event_queue import EventQueue
from gmessenger.client.events import Notice
from gmessenger.client.sender import OutgoingMessage, SendQueue, restore_message
from gmessenger.durability import sync_file
from gmessenger.errors import BadText
from gmessenger.text import Text
from gmessenger.wire.jim import encode

try:
    import fcntl
except ImportError:  # not every system has these locks
    fcntl = None  # type: ignore[assignment]

READ_CHUNK: Final = 1_048_576


class _JournalEntry(msgspec.Struct):
    """A message, or just the `id` of one that was answered."""

    id: str
    to: str | None = None
    message: str | None = None


_ENTRY_DECODER: Final = msgspec.json.Decoder(_JournalEntry)


class JournalFile:
    """One process at a time has the file, by a lock that ends with the process; to the others it is as if there were
    none. All methods but `close` raise OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._pending: set[str] = set()

    def open(self) -> list[OutgoingMessage]:
        """Take the file, if nobody has it; returns what was left in it, in order, by whoever had it before.

        One that was moved away or removed since is taken anew: nothing would be found in it by the next process.
        """
        if self._fd is not None:
            if self._is_same_file():
                return []
            self.close()
            self._pending = set()
        if fcntl is None:
            raise OSError(errno.ENOTSUP, Text("this system does not support the file locks it needs"))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):  # made so, unless somebody else has made it
                os.fchmod(fd, 0o600)
            left = _read_pending(fd)
        except BaseException as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return []
            raise
        self._fd = fd
        self._pending = {message.id for message in left}
        if not left:
            os.ftruncate(fd, 0)
        return left

    def add(self, messages: Iterable[OutgoingMessage]) -> None:
        """When this returns they are on disk."""
        lines = {each.id: b"\n" + encode(_JournalEntry(each.id, each.to, each.text)) for each in messages}
        if self._fd is not None and lines:
            self._append(b"".join(lines.values()))
            self._pending |= lines.keys()  # now, or an answer that comes meanwhile would empty the file
            if (error := get_hub().threadpool.apply(_sync, (self._fd,))) is not None:
                self._pending -= lines.keys()
                raise error

    def contains(self, message: OutgoingMessage) -> bool:
        """Whether the next process will send it."""
        return self._fd is not None and message.id in self._pending

    def remove(self, message: OutgoingMessage) -> None:
        """It was answered. Not at once on disk: sent again with its id, it does no harm."""
        if self._fd is None or message.id not in self._pending:
            return
        self._pending.remove(message.id)
        if self._pending:
            self._append(encode(_JournalEntry(message.id)))
        else:
            os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Leave what is left to the next process."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _is_same_file(self) -> bool:
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


def _read_pending(fd: int) -> list[OutgoingMessage]:
    """The messages that no later line says were answered; a line that was not written whole does not count."""
    left: dict[str, OutgoingMessage] = {}
    data = b""
    while piece := os.read(fd, READ_CHUNK):
        data += piece
    for text in data.split(b"\n"):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, BadText):
            line = _ENTRY_DECODER.decode(text)
            if line.to is None or line.message is None:
                left.pop(line.id, None)
            else:
                left[line.id] = restore_message(line.id, line.to, line.message)
    return list(left.values())


class UnsentJournal:
    """Keep an account's unanswered messages in a journal file; report a disk error once, by a `Notice`.

    Does nothing without a path, and nothing until `set_account(True)`: the server stores no message of a guest, so it
    would not recognise one that is sent again.
    """

    def __init__(self, path: Path | None, event_queue: EventQueue, send_queue: SendQueue) -> None:
        self._file = JournalFile(path) if path is not None else None
        self._event_queue = event_queue
        self._send_queue = send_queue
        self._error_reported = False
        self._is_account = False

    @property
    def holds_all_pending(self) -> bool:
        """Whether all that is unanswered when this process ends is sent by the next one."""
        return self._is_account and self._file is not None and all(map(self._file.contains, self._send_queue))

    def set_account(self, is_account: bool) -> None:
        """Begin or cease to keep messages, and recover those of an earlier process; called after each login."""
        self._is_account = is_account
        self.recover()

    def recover(self) -> None:
        """Add to the send queue what an earlier process left, unless that process still has the file."""
        if self._is_account and self._file is not None:
            with self._reporting_errors():
                for message in self._file.open():
                    self._send_queue.add(message)

    def add(self, message: OutgoingMessage) -> None:
        """When this returns the message is on disk, if it can be."""
        if self._is_account and self._file is not None:
            self.recover()
            with self._reporting_errors():
                # With those that could not be kept until now.
                self._file.add([*(each for each in self._send_queue if not self._file.contains(each)), message])

    def remove(self, message: OutgoingMessage) -> None:
        if self._file is not None:
            with self._reporting_errors():
                self._file.remove(message)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    @contextmanager
    def _reporting_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._error_reported:
                self._error_reported = True
                reason = Text(error.strerror or str(error))
                sentence = Text("Unsent messages cannot be saved on disk: {reason}.", reason=reason)
                self._event_queue.put(Notice(sentence, is_local=True))
