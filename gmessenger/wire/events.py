"""What crosses the wire, as structs: requests, responses, push events, and invalid frames.

Native structs have the fields of the frames, under the wire's names. Course requests are translated: the dialect of a
client is known in this package only.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from gmessenger import field_types as fields
from gmessenger.account_settings import AccountSettings, SettingsChange
from gmessenger.errors import WireError
from gmessenger.field_types import MAX_SEQ, Number, Seconds
from gmessenger.room_roles import RoomRole
from gmessenger.wire.dialects import NameList


class LoginInfo(Struct, omit_defaults=True):
    """The `user` object of a presence that logs in."""

    account_name: fields.Name
    password: fields.Password | None = None
    device: fields.Device | None = None
    session: fields.Token | None = None
    status: fields.Status | None = None


class UserInfo(Struct, omit_defaults=True):
    """The `user` object of push events and lists."""

    account_name: str
    password: str | None = None
    device: str | None = None
    session: str | None = None
    status: str | None = None
    note: str | None = None
    role: str | None = None


Seq: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
"""A seq in a server's frame; a frame with an impossible one is ignored."""


class Request(Struct, tag_field="action", omit_defaults=True, kw_only=True):
    """A native request; an `id` is repeated in the response. UNSET is false; a null is not a valid id."""

    id: str | UnsetType = UNSET


class PresenceRequest(Request, tag="presence", kw_only=True):
    user: LoginInfo
    jim: Number = 2
    session: fields.Token | None = None
    receive: bool = True


class MessageRequest(Request, tag="msg", kw_only=True, gc=False):
    to: fields.Name
    message: str
    about: Number | None = None
    what: fields.What | None = None
    kind: fields.Kind | None = None


class UsersRequest(Request, tag="users", kw_only=True):
    after: fields.Name | None = None


class StatusRequest(Request, tag="status", kw_only=True):
    status: fields.Status
    note: fields.Note = ""


class RegistrantInfo(Struct):
    """The `user` object of a request that registers before a login."""

    account_name: fields.Name
    device: fields.Device | None = None


class RegisterRequest(Request, tag="register", kw_only=True):
    """Registers the guest's name; with `user`, and `jim` as in a presence, it logs in as the account as well."""

    password: fields.Password
    invite: fields.Token | None = None
    jim: Number = 2
    user: RegistrantInfo | None = None


class PasswordRequest(Request, tag="password", kw_only=True):
    old: fields.Password
    new: fields.Password


class DevicesRequest(Request, tag="devices", kw_only=True):
    pass


class DropRequest(Request, tag="drop", kw_only=True):
    device: fields.Device | None = None
    all: bool = False


class SettingsRequest(Request, tag="settings", kw_only=True):
    set: SettingsChange | None = None


class AckRequest(Request, tag="ack", kw_only=True):
    target: fields.Name = field(name="with")
    seq: Number


class ReadRequest(Request, tag="read", kw_only=True):
    target: fields.Name = field(name="with")
    seq: Number


class HistoryRequest(Request, tag="history", kw_only=True):
    target: fields.Name = field(name="with")
    before: Number | None = None
    after: Number | None = None
    limit: Number | None = None
    amendments: bool = False


class SearchRequest(Request, tag="search", kw_only=True):
    text: fields.Query
    target: fields.Name | None = field(name="with", default=None)
    limit: Number | None = None


class ConversationsRequest(Request, tag="conversations", kw_only=True):
    after: fields.Name | None = None


class JoinRequest(Request, tag="join", kw_only=True):
    room: fields.Name
    rules: fields.Rules | None = None


class LeaveRequest(Request, tag="leave", kw_only=True):
    room: fields.Name


class RemoveRequest(Request, tag="remove", kw_only=True):
    room: fields.Name
    user: fields.Name


class InviteRequest(Request, tag="invite", kw_only=True):
    room: fields.Name
    user: fields.Name


class UninviteRequest(Request, tag="uninvite", kw_only=True):
    room: fields.Name
    user: fields.Name


class InvitationsRequest(Request, tag="invitations", kw_only=True):
    room: fields.Name
    after: fields.Name | None = None


class ShutOutRequest(Request, tag="shut_out", kw_only=True):
    room: fields.Name
    user: fields.Name
    duration: Seconds | None = field(name="for", default=None)
    reason: fields.Reason = ""


class LetInRequest(Request, tag="let_in", kw_only=True):
    room: fields.Name
    user: fields.Name


class ShutOutsRequest(Request, tag="shut_outs", kw_only=True):
    room: fields.Name
    after: fields.Name | None = None


class SilenceRequest(Request, tag="silence", kw_only=True):
    room: fields.Name
    user: fields.Name
    duration: Seconds | None = field(name="for", default=None)
    reason: fields.Reason = ""


class UnsilenceRequest(Request, tag="unsilence", kw_only=True):
    room: fields.Name
    user: fields.Name


class SilencesRequest(Request, tag="silences", kw_only=True):
    room: fields.Name
    after: fields.Name | None = None


class TopicRequest(Request, tag="topic", kw_only=True):
    room: fields.Name
    topic: fields.Topic


class RuleRequest(Request, tag="rule", kw_only=True):
    room: fields.Name
    changes: fields.Rules | None = field(name="set", default=None)


class RoleRequest(Request, tag="role", kw_only=True):
    room: fields.Name
    user: fields.Name
    role: RoomRole


class MembersRequest(Request, tag="members", kw_only=True):
    room: fields.Name
    after: fields.Name | None = None


class RoomsRequest(Request, tag="rooms", kw_only=True):
    after: fields.Name | None = None


class WhoisRequest(Request, tag="whois", kw_only=True):
    user: fields.Name


class ProbeRequest(Request, tag="probe", kw_only=True):
    pass


class ExportRequest(Request, tag="export", kw_only=True):
    after: Number = 0


class ForgetRequest(Request, tag="forget", kw_only=True):
    password: fields.Password


class KickRequest(Request, tag="kick", kw_only=True):
    user: fields.Name
    reason: fields.Reason = ""


class MuteRequest(Request, tag="mute", kw_only=True):
    user: fields.Name
    duration: Seconds | None = field(name="for", default=None)
    reason: fields.Reason = ""


class UnmuteRequest(Request, tag="unmute", kw_only=True):
    user: fields.Name


class MutesRequest(Request, tag="mutes", kw_only=True):
    after: fields.Name | None = None


class BanRequest(Request, tag="ban", kw_only=True):
    user: fields.Name | None = None
    address: fields.Address | None = None
    duration: Seconds | None = field(name="for", default=None)
    reason: fields.Reason = ""


class UnbanRequest(Request, tag="unban", kw_only=True):
    user: fields.Name | None = None
    address: fields.Address | None = None


class BansRequest(Request, tag="bans", kw_only=True):
    after: fields.Name | None = None


class CloseRequest(Request, tag="close", kw_only=True):
    room: fields.Name
    reason: fields.Reason = ""


class OpenRequest(Request, tag="open", kw_only=True):
    room: fields.Name


class BlockRequest(Request, tag="block", kw_only=True):
    user: fields.Name


class UnblockRequest(Request, tag="unblock", kw_only=True):
    user: fields.Name


class BlocksRequest(Request, tag="blocks", kw_only=True):
    after: fields.Name | None = None


class QuitRequest(Request, tag="quit", kw_only=True):
    pass


class Pong(Struct):
    """A client's answer to a probe: a frame without an action but with a `response`."""


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


class InvalidFrame(Struct):
    """A frame that could not be decoded, and the error to answer; `fatal` if nothing after it can be decoded."""

    error: WireError
    id: str | None = None
    fatal: bool = False


class ForeignProtocol(Struct):
    """The connection speaks another `protocol`; no event follows."""

    protocol: str


NativeRequest: TypeAlias = (
    PresenceRequest
    | RegisterRequest
    | PasswordRequest
    | DevicesRequest
    | DropRequest
    | SettingsRequest
    | MessageRequest
    | AckRequest
    | ReadRequest
    | HistoryRequest
    | SearchRequest
    | ConversationsRequest
    | JoinRequest
    | LeaveRequest
    | RemoveRequest
    | InviteRequest
    | UninviteRequest
    | InvitationsRequest
    | ShutOutRequest
    | LetInRequest
    | ShutOutsRequest
    | SilenceRequest
    | UnsilenceRequest
    | SilencesRequest
    | TopicRequest
    | RuleRequest
    | RoleRequest
    | MembersRequest
    | RoomsRequest
    | UsersRequest
    | WhoisRequest
    | StatusRequest
    | ProbeRequest
    | ExportRequest
    | ForgetRequest
    | KickRequest
    | MuteRequest
    | UnmuteRequest
    | MutesRequest
    | BanRequest
    | UnbanRequest
    | BansRequest
    | CloseRequest
    | OpenRequest
    | BlockRequest
    | UnblockRequest
    | BlocksRequest
    | QuitRequest
)
NativeEvent: TypeAlias = NativeRequest | Pong
CourseRequest: TypeAlias = (
    CoursePresence | CourseMessage | CourseList | CourseContact | CourseKey | CourseRoom | CourseQuit | CourseUnknown
)
ClientEvent: TypeAlias = NativeEvent | CourseRequest | InvalidFrame | ForeignProtocol


class ResponseFrame(Struct, omit_defaults=True):
    """A response as a client reads it; fields that the server left out are None."""

    response: int
    id: str | None = None
    time: float = 0.0
    error: str | None = None
    code: str | None = None
    limit: int | None = None
    retry_after: float | None = None
    jim: int | None = None
    account: bool | None = None
    role: str | None = None
    blocks: int | None = None
    registration: str | None = None
    password_until: float | None = None
    session: str | None = None
    server: str | None = None
    store: str | None = None
    limits: dict[str, Any] | None = None
    features: list[str] | None = None
    alert: str | None = None
    seq: int | None = None
    user: UserInfo | None = None
    since: float | None = None
    users: list[UserInfo] | None = None
    members: list[str] | None = None
    rooms: list[dict[str, Any]] | None = None
    conversations: list[dict[str, Any]] | None = None
    messages: list[dict[str, Any]] | None = None
    first: int | None = None
    absent: list[tuple[int, int]] | None = None
    topic: str | None = None
    rules: dict[str, Any] | None = None
    more: bool | None = None
    incomplete: bool | None = None
    after: int | None = None
    sessions: int | None = None
    address: str | None = None
    bans: list[dict[str, Any]] | None = None
    mutes: list[dict[str, Any]] | None = None
    shut_outs: list[dict[str, Any]] | None = None
    silences: list[dict[str, Any]] | None = None
    invitations: list[dict[str, Any]] | None = None
    devices: list[dict[str, Any]] | None = None
    settings: AccountSettings | None = None


class MessageEvent(Struct, omit_defaults=True, tag_field="action", tag="msg"):
    """A message to a native session; `broadcast` if it was sent to all users.

    `about`, `what`: the earlier message that it is about, and what it does to that. `edited`: when it was edited.
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
    | SyncedEvent
    | MovingEvent
    | ProbeEvent
)
ServerEvent: TypeAlias = ResponseFrame | PushEvent | UnknownEvent
