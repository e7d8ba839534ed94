"""What a node of a cluster knows of the others, and its ways to them: `Peers`, fulfilled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gmessenger.chat.outbox import DeliveryReceipt, Message, Outbound, ReadReceipt
from gmessenger.chat.peers import Peers, Reservation
from gmessenger.chat.session import Session
from gmessenger.cluster.follower import ChangeFollower
from gmessenger.cluster.frames import BroadcastFrame, ReceiptFrame, encode
from gmessenger.cluster.interfaces import Bus, SharedStore
from gmessenger.cluster.leases import LeaseKeeper
from gmessenger.cluster.presence import PresenceSync
from gmessenger.cluster.relay import RelayClient
from gmessenger.cluster.sequencing import Sequencer
from gmessenger.errors import StoreUnavailable


class ClusterPeers(Peers):
    """Nobody, until it has been joined."""

    presence_sync: PresenceSync
    follower: ChangeFollower
    sequencer: Sequencer
    lease_keeper: LeaseKeeper
    relay_client: RelayClient

    def __init__(self, store: SharedStore, bus: Bus) -> None:
        super().__init__()
        self._store = store
        self._bus = bus

    def attach(
        self,
        presence_sync: PresenceSync,
        follower: ChangeFollower,
        sequencer: Sequencer,
        lease_keeper: LeaseKeeper,
        relay_client: RelayClient,
    ) -> None:
        """From now on there are others."""
        self.presence_sync, self.follower, self.sequencer, self.lease_keeper = (
            presence_sync,
            follower,
            sequencer,
            lease_keeper,
        )
        self.relay_client = relay_client

    def presence_changed(self, key: str) -> None:
        self.presence_sync.publish(key)
        self.follower.poll_fast()

    def conversation_deleted(self, conversation: str) -> None:
        self.sequencer.forget(conversation)

    def sync(self, key: str = "") -> bool:
        self.follower.sync()
        if not key or key in self.presences or self._store.name_holder(key) is None:
            return True
        if self._store.account_by_name(key) is not None:  # the guest has become one, a moment ago
            self.follower.sync()
            return True
        if self._bus.connected:
            self.presence_sync.wait_for(key)  # it came a moment ago
        if key not in self.presences and self._store.name_holder(key) is not None:
            raise StoreUnavailable("The server where that guest is connected cannot be reached now.")
        return True

    def claim(self, session: Session, resumed_token: str | None) -> None:
        self.lease_keeper.claim(session, resumed_token)

    def lock_account(self, account: int, locked: bool = True) -> bool:
        self._store.set_disabled(account, locked)
        return True

    def deliver_owed(self, session: Session, cursors: Mapping[str, int]) -> None:
        self.sequencer.deliver_owed(session, cursors)

    def release(self, key: str) -> None:
        self.lease_keeper.release(key)

    def send_receipt(self, key: str, receipt: Outbound) -> None:
        nodes = self.presences.get(key)
        if nodes and isinstance(receipt, DeliveryReceipt | ReadReceipt):
            told = ReceiptFrame(key, receipt.name, receipt.seq, isinstance(receipt, ReadReceipt))
            self._bus.send(encode(told), nodes.keys())

    def broadcast(self, message: Message) -> None:
        if self.presences:
            self._bus.send(encode(BroadcastFrame(message.sender, message.text, message.time, message.action)))

    def relay(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        return self.relay_client.relay(sender, key, message, id)

    def reserve(self, sender: str, key: str, size: int) -> Sequence[Reservation]:
        return self.relay_client.reserve(sender, key, size)

    def kick(self, key: str, by: str, reason: str) -> int | None:
        there = self._remote_session_count(key)
        self._store.publish_change("kick", [key], {"by": by, "reason": reason})  # whoever it is who may be there
        return there

    def expel(self, room: str, key: str, by: str) -> None:
        self._store.publish_change("expel", [room, key], {"by": by})

    def _remote_session_count(self, key: str) -> int | None:
        """How many sessions others show, or hold a guest's name for; nobody heard, an account's may be there."""
        if key in self.presences:
            return self.session_count(key)
        if self._store.name_holder(key) is not None:
            return 1
        return 0 if not self._bus.connected and self._store.account_by_name(key) is not None else None
