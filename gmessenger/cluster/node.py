"""One server of a cluster: connects a messenger with the shared store and the bus."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gevent.event import Event

from gmessenger.chat.delivery import Spawn
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbound import DeliveryReceipt, Message, ReadReceipt, Signal
from gmessenger.chat.presence import CallLater
from gmessenger.cluster import frames
from gmessenger.cluster.changes import ChangeApplier, RoomChangeApplier
from gmessenger.cluster.follower import ChangeFollower
from gmessenger.cluster.frames import encode
from gmessenger.cluster.hints import HintExchange
from gmessenger.cluster.leases import LeaseKeeper
from gmessenger.cluster.peers import ClusterPeers, PeerServices
from gmessenger.cluster.presence import PresenceSync
from gmessenger.cluster.relay import RelayClient, RelayServer
from gmessenger.cluster.sequencer import Sequencer
from gmessenger.errors import StoreUnavailable
from gmessenger.names import BROADCAST_TARGET, fold

STOP_TIMEOUT: Final = 2.0  # seconds


class ClusterNode:
    """Creates the parts of a node and passes the bus's callbacks to them. `start` it, finally `stop` it.

    It is the `BusListener` of its bus: the `on_*` methods are called in the bus's greenlet and do not block.
    """

    def __init__(
        self,
        peers: ClusterPeers,
        messenger: Messenger,
        spawn: Spawn,
        call_later: CallLater,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        poll_interval: float,
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        """Connect a messenger to the other nodes.

        Args:
            peers: the peers that the messenger was created with; they know the store and the bus.
            clock: Unix seconds.
            poll_interval: seconds between two polls of the store for changes, besides those that a notice triggers.
        """
        self.peers = peers
        self.bus = peers.bus
        self._store = peers.store
        self._messenger = messenger
        self._spawn = spawn
        self._ended: list[Event] = []
        router, rooms, presence = messenger.router, messenger.rooms, messenger.presence
        self._presence_sync = PresenceSync(
            self.bus,
            peers,
            router,
            rooms,
            presence,
            messenger.recent_names,
            self.on_connected,
            messenger.announce_registration,
        )
        self.sequencer = Sequencer(self._store, messenger.fan_out, rooms, messenger.delivery, spawn, call_later)
        self._hint_exchange = HintExchange(self.bus, peers, rooms, presence, self.sequencer.accept)
        self._change_applier = self._create_change_applier(clock)
        self._follower = ChangeFollower(
            self._store,
            self._change_applier.apply,
            self.sequencer.on_heads,
            self._change_applier.resync,
            monotonic,
            poll_interval,
            messenger.policy.store_timeout,
            on_error,
        )
        self._leases = LeaseKeeper(self._store, router, messenger.session_closer, monotonic, on_error)
        self._relay_client = RelayClient(self.bus, peers, messenger.policy, monotonic)
        self._relay_server = RelayServer(
            self.bus,
            router,
            messenger.blocks,
            presence,
            call_later,
            monotonic,
            lambda: 2 * messenger.policy.store_timeout,
        )
        messenger.fan_out.attach(self._hint_exchange.publish, self._relay_server.on_deliver)
        self._store.set_change_listener(self._on_own_change)
        peers.attach(
            PeerServices(self._presence_sync, self._follower, self.sequencer, self._leases, self._relay_client)
        )

    def _create_change_applier(self, clock: Callable[[], float]) -> ChangeApplier:
        messenger, presence_sync = self._messenger, self._presence_sync
        room_changes = RoomChangeApplier(
            messenger.rooms,
            messenger.router,
            messenger.delivery,
            messenger.sanctions,
            messenger.profiles,
            messenger.authenticator.accounts_by_id,
            presence_sync.add_remote_guests,
        )
        return ChangeApplier(
            self._store, messenger, room_changes, clock, presence_sync.name_on_device, self._replace_key
        )

    def start(self) -> None:
        """Renew the leases, connect the bus and start the node's greenlets. Blocks for one write to the store."""
        with suppress(StoreUnavailable):  # the lease keeper retries
            self._store.renew_leases()
        self.bus.start(self)
        loops = {"following": self._follower.run, "leases": self._leases.renew_loop, "guard": self._leases.watchdog}
        for name, loop in loops.items():
            self._ended.append(ended := Event())
            self._spawn(name, _run, loop, ended)

    def stop(self) -> None:
        """Stop the greenlets, leave the bus and free the guest names.

        Blocks for at most `STOP_TIMEOUT` for each greenlet, the bus's reply timeout, and one write to the store.
        """
        self._follower.stop()
        self._leases.stop()
        for ended in self._ended:
            ended.wait(STOP_TIMEOUT)
        self.bus.close()
        with suppress(StoreUnavailable):  # the names become free when the lease expires
            self._store.release_node()

    def on_data(self, node: str, data: bytes) -> None:
        frame = frames.decode(data)
        if frame is not None:
            FRAME_HANDLERS[type(frame)](self, node, frame)

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        self._presence_sync.on_presence(node, key, entry)

    def on_node_gone(self, node: str) -> None:
        self._presence_sync.on_node_gone(node)

    def on_packets_lost(self, node: str) -> None:
        self._follower.wake()

    def on_connected(self) -> None:
        self._follower.wake()

    def _replace_key(self) -> None:
        self.bus.replace_key(self._store.bus_key())

    def _on_own_change(self) -> None:
        self._change_applier.count_own_change()
        self.bus.send(encode(frames.ChangeNotice()))

    def _handle_hints(self, node: str, hints: frames.HintBatch) -> None:
        self._hint_exchange.on_hints(hints)

    def _handle_change_notice(self, node: str, notice: frames.ChangeNotice) -> None:
        self._follower.wake()

    def _handle_receipt(self, node: str, frame: frames.ReceiptFrame) -> None:
        receipt = ReadReceipt(frame.peer, frame.seq) if frame.is_read else DeliveryReceipt(frame.peer, frame.seq)
        for session in self._messenger.router.sessions(frame.to):
            if session.accepts_push:
                session.outbox.offer(receipt)

    def _handle_broadcast(self, node: str, frame: frames.BroadcastFrame) -> None:
        message = Message(frame.sender, BROADCAST_TARGET, frame.text, frame.time, frame.action, kind=frame.kind)
        sender_key, is_hidden = fold(frame.sender), self._messenger.blocks.is_hidden
        for session in self._messenger.router:
            if not is_hidden(session.key, sender_key):
                self._messenger.stats.deliveries += session.outbox.offer(message)

    def _handle_signal(self, node: str, frame: frames.SignalFrame) -> None:
        signal = Signal(frame.sender, frame.to, frame.tags, frame.time, frame.text, frame.kind, least=frame.least)
        self._messenger.signals.deliver(signal)

    def _handle_protocol_notice(self, node: str, notice: frames.ProtocolNotice) -> None:
        listener = self.peers.listeners.get(notice.protocol)
        if listener is not None:
            listener(notice.words)

    def _handle_relay_request(self, node: str, request: frames.RelayRequest) -> None:
        self._relay_server.on_relay_request(node, request)

    def _handle_reserve_request(self, node: str, request: frames.ReserveRequest) -> None:
        self._relay_server.on_reserve_request(node, request)

    def _handle_release(self, node: str, notice: frames.ReleaseNotice) -> None:
        self._relay_server.on_release(node, notice.ref)

    def _handle_relay_reply(self, node: str, reply: frames.RelayReply) -> None:
        self._relay_client.on_reply(node, reply)


def _run(loop: Callable[[], None], ended: Event) -> None:
    try:
        loop()
    finally:
        ended.set()


FRAME_HANDLERS: Final[dict[type, Callable[[ClusterNode, str, Any], None]]] = {
    frames.HintBatch: ClusterNode._handle_hints,
    frames.ChangeNotice: ClusterNode._handle_change_notice,
    frames.ReceiptFrame: ClusterNode._handle_receipt,
    frames.BroadcastFrame: ClusterNode._handle_broadcast,
    frames.SignalFrame: ClusterNode._handle_signal,
    frames.ProtocolNotice: ClusterNode._handle_protocol_notice,
    frames.RelayRequest: ClusterNode._handle_relay_request,
    frames.ReserveRequest: ClusterNode._handle_reserve_request,
    frames.ReleaseNotice: ClusterNode._handle_release,
    frames.RelayReply: ClusterNode._handle_relay_reply,
}
"""Handler of each type of frame; it is called with the node that sent the frame."""
