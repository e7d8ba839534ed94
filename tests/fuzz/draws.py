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
"""Bytes of a mutated input."""


class Draw:
    """Consumes bytes one after another; after the end they are 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def is_empty(self) -> bool:
        """Whether all bytes are consumed."""
        return self._position >= len(self._data)

    def byte(self) -> int:
        """Return the next byte."""
        self._position += 1
        return self._data[self._position - 1] if self._position <= len(self._data) else 0

    def bytes(self, count: int) -> bytes:
        """Return the next bytes, as many as there are."""
        self._position += count
        return self._data[self._position - count : self._position]

    def choice(self, items: Sequence[Item]) -> Item:
        """Return one of up to 256 items."""
        return items[self.byte() % len(items)]


def mutate(draw: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a seed with a few changes: bytes replaced, pieces removed, repeated, or inserted from another seed."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.randint(1, 6)):
        index, length = draw.randint(0, len(data)), draw.choice((1, 2, 4, 16, 64))
        match draw.randrange(6):
            case 0:
                data[index : index + 1] = bytes([draw.randrange(256)])
            case 1:
                del data[index : index + length]
            case 2:
                data[index:index] = data[index : index + length] * draw.choice((1, 2, 20))
            case 3:
                data[index:index] = draw.choice(ODD_BYTES) * draw.choice((1, 1, 8))
            case 4:
                data[index : index + length] = draw.randbytes(length)
            case _:
                donor = draw.choice(seeds)
                start = draw.randint(0, len(donor))
                data[index:index] = donor[start : start + length * 4]
    return bytes(data[:MAX_INPUT])
