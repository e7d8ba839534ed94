"""The way of one message: what a store knows of where it went. Never what it said."""

from __future__ import annotations

from msgspec import Struct


class Sent(Struct):
    """A message without its text: `size` is that in characters, `device` the name of the sender's, if it is known."""

    sender: str
    to: str
    time: float
    size: int
    erased: bool
    device_id: int | None
    device: str | None
    id: str | None


class Receiver(Struct):
    """A device, and the last seq of the conversation that it needs no more."""

    id: int
    name: str
    cursor: int


class Reader(Struct):
    """An account that takes part: it may read from `visible` on, and has read up to `read`."""

    account: int
    visible: int
    read: int
    devices: list[Receiver]


class Way(Struct):
    """Where a message went; `sent` is None where the conversation, which is kept from `first` to `head`, lacks it."""

    first: int
    head: int
    sent: Sent | None
    readers: list[Reader]
