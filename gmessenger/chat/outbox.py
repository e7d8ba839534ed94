"""What the messenger passes around: what waits in an outbox on its way to one session.

msgspec structs, because a hundred thousand of them are made in a second, and unseen by the collector where they wait in
great numbers (they refer to nothing that could refer to them); nothing here knows how it will be written.

The outbox: the bounded gevent queue of what one session is to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeAlias

from gevent.event import Event
from gevent.queue import SimpleQueue
from msgspec import Struct

from gmessenger.errors import WireError

MESSAGE_OVERHEAD: Final = 128
"""What a message in an outbox weighs besides its text."""


class Message(Struct, gc=False):
    """Somebody's text on its way. `sender` and `to` are names as shown; `time` is Unix seconds.

    `seq` numbers it in its conversation where it is kept; `id` is the sender's own, for the sender's other devices.
    `said` is for fronts only: the sender's word, which may tell a receiver's front how to say it. `written` holds what
    a front has made of the message, so that it is made once for all its recipients.
    """

    sender: str
    to: str
    text: str
    time: float
    action: str = ""
    seq: int | None = None
    id: str | None = None
    erased: bool = False
    encoded: Any = None

    @property
    def size(self) -> int:
        return len(self.text) + MESSAGE_OVERHEAD


class MessageBatch(Struct):
    """Messages of one conversation that were kept together under the seqs from `first` to `last`, for those who are
    given all of them but their own; `written` as in `Message`.
    """

    messages: list[Message]
    first_seq: int
    last_seq: int
    size: int
    encoded: Any = None


class TextBatch(Struct):
    """What one sender said to one name in one breath, kept nowhere; `written` as in `Message`."""

    sender: str
    to: str
    texts: list[str]
    time: float
    size: int
    encoded: Any = None


class Response(Struct, gc=False):
    """The answer to a request that had an `id`; `code` is the wire's, `seq` that of a message that was kept, `more`
    what else belongs to it.

    Where `more["messages"]` is longer than a frame may be, it is cut: at its `end` unless the newest are at the end
    and wanted most.
    """

    status: int
    id: str | None
    time: float
    fields: dict[str, Any] | None = None
    truncate_at_end: bool = True
    seq: int | None = None

    @property
    def size(self) -> int:
        if self.fields is None:  # nearly always: every message is answered
            return 128
        lists = [value for value in self.fields.values() if type(value) is list]
        return 128 + sum(len(each) if isinstance(each, str) else _entry_size(each) for items in lists for each in items)


def _entry_size(entry: dict[str, Any]) -> int:
    return 96 + len(entry.get("message") or "")


class DeliveryReceipt(Struct):
    """A device of `name` has everything up to `seq` of the conversation with this session."""

    name: str
    seq: int
    size: int = 96


class ReadReceipt(Struct):
    """Another device of this account has read everything up to `seq` of the conversation `name`."""

    name: str
    seq: int
    size: int = 96


class RoomEvent(Struct):
    """Somebody joined a room, left it, changed its topic, closed or opened it.

    `by` is who removed them, `reason` why it was closed.
    """

    action: Literal["join", "leave", "topic", "close", "open"]
    room: str
    name: str
    topic: str | None = None
    by: str | None = None
    reason: str | None = None
    size: int = 160


class PresenceUpdate(Struct):
    """Somebody this session shares a conversation with has come or gone, or says how they are.

    `written` is as in `Message`.
    """

    name: str
    status: str
    size: int = 128
    encoded: Any = None


class CatchUpDone(Struct):
    """The session has everything that was waiting for it."""

    size: int = 64


class LivenessProbe(Struct):
    """Asks the other end whether it is there."""

    size: int = 64


class ServerMoving(Struct):
    """The server stops; come back in `retry_in` seconds."""

    retry_after: float
    size: int = 64


class SessionReplaced(Struct):
    """Another connection has taken this session's place."""

    time: float
    size: int = 128


class SessionClosed(Struct):
    """The session may be here no more; `error` says why."""

    error: WireError
    time: float
    size: int = 128


class EndOfStream(Struct):
    """Nothing follows: when all before it is written, the connection is closed."""

    size: int = 0


Outbound: TypeAlias = (
    Message
    | MessageBatch
    | TextBatch
    | Response
    | DeliveryReceipt
    | ReadReceipt
    | RoomEvent
    | PresenceUpdate
    | CatchUpDone
    | LivenessProbe
    | ServerMoving
    | SessionReplaced
    | SessionClosed
    | EndOfStream
)


class Outbox(SimpleQueue[Outbound]):
    """The gevent queue of what waits for one session, bounded in frames and in bytes.

    `wake` is called when something waits where nothing did; it must not block. Whoever is woken empties the outbox
    with `take_all` (or `take` and `weigh_out`, one at a time). When it is full, `offer` first wakes the reader again
    with `press`, because a burst may fill it before anybody had a chance to write. Who empties it `together` bears
    parcels that hold several frames.
    """

    __slots__ = (
        "_accepts_batches",
        "_extra_frames",
        "_flush",
        "_max_frames",
        "_max_size",
        "_on_ready",
        "_reserved",
        "_room_available",
        "_size",
        "closed",
    )

    def __init__(
        self,
        max_frames: int,
        max_size: int,
        on_ready: Callable[[], None],
        flush: Callable[[], None],
        *,
        accepts_batches: bool = False,
    ) -> None:
        # Not the queue's `__init__`: it makes two deques for those who wait in `get` and `put`, which hold 1.5 kB for
        # everybody connected. Nobody waits there, and without them a wait would fail at once; all else is as it was.
        self._init(None)  # type: ignore[attr-defined]  # the stubs leave out what subclasses are to use
        self.maxsize = None  # type: ignore[misc]  # which is a property
        self._accepts_batches = accepts_batches
        self._extra_frames = 0
        self._max_frames = max_frames
        self._max_size = max_size
        self._on_ready = on_ready
        self._flush = flush
        self._size = 0
        self._reserved = (0, 0)
        self._room_available: Event | None = None
        self.closed = False

    @property
    def pending_frames(self) -> int:
        """How many frames are queued."""
        return len(self.queue) + self._extra_frames

    @property
    def is_full(self) -> bool:
        frames, weight = self._reserved
        return self._size + weight > self._max_size or len(self.queue) + self._extra_frames + frames >= self._max_frames

    def make_room(self) -> bool:
        """Whether it is not full, after what waits has been written as far as the reader takes it."""
        if not self.is_full:
            return True
        self._flush()
        return not self.is_full

    def make_room_for(self, frames: int, size: int) -> bool:
        """Whether it bears, and has room for, a parcel of so many frames, after what waits has been written."""
        if not self._accepts_batches or self.closed:
            return False
        if self._fits(frames, size):
            return True
        self._flush()
        return self._fits(frames, size)

    def reserve(self, size: int) -> bool:
        """Keep room for a parcel that comes later, unless the outbox is full; says whether it did."""
        if self.closed or not self.make_room():
            return False
        self._reserved = (self._reserved[0] + 1, self._reserved[1] + size)
        return True

    def release(self, size: int) -> None:
        """Give back the room that was promised: now the parcel is offered, or will not come."""
        self._reserved = (self._reserved[0] - 1, self._reserved[1] - size)

    def offer(self, event: Outbound) -> bool:
        """Append an event, unless the outbox is full after `flush`, or closed. Returns True if it was appended."""
        frames, size = self._reserved  # as `make_room`, without the calls: nearly all that is delivered comes here
        if self._size + size > self._max_size or len(self.queue) + self._extra_frames + frames >= self._max_frames:
            self._flush()
            if self.is_full:
                return False
        return self.push(event)

    def push(self, event: Outbound, frames: int = 1) -> bool:
        """Append an event of so many frames, whatever the bound. Returns False if the outbox is closed.

        For what is bounded otherwise: responses, since no request is read while `is_full`, and what room was made for.
        """
        if self.closed:
            return False
        is_idle = not self.queue
        self._size += event.size
        if frames != 1:
            self._extra_frames += frames - 1
        # The queue's own list, as in `drain`: nothing ever waits in get or put here.
        self.queue.append(event)
        if is_idle:
            self._on_ready()
        return True

    def offer_batch(self, event: Outbound, frames: int) -> bool:
        """Append an event of so many frames, if all of them fit after `flush`. Returns True if it was, or has none."""
        return self.make_room_for(frames, event.size) and (not frames or self.push(event, frames))

    def drain(self) -> list[Outbound]:
        """Everything that waits, in order."""
        self._size = self._extra_frames = 0
        self._notify_room()
        # The queue's own list: one call each costs more than all else.
        parcels = list(self.queue)
        self.queue.clear()
        return parcels

    def pop(self) -> Outbound:
        """The next parcel. Raises gevent.queue.Empty."""
        parcel: Outbound = self.get_nowait()
        self._size -= parcel.size
        self._notify_room()
        return parcel

    def wait_for_room(self) -> bool:
        """Wait until it is no longer full; False where it takes nothing in any more."""
        while not self.closed and self.is_full:
            self._room_available = self._room_available or Event()
            self._room_available.wait()
            self._room_available = None
        return not self.closed

    def close_after_drain(self) -> None:
        """Take nothing more in; what waits is still written, then the connection is closed."""
        if not self.closed:
            self.push(EndOfStream())
            self.close()

    def close(self) -> None:
        """Take nothing more in: nobody reads it."""
        self.closed = True
        self._notify_room()

    def _fits(self, frames: int, size: int) -> bool:
        reserved_frames, reserved_size = self._reserved
        return (
            len(self.queue) + self._extra_frames + frames + reserved_frames <= self._max_frames
            and self._size + size + reserved_size <= self._max_size
        )

    def _create_queue(self, items: Iterable[Outbound] = ()) -> Any:
        # A list: a deque holds more than a kilobyte for good, and everybody who is connected has an outbox.
        return list(items)

    def _get(self) -> Outbound:
        return self.queue.pop(0)  # type: ignore[call-arg]  # which the stubs take for a deque

    def _notify_room(self) -> None:
        if self._room_available is not None:
            self._room_available.set()
