"""The records that pass between the messenger and its store.

The way of one message: what a store knows of where it went. Never what it said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

MAX_PAGE_CHARACTERS: Final = 262_144
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
    evicted: Sequence[int] = ()
    login_count: int = 0


class DeviceLogin(Struct):
    """How a session begins: on the device of that name, to be resumed by a token (which is kept as a hash).

    `live` are the account's devices that have a session now.
    """

    device: str
    token: str
    live_devices: Sequence[int] = ()


class Credential(Struct):
    """What a session has shown: the `password` whose hash this is, or a `token`."""

    password_hash: str | None = None
    token: str | None = None


class RoomRecord(Struct):
    """A room as it is kept; `members` maps account ids to the first seq they may read.

    `id` tells it from one that had its name before.
    """

    key: str
    name: str
    topic: str
    creator: int | None
    head: int
    first_seq: int
    members: dict[int, int]
    id: int = 0


class NewMessage(Struct, gc=False):
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


class StoredMessage(Struct):
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


class ConversationRow(Struct):
    """How an account stands in a conversation, by its folded name `key` and as shown `with_`.

    `seq` is the newest it may read (0 where there is nothing), of that `time` (unknown where it was erased); `first` is
    the oldest, `read` how far it has read.
    """

    key: str
    target: str
    seq: int
    first_seq: int
    read_seq: int
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


class MessagePage(Struct):
    """Messages of one conversation, oldest first; `first` is the oldest seq kept, `more` whether the page was cut."""

    messages: list[StoredMessage]
    more: bool
    first_seq: int = 1


class SearchResult(Struct):
    """What a search found, newest first; `more` says whether there is more of it than was asked for.

    `incomplete` where the time was over before everything had been looked through, or some is not in the index yet.
    """

    messages: list[StoredMessage]
    more: bool = False
    incomplete: bool = False


class ExportedMessage(Struct):
    """A message and its place among all that are kept, oldest first: the next page begins after it."""

    position: int
    message: StoredMessage


class SentInfo(Struct):
    """A message without its text: `size` is that in characters, `device` the name of the sender's, if it is known."""

    sender: str
    to: str
    time: float
    size: int
    erased: bool
    device_id: int | None
    device: str | None
    id: str | None


class DeviceCursor(Struct):
    """A device, and the last seq of the conversation that it needs no more."""

    id: int
    name: str
    cursor: int


class ReaderInfo(Struct):
    """An account that takes part: it may read from `visible` on, and has read up to `read`."""

    account_id: int
    visible_from: int
    read_seq: int
    devices: list[DeviceCursor]


class MessageTrace(Struct):
    """Where a message went; `sent` is None where the conversation, which is kept from `first` to `head`, lacks it."""

    first_seq: int
    head: int
    sent: SentInfo | None
    readers: list[ReaderInfo]
