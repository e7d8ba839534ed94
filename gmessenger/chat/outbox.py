"""The outbox: the bounded gevent queue of what one session is to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gevent.event import Event
from gevent.queue import SimpleQueue

from gmessenger.chat.model import Goodbye, Parcel


class Outbox(SimpleQueue[Parcel]):
    """The gevent queue of what waits for one session, bounded in frames and in bytes.

    `wake` is called when something waits where nothing did; it must not block. Whoever is woken empties the outbox
    with `take_all` (or `take` and `weigh_out`, one at a time). When it is full, `offer` first wakes the reader again
    with `press`, because a burst may fill it before anybody had a chance to write. Who empties it `together` bears
    parcels that hold several frames.
    """

    __slots__ = (
        "_bytes",
        "_frames",
        "_press",
        "_promised",
        "_room",
        "_together",
        "_wake",
        "_weight",
        "_within",
        "closed",
        "name",
    )

    def __init__(
        self, frames: int, bytes_: int, wake: Callable[[], None], press: Callable[[], None], *, together: bool = False
    ) -> None:
        # Not the queue's `__init__`: it makes two deques for those who wait in `get` and `put`, which hold 1.5 kB for
        # everybody connected. Nobody waits there, and without them a wait would fail at once; all else is as it was.
        self._init(None)  # type: ignore[attr-defined]  # the stubs leave out what subclasses are to use
        self.maxsize = None  # type: ignore[misc]  # which is a property
        self._together = together
        self._within = 0
        self._frames = frames
        self._bytes = bytes_
        self._wake = wake
        self._press = press
        self._weight = 0
        self._promised = (0, 0)
        self._room: Event | None = None
        self.closed = False
        self.name = ""

    @property
    def waiting(self) -> int:
        """How many frames are queued."""
        return len(self.queue) + self._within

    @property
    def crowded(self) -> bool:
        frames, weight = self._promised
        return self._weight + weight > self._bytes or len(self.queue) + self._within + frames >= self._frames

    def has_room(self) -> bool:
        """Whether it is not full, after what waits has been written as far as the reader takes it."""
        if not self.crowded:
            return True
        self._press()
        return not self.crowded

    def has_room_for(self, frames: int, weight: int) -> bool:
        """Whether it bears, and has room for, a parcel of so many frames, after what waits has been written."""
        if not self._together or self.closed:
            return False
        if self._fits(frames, weight):
            return True
        self._press()
        return self._fits(frames, weight)

    def promise(self, weight: int) -> bool:
        """Keep room for a parcel that comes later, unless the outbox is full; says whether it did."""
        if self.closed or not self.has_room():
            return False
        self._promised = (self._promised[0] + 1, self._promised[1] + weight)
        return True

    def redeem(self, weight: int) -> None:
        """Give back the room that was promised: now the parcel is offered, or will not come."""
        self._promised = (self._promised[0] - 1, self._promised[1] - weight)

    def offer(self, parcel: Parcel) -> bool:
        """Put a parcel in unless the outbox is full or closed; says whether it did."""
        return self.has_room() and self.insist(parcel)

    def insist(self, parcel: Parcel) -> bool:
        """Put in what is owed whatever the bound: answers, whose number is bounded by not reading requests."""
        if self.closed:
            return False
        idle = not self.queue
        self._weight += parcel.weight
        # The queue's own list, as in `take_all`: nobody ever waits in get or put here.
        self.queue.append(parcel)
        if idle:
            self._wake()
        return True

    def insist_on(self, parcel: Parcel, frames: int) -> bool:
        """Put in a parcel of so many frames."""
        self._within += frames - 1
        return self.insist(parcel)

    def offer_all(self, parcel: Parcel, frames: int) -> bool:
        """Put in a parcel of so many frames, or none, unless they do not all fit; says whether it did."""
        return self.has_room_for(frames, parcel.weight) and (not frames or self.insist_on(parcel, frames))

    def take_all(self) -> list[Parcel]:
        """Everything that waits, in order."""
        self._weight = self._within = 0
        self._make_room()
        # The queue's own list: one call each costs more than all else.
        parcels = list(self.queue)
        self.queue.clear()
        return parcels

    def take(self) -> Parcel:
        """The next parcel. Raises gevent.queue.Empty."""
        parcel: Parcel = self.get_nowait()
        self._weight -= parcel.weight
        self._make_room()
        return parcel

    def until_room(self) -> bool:
        """Wait until it is no longer full; False where it takes nothing in any more."""
        while not self.closed and self.crowded:
            self._room = self._room or Event()
            self._room.wait()
            self._room = None
        return not self.closed

    def finish(self) -> None:
        """Take nothing more in; what waits is still written, then the connection is closed."""
        if not self.closed:
            self.insist(Goodbye())
            self.close()

    def close(self) -> None:
        """Take nothing more in: nobody reads it."""
        self.closed = True
        self._make_room()

    def _fits(self, frames: int, weight: int) -> bool:
        promised, promised_weight = self._promised
        fits = len(self.queue) + self._within + frames + promised <= self._frames
        return fits and self._weight + weight + promised_weight <= self._bytes

    def _create_queue(self, items: Iterable[Parcel] = ()) -> Any:
        # A list: a deque holds more than a kilobyte for good, and everybody who is connected has an outbox.
        return list(items)

    def _get(self) -> Parcel:
        return self.queue.pop(0)  # type: ignore[call-arg]  # which the stubs take for a deque

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()
