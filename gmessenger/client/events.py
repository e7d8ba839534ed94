"""What a link tells its owner, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gmessenger.client.frames import refusal
from gmessenger.client.outbox import Message
from gmessenger.errors import TooLong
from gmessenger.sentences import Sentence
from gmessenger.wire.events import Answer, Delivery

OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Connected:
    """Logged in: the first time, or `again` after the line was lost. `limits` are the server's, by its own words.

    `operator` says whether one is one, `blocks` how many names one blocks. Coming back `anew`, as another guest or to
    another store, numbers of messages from before mean nothing any more.
    """

    server: str
    greeting: str
    limits: Mapping[str, Any]
    again: bool
    operator: bool = False
    blocks: int = 0
    anew: bool = False


def connected(answer: Answer, again: bool, anew: bool) -> Connected:
    """What the server said when it let us in."""
    limits, operator = answer.limits or {}, answer.role == OPERATOR
    return Connected(answer.server or "", answer.alert or "", limits, again, operator, answer.blocks or 0, anew)


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that waited for one has come, in so many messages since the line was there: the first, or one come back to,
    `again`. Told once a line.
    """

    messages: int
    again: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The line is down, or could not be got back; the next try is in `retry_in` seconds. `attempt` counts from 1."""

    reason: str
    retry_in: float
    attempt: int


@dataclass(frozen=True, slots=True)
class Received:
    """Somebody's message; `frame` is the very bytes it came in, without the newline."""

    delivery: Delivery
    frame: bytes


@dataclass(frozen=True, slots=True)
class SentElsewhere:
    """What oneself has written, from another device or in an earlier run; not a `Received`, lest a bot answer it."""

    delivery: Delivery
    frame: bytes


@dataclass(frozen=True, slots=True)
class Missed:
    """So many messages of a conversation did not come in their turn.

    If they were `found` they follow, and then what came instead of them; if not, they will not come.
    """

    with_: str
    count: int
    found: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """Somebody has all that was written to them up to `seq`."""

    name: str
    seq: int


@dataclass(frozen=True, slots=True)
class ReadElsewhere:
    """On another device one has read up to `seq` there."""

    with_: str
    seq: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody came into a room."""

    room: str
    name: str


@dataclass(frozen=True, slots=True)
class Left:
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
class Closed:
    """An operator has closed a room: what was said there can be read, and nothing more is said."""

    room: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An operator has opened a room again."""

    room: str
    name: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has the message: 200 stored, 202 handed over. It is out of the outbox."""

    message: Message
    answer: Answer


@dataclass(frozen=True, slots=True)
class Rejected:
    """The server will not have the message, for the reason in `answer.error`. It is out of the outbox."""

    message: Message
    answer: Answer

    @property
    def reason(self) -> str:
        return str(refusal(self.answer))


def too_long(message: Message, limit: float) -> Rejected:
    """Of a message whose frame the server would not take: it would refuse it without its id, and so never answer."""
    sentence = Sentence(
        "The text is too long: its frame has {size} bytes, and the limit is {limit}.",
        size=len(message.frame),
        limit=limit,
    )
    return Rejected(message, Answer(TooLong.code, message.id, error=sentence, code=TooLong.word))


@dataclass(frozen=True, slots=True)
class Deferred:
    """The server wants the message later; it is tried again by itself. Told once a message."""

    message: Message
    reason: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """Somebody one shares a conversation with is now `online`, `offline`, or whatever they said they are."""

    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Notice:
    """The server complains of something that it does not name, or something is amiss `here`."""

    sentence: str
    here: bool = False


LinkEvent: TypeAlias = (
    Connected
    | CaughtUp
    | Lost
    | Received
    | SentElsewhere
    | Missed
    | Delivered
    | ReadElsewhere
    | Accepted
    | Rejected
    | Deferred
    | PresenceChanged
    | Joined
    | Left
    | TopicChanged
    | Closed
    | Opened
    | Notice
)
