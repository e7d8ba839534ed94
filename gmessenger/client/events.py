"""What a link tells its owner, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gmessenger.client.responses import error_from_response
from gmessenger.client.sender import OutgoingMessage
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import TextTooLong
from gmessenger.text import Text
from gmessenger.wire.events import MessageEvent, ResponseFrame


@dataclass(frozen=True, slots=True)
class Connected:
    """Logged in: the first time, or `reconnected` after the line was lost. `limits` are the server's, by its own words.

    `is_operator` says whether one is one, `block_count` how many names one blocks. With `seqs_reset`, as another guest
    or at another store, numbers of messages from before mean nothing any more.
    """

    server: str
    greeting: str
    limits: Mapping[str, Any]
    reconnected: bool
    is_operator: bool = False
    block_count: int = 0
    seqs_reset: bool = False


def make_connected(response: ResponseFrame, reconnected: bool, seqs_reset: bool) -> Connected:
    """What the server said when it let us in."""
    limits, operator = response.limits or {}, response.role == OPERATOR_ROLE
    return Connected(
        response.server or "", response.alert or "", limits, reconnected, operator, response.blocks or 0, seqs_reset
    )


@dataclass(frozen=True, slots=True)
class Synced:
    """All that waited for one has come, in so many messages since the line was there: the first, or one come back to,
    `reconnected`. Told once a line.
    """

    message_count: int
    reconnected: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The line is down, or could not be got back; the next try is in `retry_in` seconds. `attempt` counts from 1."""

    reason: str
    retry_in: float
    attempt: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Somebody's message; `frame` is the very bytes it came in, without the newline."""

    delivery: MessageEvent
    frame: bytes


@dataclass(frozen=True, slots=True)
class MessageSentElsewhere:
    """A message of one's own, sent from another device or run; no `MessageReceived`, so that no bot answers itself."""

    delivery: MessageEvent
    frame: bytes


@dataclass(frozen=True, slots=True)
class GapDetected:
    """So many messages of a conversation did not come in their turn.

    If the gap `is_filled` they follow, and then what came instead of them; if not, they will not come.
    """

    conversation: str
    count: int
    is_filled: bool


@dataclass(frozen=True, slots=True)
class MessageDelivered:
    """Somebody has all that was written to them up to `seq`."""

    name: str
    seq: int


@dataclass(frozen=True, slots=True)
class ReadMarkerMoved:
    """On another device one has read up to `seq` there."""

    conversation: str
    seq: int


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """Somebody came into a room."""

    room: str
    name: str


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """Somebody is in a room no more; `by` says who took them out, if they did not leave."""

    room: str
    name: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class TopicChanged:
    """Somebody said what a room is about."""

    room: str
    name: str
    topic: str


@dataclass(frozen=True, slots=True)
class RoomClosedByOperator:
    """An operator has closed a room: what was said there can be read, and nothing more is said."""

    room: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoomReopened:
    """An operator has opened a room again."""

    room: str
    name: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has the message: 200 stored, 202 handed over. It is out of the outbox."""

    message: OutgoingMessage
    response: ResponseFrame


@dataclass(frozen=True, slots=True)
class Rejected:
    """The server will not have the message, for the reason in `response.error`. It is out of the outbox."""

    message: OutgoingMessage
    response: ResponseFrame

    @property
    def reason(self) -> str:
        return str(error_from_response(self.response))


def reject_too_long(message: OutgoingMessage, max_frame: float) -> Rejected:
    """Of a message whose frame the server would not take: it would refuse it without its id, and so never answer."""
    sentence = Text(
        "The text is too long: its frame has {size} bytes, and the limit is {limit}.",
        size=len(message.frame),
        limit=max_frame,
    )
    return Rejected(message, ResponseFrame(TextTooLong.status, message.id, error=sentence, code=TextTooLong.code))


@dataclass(frozen=True, slots=True)
class Deferred:
    """The server wants the message later; it is tried again by itself. Told once a message."""

    message: OutgoingMessage
    reason: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """Somebody one shares a conversation with is now `online`, `offline`, or whatever they said they are."""

    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Notice:
    """The server complains of something that it does not name, or something is amiss here (`is_local`)."""

    text: str
    is_local: bool = False


ChatEvent: TypeAlias = (
    Connected
    | Synced
    | Disconnected
    | MessageReceived
    | MessageSentElsewhere
    | GapDetected
    | MessageDelivered
    | ReadMarkerMoved
    | Accepted
    | Rejected
    | Deferred
    | PresenceChanged
    | MemberJoined
    | MemberLeft
    | TopicChanged
    | RoomClosedByOperator
    | RoomReopened
    | Notice
)
