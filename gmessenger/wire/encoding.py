"""Native frames from structs: compact UTF-8, each with its newline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct, json

from gmessenger.errors import WireError

_ENCODER: Final = json.Encoder()

Sayable: TypeAlias = Struct | dict[str, Any] | msgspec.Raw
"""What can be encoded as a native frame."""


def encode_all(frames: Sequence[Sayable]) -> bytes:
    """Native frames, each with its newline, in one go: that is half of what they cost one by one."""
    return _ENCODER.encode_lines(frames)


def encoded(frame: Sayable) -> msgspec.Raw:
    """A frame that many are to get, encoded once."""
    return msgspec.Raw(_ENCODER.encode(frame))


def encoded_together(frames: Sequence[Sayable]) -> msgspec.Raw:
    """Frames that many are to get one after the other, encoded once."""
    return msgspec.Raw(_ENCODER.encode_lines(frames)[:-1])


def encode(frame: Sayable) -> bytes:
    """A native frame: compact UTF-8 with its newline."""
    return _ENCODER.encode(frame) + b"\n"


class _Bare(Struct, omit_defaults=True):
    """An answer that says hardly more than its code: what every message stored or handed over is answered with."""

    response: int
    id: str | None
    time: float
    seq: int | None = None


def answer(
    code: int, id: str | None, time: float, more: dict[str, Any] | None = None, seq: int | None = None
) -> Sayable:
    """The answer to the request with that `id`; with `seq` there is nothing `more` to say."""
    if more is None and id is not None:
        return _Bare(code, id, time, seq)
    frame: dict[str, Any] = {"response": code} if id is None else {"response": code, "id": id}
    return frame | {"time": time} | (more or {})


def encode_answer(
    code: int, id: str | None, time: float, more: dict[str, Any] | None = None, seq: int | None = None
) -> bytes:
    """An `answer`, as bytes."""
    return encode(answer(code, id, time, more, seq))


def encode_error(error: WireError, time: float, id: str | None = None) -> bytes:
    """The answer that tells a peer of an error; `id` is the refused request's."""
    return encode_answer(error.code, id, time, error.described())
