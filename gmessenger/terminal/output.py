"""Writing to a terminal, a pipe or a file that may stop taking anything, without stopping anything else."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Final

from gevent.event import Event
from gevent.queue import Empty, Queue

from gmessenger.errors import FileProblem
from gmessenger.sentences import Sentence
from gmessenger.terminal.blocking import reader_is_gone, write
from gmessenger.terminal_text import visible_json

LINES_WAITING: Final = 256
LOOK_AGAIN: Final = 0.5
"""Seconds after which a reader who has left is missed while there is nothing to write."""
NOBODY_READS: Final = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})
"""The reader has left (`| head -1`), or the terminal has. Everything else is a fault, a full disk for one."""


class Output:
    """Writes to a file descriptor from the greenlet that runs `run`, in the order of the calls.

    A bounded number of lines may wait; then whoever writes waits too, for as long as the reader takes nothing.
    """

    def __init__(self, fd: int, encoding: str | None = None) -> None:
        self._fd = fd
        self._encoding = encoding or "utf-8"
        self._shown = os.isatty(fd)
        self._waiting: Queue[bytes] = Queue(LINES_WAITING)
        self._idle = Event()
        self._idle.set()
        self._closed = False

    def say(self, line: str) -> None:
        """A line of text. What the encoding cannot say is written as an escape."""
        self.write(line + "\n")

    def write(self, text: str) -> None:
        self.write_bytes(text.encode(self._encoding, "backslashreplace"))

    def write_json(self, frame: bytes) -> None:
        """A line of JSON: byte for byte for programs, and for a terminal with escapes for what could steer it."""
        if self._shown:
            text = visible_json(frame.decode("utf-8", "replace"), self._encoding)
            frame = text.encode(self._encoding, "backslashreplace")
        self.write_bytes(frame + b"\n")

    def write_bytes(self, data: bytes) -> None:
        """Once the reader has left, nothing comes of it."""
        if data and not self._closed:
            self._idle.clear()
            self._waiting.put(data)

    def finish(self, seconds: float | None = None) -> bool:
        """Wait until everything is written, or nobody reads; for at most so long. Says whether everything was."""
        return bool(self._idle.wait(seconds)) and not self._closed

    def run(self, reader_left: Callable[[], object]) -> None:
        """Write what comes. Calls `reader_left` and returns when nobody reads; raises `FileProblem` for a fault."""
        try:
            while True:
                write(self._fd, self._next())
                if self._waiting.empty():
                    self._idle.set()
        except OSError as error:
            self._close()
            if error.errno not in NOBODY_READS:
                raise FileProblem(
                    Sentence("Cannot write the output: {reason}.", reason=Sentence(error.strerror or str(error)))
                ) from error
            reader_left()

    def _next(self) -> bytes:
        """All that waits, as one piece. Raises BrokenPipeError when the reader leaves meanwhile."""
        pieces: list[bytes] = []
        while not pieces:
            try:
                pieces.append(self._waiting.get(timeout=LOOK_AGAIN))
            except Empty:
                if reader_is_gone(self._fd):
                    raise BrokenPipeError(errno.EPIPE, "nobody reads") from None
        while not self._waiting.empty():
            pieces.append(self._waiting.get())
        return b"".join(piece for piece in pieces if piece)

    def _close(self) -> None:
        self._closed = True
        while not self._waiting.empty():  # lets go on who waits for room
            self._waiting.get()
        self._idle.set()


def standard_output() -> Output:
    return Output(1, getattr(sys.stdout, "encoding", None))


def standard_error() -> Output:
    return Output(2, getattr(sys.stderr, "encoding", None))
