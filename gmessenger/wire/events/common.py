"""What requests, responses and push events have in common."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from gmessenger.field_types import MAX_SEQ


class UserInfo(Struct, omit_defaults=True):
    """The `user` object of push events and lists."""

    account_name: str
    password: str | None = None
    device: str | None = None
    session: str | None = None
    status: str | None = None
    note: str | None = None
    role: str | None = None
    bot: bool | None = None


class SentFile(Struct, omit_defaults=True):
    """The file of a message. `url`: its path on the server. `size`: in bytes. `width`, `height`: in pixels."""

    url: str
    name: str
    type: str
    size: int
    width: int | None = None
    height: int | None = None


Seq: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
"""A seq in a server's frame; a frame with an impossible one is ignored."""
