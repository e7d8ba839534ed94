"""Standard input and output that may block, read and written in threads so that the event loop goes on."""

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
    """What there is, at most so many bytes; nothing at the end. Raises OSError."""
    while True:
        try:
            return run_in_thread(partial(os.read, fd, max_bytes))
        except BlockingIOError:  # somebody who shares the descriptor made it so
            cooperative.select([fd], [], [])


def write_in_thread(fd: int, data: bytes) -> None:
    """All of it. Raises OSError."""
    while data:
        try:
            data = data[run_in_thread(partial(os.write, fd, data)) :]
        except BlockingIOError:
            cooperative.select([], [fd], [])


def is_reader_gone(fd: int) -> bool:
    """Whether writing would fail because nobody has the other end of the pipe or terminal."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


READ_CHUNK: Final = 65_536
MAX_LINE: Final = 262_144
"""Characters; no server takes as many."""
MAX_TTY_LINE: Final = 4095
"""Bytes of one typed line that a terminal hands on; it drops the rest without a word."""
SEND_QUEUE_TIMEOUT: Final = 600.0
"""Seconds that reading is held back while too many messages wait; each of them is settled in less."""


@dataclass(frozen=True, slots=True)
class TruncatedLine:
    """A line that is not whole: longer than can be read. `limit` says how much can, `of` what."""

    limit: int
    unit: str


class StdinReader:
    """Iterates over the lines of a file descriptor, without their ends; the last one needs none.

    UTF-8, with U+FFFD for what is not, and without a byte order mark at its beginning. Not read with `sys.stdin`: its
    lock, held in another thread, aborts the interpreter at exit, and gevent's own file object would make a descriptor
    non-blocking that others share.
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
        """What there is; nothing at the end, and when the terminal is gone."""
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
    """Lines of a terminal, which cuts long ones by itself: those come out as `Cut`."""

    def _end_line(self) -> None:
        super()._end_line()
        line = self._lines[-1]
        if isinstance(line, str) and len(line.encode()) >= MAX_TTY_LINE:
            self._lines[-1] = TruncatedLine(MAX_TTY_LINE, "bytes typed at once")


def open_stdin() -> StdinReader:
    """Lines of fd 0; none at all where the program was started without it."""
    if sys.stdin is None:
        return StdinReader(os.open(os.devnull, os.O_RDONLY))
    return TtyReader(0) if is_stdin_tty() else StdinReader(0)


def is_stdin_tty() -> bool:
    """Whether somebody types the input."""
    return sys.stdin is not None and os.isatty(0)


def open_missing_descriptors() -> None:
    """Open fd 0, 1 and 2 on nothing where they are closed, before a socket gets one of these numbers."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


MAX_QUEUED_LINES: Final = 256
READER_CHECK_INTERVAL: Final = 0.5
"""Seconds after which a reader who has left is missed while there is nothing to write."""
READER_GONE_ERRNOS: Final = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})
"""The reader has left (`| head -1`), or the terminal has. Everything else is a fault, a full disk for one."""


class OutputWriter:
    """Writes to a file descriptor from the greenlet that runs `run`, in the order of the calls.

    A bounded number of lines may wait; then whoever writes waits too, for as long as the reader takes nothing.
    """

    def __init__(self, fd: int, encoding: str | None = None) -> None:
        self._fd = fd
        self._encoding = encoding or "utf-8"
        self._is_tty = os.isatty(fd)
        self._queue: Queue[bytes] = Queue(MAX_QUEUED_LINES)
        self._closed = False

    def write_line(self, line: str) -> None:
        """A line of text. What the encoding cannot say is written as an escape."""
        self.write(line + "\n")

    def write(self, text: str) -> None:
        self.write_bytes(text.encode(self._encoding, "backslashreplace"))

    def write_json(self, frame: bytes) -> None:
        """A line of JSON: byte for byte for programs, and for a terminal with escapes for what could steer it."""
        if self._is_tty:
            text = sanitize_json(frame.decode("utf-8", "replace"), self._encoding)
            frame = text.encode(self._encoding, "backslashreplace")
        self.write_bytes(frame + b"\n")

    def write_bytes(self, data: bytes) -> None:
        """Once the reader has left, nothing comes of it."""
        if data and not self._closed:
            self._queue.put(data)

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until everything is written, or nobody reads; for at most so long. Says whether everything was."""
        return not self._closed and bool(self._queue.join(timeout)) and not self._closed  # it may be closed meanwhile

    def run(self, on_reader_gone: Callable[[], object]) -> None:
        """Write what comes. Calls `reader_left` and returns when nobody reads; raises `FileError` for a fault."""
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
        """Wait for output, and take all that is queued. Raises BrokenPipeError when the reader closes meanwhile."""
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
        while not self._queue.empty():  # lets go on who waits for room
            self._queue.get()


def open_stdout() -> OutputWriter:
    return OutputWriter(1, getattr(sys.stdout, "encoding", None))


def open_stderr() -> OutputWriter:
    return OutputWriter(2, getattr(sys.stderr, "encoding", None))
