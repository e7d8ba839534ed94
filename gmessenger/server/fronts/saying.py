"""What waits in an outbox, as the frames of the native wire: one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import UNSET, Raw

from gmessenger.chat.model import (
    EVERYBODY,
    Breath,
    Bundle,
    Delivered,
    Dismissed,
    Message,
    Moving,
    Parcel,
    PresenceChange,
    Probe,
    ReadUpTo,
    Replaced,
    RoomChange,
    Synced,
)
from gmessenger.errors import Replaced as ReplacedError
from gmessenger.wire import events
from gmessenger.wire.encoding import Sayable, answer, encoded, encoded_together
from gmessenger.wire.events import Card, Delivery


def delivery(message: Message, me: str) -> Sayable:
    """A message on its way to the session of that name."""
    if message.to[:1] != "#":
        return _frame(message)
    if message.to == EVERYBODY:
        return Delivery(message.sender, me, message.time, message.text, broadcast=True)
    return _written(message)


def _written(message: Message) -> Raw:
    # Written once for all who get it: encoding is most of what a delivery costs.
    written: Raw = message.written or encoded(_frame(message))
    message.written = written
    return written


def _frame(message: Message) -> Delivery:
    return Delivery(
        message.sender,
        message.to,
        message.time,
        message.text,
        UNSET if message.seq is None else message.seq,
        UNSET if message.id is None else message.id,
        erased=True if message.erased else UNSET,
    )


def _presence(change: PresenceChange) -> Sayable:
    written: Raw = change.written or encoded(events.PresenceEvent(Card(change.name, status=change.status)))
    change.written = written
    return written


def _bundle(bundle: Bundle) -> Sayable:
    # A room's of pieces, because those who said some of it get bundles of their own of the same messages.
    piece = _written if bundle.messages[0].to[:1] == "#" else _frame
    written: Raw = bundle.written or encoded_together([piece(message) for message in bundle.messages])
    bundle.written = written
    return written


def _breath(breath: Breath) -> Sayable:
    sender, to, time = breath.sender, breath.to, breath.time
    written: Raw = breath.written or encoded_together([Delivery(sender, to, time, text) for text in breath.texts])
    breath.written = written
    return written


ROOM_EVENTS: Final[dict[str, Callable[[RoomChange], events.Told]]] = {
    "join": lambda change: events.JoinEvent(change.room, Card(change.name)),
    "leave": lambda change: events.LeaveEvent(change.room, Card(change.name), change.by),
    "topic": lambda change: events.TopicEvent(change.room, Card(change.name), change.topic or ""),
    "close": lambda change: events.CloseEvent(change.room, Card(change.name), change.reason),
    "open": lambda change: events.OpenEvent(change.room, Card(change.name)),
}
SAID: Final[dict[type[Parcel], Callable[[Any], Sayable]]] = {
    Bundle: _bundle,
    Breath: _breath,
    Delivered: lambda delivered: events.DeliveredEvent(with_=delivered.name, seq=delivered.seq),
    ReadUpTo: lambda read: events.ReadEvent(with_=read.name, seq=read.seq),
    RoomChange: lambda change: ROOM_EVENTS[change.action](change),
    PresenceChange: _presence,
    Synced: lambda _: events.Synced(),
    Probe: lambda _: events.ServerProbe(),
    Moving: lambda moving: events.Moving(moving.retry_in),
    Dismissed: lambda dismissed: answer(dismissed.error.code, None, dismissed.time, dismissed.error.described()),
    Replaced: lambda replaced: answer(ReplacedError.code, None, replaced.time, ReplacedError().described()),
}
"""How each parcel is said that is neither a message nor an answer."""
