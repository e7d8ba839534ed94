"""A node: one server of a cluster, put together from a messenger, the store it shares and the bus."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gevent.event import Event

from gmessenger.chat.delivery import Spawn
from gmessenger.chat.model import EVERYBODY, Delivered, Message, ReadUpTo
from gmessenger.chat.names import fold
from gmessenger.chat.presence import Later
from gmessenger.chat.service import Messenger
from gmessenger.cluster import frames
from gmessenger.cluster.applying import Applying
from gmessenger.cluster.asked import Asked
from gmessenger.cluster.asking import Asking
from gmessenger.cluster.contract import Bus, SharedStore
from gmessenger.cluster.following import Following
from gmessenger.cluster.frames import encode
from gmessenger.cluster.hinting import Hinting
from gmessenger.cluster.leases import Leases
from gmessenger.cluster.ordering import Ordering
from gmessenger.cluster.others import Others
from gmessenger.cluster.room_changes import RoomChanges
from gmessenger.cluster.showing import Showing
from gmessenger.errors import StoreUnavailable

ENDING_TAKES: Final = 2.0
"""Seconds."""


class Node:
    """`elsewhere` is what its messenger is made with; then `join`, `start`, and at last `stop`.

    `every` is how often, in seconds, it asks the store what others did, besides when they say so.
    """

    def __init__(
        self,
        store: SharedStore,
        bus: Bus,
        spawn: Spawn,
        later: Later,
        clock: Callable[[], float],
        steady: Callable[[], float],
        every: float,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self.bus = bus
        self._spawn = spawn
        self._later = later
        self._clock = clock
        self._steady = steady
        self._every = every
        self._failed = failed
        self._ended: list[Event] = []
        self.elsewhere = Others(store, bus)

    def join(self, messenger: Messenger) -> None:
        """Have the messenger hear of the others, and they of it."""
        self._messenger = messenger
        router, rooms, policy = messenger.router, messenger.rooms, messenger.policy
        spawn, later, elsewhere = self._spawn, self._later, self.elsewhere
        store, bus, presence = self._store, self.bus, messenger.presence
        showing = self._showing = Showing(bus, elsewhere, router, rooms, presence, messenger.seen, self.resumed)
        self.ordering = Ordering(store, messenger.gathering, rooms, messenger.delivery, spawn, later)
        self._hinting = Hinting(bus, elsewhere, rooms, presence, self.ordering.take)
        messenger.gathering.order = self._hinting.kept
        accounts = messenger.entrance.by_id
        changes = RoomChanges(rooms, router, messenger.delivery, messenger.sanctions, accounts, showing.take_in)
        self._applying = Applying(store, messenger, changes, self._clock, showing.name_on, self._rekey)
        following = self._following = Following(
            store,
            self._applying.apply,
            self.ordering.heads,
            self._applying.compare,
            self._steady,
            self._every,
            policy.store_timeout,
            self._failed,
        )
        self._leases = Leases(store, router, messenger.dismissal, self._steady, self._failed)
        self._asking = Asking(bus, elsewhere, policy, self._steady)
        blocks, patience = messenger.blocks, lambda: 2 * policy.store_timeout
        self._asked = Asked(bus, router, blocks, presence, later, self._steady, patience)
        messenger.gathering.giving = self._asked.giving
        store.changed = self._changed_here
        elsewhere.join(showing, following, self.ordering, self._leases, self._asking)

    def start(self) -> None:
        """Take part."""
        with suppress(StoreUnavailable):  # it is tried again and again
            self._store.beat()
        self.bus.start(self)
        runs = {"following": self._following.run, "leases": self._leases.run, "guard": self._leases.guard}
        for what, run in runs.items():
            self._ended.append(ended := Event())
            self._spawn(what, _run, run, ended)

    def stop(self) -> None:
        """Take part no more: the others are told, and the names are free."""
        self._following.stop()
        self._leases.stop()
        for ended in self._ended:
            ended.wait(ENDING_TAKES)
        self.bus.close()
        with suppress(StoreUnavailable):  # they are free when the lease is over
            self._store.part()

    def received(self, node: str, data: bytes) -> None:
        frame = frames.decode(data)
        if frame is not None:
            HEARD[type(frame)](self, node, frame)

    def shown(self, node: str, key: str, card: bytes | None) -> None:
        self._showing.shown(node, key, card)

    def gone(self, node: str) -> None:
        self._showing.gone(node)

    def missed(self, node: str) -> None:
        self._following.wake()

    def resumed(self) -> None:
        self._following.wake()

    def _rekey(self) -> None:
        self.bus.rekey(self._store.bus_key())

    def _changed_here(self) -> None:
        self._applying.changed_here()
        self.bus.send(encode(frames.Changed()))

    def _hints(self, node: str, hints: frames.Hints) -> None:
        self._hinting.heard(hints)

    def _changed(self, node: str, changed: frames.Changed) -> None:
        self._following.wake()

    def _told(self, node: str, told: frames.Told) -> None:
        parcel = ReadUpTo(told.with_, told.seq) if told.read else Delivered(told.with_, told.seq)
        for session in self._messenger.router.sessions(told.to):
            if session.told:
                session.outbox.offer(parcel)

    def _broadcast(self, node: str, said: frames.Broadcast) -> None:
        message = Message(said.sender, EVERYBODY, said.text, said.time, said.said)
        sender, hide = fold(said.sender), self._messenger.blocks.hide
        for session in self._messenger.router:
            if not hide(session.key, sender):
                self._messenger.tally.deliveries += session.outbox.offer(message)

    def _offer(self, node: str, offer: frames.Offer) -> None:
        self._asked.offered(node, offer)

    def _wanted(self, node: str, wanted: frames.Wanted) -> None:
        self._asked.wanted(node, wanted)

    def _redeemed(self, node: str, redeemed: frames.Redeemed) -> None:
        self._asked.redeem(node, redeemed.ref)

    def _answered(self, node: str, answered: frames.Answered) -> None:
        self._asking.answered(node, answered)


def _run(run: Callable[[], None], ended: Event) -> None:
    try:
        run()
    finally:
        ended.set()


HEARD: Final[dict[type, Callable[[Node, str, Any], None]]] = {
    frames.Hints: Node._hints,
    frames.Changed: Node._changed,
    frames.Told: Node._told,
    frames.Broadcast: Node._broadcast,
    frames.Offer: Node._offer,
    frames.Wanted: Node._wanted,
    frames.Redeemed: Node._redeemed,
    frames.Answered: Node._answered,
}
"""What a node does with what others say."""
