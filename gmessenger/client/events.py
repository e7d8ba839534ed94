"""The events of a client, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Struct, field

from gmessenger.account_settings import AccountSettings
from gmessenger.client.responses import error_from_response
from gmessenger.client.sender import OutgoingMessage
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import TextTooLong, UnknownAction
from gmessenger.names import is_room
from gmessenger.text import Text
from gmessenger.wire.events import MessageEvent, ResponseFrame


class Connected(Struct, frozen=True):
    """Logged in, for the first time or, if `reconnected`, again. `limits` has the server's limits under its own names.

    `is_operator` says whether the account may moderate, `block_count` how many names it blocks. With `seqs_reset` the
    seqs of earlier messages have lost their meaning: the guest's session, or the store, is another one.
    """

    server: str
    greeting: str
    limits: Mapping[str, Any]
    reconnected: bool
    is_operator: bool = False
    block_count: int = 0
    seqs_reset: bool = False
    settings: AccountSettings = field(default_factory=AccountSettings)


def make_connected(response: ResponseFrame, reconnected: bool, seqs_reset: bool) -> Connected:
    """Make the event of a login from its response."""
    return Connected(
        server=response.server or "",
        greeting=response.alert or "",
        limits=response.limits or {},
        reconnected=reconnected,
        is_operator=response.role == OPERATOR_ROLE,
        block_count=response.blocks or 0,
        settings=response.settings or AccountSettings(),
        seqs_reset=seqs_reset,
    )


class Synced(Struct, frozen=True):
    """All messages that waited on the server have arrived, `message_count` since the login. Once a connection."""

    message_count: int
    reconnected: bool


class Disconnected(Struct, frozen=True):
    """The connection is lost, or an attempt to reconnect failed; attempt number `attempt` is in `retry_in` seconds."""

    reason: str
    retry_in: float
    attempt: int


class MessageReceived(Struct, frozen=True):
    """A message of another user; `frame` has its bytes as they came, without the newline."""

    delivery: MessageEvent
    frame: bytes

    @property
    def conversation(self) -> str:
        """The room it was sent to, or else the sender."""
        return self.delivery.to if is_room(self.delivery.to) else self.delivery.sender


class BotMessageReceived(Struct, frozen=True):
    """A message of kind `notice`, from a program; no `MessageReceived`, so that programs do not answer each other."""

    delivery: MessageEvent
    frame: bytes

    @property
    def conversation(self) -> str:
        """The room it was sent to, or else the sender."""
        return self.delivery.to if is_room(self.delivery.to) else self.delivery.sender


class MessageAmended(Struct, frozen=True):
    """The message with the seq `delivery.about` was edited or erased, or a reaction to it was added or removed.

    By another user, or if it `is_own`, by the account on another device; `delivery.what` says what it was. `by` is the
    name that did it: `delivery.by` if that is set, as where the owner of the server erased a message, else the sender.
    """

    delivery: MessageEvent
    frame: bytes
    is_own: bool

    @property
    def conversation(self) -> str:
        """The room or the other user."""
        return self.delivery.to if self.is_own or is_room(self.delivery.to) else self.delivery.sender

    @property
    def by(self) -> str:
        """The name that amended the message."""
        return self.delivery.by or self.delivery.sender


class MessageSentElsewhere(Struct, frozen=True):
    """An own message, sent from another device or process; no `MessageReceived`, so that no bot answers itself."""

    delivery: MessageEvent
    frame: bytes

    @property
    def conversation(self) -> str:
        """The room or user it was sent to."""
        return self.delivery.to


class GapDetected(Struct, frozen=True):
    """`count` messages of a conversation are missing before the next one.

    If the gap `is_filled`, they follow now, and then the messages after them; if not, they are lost to this client.
    """

    conversation: str
    count: int
    is_filled: bool


class MessageDelivered(Struct, frozen=True):
    """The user `name` has received all messages to them up to `seq`."""

    name: str
    seq: int


class ReadMarkerMoved(Struct, frozen=True):
    """The account has read the conversation up to `seq`, on another device."""

    conversation: str
    seq: int


class MemberJoined(Struct, frozen=True):
    """A user has joined a room."""

    room: str
    name: str


class MemberLeft(Struct, frozen=True):
    """A user has left a room, or was removed by the user `by`."""

    room: str
    name: str
    by: str | None = None
    reason: str = ""


class Invited(Struct, frozen=True):
    """The user `by` has invited this one to a room, now or before the login; `leave` declines."""

    room: str
    by: str


class MemberShutOut(Struct, frozen=True):
    """The user `by` keeps a name out of a room, for ever or `until` that time (Unix seconds)."""

    room: str
    name: str
    by: str
    reason: str = ""
    until: float | None = None


class MemberLetIn(Struct, frozen=True):
    """The user `by` lets a name join a room again."""

    room: str
    name: str
    by: str


class MemberSilenced(Struct, frozen=True):
    """The user `by` has what a name writes in a room refused, for ever or `until` that time (Unix seconds)."""

    room: str
    name: str
    by: str
    reason: str = ""
    until: float | None = None


class MemberUnsilenced(Struct, frozen=True):
    """The user `by` lets a name write in a room again."""

    room: str
    name: str
    by: str


class TopicChanged(Struct, frozen=True):
    """A user has set the topic of a room."""

    room: str
    name: str
    topic: str


class RulesChanged(Struct, frozen=True):
    """A user has set rules of a room; `changes` has those that are different now, by key."""

    room: str
    name: str
    changes: Mapping[str, Any]


class RoleChanged(Struct, frozen=True):
    """The user `by` has given a member of a room another role; without `by`, the last owner has gone."""

    room: str
    name: str
    role: str
    by: str | None = None


class RoomClosedByOperator(Struct, frozen=True):
    """An operator has closed a room: its members can read it, but it takes no messages and no members."""

    room: str
    name: str
    reason: str


class RoomReopened(Struct, frozen=True):
    """An operator has reopened a closed room."""

    room: str
    name: str


class Accepted(Struct, frozen=True):
    """The server has accepted a message: stored (200) or relayed to guests (202). It has left the send queue."""

    message: OutgoingMessage
    response: ResponseFrame


class Rejected(Struct, frozen=True):
    """The server has refused a message; `reason` says why. It has left the send queue."""

    message: OutgoingMessage
    response: ResponseFrame

    @property
    def reason(self) -> str:
        """The message of the server's error."""
        return str(error_from_response(self.response))


def reject_too_long(message: OutgoingMessage, max_frame: float) -> Rejected:
    """Make the event of a message whose frame is too long: the server would refuse it without its id."""
    error = Text(
        "The text is too long: its frame has {size} bytes, and the limit is {limit}.",
        size=len(message.frame),
        limit=max_frame,
    )
    return Rejected(message, ResponseFrame(TextTooLong.status, message.id, error=error, code=TextTooLong.code))


def reject_unknown_to_server(message: OutgoingMessage) -> Rejected:
    """Make the event of a message about another one: an older server would take it for an ordinary message."""
    error = Text("This server is older and does not know replies, edits, erases and reactions.")
    return Rejected(message, ResponseFrame(UnknownAction.status, message.id, error=error, code=UnknownAction.code))


class Deferred(Struct, frozen=True):
    """The server cannot accept a message now; the client sends it again by itself. Once for each message."""

    message: OutgoingMessage
    reason: str
    retry_in: float


class PresenceChanged(Struct, frozen=True):
    """A user of a common conversation is now `online`, `offline`, or has set another status, perhaps with a `note`."""

    name: str
    status: str
    note: str = ""


class SettingsChanged(Struct, frozen=True):
    """Another device of the account has changed its settings."""

    settings: AccountSettings


class Notice(Struct, frozen=True):
    """An error that belongs to no message or request: of the server, or of this machine if `is_local`."""

    text: str
    is_local: bool = False


DeliveryEvent: TypeAlias = MessageReceived | BotMessageReceived | MessageAmended | MessageSentElsewhere
"""The events with a `delivery`, which is acknowledged."""
ChatEvent: TypeAlias = (
    Connected
    | Synced
    | Disconnected
    | DeliveryEvent
    | GapDetected
    | MessageDelivered
    | ReadMarkerMoved
    | Accepted
    | Rejected
    | Deferred
    | PresenceChanged
    | SettingsChanged
    | MemberJoined
    | MemberLeft
    | TopicChanged
    | Invited
    | MemberShutOut
    | MemberLetIn
    | MemberSilenced
    | MemberUnsilenced
    | RulesChanged
    | RoleChanged
    | RoomClosedByOperator
    | RoomReopened
    | Notice
)
