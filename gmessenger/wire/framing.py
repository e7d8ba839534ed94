"""Finds frames in bytes: JSON objects in a stream without separators, or one object a line.

Both readers keep their place, so a frame that arrives a byte at a time costs no more than one that arrives whole.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

WHITESPACE: Final = re.compile(rb"[ \t\r\n]*")
# Inside a string up to its quote. Raw control characters are not JSON: a newline ends a frame that was cut short.
STRING_REST: Final = re.compile(rb"[^\"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^\"\\\x00-\x1f]*+)*+")
# Whole strings and what JSON may have between them; a brace, a bracket or a fault stops it. Possessive: never retried.
NO_BRACES: Final = re.compile(rb"(?:[ \t\r\n,:0-9+.eEtrufalsn-]++|\"" + STRING_REST.pattern + rb"\")*+")
OPEN_BRACKETS: Final = b"{["
CLOSE_BRACKETS: Final = b"}]"
QUOTE: Final = ord('"')
BEFORE_VALUE: Final = b",:[{"
MAX_STREAM_DEPTH: Final = 16
"""Objects nested deeper are refused unread; no spelling of the table goes beyond two."""

MAX_LINE_DEPTH: Final = 256
"""Objects and arrays in one another that a line may have. How deep a decoder goes depends on the interpreter: less
than a thousand on Python 3.11, tens of thousands on 3.14."""
STRING_LITERAL: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
NON_BRACKETS: Final = bytes(set(range(256)) - set(OPEN_BRACKETS + CLOSE_BRACKETS))


def is_nested_too_deep(frame: bytes) -> bool:
    """Whether objects and arrays lie deeper in one another than MAX_NESTING, whatever else is wrong with the frame.

    A frame with no more brackets than that, which is nearly each, costs two counts and no more.
    """
    if len(frame) <= MAX_LINE_DEPTH or frame.count(b"[") + frame.count(b"{") <= MAX_LINE_DEPTH:
        return False
    depth = 0
    for bracket in STRING_LITERAL.sub(b"", frame).translate(None, NON_BRACKETS):
        depth += 1 if bracket in OPEN_BRACKETS else -1
        if depth > MAX_LINE_DEPTH:
            return True
    return False


class Oversize(Struct):
    """A frame over the cap was met; `lost_place` where the stream gives no way to find the next one."""

    is_fatal: bool


class Malformed(Struct):
    """What stands here begins no JSON object; reading resumes after the next newline."""


FrameOrError = bytes | Malformed | Oversize | None


class StreamReader:
    """Takes JSON objects off a stream in which nothing but their own braces separates them.

    `feed` bytes, then call `next_frame` until it returns None. A frame is the bytes from `{` to its `}`; whether they
    are valid JSON is for the decoder to say, which calls `resume` when they are not.
    """

    __slots__ = ("_buffer", "_depth", "_in_string", "_last_significant", "_max_frame", "_position", "_skipping")

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._buffer = bytearray()
        self._skipping = False
        self._start_frame()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_frame(self) -> FrameOrError:
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
        """Take back a `frame` that was no JSON, and go on after the first newline in it or behind it."""
        newline = frame.find(b"\n")
        if newline >= 0:
            self._buffer[:0] = frame[newline + 1 :]
        else:
            self._skipping = True

    def take_rest(self) -> bytes:
        """Everything not yet taken; the reader is empty afterwards."""
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

    def _malformed(self) -> Malformed:
        # From the frame's first newline, not from the fault: a frame that was cut short must not take the next with it.
        self._skipping = True
        self._skip_line()
        return Malformed()

    def _scan(self) -> FrameOrError:
        while self._position < len(self._buffer):
            before = self._position
            sound = self._scan_string() if self._in_string else self._scan_structure()
            if (
                self._position > self._max_frame
            ):  # also where a fault follows: cut into pieces, it would not have come to that
                return Oversize(is_fatal=True)
            if not sound:
                return self._malformed()
            if not self._depth:
                return self._take_frame()
            if self._position == before:
                break
        return Oversize(is_fatal=True) if len(self._buffer) > self._max_frame else None

    def _take_frame(self) -> bytes:
        frame = bytes(self._buffer[: self._position])
        self._drop(self._position)
        return frame

    def _scan_string(self) -> bool:
        """Go on inside a string; False where it holds what no string may."""
        self._position = end = STRING_REST.match(self._buffer, self._position).end()  # type: ignore[union-attr]
        stop = self._buffer[end : end + 2]
        if stop[:1] == b'"':
            self._in_string, self._last_significant = False, QUOTE
            self._position += 1
            return True
        return bytes(stop) in (b"", b"\\")  # more is to come; anything else is a control character

    def _scan_structure(self) -> bool:
        """Go on to the next brace or bracket and take it; False where JSON cannot go on like this."""
        start = self._position
        self._position = end = NO_BRACES.match(self._buffer, start).end()  # type: ignore[union-attr]
        plain = self._buffer[start:end].rstrip(b" \t\r\n")
        self._last_significant = plain[-1] if plain else self._last_significant
        return end == len(self._buffer) or self._scan_bracket(self._buffer[end])

    def _scan_bracket(self, byte: int) -> bool:
        if byte in CLOSE_BRACKETS:
            self._depth -= 1
        elif byte == QUOTE:  # a string without its end: so far, or for good
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
    """Takes lines off a stream: the fast path, once a connection has said that it ends its frames with newlines."""

    __slots__ = ("_max_frame", "_skipping", "_tail")

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._tail = bytearray()
        self._skipping = False

    def is_single_frame(self, data: bytes) -> bool:
        """Whether `data` is one whole frame and nothing else, so that it need not be fed: nearly always where people
        talk."""
        whole = data[:1] == b"{" and data.find(b"\n") == len(data) - 1
        return whole and not self._tail and not self._skipping and len(data) <= self._max_frame

    def feed(self, data: bytes) -> list[bytes | Oversize]:
        """The frames that `data` completes, without their newlines; blank lines are left out.

        A line over the cap is reported once, as soon as it is known to be over, and skipped.
        """
        if b"\n" not in data:
            return self._buffer_tail(data)
        lines = (bytes(self._tail) + data).split(b"\n") if self._tail else data.split(b"\n")
        self._tail.clear()
        rest = lines.pop()
        if self._skipping:
            del lines[0]
            self._skipping = False
        cap = self._max_frame
        found: list[bytes | Oversize] = [
            line if len(line) <= cap else Oversize(is_fatal=False) for line in lines if line and not line.isspace()
        ]
        return found + self._buffer_tail(rest) if rest else found

    def _buffer_tail(self, data: bytes) -> list[bytes | Oversize]:
        if self._skipping:
            return []
        self._tail += data
        if len(self._tail) <= self._max_frame:
            return []
        self._tail.clear()
        self._skipping = True
        return [Oversize(is_fatal=False)]
