"""Standard input and output that may block, read and written in threads."""

from __future__ import annotations

import codecs
import errno
import os
import select
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from gevent import select as cooperative
from gevent.queue import Empty, Queue

from gmessenger.errors import FileError
from gmessenger.sanitize import sanitize_json
from gmessenger.text import Text
from gmessenger.threads import run_in_thread


def read_in_thread(fd: int, max_bytes: int) -> bytes:
    """Wait for input, and return up to `max_bytes` of it; b"" at the end. Raises OSError."""
    while True:
        try:
            return run_in_thread(partial(os.read, fd, max_bytes))
        except BlockingIOError:  # another process that shares the descriptor made it non-blocking
            cooperative.select([fd], [], [])


def write_in_thread(fd: int, data: bytes) -> None:
    """Write all data. Waits as long as the reader takes nothing. Raises OSError."""
    while data:
        try:
            data = data[run_in_thread(partial(os.write, fd, data)) :]
        except BlockingIOError:
            cooperative.select([], [fd], [])


def is_reader_gone(fd: int) -> bool:
    """Return whether a write would fail because the other end of the pipe or terminal is closed."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


READ_CHUNK: Final = 65_536
MAX_LINE: Final = 262_144
"""Characters of a line; no server accepts as many in a message."""
MAX_TTY_LINE: Final = 4095
"""Bytes of a typed line that the kernel's line discipline passes on; it drops the rest silently."""
SEND_QUEUE_TIMEOUT: Final = 600.0
"""Seconds for which reading waits for room in the send queue; each message in it is resolved sooner."""


@dataclass(frozen=True, slots=True)
class TruncatedLine:
    """A line that exceeded a limit, and is lost.

    unit: what `limit` counts, a key of `format_events.LIMIT_FORMATTERS`.
    """

    limit: int
    unit: str


class StdinReader:
    """Iterate over the lines of a file descriptor, without line ends; the last line needs none.

    Decodes UTF-8, with U+FFFD for invalid bytes, and without a leading byte order mark. `sys.stdin` is not used: its
    lock, held in another thread, aborts the interpreter at exit; and gevent's file objects would make a descriptor
    non-blocking that other processes share.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._lines: deque[str | TruncatedLine] = deque()
        self._parts: list[str] = []
        self._length = 0
        self._ended = False

    def __iter__(self) -> Iterator[str | TruncatedLine]:
        return self

    def __next__(self) -> str | TruncatedLine:
        while not self._lines:
            if self._ended:
                raise StopIteration
            self._feed(self._read())
        return self._lines.popleft()

    def _read(self) -> bytes:
        """Return what can be read; b"" at the end, and when the terminal is gone."""
        try:
            return read_in_thread(self._fd, READ_CHUNK)
        except OSError:
            return b""

    def _feed(self, data: bytes) -> None:
        self._ended = not data
        *ends, rest = self._decode(data, final=not data).split("\n")
        for end in ends:
            self._append_part(end)
            self._end_line()
        self._append_part(rest)
        if self._ended and self._length:
            self._end_line()

    def _append_part(self, part: str) -> None:
        self._length += len(part)
        if self._length <= MAX_LINE:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _end_line(self) -> None:
        line = "".join(self._parts).removesuffix("\r")
        self._lines.append(line if self._length <= MAX_LINE else TruncatedLine(MAX_LINE, "characters"))
        self._parts.clear()
        self._length = 0


class TtyReader(StdinReader):
    """Lines of a terminal, whose kernel truncates long ones: those are returned as TruncatedLine."""

    def _end_line(self) -> None:
        super()._end_line()
        line = self._lines[-1]
        if isinstance(line, str) and len(line.encode()) >= MAX_TTY_LINE:
            self._lines[-1] = TruncatedLine(MAX_TTY_LINE, "bytes typed at once")


def open_stdin() -> StdinReader:
    """Return a reader of fd 0; an empty one if the program was started without it."""
    if sys.stdin is None:
        return StdinReader(os.open(os.devnull, os.O_RDONLY))
    return TtyReader(0) if is_stdin_tty() else StdinReader(0)


def is_stdin_tty() -> bool:
    """Return whether the input is typed at a terminal."""
    return sys.stdin is not None and os.isatty(0)


def open_missing_descriptors() -> None:
    """Open fd 0, 1 and 2 on /dev/null if they are closed, before a socket gets one of these numbers."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


MAX_QUEUED_LINES: Final = 256
"""Lines that may wait to be written."""
READER_CHECK_INTERVAL: Final = 0.5
"""Seconds between two checks whether the reader is gone, while there is nothing to write."""
READER_GONE_ERRNOS: Final = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})
"""Errors that mean that the reader (`| head -1`) or the terminal is gone.

All others are faults, a full disk for one.
"""


class OutputWriter:
    """Write to a file descriptor in the greenlet of `run`, in the order of the calls.

    When MAX_QUEUED_LINES wait, writing blocks the calling greenlet until the reader takes some.
    """

    def __init__(self, fd: int, encoding: str | None = None) -> None:
        self._fd = fd
        self._encoding = encoding or "utf-8"
        self._is_tty = os.isatty(fd)
        self._queue: Queue[bytes] = Queue(MAX_QUEUED_LINES)
        self._closed = False

    def write_line(self, line: str) -> None:
        """Write a line of text. Characters that the encoding lacks are written as escapes."""
        self.write(line + "\n")

    def write(self, text: str) -> None:
        """Write text, without adding a line end."""
        self.write_bytes(text.encode(self._encoding, "backslashreplace"))

    def write_json(self, frame: bytes) -> None:
        """Write a frame as a line: to a program as it is, to a terminal with control characters escaped."""
        if self._is_tty:
            text = sanitize_json(frame.decode("utf-8", "replace"), self._encoding)
            frame = text.encode(self._encoding, "backslashreplace")
        self.write_bytes(frame + b"\n")

    def write_bytes(self, data: bytes) -> None:
        """Queue data; it is dropped once the reader is gone."""
        if data and not self._closed:
            self._queue.put(data)

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until everything is written, for at most `timeout` seconds. Return whether it was."""
        return not self._closed and bool(self._queue.join(timeout)) and not self._closed  # it may be closed meanwhile

    def run(self, on_reader_gone: Callable[[], object]) -> None:
        """Write what is queued.

        Call `on_reader_gone` and return when the reader is gone; raise `FileError` for a fault.
        """
        try:
            while True:
                chunks = self._next_chunks()
                write_in_thread(self._fd, b"".join(chunks))
                self._mark_done(len(chunks))
        except OSError as error:
            self._close()
            if error.errno not in READER_GONE_ERRNOS:
                raise FileError(
                    Text("Cannot write the output: {reason}.", reason=Text(error.strerror or str(error)))
                ) from error
            on_reader_gone()

    def _next_chunks(self) -> list[bytes]:
        """Wait for output, and take all that is queued. Raises BrokenPipeError if the reader is gone."""
        chunks: list[bytes] = []
        while not chunks:
            try:
                chunks.append(self._queue.get(timeout=READER_CHECK_INTERVAL))
            except Empty:
                if is_reader_gone(self._fd):
                    raise BrokenPipeError(errno.EPIPE, "nobody reads") from None
        while not self._queue.empty():
            chunks.append(self._queue.get())
        return chunks

    def _mark_done(self, count: int) -> None:
        for _ in range(count):
            self._queue.task_done()

    def _close(self) -> None:
        self._closed = True
        self._mark_done(self._queue.unfinished_tasks)
        while not self._queue.empty():  # unblocks greenlets that wait for room
            self._queue.get()


def open_stdout() -> OutputWriter:
    return OutputWriter(1, getattr(sys.stdout, "encoding", None))


def open_stderr() -> OutputWriter:
    return OutputWriter(2, getattr(sys.stderr, "encoding", None))
