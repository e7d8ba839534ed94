"""The records that pass between the messenger and its store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

PAGE_TEXT: Final = 262_144
"""Characters of text after which a page ends: what waits to be read is bounded however long the messages are."""


class Account(Struct):
    """A name kept for ever. `role` is empty or `operator`.

    `generation` counts the passwords it has had, since the process began at least: who was let in by an earlier one may
    not stay.
    """

    id: int
    key: str
    name: str
    disabled: bool = False
    role: str = ""
    generation: int = 0


class Device(Struct):
    """A device of an account; `cursors` hold, by conversation, the last seq it needs no more.

    `dropped` are the devices that were given up for it, `entry` how many sessions it has had, where that is counted.
    """

    id: int
    name: str
    cursors: dict[str, int]
    dropped: Sequence[int] = ()
    entry: int = 0


class Entry(Struct):
    """How a session begins: on the device of that name, to be resumed by a token (which is kept as a hash).

    `live` are the account's devices that have a session now.
    """

    device: str
    token: str
    live: Sequence[int] = ()


class Proof(Struct):
    """What a session has shown: the `password` whose hash this is, or a `token`."""

    password: str | None = None
    token: str | None = None


class Room(Struct):
    """A room as it is kept; `members` maps account ids to the first seq they may read.

    `id` tells it from one that had its name before.
    """

    key: str
    name: str
    topic: str
    creator: int | None
    head: int
    first: int
    members: dict[int, int]
    id: int = 0


class Post(Struct, gc=False):
    """A message to be kept.

    `conversation` is a room's key, or both names' keys joined by a space, in order: those who are accounts when it is
    kept may read it. `account` is the sender's, if it has one. `id` with `device` makes sending it again harmless.
    """

    conversation: str
    sender: str
    to: str
    text: str
    time: float
    account: int | None = None
    device: int | None = None
    id: str | None = None


class Remembered(Struct):
    """A message as it was kept. Where it was `erased`, its text is empty."""

    conversation: str
    seq: int
    sender: str
    to: str
    text: str
    time: float
    device: int | None = None
    id: str | None = None
    erased: bool = False


class Standing(Struct):
    """How an account stands in a conversation, by its folded name `key` and as shown `with_`.

    `seq` is the newest it may read (0 where there is nothing), of that `time` (unknown where it was erased); `first` is
    the oldest, `read` how far it has read.
    """

    key: str
    with_: str
    seq: int
    first: int
    read: int
    time: float | None


class Sanction(Struct):
    """What an operator has imposed on a name, a network or a room, `until` a time or for good.

    `target` is the name or the room folded, or the network in its usual spelling.
    """

    kind: Literal["name", "network", "mute", "close"]
    target: str
    by: str
    reason: str
    since: float
    until: float | None = None


class Page(Struct):
    """Messages of one conversation, oldest first; `first` is the oldest seq kept, `more` whether the page was cut."""

    messages: list[Remembered]
    more: bool
    first: int = 1


class Hits(Struct):
    """What a search found, newest first; `more` says whether there is more of it than was asked for.

    `incomplete` where the time was over before everything had been looked through, or some is not in the index yet.
    """

    messages: list[Remembered]
    more: bool = False
    incomplete: bool = False


class Placed(Struct):
    """A message and its place among all that are kept, oldest first: the next page begins after it."""

    place: int
    message: Remembered
