"""A node: one server of a cluster, put together from a messenger, the store it shares and the bus."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gevent.event import Event

from gmessenger.chat.delivery import Spawn
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbox import BROADCAST_TARGET, DeliveryReceipt, Message, ReadReceipt
from gmessenger.chat.presence import CallLater
from gmessenger.cluster import frames
from gmessenger.cluster.changes import ChangeApplier, RoomChangeApplier
from gmessenger.cluster.follower import ChangeFollower
from gmessenger.cluster.frames import encode
from gmessenger.cluster.interfaces import Bus, SharedStore
from gmessenger.cluster.leases import LeaseKeeper
from gmessenger.cluster.peers import ClusterPeers
from gmessenger.cluster.presence import PresenceSync
from gmessenger.cluster.relay import RelayClient, RelayServer
from gmessenger.cluster.sequencing import HintPublisher, Sequencer
from gmessenger.errors import StoreUnavailable
from gmessenger.names import fold

STOP_TIMEOUT: Final = 2.0
"""Seconds."""


class ClusterNode:
    """`elsewhere` is what its messenger is made with; then `join`, `start`, and at last `stop`.

    `every` is how often, in seconds, it asks the store what others did, besides when they say so.
    """

    def __init__(
        self,
        store: SharedStore,
        bus: Bus,
        spawn: Spawn,
        call_later: CallLater,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        poll_interval: float,
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self.bus = bus
        self._spawn = spawn
        self._call_later = call_later
        self._clock = clock
        self._monotonic = monotonic
        self._poll_interval = poll_interval
        self._on_error = on_error
        self._ended: list[Event] = []
        self.peers = ClusterPeers(store, bus)

    def attach(self, messenger: Messenger) -> None:
        """Have the messenger hear of the others, and they of it."""
        self._messenger = messenger
        router, rooms, policy = messenger.router, messenger.rooms, messenger.policy
        spawn, later, elsewhere = self._spawn, self._call_later, self.peers
        store, bus, presence = self._store, self.bus, messenger.presence
        showing = self._presence_sync = PresenceSync(
            bus, elsewhere, router, rooms, presence, messenger.seen_names, self.on_connected
        )
        self.sequencer = Sequencer(store, messenger.fan_out, rooms, messenger.delivery, spawn, later)
        self._hint_publisher = HintPublisher(bus, elsewhere, rooms, presence, self.sequencer.accept)
        messenger.fan_out.sequencer = self._hint_publisher.publish
        accounts = messenger.authenticator.accounts_by_id
        changes = RoomChangeApplier(
            rooms, router, messenger.delivery, messenger.sanctions, accounts, showing.add_remote_guests
        )
        self._change_applier = ChangeApplier(
            store, messenger, changes, self._clock, showing.name_on_device, self._replace_key
        )
        following = self._follower = ChangeFollower(
            store,
            self._change_applier.apply,
            self.sequencer.on_heads,
            self._change_applier.resync,
            self._monotonic,
            self._poll_interval,
            policy.store_timeout,
            self._on_error,
        )
        self._leases = LeaseKeeper(store, router, messenger.session_closer, self._monotonic, self._on_error)
        self._relay_client = RelayClient(bus, elsewhere, policy, self._monotonic)
        blocks, patience = messenger.blocks, lambda: 2 * policy.store_timeout
        self._relay_server = RelayServer(bus, router, blocks, presence, later, self._monotonic, patience)
        messenger.fan_out.on_deliver = self._relay_server.on_deliver
        store.on_change = self._on_own_change
        elsewhere.attach(showing, following, self.sequencer, self._leases, self._relay_client)

    def start(self) -> None:
        """Take part."""
        with suppress(StoreUnavailable):  # it is tried again and again
            self._store.renew_leases()
        self.bus.start(self)
        runs = {"following": self._follower.run, "leases": self._leases.renew_loop, "guard": self._leases.watchdog}
        for what, run in runs.items():
            self._ended.append(ended := Event())
            self._spawn(what, _run, run, ended)

    def stop(self) -> None:
        """Take part no more: the others are told, and the names are free."""
        self._follower.stop()
        self._leases.stop()
        for ended in self._ended:
            ended.wait(STOP_TIMEOUT)
        self.bus.close()
        with suppress(StoreUnavailable):  # they are free when the lease is over
            self._store.release_node()

    def on_data(self, node: str, data: bytes) -> None:
        frame = frames.decode(data)
        if frame is not None:
            FRAME_HANDLERS[type(frame)](self, node, frame)

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        self._presence_sync.on_presence(node, key, entry)

    def on_node_gone(self, node: str) -> None:
        self._presence_sync.on_node_gone(node)

    def on_gap(self, node: str) -> None:
        self._follower.wake()

    def on_connected(self) -> None:
        self._follower.wake()

    def _replace_key(self) -> None:
        self.bus.replace_key(self._store.bus_key())

    def _on_own_change(self) -> None:
        self._change_applier.count_own_change()
        self.bus.send(encode(frames.ChangeNotice()))

    def _handle_hints(self, node: str, hints: frames.HintBatch) -> None:
        self._hint_publisher.on_hints(hints)

    def _handle_change_notice(self, node: str, changed: frames.ChangeNotice) -> None:
        self._follower.wake()

    def _handle_receipt(self, node: str, receipt: frames.ReceiptFrame) -> None:
        parcel = (
            ReadReceipt(receipt.with_, receipt.seq) if receipt.read else DeliveryReceipt(receipt.with_, receipt.seq)
        )
        for session in self._messenger.router.sessions(receipt.to):
            if session.accepts_push:
                session.outbox.offer(parcel)

    def _handle_broadcast(self, node: str, broadcast: frames.BroadcastFrame) -> None:
        message = Message(broadcast.sender, BROADCAST_TARGET, broadcast.text, broadcast.time, broadcast.said)
        sender, hide = fold(broadcast.sender), self._messenger.blocks.is_hidden
        for session in self._messenger.router:
            if not hide(session.key, sender):
                self._messenger.stats.deliveries += session.outbox.offer(message)

    def _handle_relay_request(self, node: str, request: frames.RelayRequest) -> None:
        self._relay_server.on_relay_request(node, request)

    def _handle_reserve_request(self, node: str, request: frames.ReserveRequest) -> None:
        self._relay_server.on_reserve_request(node, request)

    def _handle_release(self, node: str, notice: frames.ReleaseNotice) -> None:
        self._relay_server.on_release(node, notice.ref)

    def _handle_relay_reply(self, node: str, reply: frames.RelayReply) -> None:
        self._relay_client.on_reply(node, reply)


def _run(run: Callable[[], None], ended: Event) -> None:
    try:
        run()
    finally:
        ended.set()


FRAME_HANDLERS: Final[dict[type, Callable[[ClusterNode, str, Any], None]]] = {
    frames.HintBatch: ClusterNode._handle_hints,
    frames.ChangeNotice: ClusterNode._handle_change_notice,
    frames.ReceiptFrame: ClusterNode._handle_receipt,
    frames.BroadcastFrame: ClusterNode._handle_broadcast,
    frames.RelayRequest: ClusterNode._handle_relay_request,
    frames.ReserveRequest: ClusterNode._handle_reserve_request,
    frames.ReleaseNotice: ClusterNode._handle_release,
    frames.RelayReply: ClusterNode._handle_relay_reply,
}
"""What a node does with what others say."""
