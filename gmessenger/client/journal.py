"""The journal of unsent messages: a file that holds an account's messages until the server has answered them.

The next process sends what is left in it. A line is appended for each message, and one more when it is answered; when
no message is left, the file is emptied. An error of the disk is reported, but the messages are sent all the same.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from gmessenger import field_types as fields
from gmessenger.client.event_queue import EventQueue
from gmessenger.client.events import Notice
from gmessenger.client.sender import OutgoingMessage, SendQueue, make_message
from gmessenger.durability import sync_file
from gmessenger.errors import BadText
from gmessenger.text import Text
from gmessenger.threads import run_in_thread
from gmessenger.wire.encoder import encode

try:
    import fcntl
except ImportError:  # not on all systems
    fcntl = None  # type: ignore[assignment]

READ_CHUNK: Final = 1_048_576  # bytes


class _JournalEntry(msgspec.Struct, omit_defaults=True):
    """A line of the file: a message, or only the `id` of one that was answered."""

    id: str
    to: str | None = None
    message: str | None = None
    about: int | None = None
    what: fields.What | None = None
    kind: fields.Kind | None = None
    file: str | None = None


_ENTRY_DECODER: Final = msgspec.json.Decoder(_JournalEntry)


class JournalFile:
    """The file of a journal, locked by one process at a time; in any other process its methods do nothing.

    All methods but `close` raise OSError; then the file is as before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._pending: set[str] = set()

    def open(self) -> list[OutgoingMessage]:
        """Open and lock the file, unless another process has it; return the messages that are left in it, in order.

        If the open file was moved or deleted, a new one is created: the next process looks there. Blocks while it
        reads the file.
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
            with suppress(OSError):  # it may belong to another user
                os.fchmod(fd, 0o600)
            pending = _read_pending(fd)
        except BaseException as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return []
            raise
        self._fd = fd
        self._pending = {message.id for message in pending}
        if not pending:
            os.ftruncate(fd, 0)
        return pending

    def add(self, messages: Iterable[OutgoingMessage]) -> None:
        """Append messages; they are on disk when this returns. Blocks the greenlet."""
        lines = {message.id: b"\n" + encode(_entry_of(message)) for message in messages}
        if self._fd is not None and lines:
            self._append(b"".join(lines.values()))
            self._pending |= lines.keys()  # first, or a response during the sync would empty the file
            try:
                run_in_thread(partial(sync_file, self._fd))
            except OSError:
                self._pending -= lines.keys()
                raise

    def contains(self, message: OutgoingMessage) -> bool:
        """Return whether a message is in the file, so that the next process will send it."""
        return self._fd is not None and message.id in self._pending

    def remove(self, message: OutgoingMessage) -> None:
        """Note that a message was answered. Not synced: if that is lost, the message is sent again with its id."""
        if self._fd is None or message.id not in self._pending:
            return
        self._pending.remove(message.id)
        if self._pending:
            self._append(encode(_JournalEntry(message.id)))
        else:
            os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Close the file, and leave what is in it to the next process."""
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
        size = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, line) < len(line):  # the disk is full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, size)
            raise


def _entry_of(message: OutgoingMessage) -> _JournalEntry:
    return _JournalEntry(message.id, message.to, message.text, message.about, message.what, message.kind, message.file)


def _read_pending(fd: int) -> list[OutgoingMessage]:
    """Return the messages without an answer, in order; incomplete lines are skipped."""
    pending: dict[str, OutgoingMessage] = {}
    data = b""
    while chunk := os.read(fd, READ_CHUNK):
        data += chunk
    for line in data.split(b"\n"):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, BadText):
            entry = _ENTRY_DECODER.decode(line)
            if entry.to is None or entry.message is None:
                pending.pop(entry.id, None)
            else:
                pending[entry.id] = make_message(
                    entry.to, entry.message, entry.about, entry.what, entry.kind, entry.id, entry.file
                )
    return list(pending.values())


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
        """Whether all unanswered messages are in the file, so that the next process will send them."""
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
        """Add a message that is about to be queued; it is on disk when this returns, unless the disk fails. Blocks."""
        if self._is_account and self._file is not None:
            self.recover()
            with self._reporting_errors():
                # With those that could not be written before.
                missing = [queued for queued in self._send_queue if not self._file.contains(queued)]
                self._file.add([*missing, message])

    def remove(self, message: OutgoingMessage) -> None:
        """Note that a message has left the send queue."""
        if self._file is not None:
            with self._reporting_errors():
                self._file.remove(message)

    def close(self) -> None:
        """Close the file, and leave what is in it to the next process."""
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
                notice = Text("Unsent messages cannot be saved on disk: {reason}.", reason=reason)
                self._event_queue.put(Notice(notice, is_local=True))
