"""What a node of a cluster knows of the others, and its ways to them: `Elsewhere`, fulfilled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gmessenger.chat.elsewhere import Elsewhere, Promise
from gmessenger.chat.model import Delivered, Message, Parcel, ReadUpTo
from gmessenger.chat.session import Session
from gmessenger.cluster.asking import Asking
from gmessenger.cluster.contract import Bus, SharedStore
from gmessenger.cluster.following import Following
from gmessenger.cluster.frames import Broadcast, Told, encode
from gmessenger.cluster.leases import Leases
from gmessenger.cluster.ordering import Ordering
from gmessenger.cluster.showing import Showing
from gmessenger.errors import StoreUnavailable


class Others(Elsewhere):
    """Nobody, until it has been joined."""

    showing_: Showing
    following: Following
    ordering: Ordering
    leases: Leases
    asking: Asking

    def __init__(self, store: SharedStore, bus: Bus) -> None:
        super().__init__()
        self._store = store
        self._bus = bus

    def join(self, showing: Showing, following: Following, ordering: Ordering, leases: Leases, asking: Asking) -> None:
        """From now on there are others."""
        self.showing_, self.following, self.ordering, self.leases = showing, following, ordering, leases
        self.asking = asking

    def showing(self, key: str) -> None:
        self.showing_.show(key)
        self.following.be_eager()

    def ended(self, conversation: str) -> None:
        self.ordering.forget(conversation)

    def freshen(self, key: str = "") -> bool:
        self.following.freshen()
        if not key or key in self.shown or self._store.holder(key) is None:
            return True
        if self._store.account_of(key) is not None:  # the guest has become one, a moment ago
            self.following.freshen()
            return True
        if self._bus.connected:
            self.showing_.until_shown(key)  # it came a moment ago
        if key not in self.shown and self._store.holder(key) is not None:
            raise StoreUnavailable("The server where that guest is connected cannot be reached now.")
        return True

    def claim(self, session: Session, resumed: str | None) -> None:
        self.leases.claim(session, resumed)

    def shut_out(self, account: int, out: bool = True) -> bool:
        self._store.disable(account, out)
        return True

    def owe(self, session: Session, cursors: Mapping[str, int]) -> None:
        self.ordering.give_owed(session, cursors)

    def release(self, key: str) -> None:
        self.leases.release(key)

    def tell(self, key: str, parcel: Parcel) -> None:
        nodes = self.shown.get(key)
        if nodes and isinstance(parcel, Delivered | ReadUpTo):
            told = Told(key, parcel.name, parcel.seq, isinstance(parcel, ReadUpTo))
            self._bus.send(encode(told), nodes.keys())

    def tell_everybody(self, message: Message) -> None:
        if self.shown:
            self._bus.send(encode(Broadcast(message.sender, message.text, message.time, message.said)))

    def hand_over(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        return self.asking.hand_over(sender, key, message, id)

    def promise(self, sender: str, key: str, weight: int) -> Sequence[Promise]:
        return self.asking.promise(sender, key, weight)

    def kick(self, key: str, by: str, reason: str) -> int | None:
        there = self._known_of(key)
        self._store.announce("kick", [key], {"by": by, "reason": reason})  # whoever it is who may be there
        return there

    def expel(self, room: str, key: str, by: str) -> None:
        self._store.announce("expel", [room, key], {"by": by})

    def _known_of(self, key: str) -> int | None:
        """How many sessions others show, or hold a guest's name for; nobody heard, an account's may be there."""
        if key in self.shown:
            return self.sessions(key)
        if self._store.holder(key) is not None:
            return 1
        return 0 if not self._bus.connected and self._store.account_of(key) is not None else None
