"""Requests of course clients, translated from their dialects."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from gmessenger.wire.dialects import NameList


class CoursePresence(Struct):
    """A course client logs in; `name` is None if none was found. `public_key`: so that others can encrypt for it."""

    name: str | None
    public_key: str | None = None


class CourseMessage(Struct):
    """A course client sends a message; `to` is None for all users. `action` is the client's word for a message."""

    to: str | None
    text: str
    action: str


class CourseList(Struct):
    """A course client requests names."""

    names: NameList


class CourseKey(Struct):
    """A course client requests the public key of a user, to find it under `key` of the response."""

    name: str | None
    key: str


class CourseRoom(Struct):
    """A course client joins a room or leaves it; `room` is None if none was named."""

    room: str | None
    join: bool


class CourseUnknown(Struct):
    """A course client requests what is not supported; `awaited`: it waits for the answer."""

    awaited: bool


class CourseContact(Struct):
    """A course client adds or removes a contact; `name` is None if none was found."""

    name: str | None
    add: bool


class CourseQuit(Struct):
    pass


CourseRequest: TypeAlias = (
    CoursePresence | CourseMessage | CourseList | CourseContact | CourseKey | CourseRoom | CourseQuit | CourseUnknown
)
