"""Decisions drawn from bytes, so that a changed byte changes a decision; inputs made from other inputs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")
ODD_BYTES: Final = (
    b"\x00",
    b"\xff",
    b"\n",
    b'"',
    b"{",
    b"[",
    b"\\u0000",
    b"\xcc\x81",
    b"\xef\xb7\xba",
    b"\xf0\x9f\x98\x80",
    b" = ",
    b"#",
)
MAX_INPUT: Final = 4096
"""Bytes of an input that is made."""


class Draw:
    """Bytes that are used up one after the other; behind the end they are 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """The next byte."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def bytes(self, count: int) -> bytes:
        """The next so many, as far as there are."""
        self._at += count
        return self._data[self._at - count : self._at]

    def choice(self, items: Sequence[Item]) -> Item:
        """One of up to 256 items."""
        return items[self.byte() % len(items)]


def mutate(draw: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with a few things changed: bytes, pieces taken out, doubled, or of another seed."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.randint(1, 6)):
        at, length = draw.randint(0, len(data)), draw.choice((1, 2, 4, 16, 64))
        match draw.randrange(6):
            case 0:
                data[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length] * draw.choice((1, 2, 20))
            case 3:
                data[at:at] = draw.choice(ODD_BYTES) * draw.choice((1, 1, 8))
            case 4:
                data[at : at + length] = draw.randbytes(length)
            case _:
                other = draw.choice(seeds)
                start = draw.randint(0, len(other))
                data[at:at] = other[start : start + length * 4]
    return bytes(data[:MAX_INPUT])
