"""Native requests."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

from gmessenger import field_types as fields
from gmessenger.account_settings import SettingsChange
from gmessenger.field_types import Number, Seconds
from gmessenger.profiles import ProfileChanges
from gmessenger.room_roles import RoomRole


class LoginInfo(Struct, omit_defaults=True):
    """The `user` object of a presence that logs in."""

    account_name: fields.Name
    password: fields.Password | None = None
    device: fields.Device | None = None
    session: fields.Token | None = None
    status: fields.Status | None = None


class Request(Struct, tag_field="action", omit_defaults=True, kw_only=True):
    """A native request; an `id` is repeated in the response. UNSET is false; a null is not a valid id."""

    id: str | UnsetType = UNSET


class PresenceRequest(Request, tag="presence", kw_only=True):
    user: LoginInfo
    jim: Number = 2
    session: fields.Token | None = None
    receive: bool = True
    profiles: bool = False


class MessageRequest(Request, tag="msg", kw_only=True, gc=False):
    to: fields.Name
    message: str
    about: Number | None = None
    what: fields.What | None = None
    kind: fields.Kind | None = None
    file: fields.FileId | None = None


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


class CertificateRequest(Request, tag="certificate", kw_only=True):
    """Has a device log in by a certificate; without a fingerprint, by none any more."""

    device: fields.Device | None = None
    fingerprint: fields.Fingerprint | None = None


class SettingsRequest(Request, tag="settings", kw_only=True):
    set: SettingsChange | None = None


class ProfileRequest(Request, tag="profile", kw_only=True):
    user: fields.Name | None = None
    room: fields.Name | None = None
    set: ProfileChanges | None = None


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
    key: fields.RuleWord | None = None


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


class HookRequest(Request, tag="hook", kw_only=True):
    room: fields.Name
    name: fields.Name


class UnhookRequest(Request, tag="unhook", kw_only=True):
    room: fields.Name
    name: fields.Name


class HooksRequest(Request, tag="hooks", kw_only=True):
    room: fields.Name


class PushRequest(Request, tag="push", kw_only=True):
    """Keeps a push subscription for the device; without any of the three fields, it is forgotten."""

    endpoint: fields.Endpoint | None = None
    p256dh: fields.PushKey | None = None
    auth: fields.PushKey | None = None


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


NativeRequest: TypeAlias = (
    PresenceRequest
    | RegisterRequest
    | PasswordRequest
    | DevicesRequest
    | DropRequest
    | CertificateRequest
    | SettingsRequest
    | ProfileRequest
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
    | HookRequest
    | UnhookRequest
    | HooksRequest
    | PushRequest
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
