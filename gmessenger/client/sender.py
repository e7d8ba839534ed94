"""How fast messages may be sent: as fast as the server has announced, so that it need not refuse any.

Messages that were not answered yet, in order. Whatever happens to the line, they are sent until they are.

The sending half of a link: one greenlet that writes what is urgent, then what the outbox gives out.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gevent.event import Event

from gmessenger.client.config import Timeouts
from gmessenger.client.connection import ServerConnection
from gmessenger.client.responses import encode_request
from gmessenger.wire.events import MessageRequest

SAFETY_FACTOR: Final = 0.95
"""Of the announced rate: two clocks are never quite alike."""


class SendRateLimiter:
    """So many at once, then so many a second, a long text counting as several; no limit before the server says one."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._burst = 0.0
        self._chars_per_token: int | None = None
        self._tokens = 0.0
        self._tokens_needed = 0.0  # by a message that has to wait
        self._refilled_at: float | None = None

    def set_limits(self, limits: Mapping[str, Any]) -> None:
        """What the server said when it let us in. Coming back does not renew what was used up."""
        rate, burst, size = (limits.get(f"message_{what}") for what in ("rate", "burst", "size"))
        self._rate = self._burst = 0.0
        self._chars_per_token = size if isinstance(size, int) and size > 0 else None
        if isinstance(rate, int) and isinstance(burst, int) and rate > 0 and burst > 0:
            self._rate, self._burst = rate * SAFETY_FACTOR, max(1.0, burst * SAFETY_FACTOR)

    def refill(self, now: float) -> None:
        """Time has passed: more may be sent. Call it before `spend`."""
        gained = self._burst if self._refilled_at is None else (now - self._refilled_at) * self._rate
        self._tokens = min(self._burst, self._tokens + gained)
        self._tokens_needed = 0.0
        self._refilled_at = now if self._rate else None

    def try_acquire(self, characters: int) -> bool:
        """Whether a text of that length may be sent now; then it counts as sent."""
        if not self._rate:
            return True
        # What costs more than can ever be there costs all of it, as it does the server.
        price = min(self._burst, 1 + characters // self._chars_per_token if self._chars_per_token else 1)
        if self._tokens < price:
            self._tokens_needed = price
            return False
        self._tokens -= price
        return True

    def next_at(self) -> float | None:
        """Return the time at which the message may be sent that was refused last; None where none was."""
        if not self._tokens_needed or self._refilled_at is None:
            return None
        return self._refilled_at + (self._tokens_needed - self._tokens) / self._rate


MAX_IN_FLIGHT = 64
MAX_IN_FLIGHT_BYTES = 262_144
"""Bytes on their way at one time, so that on a slow line too an answer is not far behind its question."""


@dataclass(slots=True, eq=False)
class OutgoingMessage:
    """A text on its way to `to`; `id` is random and stays the same however often it is sent."""

    id: str
    to: str
    text: str
    frame: bytes = field(repr=False)
    sent_at: float | None = None  # on the present line
    due_at: float = 0.0
    deferred_at: float | None = None  # for the first time


def make_message(to: str, text: str) -> OutgoingMessage:
    """A message with a new id. Raises `BadText`."""
    return restore_message(secrets.token_urlsafe(12), to, text)


def restore_message(id: str, to: str, text: str) -> OutgoingMessage:
    """A message that may have been sent before. Raises `BadText`."""
    return OutgoingMessage(id, to, text, encode_request(MessageRequest(id=id, to=to, message=text)))


class SendQueue:
    """Keeps messages in order, gives out those that may be sent now, and forgets the answered.

    To one addressee the order is kept: while a message waits to be tried again, those behind it wait too, and from
    then on they go one by one. (What was already on its way with it may still get there before it.) No more is given
    out than `pace` allows.
    """

    def __init__(self) -> None:
        self.rate_limiter = SendRateLimiter()
        self._messages: dict[str, OutgoingMessage] = {}
        self._in_flight: dict[str, OutgoingMessage] = {}
        self._bytes_in_flight = 0
        self._deferred: dict[str, OutgoingMessage] = {}
        self._serialized: set[str] = set()

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[OutgoingMessage]:
        return iter(self._messages.values())

    def add(self, message: OutgoingMessage) -> None:
        self._messages[message.id] = message

    def next_batch(self, now: float) -> list[OutgoingMessage]:
        """The messages to send now; they are in flight until `settle`, `defer` or `rewind`."""
        self.rate_limiter.refill(now)
        taken: list[OutgoingMessage] = []
        held: set[str] = set()
        for message in self._messages.values():
            if len(self._in_flight) >= MAX_IN_FLIGHT or self._bytes_in_flight >= MAX_IN_FLIGHT_BYTES:
                break
            if message.sent_at is None and message.due_at <= now and message.to not in held:
                if not self.rate_limiter.try_acquire(len(message.text)):
                    break
                self._mark_sent(message, now)
                taken.append(message)
            if message.to in self._serialized:
                held.add(message.to)
        return taken

    def resolve(self, id: str) -> OutgoingMessage | None:
        """Forget an answered message and return it; None for an id that is not here."""
        message = self._messages.pop(id, None)
        if message is not None:
            self._mark_not_in_flight(message)
            if message.to in self._serialized and all(other.to != message.to for other in self._messages.values()):
                self._serialized.discard(message.to)
        return message

    def find(self, id: str) -> OutgoingMessage | None:
        return self._messages.get(id)

    def defer(self, message: OutgoingMessage, now: float, delay: float) -> None:
        """Send it again, but not before `pause` seconds from now."""
        self._mark_not_in_flight(message)
        message.due_at = now + delay
        message.deferred_at = message.deferred_at or now
        self._deferred[message.id] = message
        self._serialized.add(message.to)

    def requeue_all(self) -> None:
        """The line is gone: nothing counts as sent."""
        for message in list(self._in_flight.values()):
            self._mark_not_in_flight(message)

    def next_send_at(self, now: float) -> float | None:
        """When the next message may be sent, of the deferred (those that are due already wait for an answer) or where
        the pace allows no more now."""
        due = [message.due_at for message in self._deferred.values() if message.due_at > now]
        if (allowed_at := self.rate_limiter.next_at()) is not None:
            due.append(allowed_at)
        return min(due, default=None)

    def oldest_sent_at(self) -> float | None:
        """When the message was sent that has been in flight for longest."""
        return next((message.sent_at for message in self._in_flight.values()), None)

    def larger_than(self, max_frame: float) -> list[OutgoingMessage]:
        """Messages whose frame a server with this limit would not take."""
        return [message for message in self._messages.values() if is_too_large(message, max_frame)]

    def _mark_sent(self, message: OutgoingMessage, now: float) -> None:
        message.sent_at = now
        self._in_flight[message.id] = message
        self._bytes_in_flight += len(message.frame)
        self._deferred.pop(message.id, None)

    def _mark_not_in_flight(self, message: OutgoingMessage) -> None:
        message.sent_at = None
        self._deferred.pop(message.id, None)
        if self._in_flight.pop(message.id, None) is not None:
            self._bytes_in_flight -= len(message.frame)


def is_too_large(message: OutgoingMessage, max_frame: float) -> bool:
    """Whether the message makes a frame of more than `frame` bytes (the newline does not count)."""
    return len(message.frame) - 1 > max_frame


class Sender:
    """Has frames written in batches. While `paused`, messages stay in the outbox and only urgent frames go out."""

    def __init__(self, send_queue: SendQueue, timeouts: Timeouts) -> None:
        self._send_queue = send_queue
        self._timeouts = timeouts
        self._urgent: dict[str, bytes] = {}
        self._wakeup = Event()
        self._paused = False

    def pause(self) -> None:
        """Send no messages, only urgent frames, until `reset`."""
        self._paused = True

    def send_now(self, key: str, frame: bytes) -> None:
        """Send a frame before all messages; of several of the same `what` that wait only the last is sent."""
        self._urgent[key] = frame
        self._wakeup.set()

    def wake(self) -> None:
        """Have another look at the outbox."""
        self._wakeup.set()

    def reset(self) -> None:
        """A new line: nothing is urgent, nothing was sent, nothing holds messages back."""
        self._urgent.clear()
        self._send_queue.requeue_all()
        self._paused = False

    def run(self, connection: ServerConnection) -> None:
        """Send for as long as the connection lives. Raises OSError when it is down."""
        while True:
            self._wakeup.clear()
            now = time.monotonic()
            if frames := self._next_frames(now):
                connection.send(b"".join(frames), self._timeouts)
            else:
                due = self._send_queue.next_send_at(now)
                self._wakeup.wait(None if due is None else due - now)

    def _next_frames(self, now: float) -> list[bytes]:
        urgent = list(self._urgent.values())
        self._urgent.clear()
        messages = [] if self._paused else self._send_queue.next_batch(now)
        return urgent + [message.frame for message in messages]
