"""What a link tells its owner, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gmessenger.client.frames import refusal
from gmessenger.client.outbox import Message
from gmessenger.wire.events import Answer, Delivery


@dataclass(frozen=True, slots=True)
class Connected:
    """Logged in: the first time, or `again` after the line was lost. `limits` are the server's, by its own words."""

    server: str
    greeting: str
    limits: Mapping[str, Any]
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
    """The server complains of something that it does not name."""

    sentence: str


LinkEvent: TypeAlias = Connected | Lost | Received | Accepted | Rejected | Deferred | PresenceChanged | Notice
