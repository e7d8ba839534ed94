"""What is sent to sessions, and the bounded queue of one session in which it waits.

The events are msgspec structs, since a hundred thousand of them are made in a second. Those that wait in great numbers
are hidden from the garbage collector: they refer to nothing that could refer to them. How an event is encoded is the
protocol's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from gevent.event import Event
from gevent.queue import SimpleQueue
from msgspec import Struct

from gmessenger.account_settings import AccountSettings
from gmessenger.chat.records import FileInfo
from gmessenger.chat.results import Result
from gmessenger.chat.room_events import EncodingCache, InvitationEvent, RoomEvent, UserRenamed
from gmessenger.errors import ErrorFields, WireError
from gmessenger.room_roles import RoomRole

RESPONSE_SIZE: Final = 128
"""What a response weighs besides its result."""
MESSAGE_OVERHEAD: Final = 128
"""Characters that a message in an outbox counts besides its text."""


def tags_size(tags: Mapping[str, str]) -> int:
    """Return how many characters tags have."""
    return sum(len(key) + len(value) for key, value in tags.items())


class Message(Struct, gc=False):
    """A text for one session, or shared by several.

    `sender`, `to`: names as shown. `time`: Unix seconds.
    `action`: the sender's word for the request, by which the recipient's protocol may choose its own.
    `seq`: its number in the conversation; None if it is not stored.
    `id`: the sender's own id of it; only for the sender's other devices.
    `erased`: the text was erased, and is empty. `edited`: when it was edited last, Unix seconds.
    `kind`, `about`, `what`, `file`: as in `StoredMessage`.
    `encoded`: the protocols' cache: the message is encoded once for all recipients to whom it looks the same.
    `tags`: what the sender's client has said beside it, for who is online now; it is stored nowhere. The protocol that
    takes it bounds its size, and what a key means is between its clients.
    `by`: of an erase, who did it, where that is not the sender; else empty.
    """

    sender: str
    to: str
    text: str
    time: float
    action: str = ""
    seq: int | None = None
    id: str | None = None
    erased: bool = False
    encoded: EncodingCache | None = None
    kind: str = ""
    about: int | None = None
    what: str = ""
    edited: float | None = None
    file: FileInfo | None = None
    tags: Mapping[str, str] | None = None
    by: str = ""

    @property
    def size(self) -> int:
        return len(self.text) + MESSAGE_OVERHEAD + (tags_size(self.tags) if self.tags is not None else 0)


class MessageBatch(Struct):
    """Messages of one conversation that were committed together, from `first_seq` to `last_seq`.

    The session's own are left out, unless it `hears_itself`. `encoded` as in `Message`.
    """

    messages: list[Message]
    first_seq: int
    last_seq: int
    size: int
    encoded: EncodingCache | None = None


class Signal(Struct):
    """What a client tells those who are online beside any message, such as that its user is writing. Not stored.

    Only sessions that `accept_signals` are sent it, and none whose outbox is half full. `tags` as in `Message`.
    `text`, `kind`: for a client's question to another client, which its user does not see; to `BROADCAST_TARGET`, what
    an operator says to those who want to hear it. `least`: of a room, the role that one needs to be sent it.
    """

    sender: str
    to: str
    tags: Mapping[str, str]
    time: float
    text: str = ""
    kind: str = ""
    size: int = 512
    least: RoomRole = "member"
    encoded: EncodingCache | None = None


class TextBatch(Struct):
    """Texts of one sender to one name that came in one read and are not stored. `encoded` as in `Message`."""

    sender: str
    to: str
    texts: list[str]
    time: float
    size: int
    encoded: EncodingCache | None = None


class EncodedFrames(Struct):
    """What the session's protocol has encoded itself, and is sent in turn with the other events.

    Only the protocol that offers it to its own session knows how to send it.
    """

    data: bytes
    size: int


class Response(Struct, gc=False):
    """The response to the request `id`: a `result`, or the fields of an `error`, or neither.

    `status` is that of the protocol, `time` Unix seconds, `seq` that of a message that was stored.
    """

    status: int
    id: str | None
    time: float
    result: Result | None = None
    error: ErrorFields | None = None
    seq: int | None = None

    @property
    def size(self) -> int:
        # Nearly always without: every message is answered.
        return RESPONSE_SIZE if self.result is None else RESPONSE_SIZE + self.result.size


class DeliveryReceipt(Struct):
    """A device of `name` has received everything up to `seq` of its conversation with this session."""

    name: str
    seq: int
    size: int = 96


class ReadReceipt(Struct):
    """Another device of this account has read everything up to `seq` of the conversation `name`.

    `at`: the time up to which, in Unix seconds, where the reader has said it.
    """

    name: str
    seq: int
    at: float | None = None
    size: int = 96


class PresenceUpdate(Struct):
    """A user whom this session shares a conversation with has logged in or out, or has set a status.

    `note`: of the status, or empty. `encoded` as in `Message`.
    """

    name: str
    status: str
    note: str = ""
    size: int = 128
    encoded: EncodingCache | None = None


class SettingsUpdate(Struct):
    """Another session of the account has changed its settings."""

    settings: AccountSettings
    size: int = 512


class ProfileUpdate(Struct):
    """A user or a room, by name, has changed its profile: the values of some keys, None for those that are gone."""

    name: str
    changes: dict[str, str | None]

    @property
    def size(self) -> int:
        return 128 + sum(len(key) + len(value or "") for key, value in self.changes.items())


class CatchUpDone(Struct):
    """The session was sent its whole backlog; live messages follow."""

    size: int = 64


class BacklogSkipped(Struct):
    """Of the backlog of a conversation, `count` messages are left out; the newest follow. `target`: as in a request."""

    target: str
    count: int
    size: int = 96


class LivenessProbe(Struct):
    """Asks the client to respond, to see whether the connection is alive."""

    size: int = 64


class ServerMoving(Struct):
    """The server stops; the client should reconnect after `retry_after` seconds."""

    retry_after: float
    size: int = 64


class SessionReplaced(Struct):
    """Another connection has replaced this session."""

    time: float
    size: int = 128


class SessionClosed(Struct):
    """The server has ended the session; `error` says why."""

    error: WireError
    time: float
    size: int = 128


class EndOfStream(Struct):
    """The last event: once everything before it is written, the connection is closed."""

    size: int = 0


Outbound: TypeAlias = (
    Message
    | MessageBatch
    | TextBatch
    | Signal
    | EncodedFrames
    | Response
    | DeliveryReceipt
    | ReadReceipt
    | RoomEvent
    | UserRenamed
    | InvitationEvent
    | PresenceUpdate
    | SettingsUpdate
    | ProfileUpdate
    | CatchUpDone
    | BacklogSkipped
    | LivenessProbe
    | ServerMoving
    | SessionReplaced
    | SessionClosed
    | EndOfStream
)


class Outbox(SimpleQueue[Outbound]):
    """The queue of events for one session, bounded in frames and in size (characters).

    Any greenlet may append; one reader, the connection's writer, empties it with `drain`. No method blocks, except
    `wait_for_room`.

    1. `on_ready` MUST NOT block. It is called when an event is appended to an empty outbox, and makes the writer drain
       it soon.
    2. `flush` MUST NOT block. It writes what waits as far as the socket takes it. `offer` calls it when the outbox is
       full, because a burst may fill the outbox before the writer had its turn.
    3. `accepts_batches`: the reader takes events of several frames.
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
        # Not the queue's `__init__`: it makes two deques for greenlets that wait in `get` and `put`, 1.5 kB for each
        # connection. None waits there, and without the deques a wait would fail at once; all else is as it was.
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
        """The number of frames that wait."""
        return len(self.queue) + self._extra_frames

    @property
    def is_full(self) -> bool:
        """Whether one more event, whatever its size, is refused. So the size may be exceeded by one event."""
        frames, size = self._reserved
        return self._size + size > self._max_size or len(self.queue) + self._extra_frames + frames >= self._max_frames

    def make_room(self) -> bool:
        """Flush if it is full. Returns True if it is not full then."""
        if not self.is_full:
            return True
        self._flush()
        return not self.is_full

    def make_room_for(self, frames: int, size: int) -> bool:
        """Flush if so many frames of this size together do not fit. Returns True if they do then.

        Unlike `make_room`, the whole size has to fit: a batch that does not is delivered message by message.
        """
        if not self._accepts_batches or self.closed:
            return False
        reserved_frames, reserved_size = self._reserved  # as `_fits`, without the call: most batches fit
        if (
            len(self.queue) + self._extra_frames + frames + reserved_frames <= self._max_frames
            and self._size + size + reserved_size <= self._max_size
        ):
            return True
        self._flush()
        return self._fits(frames, size)

    def reserve(self, size: int) -> bool:
        """Keep room for an event that comes later, unless the outbox is full or closed. Returns True if it is kept."""
        if self.closed or not self.make_room():
            return False
        self._reserved = (self._reserved[0] + 1, self._reserved[1] + size)
        return True

    def release(self, size: int) -> None:
        """Give reserved room back: the event is offered now, or will not come."""
        self._reserved = (self._reserved[0] - 1, self._reserved[1] - size)

    def offer(self, event: Outbound) -> bool:
        """Append an event, unless the outbox is full after `flush`, or closed. Returns True if it was appended."""
        frames, size = self._reserved  # as `make_room`, without the calls: nearly all that is delivered comes here
        if self._size + size > self._max_size or len(self.queue) + self._extra_frames + frames >= self._max_frames:
            self._flush()
            if self.is_full:
                return False
        if self.closed:
            return False
        # The rest as `push` and `Message.size`, also without the calls.
        if type(event) is Message and event.tags is None:
            self._size += len(event.text) + MESSAGE_OVERHEAD
        else:
            self._size += event.size
        waiting = self.queue
        waiting.append(event)
        if len(waiting) == 1:
            self._on_ready()
        return True

    def offer_if_roomy(self, event: Outbound) -> bool:
        """Append an event that may be lost, unless the outbox is half full or closed. Returns True if it was."""
        if self.closed or 2 * self._size > self._max_size or 2 * self.pending_frames > self._max_frames:
            return False
        return self.push(event)

    def push(self, event: Outbound, frames: int = 1) -> bool:
        """Append an event of so many frames, whatever the bound. Returns False if the outbox is closed.

        For what is bounded otherwise: responses, since no request is read while `is_full`, and what room was made for.
        """
        if self.closed:
            return False
        # (`Response.size` without the call: nearly every request is answered without a result.)
        self._size += RESPONSE_SIZE if type(event) is Response and event.result is None else event.size
        if frames != 1:
            self._extra_frames += frames - 1
        # The queue's own list, as in `drain`: nothing ever waits in get or put here.
        waiting = self.queue
        waiting.append(event)
        if len(waiting) == 1:
            self._on_ready()
        return True

    def offer_batch(self, event: Outbound, frames: int) -> bool:
        """Append an event of so many frames, if all of them fit after `flush`. Returns True if it was, or has none."""
        return self.make_room_for(frames, event.size) and (not frames or self.push(event, frames))

    def drain(self) -> list[Outbound]:
        """Remove and return all events, in order."""
        self._size = self._extra_frames = 0
        if self._room_available is not None:
            self._notify_room()
        # The queue's own list: a call for each event would cost more than everything else here.
        drained = list(self.queue)
        self.queue.clear()
        return drained

    def pop(self) -> Outbound:
        """Remove and return the next event. Raises `gevent.queue.Empty`."""
        event: Outbound = self.get_nowait()
        self._size -= event.size
        self._notify_room()
        return event

    def wait_for_room(self) -> bool:
        """Block until it is not full. Returns False if it is closed."""
        while not self.closed and self.is_full:
            self._room_available = self._room_available or Event()
            self._room_available.wait()
            self._room_available = None
        return not self.closed

    def close_after_drain(self) -> None:
        """Accept nothing more. What waits is still written, then the connection is closed."""
        if not self.closed:
            self.push(EndOfStream())
            self.close()

    def close(self) -> None:
        """Accept nothing more, and have nothing written: the connection is gone."""
        self.closed = True
        self._notify_room()

    def _fits(self, frames: int, size: int) -> bool:
        reserved_frames, reserved_size = self._reserved
        return (
            len(self.queue) + self._extra_frames + frames + reserved_frames <= self._max_frames
            and self._size + size + reserved_size <= self._max_size
        )

    def _create_queue(self, items: Iterable[Outbound] = ()) -> Any:
        # A list: an empty deque takes more than half a kilobyte, and each connection has an outbox.
        return list(items)

    def _get(self) -> Outbound:
        return self.queue.pop(0)  # type: ignore[call-arg]  # the stubs take it for a deque

    def _notify_room(self) -> None:
        if self._room_available is not None:
            self._room_available.set()
