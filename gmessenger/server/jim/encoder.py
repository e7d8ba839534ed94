"""Encode the items of an outbox as frames of the native protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import UNSET, Raw

from gmessenger.chat.outbound import (
    CatchUpDone,
    DeliveryReceipt,
    LivenessProbe,
    Message,
    MessageBatch,
    Outbound,
    PresenceUpdate,
    ProfileUpdate,
    ReadReceipt,
    RelayedText,
    ServerMoving,
    SessionClosed,
    SessionReplaced,
    SettingsUpdate,
    TextBatch,
)
from gmessenger.chat.records import FileInfo
from gmessenger.chat.room_events import NOT_ENCODED, InvitationEvent, RoomEvent, UserRenamed
from gmessenger.errors import LoggedInElsewhere as ReplacedError
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX
from gmessenger.urls import file_path
from gmessenger.wire import events
from gmessenger.wire.encoder import Encodable, make_response, pre_encode, pre_encode_lines
from gmessenger.wire.events import MessageEvent, PlainMessageEvent, SentFile, UserInfo

CACHE_KEY: Final = "native"
"""The key of this protocol's frames in `Message.encoded`: an event looks the same to all its sessions."""


def encode_room_message(message: Message, recipient: str) -> Encodable:
    """Return the frame of a message to a room, or of a broadcast, for the session of `recipient`."""
    if message.to == BROADCAST_TARGET:
        kind = message.kind or UNSET
        return MessageEvent(message.sender, recipient, message.time, message.text, broadcast=True, kind=kind)
    return _encode_shared(message)


def _encode_shared(message: Message) -> Encodable:
    # Encoded once for all recipients: encoding is most of what a delivery costs.
    return (message.encoded or NOT_ENCODED).get(CACHE_KEY) or _keep(message, pre_encode(message_event(message)))


def _keep(event: Message | MessageBatch | TextBatch | PresenceUpdate | UserRenamed, encoded: Raw) -> Encodable:
    """Keep what an event is encoded as, for other sessions, and return it."""
    if event.encoded is None:
        event.encoded = {CACHE_KEY: encoded}
    else:
        event.encoded[CACHE_KEY] = encoded
    return encoded


def message_event(message: Message) -> MessageEvent | PlainMessageEvent:
    """Return the event of a message, for any of its recipients."""
    seq = UNSET if message.seq is None else message.seq
    id = UNSET if message.id is None else message.id
    if not (message.kind or message.erased) and (
        message.about is None and message.edited is None and message.file is None
    ):
        return PlainMessageEvent(message.sender, message.to, message.time, message.text, seq, id)
    return MessageEvent(
        message.sender,
        message.to,
        message.time,
        message.text,
        seq,
        id,
        erased=message.erased or UNSET,
        kind=message.kind or UNSET,
        about=UNSET if message.about is None else message.about,
        what=message.what or UNSET,
        edited=UNSET if message.edited is None else message.edited,
        file=UNSET if message.file is None else _sent_file(message.file),
        by=message.by,
    )


def _sent_file(file: FileInfo) -> SentFile:
    return SentFile(file_path(file.id, file.name), file.name, file.type, file.size, file.width, file.height)


def _encode_presence(change: PresenceUpdate) -> Encodable:
    user = UserInfo(change.name, status=change.status, note=change.note or None)
    return (change.encoded or NOT_ENCODED).get(CACHE_KEY) or _keep(change, pre_encode(events.PresenceEvent(user)))


def _profile_event(update: ProfileUpdate) -> events.ProfileEvent:
    if update.name[:1] == ROOM_PREFIX:
        return events.ProfileEvent(update.changes, room=update.name)
    return events.ProfileEvent(update.changes, user=UserInfo(update.name))


def _encode_renamed(renamed: UserRenamed) -> Encodable:
    """Return the frames that a guest has left each room by its former name, and has joined it by its new one."""
    encoded = (renamed.encoded or NOT_ENCODED).get(CACHE_KEY)
    return encoded or _keep(renamed, pre_encode_lines(list(_renaming_events(renamed))))


def _renaming_events(renamed: UserRenamed) -> Iterator[Encodable]:
    for room in renamed.rooms:
        yield events.LeaveEvent(room, UserInfo(renamed.former_name), None, None)
        yield events.JoinEvent(room, UserInfo(renamed.name))


def _encode_message_batch(batch: MessageBatch) -> Encodable:
    return (batch.encoded or NOT_ENCODED).get(CACHE_KEY) or _keep(batch, pre_encode_lines(_batch_frames(batch)))


def _batch_frames(batch: MessageBatch) -> list[Encodable]:
    if batch.messages[0].to[:1] == ROOM_PREFIX:  # a sender gets another batch, without its own messages
        return [(each.encoded or NOT_ENCODED).get(CACHE_KEY) or _encode_shared(each) for each in batch.messages]
    return [message_event(message) for message in batch.messages]


def relayed_event(relayed: RelayedText) -> PlainMessageEvent:
    """Return the event of a text that is not stored."""
    return PlainMessageEvent(relayed.sender, relayed.to, relayed.time, relayed.text)


def _encode_text_batch(batch: TextBatch) -> Encodable:
    sender, to, time = batch.sender, batch.to, batch.time
    return (batch.encoded or NOT_ENCODED).get(CACHE_KEY) or _keep(
        batch, pre_encode_lines([PlainMessageEvent(sender, to, time, text) for text in batch.texts])
    )


ROOM_EVENT_ENCODERS: Final[dict[str, Callable[[RoomEvent], events.PushEvent | None]]] = {
    "join": lambda change: events.JoinEvent(change.room, UserInfo(change.name)),
    "leave": lambda change: events.LeaveEvent(
        change.room, UserInfo(change.name), change.by, change.reason if change.by is not None else None
    ),
    "topic": lambda change: events.TopicEvent(change.room, UserInfo(change.name), change.topic or ""),
    "rule": lambda change: events.RuleEvent(change.room, UserInfo(change.name), change.rules or {}),
    "role": lambda change: events.RoleEvent(change.room, UserInfo(change.name), change.role or "member", change.by),
    "close": lambda change: events.CloseEvent(change.room, UserInfo(change.name), change.reason),
    "open": lambda change: events.OpenEvent(change.room, UserInfo(change.name)),
    "shut_out": lambda change: events.ShutOutEvent(
        change.room, UserInfo(change.name), change.by or "", change.reason, change.until
    ),
    "let_in": lambda change: events.LetInEvent(change.room, UserInfo(change.name), change.by or ""),
    "silence": lambda change: events.SilenceEvent(
        change.room, UserInfo(change.name), change.by or "", change.reason, change.until
    ),
    "unsilence": lambda change: events.UnsilenceEvent(change.room, UserInfo(change.name), change.by or ""),
    "mask": lambda change: None,  # this protocol has no word for masks
    "unmask": lambda change: None,
}
ENCODERS: Final[dict[type[Outbound], Callable[[Any], Encodable | None]]] = {
    MessageBatch: _encode_message_batch,
    RelayedText: relayed_event,
    TextBatch: _encode_text_batch,
    DeliveryReceipt: lambda receipt: events.DeliveredEvent(target=receipt.name, seq=receipt.seq),
    ReadReceipt: lambda receipt: events.ReadEvent(target=receipt.name, seq=receipt.seq),
    RoomEvent: lambda change: ROOM_EVENT_ENCODERS[change.action](change),
    UserRenamed: _encode_renamed,
    InvitationEvent: lambda invitation: events.InvitedEvent(invitation.room, invitation.by),
    PresenceUpdate: _encode_presence,
    SettingsUpdate: lambda update: events.SettingsEvent(update.settings),
    ProfileUpdate: _profile_event,
    CatchUpDone: lambda _: events.SyncedEvent(),
    LivenessProbe: lambda _: events.ProbeEvent(),
    ServerMoving: lambda moving: events.MovingEvent(moving.retry_after),
    SessionClosed: lambda closed: make_response(closed.error.status, None, closed.time, closed.error.to_fields()),
    SessionReplaced: lambda replaced: make_response(
        ReplacedError.status, None, replaced.time, ReplacedError().to_fields()
    ),
}
"""Encoders of the items that are neither a message nor a response.

There is none of `EncodedFrames`, which are made by another protocol for its own sessions, nor of `Signal`, which
JIM has no frame for, nor of `BacklogSkipped`: native sessions are sent their whole backlog."""
