"""All that a client's connection is decoded to, and what cannot be."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from gmessenger.errors import WireError
from gmessenger.wire.events.course import CourseRequest
from gmessenger.wire.events.requests import NativeEvent


class InvalidFrame(Struct):
    """A frame that could not be decoded, and the error to answer; `fatal` if nothing after it can be decoded."""

    error: WireError
    id: str | None = None
    fatal: bool = False


class ForeignProtocol(Struct):
    """The connection speaks another `protocol`; no event follows."""

    protocol: str


ClientEvent: TypeAlias = NativeEvent | CourseRequest | InvalidFrame | ForeignProtocol
