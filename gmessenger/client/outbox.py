"""Messages that were not answered yet, in order. Whatever happens to the line, they are sent until they are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from gmessenger.client.frames import frame_of
from gmessenger.client.pacing import Pace
from gmessenger.wire.events import Msg

MOST_IN_FLIGHT = 64
LARGEST_IN_FLIGHT = 262_144
"""Bytes on their way at one time, so that on a slow line too an answer is not far behind its question."""


@dataclass(slots=True, eq=False)
class Message:
    """A text on its way to `to`; `id` is random and stays the same however often it is sent."""

    id: str
    to: str
    text: str
    frame: bytes = field(repr=False)
    sent_at: float | None = None  # on the present line
    due: float = 0.0
    deferred_at: float | None = None  # for the first time


def compose(to: str, text: str) -> Message:
    """A message with a new id. Raises `BadText`."""
    return restore(secrets.token_urlsafe(12), to, text)


def restore(id: str, to: str, text: str) -> Message:
    """A message that may have been sent before. Raises `BadText`."""
    return Message(id, to, text, frame_of(Msg(id=id, to=to, message=text)))


class Outbox:
    """Keeps messages in order, gives out those that may be sent now, and forgets the answered.

    To one addressee the order is kept: while a message waits to be tried again, those behind it wait too, and from
    then on they go one by one. (What was already on its way with it may still get there before it.) No more is given
    out than `pace` allows.
    """

    def __init__(self) -> None:
        self.pace = Pace()
        self._messages: dict[str, Message] = {}
        self._in_flight: dict[str, Message] = {}
        self._bytes_in_flight = 0
        self._deferred: dict[str, Message] = {}
        self._one_by_one: set[str] = set()

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages.values())

    def add(self, message: Message) -> None:
        self._messages[message.id] = message

    def take(self, now: float) -> list[Message]:
        """The messages to send now; they are in flight until `settle`, `defer` or `rewind`."""
        self.pace.look(now)
        taken: list[Message] = []
        held: set[str] = set()
        for message in self._messages.values():
            if len(self._in_flight) >= MOST_IN_FLIGHT or self._bytes_in_flight >= LARGEST_IN_FLIGHT:
                break
            if message.sent_at is None and message.due <= now and message.to not in held:
                if not self.pace.spend(len(message.text)):
                    break
                self._send(message, now)
                taken.append(message)
            if message.to in self._one_by_one:
                held.add(message.to)
        return taken

    def settle(self, id: str) -> Message | None:
        """Forget an answered message and return it; None for an id that is not here."""
        message = self._messages.pop(id, None)
        if message is not None:
            self._land(message)
            if message.to in self._one_by_one and all(other.to != message.to for other in self._messages.values()):
                self._one_by_one.discard(message.to)
        return message

    def find(self, id: str) -> Message | None:
        return self._messages.get(id)

    def defer(self, message: Message, now: float, pause: float) -> None:
        """Send it again, but not before `pause` seconds from now."""
        self._land(message)
        message.due = now + pause
        message.deferred_at = message.deferred_at or now
        self._deferred[message.id] = message
        self._one_by_one.add(message.to)

    def rewind(self) -> None:
        """The line is gone: nothing counts as sent."""
        for message in list(self._in_flight.values()):
            self._land(message)

    def next_due(self, now: float) -> float | None:
        """When the next message may be sent, of the deferred (those that are due already wait for an answer) or where
        the pace allows no more now."""
        due = [message.due for message in self._deferred.values() if message.due > now]
        return min(due + self.pace.next_at(), default=None)

    def oldest_sent(self) -> float | None:
        """When the message was sent that has been in flight for longest."""
        return next((message.sent_at for message in self._in_flight.values()), None)

    def larger_than(self, frame: float) -> list[Message]:
        """Messages whose frame a server with this limit would not take."""
        return [message for message in self._messages.values() if is_larger(message, frame)]

    def _send(self, message: Message, now: float) -> None:
        message.sent_at = now
        self._in_flight[message.id] = message
        self._bytes_in_flight += len(message.frame)
        self._deferred.pop(message.id, None)

    def _land(self, message: Message) -> None:
        message.sent_at = None
        self._deferred.pop(message.id, None)
        if self._in_flight.pop(message.id, None) is not None:
            self._bytes_in_flight -= len(message.frame)


def is_larger(message: Message, frame: float) -> bool:
    """Whether the message makes a frame of more than `frame` bytes (the newline does not count)."""
    return len(message.frame) - 1 > frame
