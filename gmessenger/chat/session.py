"""A session and its outbox: one live connection that has logged in, and the bounded queue of what it is to be told."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from gevent.event import Event
from gevent.queue import SimpleQueue

from gmessenger.chat.limits import Pace
from gmessenger.chat.model import ONLINE, Goodbye, Parcel
from gmessenger.chat.names import LONGEST_NAME, fold
from gmessenger.chat.records import Account, Device

MOST_CONTACTS: Final = 200


class Outbox(SimpleQueue[Parcel]):
    """The gevent queue of what waits for one session, bounded in frames and in bytes.

    `wake` is called when something waits where nothing did; it must not block. Whoever is woken empties the outbox
    with `take_all` (or `take` and `weigh_out`, one at a time). When it is full, `offer` first wakes the reader again
    with `press`, because a burst may fill it before anybody had a chance to write.
    """

    __slots__ = ("_bytes", "_frames", "_press", "_promised", "_room", "_wake", "_weight", "closed", "name")

    def __init__(self, frames: int, bytes_: int, wake: Callable[[], None], press: Callable[[], None]) -> None:
        # Not the queue's `__init__`: it makes two deques for those who wait in `get` and `put`, which hold 1.5 kB for
        # everybody connected. Nobody waits there, and without them a wait would fail at once; all else is as it was.
        self._init(None)  # type: ignore[attr-defined]  # the stubs leave out what subclasses are to use
        self.maxsize = None  # type: ignore[misc]  # which is a property
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
    def crowded(self) -> bool:
        frames, weight = self._promised
        return self._weight + weight > self._bytes or len(self.queue) + frames >= self._frames

    def has_room(self) -> bool:
        """Whether it is not full, after what waits has been written as far as the reader takes it."""
        if not self.crowded:
            return True
        self._press()
        return not self.crowded

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
        self.put_nowait(parcel)
        if idle:
            self._wake()
        return True

    def take_all(self) -> list[Parcel]:
        """Everything that waits, in order."""
        self._weight = 0
        self._make_room()
        # The queue's own list: nobody ever waits in get or put here, and one call each costs more than all else.
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

    def _create_queue(self, items: Iterable[Parcel] = ()) -> Any:
        # A list: a deque holds more than a kilobyte for good, and everybody who is connected has an outbox.
        return list(items)

    def _get(self) -> Parcel:
        return self.queue.pop(0)  # type: ignore[call-arg]  # which the stubs take for a deque

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()


class Session:
    """One connection that has logged in under `name`; `key` is the name folded.

    `front` names the door it came through. `told` is whether it may be told of what it did not ask for; a session that
    may not be is a course client's. An account's session has a `device`, and knows by conversation up to where it has
    been sent what is kept (`sent`) and has been acknowledged (`acked`). While it is `behind` it is sent nothing live
    but catches up from the store; `missed` tells that something came meanwhile. It is `owing` while what it has
    acknowledged may not be on disk; `unsettled` is how much of what it said is on its way there, in characters.
    `pace` is what its name has left to say.
    """

    __slots__ = (
        "_contacts",
        "_settled",
        "account",
        "acked",
        "address",
        "behind",
        "device",
        "front",
        "key",
        "missed",
        "name",
        "outbox",
        "owing",
        "pace",
        "sent",
        "status",
        "token",
        "told",
        "unsettled",
    )

    def __init__(self, name: str, outbox: Outbox, *, front: str, told: bool, address: str) -> None:
        self.name = name
        self.key = fold(name)
        self.outbox = outbox
        outbox.name = name
        self.front = front
        self.told = told
        self.address = address
        self.account: Account | None = None
        self.device: Device | None = None
        self.sent: dict[str, int] = {}
        self.acked: dict[str, int] = {}
        self.behind = False
        self.missed = False
        self.owing = False
        self.unsettled = 0
        self.pace = Pace()
        self._settled: Event | None = None
        self.token = secrets.token_urlsafe(24)
        self.status = ONLINE
        self._contacts: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Session {self.name} {self.address}>"

    @property
    def kind(self) -> Literal["guest", "account"]:
        return "guest" if self.account is None else "account"

    @property
    def role(self) -> str:
        """Empty, or `operator`."""
        return self.account.role if self.account is not None else ""

    @property
    def contacts(self) -> list[str]:
        return list(self._contacts.values())

    def become(self, account: Account) -> None:
        """The session is this account's; nothing is sent to it live until it has caught up with its device."""
        self.account = account
        self.behind = self.missed = True

    def use(self, device: Device) -> None:
        """The session is on this device, which has acknowledged up to its cursors."""
        self.device = device
        self.sent = {key: max(seq, self.sent.get(key, 0)) for key, seq in device.cursors.items()}
        self.acked = dict(device.cursors)

    def settled(self, weight: int) -> None:
        """So much less is on its way to the disk."""
        self.unsettled -= weight
        if self._settled is not None:
            self._settled.set()

    def until_settled(self, most: int, timeout: float) -> bool:
        """Wait until no more than `most` is on its way to the disk; False after `timeout` seconds without progress."""
        while self.unsettled > most:
            self._settled = Event()
            if not self._settled.wait(timeout):
                return False
        self._settled = None
        return True

    def add_contact(self, name: str) -> None:
        """Remember a contact for as long as the session lasts; beyond the bound the oldest is forgotten."""
        if len(name) <= LONGEST_NAME:
            self.remove_contact(name)
            self._contacts[fold(name)] = name
            if len(self._contacts) > MOST_CONTACTS:
                del self._contacts[next(iter(self._contacts))]

    def remove_contact(self, name: str) -> None:
        self._contacts.pop(fold(name), None)
