"""What crosses the wire, as structs: what peers ask for, what the server sends, and what could not be read.

Native structs are the frames themselves (their field names are the wire's). Course events are already translated: how
a course client spelled them stays inside this package.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from gmessenger import field_types as fields
from gmessenger.errors import WireError
from gmessenger.field_types import Number, Seconds


class Login(Struct, omit_defaults=True):
    """The `user` object of a presence that asks to be let in."""

    account_name: fields.Name
    password: fields.Password | None = None
    device: fields.Device | None = None
    session: fields.Token | None = None
    status: fields.Status | None = None


class Card(Struct, omit_defaults=True):
    """The `user` object of what a server tells, and of lists."""

    account_name: str
    password: str | None = None
    device: str | None = None
    session: str | None = None
    status: str | None = None


MAX_SEQ: Final = 2**53
"""The highest seq there can be: beyond it, JSON's numbers are not whole in other programs."""
Seq: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
"""A seq from a server; a frame with one that cannot be is not understood."""


class Request(Struct, tag_field="action", omit_defaults=True, kw_only=True):
    """A native request; `id`, when given, is repeated in the answer. UNSET is false, and a null is no id."""

    id: str | UnsetType = UNSET


class Presence(Request, tag="presence", kw_only=True):
    user: Login
    jim: Number = 2
    session: fields.Token | None = None
    receive: bool = True


class Msg(Request, tag="msg", kw_only=True, gc=False):
    to: fields.Name
    message: str


class Users(Request, tag="users", kw_only=True):
    after: fields.Name | None = None


class Status(Request, tag="status", kw_only=True):
    status: fields.Status


class Register(Request, tag="register", kw_only=True):
    password: fields.Password
    invite: fields.Token | None = None


class Ack(Request, tag="ack", kw_only=True):
    with_: fields.Name = field(name="with")
    seq: Number


class Read(Request, tag="read", kw_only=True):
    with_: fields.Name = field(name="with")
    seq: Number


class History(Request, tag="history", kw_only=True):
    with_: fields.Name = field(name="with")
    before: Number | None = None
    after: Number | None = None
    limit: Number | None = None


class Search(Request, tag="search", kw_only=True):
    text: fields.Query
    with_: fields.Name | None = field(name="with", default=None)
    limit: Number | None = None


class Conversations(Request, tag="conversations", kw_only=True):
    after: fields.Name | None = None


class Join(Request, tag="join", kw_only=True):
    room: fields.Name


class Leave(Request, tag="leave", kw_only=True):
    room: fields.Name


class Remove(Request, tag="remove", kw_only=True):
    room: fields.Name
    user: fields.Name


class Topic(Request, tag="topic", kw_only=True):
    room: fields.Name
    topic: fields.Topic


class Members(Request, tag="members", kw_only=True):
    room: fields.Name
    after: fields.Name | None = None


class Rooms(Request, tag="rooms", kw_only=True):
    after: fields.Name | None = None


class Probe(Request, tag="probe", kw_only=True):
    pass


class Export(Request, tag="export", kw_only=True):
    after: Number = 0


class Forget(Request, tag="forget", kw_only=True):
    password: fields.Password


class Kick(Request, tag="kick", kw_only=True):
    user: fields.Name
    reason: fields.Reason = ""


class Mute(Request, tag="mute", kw_only=True):
    user: fields.Name
    for_: Seconds | None = field(name="for", default=None)
    reason: fields.Reason = ""


class Unmute(Request, tag="unmute", kw_only=True):
    user: fields.Name


class Mutes(Request, tag="mutes", kw_only=True):
    after: fields.Name | None = None


class Ban(Request, tag="ban", kw_only=True):
    user: fields.Name | None = None
    address: fields.Address | None = None
    for_: Seconds | None = field(name="for", default=None)
    reason: fields.Reason = ""


class Unban(Request, tag="unban", kw_only=True):
    user: fields.Name | None = None
    address: fields.Address | None = None


class Bans(Request, tag="bans", kw_only=True):
    after: fields.Name | None = None


class Close(Request, tag="close", kw_only=True):
    room: fields.Name
    reason: fields.Reason = ""


class Open(Request, tag="open", kw_only=True):
    room: fields.Name


class Block(Request, tag="block", kw_only=True):
    user: fields.Name


class Unblock(Request, tag="unblock", kw_only=True):
    user: fields.Name


class Blocks(Request, tag="blocks", kw_only=True):
    after: fields.Name | None = None


class Quit(Request, tag="quit", kw_only=True):
    pass


class Pong(Struct):
    """A frame without an action but with a `response`: a client's answer to our probe."""


class CoursePresence(Struct):
    """A course client names itself; `name` is None where no spelling of the table gave one."""

    name: str | None


class CourseMsg(Struct):
    """`to` is None for everybody present; `said` is the action word it used, for the receiver's ear."""

    to: str | None
    text: str
    said: str


class CourseList(Struct):
    """`contacts` tells the contact list from the list of names ever seen."""

    contacts: bool


class CourseContact(Struct):
    """Adds a contact, or removes it; `name` is None where the client named nobody."""

    name: str | None
    add: bool


class CourseQuit(Struct):
    pass


class Unreadable(Struct):
    """A frame that is refused; `fatal` where nothing after it can be trusted to be read."""

    error: WireError
    id: str | None = None
    fatal: bool = False


class Foreign(Struct):
    """The connection speaks another `protocol`; nothing of it is to be acted upon, and no event follows."""

    protocol: str


Said: TypeAlias = (
    Presence
    | Register
    | Msg
    | Ack
    | Read
    | History
    | Search
    | Conversations
    | Join
    | Leave
    | Remove
    | Topic
    | Members
    | Rooms
    | Users
    | Status
    | Probe
    | Export
    | Forget
    | Kick
    | Mute
    | Unmute
    | Mutes
    | Ban
    | Unban
    | Bans
    | Close
    | Open
    | Block
    | Unblock
    | Blocks
    | Quit
)
NativeRequest: TypeAlias = Said | Pong
CourseRequest: TypeAlias = CoursePresence | CourseMsg | CourseList | CourseContact | CourseQuit
Event: TypeAlias = NativeRequest | CourseRequest | Unreadable | Foreign


class Answer(Struct, omit_defaults=True):
    """An answer to a native request, as a client reads it; fields that the server left out are UNSET or None."""

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
    session: str | None = None
    server: str | None = None
    store: str | None = None
    limits: dict[str, Any] | None = None
    alert: str | None = None
    seq: int | None = None
    users: list[Card] | None = None
    members: list[str] | None = None
    rooms: list[dict[str, Any]] | None = None
    conversations: list[dict[str, Any]] | None = None
    messages: list[dict[str, Any]] | None = None
    first: int | None = None
    topic: str | None = None
    more: bool | None = None
    incomplete: bool | None = None
    after: int | None = None
    sessions: int | None = None
    address: str | None = None
    bans: list[dict[str, Any]] | None = None
    mutes: list[dict[str, Any]] | None = None


class Delivery(Struct, omit_defaults=True, tag_field="action", tag="msg"):
    """A message on its way to a native session; `broadcast` when it went to everybody present."""

    sender: str = field(name="from")
    to: str
    time: float
    message: str
    seq: Seq | UnsetType = UNSET
    id: str | UnsetType = UNSET
    broadcast: bool | UnsetType = UNSET
    erased: bool | UnsetType = UNSET


class PresenceEvent(Struct, tag_field="action", tag="presence"):
    user: Card


class DeliveredEvent(Struct, tag_field="action", tag="delivered"):
    with_: str = field(name="with")
    seq: Seq


class ReadEvent(Struct, tag_field="action", tag="read"):
    with_: str = field(name="with")
    seq: Seq


class JoinEvent(Struct, tag_field="action", tag="join"):
    room: str
    user: Card


class LeaveEvent(Struct, tag_field="action", tag="leave", omit_defaults=True):
    room: str
    user: Card
    by: str | None = None


class TopicEvent(Struct, tag_field="action", tag="topic"):
    room: str
    user: Card
    topic: str


class CloseEvent(Struct, tag_field="action", tag="close", omit_defaults=True):
    room: str
    user: Card
    reason: str | None = None


class OpenEvent(Struct, tag_field="action", tag="open"):
    room: str
    user: Card


class Synced(Struct, tag_field="action", tag="synced"):
    pass


class Moving(Struct, tag_field="action", tag="moving"):
    retry_in: float = 2.0


class ServerProbe(Struct, tag_field="action", tag="probe"):
    pass


class Unknown(Struct):
    """A frame from a newer server that this client does not know; it is kept, never fatal."""

    frame: Raw


Told: TypeAlias = (
    Delivery
    | PresenceEvent
    | DeliveredEvent
    | ReadEvent
    | JoinEvent
    | LeaveEvent
    | TopicEvent
    | CloseEvent
    | OpenEvent
    | Synced
    | Moving
    | ServerProbe
)
ServerEvent: TypeAlias = Answer | Told | Unknown
