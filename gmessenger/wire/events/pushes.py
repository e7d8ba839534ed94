"""Push events: what a server sends without a request."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType, field

from gmessenger.account_settings import AccountSettings
from gmessenger.wire.events.common import SentFile, Seq, UserInfo
from gmessenger.wire.events.responses import ResponseFrame


class MessageEvent(Struct, omit_defaults=True, tag_field="action", tag="msg"):
    """A message to a native session; `broadcast` if it was sent to all users.

    `about`, `what`: the earlier message that it is about, and what it does to that. `edited`: when it was edited.
    `by`: of an erase, who did it, where that is not the sender.
    """

    sender: str = field(name="from")
    to: str
    time: float
    message: str
    seq: Seq | UnsetType = UNSET
    id: str | UnsetType = UNSET
    broadcast: bool | UnsetType = UNSET
    erased: bool | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    about: Seq | UnsetType = UNSET
    what: str | UnsetType = UNSET
    edited: float | UnsetType = UNSET
    file: SentFile | UnsetType = UNSET
    by: str = ""


class PlainMessageEvent(Struct, omit_defaults=True, tag_field="action", tag="msg"):
    """A `MessageEvent` with nothing special, as nearly all are: only for encoding, which takes a tenth less time."""

    sender: str = field(name="from")
    to: str
    time: float
    message: str
    seq: int | UnsetType = UNSET
    id: str | UnsetType = UNSET


class PresenceEvent(Struct, tag_field="action", tag="presence"):
    user: UserInfo


class DeliveredEvent(Struct, tag_field="action", tag="delivered"):
    target: str = field(name="with")
    seq: Seq


class ReadEvent(Struct, tag_field="action", tag="read"):
    target: str = field(name="with")
    seq: Seq


class JoinEvent(Struct, tag_field="action", tag="join"):
    room: str
    user: UserInfo


class LeaveEvent(Struct, tag_field="action", tag="leave", omit_defaults=True):
    room: str
    user: UserInfo
    by: str | None = None
    reason: str | None = None


class InvitedEvent(Struct, tag_field="action", tag="invited"):
    room: str
    sender: str = field(name="from")


class ShutOutEvent(Struct, tag_field="action", tag="shut_out", omit_defaults=True):
    room: str
    user: UserInfo
    by: str
    reason: str | None = None
    until: float | None = None


class LetInEvent(Struct, tag_field="action", tag="let_in"):
    room: str
    user: UserInfo
    by: str


class SilenceEvent(Struct, tag_field="action", tag="silence", omit_defaults=True):
    room: str
    user: UserInfo
    by: str
    reason: str | None = None
    until: float | None = None


class UnsilenceEvent(Struct, tag_field="action", tag="unsilence"):
    room: str
    user: UserInfo
    by: str


class TopicEvent(Struct, tag_field="action", tag="topic"):
    room: str
    user: UserInfo
    topic: str


class RuleEvent(Struct, tag_field="action", tag="rule"):
    room: str
    user: UserInfo
    changes: dict[str, Any] = field(name="set")


class RoleEvent(Struct, tag_field="action", tag="role", omit_defaults=True):
    room: str
    user: UserInfo
    role: str
    by: str | None = None


class CloseEvent(Struct, tag_field="action", tag="close", omit_defaults=True):
    room: str
    user: UserInfo
    reason: str | None = None


class OpenEvent(Struct, tag_field="action", tag="open"):
    room: str
    user: UserInfo


class SettingsEvent(Struct, tag_field="action", tag="settings"):
    settings: AccountSettings


class ProfileEvent(Struct, tag_field="action", tag="profile", omit_defaults=True):
    """Of `user` or `room`: `changes` has the keys that differ now."""

    changes: dict[str, str | None] = field(name="set")
    user: UserInfo | None = None
    room: str | None = None


class SyncedEvent(Struct, tag_field="action", tag="synced"):
    pass


class MovingEvent(Struct, tag_field="action", tag="moving"):
    retry_in: float = 2.0


class ProbeEvent(Struct, tag_field="action", tag="probe"):
    pass


class UnknownEvent(Struct):
    """A frame of a newer server that this client does not know; it is ignored."""

    frame: Raw


PushEvent: TypeAlias = (
    MessageEvent
    | PresenceEvent
    | DeliveredEvent
    | ReadEvent
    | JoinEvent
    | LeaveEvent
    | InvitedEvent
    | ShutOutEvent
    | LetInEvent
    | SilenceEvent
    | UnsilenceEvent
    | TopicEvent
    | RuleEvent
    | RoleEvent
    | CloseEvent
    | OpenEvent
    | SettingsEvent
    | ProfileEvent
    | SyncedEvent
    | MovingEvent
    | ProbeEvent
)
ServerEvent: TypeAlias = ResponseFrame | PushEvent | UnknownEvent
