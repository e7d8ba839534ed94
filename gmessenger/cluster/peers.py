"""`Peers` of a server in a cluster: the messenger's view of the other nodes, and its way to them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gmessenger.chat.outbound import DeliveryReceipt, Message, Outbound, ReadReceipt, Signal
from gmessenger.chat.peers import Peers, Reservation
from gmessenger.chat.session import Session
from gmessenger.cluster.follower import ChangeFollower
from gmessenger.cluster.frames import BroadcastFrame, ProtocolNotice, ReceiptFrame, SignalFrame, encode
from gmessenger.cluster.interfaces import Bus, ChangeDetails, SharedStore
from gmessenger.cluster.leases import LeaseKeeper
from gmessenger.cluster.presence import PresenceSync
from gmessenger.cluster.relay import RelayClient
from gmessenger.cluster.sequencer import Sequencer
from gmessenger.errors import StoreUnavailable
from gmessenger.lru_map import LruMap
from gmessenger.names import fold, is_room

MAX_RECENT_LOGINS: Final = 1000
RECENT_LOGIN: Final = 2.0
"""Seconds in which the presence of a session on another node comes, or has gone again."""


@dataclass(frozen=True, slots=True)
class PeerServices:
    """Parts of a node that `ClusterPeers` delegates to."""

    presence_sync: PresenceSync
    follower: ChangeFollower
    sequencer: Sequencer
    lease_keeper: LeaseKeeper
    relay_client: RelayClient


class ClusterPeers(Peers):
    """The other nodes of a cluster, as the messenger sees them.

    The messenger is created with its peers and the node's services with the messenger, so the services are attached
    last: by `ClusterNode`, before any session exists. Until then there are no peers, and no method may be called.
    """

    def __init__(self, store: SharedStore, bus: Bus) -> None:
        super().__init__()
        self.store = store
        self.bus = bus
        self._attached: PeerServices | None = None
        self._login_times: LruMap[int, float] = LruMap(MAX_RECENT_LOGINS)
        """When others have logged in on devices, in monotonic seconds."""

    def attach(self, services: PeerServices) -> None:
        """Connect the peers to the services of their node. Called once."""
        self._attached = services

    @property
    def _services(self) -> PeerServices:
        assert self._attached is not None, "no node is attached"
        return self._attached

    def note_login(self, device: int) -> None:
        self._login_times[device] = time.monotonic()

    def has_just_logged_in(self, device: int) -> bool:
        at = self._login_times.peek(device)
        return at is not None and time.monotonic() - at < RECENT_LOGIN

    def note_departure(self, key: str, room: str, by: str, reason: str) -> None:
        self._services.presence_sync.note_departure(key, room, by, reason)

    def presence_changed(self, key: str) -> None:
        self._services.presence_sync.publish(key)
        self._services.follower.poll_fast()

    def conversation_deleted(self, conversation: str) -> None:
        self._services.sequencer.forget(conversation)

    def sync(self, key: str = "") -> bool:
        self._services.follower.sync()
        if not key or key in self.presences or self.store.name_holder(key) is None:
            return True
        if self.store.account_by_name(key) is not None:  # a guest that has just registered
            self._services.follower.sync()
            return True
        if self.bus.connected:
            self._services.presence_sync.wait_for(key)  # its entry may be on the way
        if key not in self.presences and self.store.name_holder(key) is not None:
            raise StoreUnavailable("The server where that guest is connected cannot be reached now.")
        return True

    def claim(self, session: Session, resumed_token: str | None, key: str = "") -> None:
        self._services.lease_keeper.claim(session, resumed_token, key or session.key)

    def lock_account(self, account: int, locked: bool = True) -> bool:
        self.store.set_disabled(account, locked)
        return True

    def deliver_owed(self, session: Session, cursors: Mapping[str, int]) -> None:
        self._services.sequencer.deliver_owed(session, cursors)

    def release(self, key: str) -> None:
        self._services.lease_keeper.release(key)

    def send_receipt(self, key: str, receipt: Outbound) -> None:
        nodes = self.presences.get(key)
        if nodes and isinstance(receipt, DeliveryReceipt | ReadReceipt):
            frame = ReceiptFrame(key, receipt.name, receipt.seq, isinstance(receipt, ReadReceipt))
            self.bus.send(encode(frame), nodes.keys())

    def broadcast(self, message: Message) -> None:
        if self.presences:
            self.bus.send(encode(_broadcast_frame(message)))

    def tell(self, protocol: str, *words: str) -> None:
        if self.presences:
            self.bus.send(encode(ProtocolNotice(protocol, list(words))))

    def send_signal(self, signal: Signal) -> None:
        fields = SignalFrame(signal.sender, signal.to, signal.tags, signal.time, signal.text, signal.kind, signal.least)
        frame = encode(fields)
        if is_room(signal.to):
            if self.presences:
                self.bus.send(frame)
        elif nodes := self.presences.get(fold(signal.to)):
            self.bus.send(frame, nodes.keys())

    def relay(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        return self._services.relay_client.relay(sender, key, message, id)

    def reserve(self, sender: str, key: str, size: int) -> Sequence[Reservation]:
        return self._services.relay_client.reserve(sender, key, size)

    def kick(self, key: str, by: str, reason: str) -> int | None:
        count = self._remote_session_count(key)
        # Whatever is known: the bus may not have shown a session yet.
        self.store.publish_change("kick", [key], ChangeDetails(by, reason))
        return count

    def invite_guest(self, room: str, key: str, by: str, *, invited: bool = True, digest: str = "") -> None:
        self.store.publish_change("guest invitation", [room, key, int(invited)], ChangeDetails(by, digest))

    def expel(self, room: str, key: str, by: str, reason: str = "") -> None:
        self.store.publish_change("expel", [room, key], ChangeDetails(by, reason))

    def _remote_session_count(self, key: str) -> int | None:
        """Count the sessions that other nodes show; a held guest name counts as one.

        While the bus is down, 0 for an account, which may have sessions; None where no node is known to have the name.
        """
        if key in self.presences:
            return self.session_count(key)
        if self.store.name_holder(key) is not None:
            return 1
        return 0 if not self.bus.connected and self.store.account_by_name(key) is not None else None


def _broadcast_frame(message: Message) -> BroadcastFrame:
    return BroadcastFrame(message.sender, message.text, message.time, message.action, message.kind)
