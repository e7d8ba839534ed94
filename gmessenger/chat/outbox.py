"""The bounded queue of one session, in which the events that it is sent wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gevent.event import Event
from gevent.queue import SimpleQueue

from gmessenger.chat.outbound import RESPONSE_SIZE, EndOfStream, Outbound, Response


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
        "_reserved_frames",
        "_reserved_size",
        "_room_available",
        "_size",
        "_waiting",
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
        self._waiting: list[Outbound] = self.queue  # type: ignore[assignment]  # the stubs take it for a deque
        """The queue's own list. Nothing ever waits in its `get` and `put`, so events are put into it and taken from it
        without a call. Reading `queue`, an attribute in C, would take as long as such a call."""
        self._accepts_batches = accepts_batches
        self._extra_frames = 0
        self._max_frames = max_frames
        self._max_size = max_size
        self._on_ready = on_ready
        self._flush = flush
        self._size = 0
        self._reserved_frames = self._reserved_size = 0
        self._room_available: Event | None = None
        self.closed = False

    @property
    def pending_frames(self) -> int:
        """The number of frames that wait."""
        return len(self._waiting) + self._extra_frames

    @property
    def reserved(self) -> tuple[int, int]:
        """The frames for which room is kept, and their size."""
        return self._reserved_frames, self._reserved_size

    @property
    def is_full(self) -> bool:
        """Whether one more event, whatever its size, is refused. So the size may be exceeded by one event."""
        return (
            self._size + self._reserved_size > self._max_size
            or len(self._waiting) + self._extra_frames + self._reserved_frames >= self._max_frames
        )

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
        if (  # as `_fits`, without the call: most batches fit
            len(self._waiting) + self._extra_frames + frames + self._reserved_frames <= self._max_frames
            and self._size + size + self._reserved_size <= self._max_size
        ):
            return True
        self._flush()
        return self._fits(frames, size)

    def reserve(self, size: int) -> bool:
        """Keep room for an event that comes later, unless the outbox is full or closed. Returns True if it is kept."""
        if self.closed or not self.make_room():
            return False
        self._reserved_frames += 1
        self._reserved_size += size
        return True

    def release(self, size: int) -> None:
        """Give reserved room back: the event is offered now, or will not come."""
        self._reserved_frames -= 1
        self._reserved_size -= size

    def offer(self, event: Outbound) -> bool:
        """Append an event, unless the outbox is full after `flush`, or closed. Returns True if it was appended."""
        return self.offer_sized(event, event.size)

    def offer_sized(self, event: Outbound, size: int) -> bool:
        """Append as `offer` does. `size`: the event's, which the caller knows already."""
        waiting = self._waiting
        if self.closed:
            return False
        if not waiting and not self._reserved_frames:  # nearly always: all the room is free
            self._size = size
            waiting.append(event)
            notify = self._on_ready  # (in a variable for the reason that `GuestRelay.relay` has)
            notify()
            return True
        if (  # as `make_room`, without the calls
            self._size + self._reserved_size > self._max_size
            or len(waiting) + self._extra_frames + self._reserved_frames >= self._max_frames
        ):
            self._flush()
            if self.closed or self.is_full:
                return False
        self._size += size
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
        waiting = self._waiting
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
        drained = self._waiting.copy()
        self._waiting.clear()
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
        return (
            len(self._waiting) + self._extra_frames + frames + self._reserved_frames <= self._max_frames
            and self._size + size + self._reserved_size <= self._max_size
        )

    def _create_queue(self, items: Iterable[Outbound] = ()) -> Any:
        # A list: an empty deque takes more than half a kilobyte, and each connection has an outbox.
        return list(items)

    def _get(self) -> Outbound:
        return self._waiting.pop(0)

    def _notify_room(self) -> None:
        if self._room_available is not None:
            self._room_available.set()
