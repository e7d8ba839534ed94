"""Lines from a terminal, a pipe or a file, without stopping anything else while none comes."""

from __future__ import annotations

import codecs
import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gmessenger.terminal.blocking import read

READ_AT_ONCE: Final = 65_536
LONGEST_LINE: Final = 262_144
"""Characters; no server takes as many."""
TERMINAL_LINE: Final = 4095
"""Bytes of one typed line that a terminal hands on; it drops the rest without a word."""
ROOM_WITHIN: Final = 600.0
"""Seconds that reading is held back while too many messages wait; each of them is settled in less."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A line that is not whole: longer than can be read. `limit` says how much can, `of` what."""

    limit: int
    of: str


class Lines:
    """Iterates over the lines of a file descriptor, without their ends; the last one needs none.

    UTF-8, with U+FFFD for what is not, and without a byte order mark at its beginning. Not read with `sys.stdin`: its
    lock, held in another thread, aborts the interpreter at exit, and gevent's own file object would make a descriptor
    non-blocking that others share.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._lines: deque[str | Cut] = deque()
        self._parts: list[str] = []
        self._length = 0
        self._ended = False

    def __iter__(self) -> Iterator[str | Cut]:
        return self

    def __next__(self) -> str | Cut:
        while not self._lines:
            if self._ended:
                raise StopIteration
            self._take(self._read())
        return self._lines.popleft()

    def _read(self) -> bytes:
        """What there is; nothing at the end, and when the terminal is gone."""
        try:
            return read(self._fd, READ_AT_ONCE)
        except OSError:
            return b""

    def _take(self, data: bytes) -> None:
        self._ended = not data
        *ends, rest = self._decode(data, final=not data).split("\n")
        for end in ends:
            self._add(end)
            self._finish()
        self._add(rest)
        if self._ended and self._length:
            self._finish()

    def _add(self, part: str) -> None:
        self._length += len(part)
        if self._length <= LONGEST_LINE:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _finish(self) -> None:
        line = "".join(self._parts).removesuffix("\r")
        self._lines.append(line if self._length <= LONGEST_LINE else Cut(LONGEST_LINE, "characters"))
        self._parts.clear()
        self._length = 0


class TypedLines(Lines):
    """Lines of a terminal, which cuts long ones by itself: those come out as `Cut`."""

    def _finish(self) -> None:
        super()._finish()
        line = self._lines[-1]
        if isinstance(line, str) and len(line.encode()) >= TERMINAL_LINE:
            self._lines[-1] = Cut(TERMINAL_LINE, "bytes typed at once")


def standard_input() -> Lines:
    """Lines of fd 0; none at all where the program was started without it."""
    if sys.stdin is None:
        return Lines(os.open(os.devnull, os.O_RDONLY))
    return TypedLines(0) if is_typed() else Lines(0)


def is_typed() -> bool:
    """Whether somebody types the input."""
    return sys.stdin is not None and os.isatty(0)


def occupy_standard_descriptors() -> None:
    """Open fd 0, 1 and 2 on nothing where they are closed, before a socket gets one of these numbers."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
