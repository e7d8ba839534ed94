"""Framing: finding JSON objects in a stream of bytes, without separators or one in each line.

Both readers resume where they stopped, so a frame that arrives byte by byte costs no more than one that arrives whole.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

WHITESPACE: Final = re.compile(rb"[ \t\r\n]*")
# A string up to its closing quote. Control characters are not valid in it: a newline ends a truncated frame.
STRING_REST: Final = re.compile(rb"[^\"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^\"\\\x00-\x1f]*+)*+")
# Whole strings, and what JSON may have between them, up to a brace, a bracket or an error. Possessive: no backtracking.
NO_BRACES: Final = re.compile(rb"(?:[ \t\r\n,:0-9+.eEtrufalsn-]++|\"" + STRING_REST.pattern + rb"\")*+")
OPEN_BRACKETS: Final = b"{["
CLOSE_BRACKETS: Final = b"}]"
QUOTE: Final = ord('"')
NEWLINE: Final = ord("\n")
"""(A number is found in bytes ten times faster than bytes of length 1: `in` takes those for a number first.)"""
BEFORE_VALUE: Final = b",:[{"
MAX_STREAM_DEPTH: Final = 16
"""Nesting of objects in a stream beyond which it is malformed; no course dialect needs more than two."""

MAX_LINE_DEPTH: Final = 256
"""Nesting of objects and arrays that a line may have. A decoder's own limit depends on the interpreter: less than 1,000
on Python 3.11, tens of thousands on 3.14."""
STRING_LITERAL: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
NON_BRACKETS: Final = bytes(set(range(256)) - set(OPEN_BRACKETS + CLOSE_BRACKETS))


def is_nested_too_deep(frame: bytes) -> bool:
    """Return whether objects and arrays are nested deeper than MAX_LINE_DEPTH, also in a frame that is not valid.

    Nearly all frames have fewer brackets than that, and cost two counts only.
    """
    if len(frame) <= MAX_LINE_DEPTH or frame.count(b"[") + frame.count(b"{") <= MAX_LINE_DEPTH:
        return False
    depth = 0
    for bracket in STRING_LITERAL.sub(b"", frame).translate(None, NON_BRACKETS):
        depth += 1 if bracket in OPEN_BRACKETS else -1
        if depth > MAX_LINE_DEPTH:
            return True
    return False


class OversizedFrame(Struct):
    """A frame above the size limit; `is_fatal` if the next frame cannot be found."""

    is_fatal: bool


class MalformedFrame(Struct):
    """No JSON object begins here; the reader resumes after the next newline."""


FrameOrError = bytes | MalformedFrame | OversizedFrame | None


class ObjectReader:
    """Extracts JSON objects from a stream without separators.

    `feed` it bytes, then call `next_frame` until that returns None. A frame is the bytes from `{` to its `}`. If it is
    not valid JSON, the caller MUST `reject` it before the next `next_frame`.
    """

    __slots__ = ("_buffer", "_depth", "_in_string", "_last_significant", "_max_frame", "_position", "_skipping")

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._buffer = bytearray()
        self._skipping = False
        self._start_frame()

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self._buffer += data

    def next_frame(self) -> FrameOrError:
        """Return the next frame or error; None if more bytes are needed."""
        if self._skipping and not self._skip_line():
            return None
        if not self._position:
            self._drop(WHITESPACE.match(self._buffer).end())  # type: ignore[union-attr]
        if not self._buffer:
            return None
        if self._buffer[0] != OPEN_BRACKETS[0]:
            return self._malformed()
        return self._scan()

    def reject(self, frame: bytes) -> None:
        """Resume after the first newline in a frame that was not JSON, or else after the next one."""
        newline = frame.find(b"\n")
        if newline >= 0:
            self._buffer[:0] = frame[newline + 1 :]
        else:
            self._skipping = True

    def take_rest(self) -> bytes:
        """Return all bytes that are not in a returned frame, and clear the buffer."""
        data = bytes(self._buffer)
        self._drop(len(data))
        return data

    def _start_frame(self) -> None:
        self._position = 0
        self._depth = 0
        self._in_string = False
        self._last_significant = 0  # the last significant byte outside strings

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._start_frame()

    def _skip_line(self) -> bool:
        newline = self._buffer.find(b"\n")
        self._drop(newline + 1 if newline >= 0 else len(self._buffer))
        self._skipping = newline < 0
        return not self._skipping

    def _malformed(self) -> MalformedFrame:
        # After the frame's first newline, not after the error: a truncated frame must not swallow the next one.
        self._skipping = True
        self._skip_line()
        return MalformedFrame()

    def _scan(self) -> FrameOrError:
        while self._position < len(self._buffer):
            start = self._position
            is_valid = self._scan_string() if self._in_string else self._scan_structure()
            # Before the error, as if the frame had arrived in pieces.
            if self._position > self._max_frame:
                return OversizedFrame(is_fatal=True)
            if not is_valid:
                return self._malformed()
            if not self._depth:
                return self._take_frame()
            if self._position == start:
                break
        return OversizedFrame(is_fatal=True) if len(self._buffer) > self._max_frame else None

    def _take_frame(self) -> bytes:
        frame = bytes(self._buffer[: self._position])
        self._drop(self._position)
        return frame

    def _scan_string(self) -> bool:
        """Scan the rest of a string; return False at a character that no string may have."""
        self._position = end = STRING_REST.match(self._buffer, self._position).end()  # type: ignore[union-attr]
        stop = self._buffer[end : end + 2]
        if stop[:1] == b'"':
            self._in_string, self._last_significant = False, QUOTE
            self._position += 1
            return True
        return bytes(stop) in (b"", b"\\")  # incomplete; anything else is a control character

    def _scan_structure(self) -> bool:
        """Scan up to and including the next brace or bracket; return False at what JSON does not allow."""
        start = self._position
        self._position = end = NO_BRACES.match(self._buffer, start).end()  # type: ignore[union-attr]
        plain = self._buffer[start:end].rstrip(b" \t\r\n")
        self._last_significant = plain[-1] if plain else self._last_significant
        return end == len(self._buffer) or self._scan_bracket(self._buffer[end])

    def _scan_bracket(self, byte: int) -> bool:
        if byte in CLOSE_BRACKETS:
            self._depth -= 1
        elif byte == QUOTE:  # a string that is incomplete or invalid
            self._in_string = True
        elif (
            byte in OPEN_BRACKETS
            and self._depth < MAX_STREAM_DEPTH
            and (not self._depth or self._last_significant in BEFORE_VALUE)
        ):
            self._depth += 1
        else:
            return False
        self._position += 1
        self._last_significant = byte
        return True


class LineReader:
    """Extracts lines from a stream: the fast path for native connections, whose frames end with newlines."""

    __slots__ = ("_max_frame", "_skipping", "_tail")

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._tail = bytearray()
        self._skipping = False

    def is_single_frame(self, data: bytes) -> bool:
        """Return whether `data` is exactly one frame, as when a person types; then it need not be fed."""
        return (
            data.find(b"\n") == len(data) - 1
            and data[:1] == b"{"
            and not self._tail
            and not self._skipping
            and len(data) <= self._max_frame
        )

    def feed(self, data: bytes) -> list[bytes | OversizedFrame]:
        """Return the frames that `data` completes, without newlines; blank lines are skipped.

        A line above the limit is reported once, as soon as it exceeds the limit, and skipped.
        """
        if NEWLINE not in data:
            return self._buffer_tail(data)
        lines = (bytes(self._tail) + data).split(b"\n") if self._tail else data.split(b"\n")
        self._tail.clear()
        rest = lines.pop()
        if self._skipping:
            del lines[0]
            self._skipping = False
        max_frame = self._max_frame
        frames: list[bytes | OversizedFrame] = [
            line if len(line) <= max_frame else OversizedFrame(is_fatal=False)
            for line in lines
            if line and not line.isspace()
        ]
        return frames + self._buffer_tail(rest) if rest else frames

    def _buffer_tail(self, data: bytes) -> list[bytes | OversizedFrame]:
        if self._skipping:
            return []
        self._tail += data
        if len(self._tail) <= self._max_frame:
            return []
        self._tail.clear()
        self._skipping = True
        return [OversizedFrame(is_fatal=False)]
