"""The sender: the queue of unanswered messages, the rate limit of the server, and the greenlet that writes frames."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gevent.event import Event

from gmessenger import field_types as fields
from gmessenger.client.config import Timeouts
from gmessenger.client.connection import ServerConnection
from gmessenger.client.responses import encode_request
from gmessenger.wire.events import MessageRequest

SAFETY_FACTOR: Final = 0.95
"""The share of the announced rate that is used, as two clocks never agree."""


class SendRateLimiter:
    """The token bucket of the server's message rate, so that it need not refuse messages; a long text costs several.

    Without a limit until `set_limits`.
    """

    def __init__(self) -> None:
        self._rate = 0.0
        self._burst = 0.0
        self._chars_per_token: int | None = None
        self._tokens = 0.0
        self._tokens_needed = 0.0  # by the message that was refused
        self._refilled_at: float | None = None

    def set_limits(self, limits: Mapping[str, Any]) -> None:
        """Take over the limits of a login; a reconnection does not refill the bucket."""
        rate, burst, size = (limits.get(f"message_{key}") for key in ("rate", "burst", "size"))
        self._rate = self._burst = 0.0
        self._chars_per_token = size if isinstance(size, int) and size > 0 else None
        if isinstance(rate, int) and isinstance(burst, int) and rate > 0 and burst > 0:
            self._rate, self._burst = rate * SAFETY_FACTOR, max(1.0, burst * SAFETY_FACTOR)

    def refill(self, now: float) -> None:
        """Add the tokens for the time since the last call. MUST be called before `try_acquire`."""
        gained = self._burst if self._refilled_at is None else (now - self._refilled_at) * self._rate
        self._tokens = min(self._burst, self._tokens + gained)
        self._tokens_needed = 0.0
        self._refilled_at = now if self._rate else None

    def try_acquire(self, characters: int) -> bool:
        """Take the tokens for a text of that length; return False if there are too few."""
        if not self._rate:
            return True
        # A message that costs more than the burst costs the burst, as on the server.
        cost = min(self._burst, 1 + characters // self._chars_per_token if self._chars_per_token else 1)
        if self._tokens < cost:
            self._tokens_needed = cost
            return False
        self._tokens -= cost
        return True

    def next_at(self) -> float | None:
        """Return the time at which the message may be sent that was refused last; None where none was."""
        if not self._tokens_needed or self._refilled_at is None:
            return None
        return self._refilled_at + (self._tokens_needed - self._tokens) / self._rate


MAX_IN_FLIGHT = 64  # messages without a response
MAX_IN_FLIGHT_BYTES = 262_144
"""Bytes without a response at one time, so that responses come soon on a slow connection, too."""


@dataclass(slots=True, eq=False)
class OutgoingMessage:
    """A message to a name or room; its random `id` stays the same when it is sent again. Times are monotonic.

    about: the seq of the earlier message that it is about.
    what: what it does to that message; None for a reply.
    file: the id of a file that was uploaded.
    """

    id: str
    to: str
    text: str
    frame: bytes = field(repr=False)
    about: int | None = None
    what: fields.What | None = None
    kind: fields.Kind | None = None
    file: str | None = None
    sent_at: float | None = None  # over the current connection
    due_at: float = 0.0  # not to be sent before
    deferred_at: float | None = None  # when it was deferred first


def make_message(
    to: str,
    text: str,
    about: int | None = None,
    what: fields.What | None = None,
    kind: fields.Kind | None = None,
    id: str | None = None,
    file: str | None = None,
) -> OutgoingMessage:
    """Make a message, with the `id` that an earlier process has given it, or a new one. Raises `BadText`."""
    id = id or secrets.token_urlsafe(12)
    request = MessageRequest(id=id, to=to, message=text, about=about, what=what, kind=kind, file=file)
    return OutgoingMessage(id, to, text, encode_request(request), about, what, kind, file)


class SendQueue:
    """The messages that the server has not answered, in order, and which of them may be sent now.

    Messages to one recipient keep their order: while one is deferred, those after it wait, and from then on they are
    sent one at a time. (Those that were in flight with it may still overtake it.) `rate_limiter` bounds the rate.
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
        """Append a message."""
        self._messages[message.id] = message

    def next_batch(self, now: float) -> list[OutgoingMessage]:
        """Return the messages to send now; they are in flight until `resolve`, `defer` or `requeue_all`."""
        self.rate_limiter.refill(now)
        batch: list[OutgoingMessage] = []
        blocked: set[str] = set()
        for message in self._messages.values():
            if len(self._in_flight) >= MAX_IN_FLIGHT or self._bytes_in_flight >= MAX_IN_FLIGHT_BYTES:
                break
            if message.sent_at is None and message.due_at <= now and message.to not in blocked:
                if not self.rate_limiter.try_acquire(len(message.text)):
                    break
                self._mark_sent(message, now)
                batch.append(message)
            if message.to in self._serialized:
                blocked.add(message.to)
        return batch

    def resolve(self, id: str) -> OutgoingMessage | None:
        """Remove an answered message and return it; None for an unknown id."""
        message = self._messages.pop(id, None)
        if message is not None:
            self._mark_not_in_flight(message)
            if message.to in self._serialized and all(other.to != message.to for other in self._messages.values()):
                self._serialized.discard(message.to)
        return message

    def find(self, id: str) -> OutgoingMessage | None:
        """Return the message with that id; None if there is none."""
        return self._messages.get(id)

    def defer(self, message: OutgoingMessage, now: float, delay: float) -> None:
        """Have a message sent again in `delay` seconds or later."""
        self._mark_not_in_flight(message)
        message.due_at = now + delay
        message.deferred_at = message.deferred_at or now
        self._deferred[message.id] = message
        self._serialized.add(message.to)

    def requeue_all(self) -> None:
        """Have all messages sent again that are in flight: the connection is lost."""
        for message in list(self._in_flight.values()):
            self._mark_not_in_flight(message)

    def next_send_at(self, now: float) -> float | None:
        """Return when to call `next_batch` again: when a deferred message is due, or the rate allows more.

        None if neither is to be waited for. Deferred messages that are due already wait for a response before them.
        """
        due = [message.due_at for message in self._deferred.values() if message.due_at > now]
        if (allowed_at := self.rate_limiter.next_at()) is not None:
            due.append(allowed_at)
        return min(due, default=None)

    def oldest_sent_at(self) -> float | None:
        """Return when the oldest message in flight was sent; None if there is none."""
        return next((message.sent_at for message in self._in_flight.values()), None)

    def larger_than(self, max_frame: float) -> list[OutgoingMessage]:
        """Return the messages whose frames are above the limit."""
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
    """Return whether the frame of a message has more than `max_frame` bytes (without its newline)."""
    return len(message.frame) - 1 > max_frame


class Sender:
    """Writes urgent frames and queued messages to one connection after another, in the greenlet that calls `run`."""

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
        """Send a frame before all messages; of several unsent ones with one `key` only the last is sent."""
        self._urgent[key] = frame
        self._wakeup.set()

    def wake(self) -> None:
        """Have the send queue checked again, after it has changed."""
        self._wakeup.set()

    def reset(self) -> None:
        """Prepare for a new connection: drop urgent frames, requeue messages in flight, end a `pause`."""
        self._urgent.clear()
        self._send_queue.requeue_all()
        self._paused = False

    def run(self, connection: ServerConnection) -> None:
        """Send until the connection is lost. Blocks. Raises OSError then."""
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
