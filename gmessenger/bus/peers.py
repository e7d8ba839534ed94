"""State of the other nodes: their presence entries, sequence numbers, and when each was last heard.

All input has been authenticated (see `authentication`). The listener is called when a presence entry differs from the
known one, however it arrived. Time is counted only while the bus is connected.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gmessenger.bus.protocol import FIRST_PAGE, LAST_PAGE, UNCHANGED, Packet
from gmessenger.cluster.interfaces import BusListener
from gmessenger.lru_map import LruMap

MAX_NODES: Final = 1000
"""Bound on memory, whatever processes with the key do."""


class PeerState:
    """Another node that is alive.

    Attributes:
        counter: counter of its last envelope.
        heard_at: time of its last packet.
        version: version of its presence entries, -1 if unknown.
        presence: entries by folded name.
        incoming_presence: entries of the pages received so far; None if no transfer is under way.
        seqs: seq of its last broadcast (True) and of its last packet to this node (False); None if unknown, so that
            the next packet cannot show a gap.
        ciphers: its ciphers by key id.
    """

    __slots__ = ("boot", "ciphers", "counter", "heard_at", "incoming_presence", "name", "presence", "seqs", "version")

    def __init__(self, name: str, boot: bytes, counter: int, now: float) -> None:
        self.name = name
        self.boot = boot
        self.counter = counter
        self.heard_at = now
        self.version = -1
        self.presence: dict[str, bytes] = {}
        self.incoming_presence: dict[str, bytes] | None = None
        self.seqs: dict[bool, int | None] = {True: None, False: None}
        self.ciphers: dict[bytes, AESGCM] = {}


class _NullListener:
    """A `BusListener` that ignores everything: there is no other until the bus is started."""

    def on_data(self, node: str, data: bytes) -> None:
        """Ignore the frame."""

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        """Ignore the entry."""

    def on_node_gone(self, node: str) -> None:
        """Ignore the node."""

    def on_packets_lost(self, node: str) -> None:
        """Ignore the loss."""

    def on_connected(self) -> None:
        """Ignore the connection."""


class PeerTable:
    """The peers of this node. Turns their packets into calls of the listener. No method blocks."""

    def __init__(
        self,
        own: str,
        timeout: float,
        on_error: Callable[[str, BaseException], None],
        on_packets_lost: Callable[[str, int], None],
        request_presence: Callable[[str], None],
    ) -> None:
        """Create an empty table.

        Args:
            own: id of this node.
            timeout: seconds of silence after which a peer is removed.
            on_error: called with exceptions of the listener.
            on_packets_lost: called with a node and how many of its packets were lost.
            request_presence: called with a node whose entries have to be requested.
        """
        self._listener: BusListener = _NullListener()
        self._own = own
        self._timeout = timeout
        self._on_error = on_error
        self._on_packets_lost = on_packets_lost
        self._request_presence = request_presence
        self._nodes: dict[str, PeerState] = {}
        self._last_counters: LruMap[bytes, int] = LruMap(MAX_NODES)
        self.now = 0.0

    def set_listener(self, listener: BusListener) -> None:
        """Call this listener from now on."""
        self._listener = listener

    @property
    def nodes(self) -> Collection[str]:
        return self._nodes.keys()

    @property
    def is_full(self) -> bool:
        return len(self._nodes) >= MAX_NODES

    def find(self, name: str) -> PeerState | None:
        return self._nodes.get(name)

    def add(self, node: PeerState, packet: Packet) -> None:
        """Add a peer whose packet answers a challenge, in place of an earlier process of its node."""
        self.remove(node.name)
        node.heard_at = self.now
        node.seqs = {True: packet.broadcast_seq, False: packet.seq}
        self._nodes[node.name] = node
        self._request_presence(node.name)

    def receive(self, node: PeerState, packet: Packet, *, to_all: bool, is_requested: bool) -> None:
        """Handle a packet of a peer.

        Args:
            to_all: it came on the broadcast channel.
            is_requested: the peer's entries have been requested, so that changes in this packet need not be applied.
        """
        node.heard_at = self.now
        self._check_lost_packets(node, packet, to_all)
        if packet.page:
            self._receive_page(node, packet)
        elif node.incoming_presence is not None:
            _apply_changes(node.incoming_presence, packet.presence)
        elif not is_requested and packet.version > node.version:
            if packet.presence and packet.version == node.version + 1:
                node.version = packet.version
                self._update_presence(node, packet.presence)
            else:
                self._request_presence(node.name)
        on_data = self._listener.on_data
        for data in packet.payloads:
            try:
                on_data(node.name, data)
            except Exception as failure:  # the frames after it must be handled all the same
                self._on_error("bus", failure)
        if packet.is_leaving:
            self.remove(node.name)

    def _check_lost_packets(self, node: PeerState, packet: Packet, to_all: bool) -> None:
        """Detect lost packets: a gap in the seqs, or fewer packets received than the heartbeat says were sent."""
        seq = node.seqs[to_all]
        missed = packet.seq - seq - 1 if seq is not None else 0
        node.seqs[to_all] = packet.seq
        if packet.node_seqs is not None:
            before, sent = node.seqs[False], packet.node_seqs.get(self._own, 0)
            missed = max(0, missed) + (max(0, sent - before) if before is not None else 0)
            node.seqs[False] = sent
        if missed > 0:  # negative if the peer has restarted its count after it had lost this node
            node.incoming_presence = None
            self._on_packets_lost(node.name, missed)
            self._notify(self._listener.on_packets_lost, node.name)

    def _receive_page(self, node: PeerState, packet: Packet) -> None:
        """Apply one page of entries; after the last page, remove the entries that were on none."""
        if packet.page & FIRST_PAGE:
            node.incoming_presence = {}
        if node.incoming_presence is not None:
            _apply_changes(node.incoming_presence, packet.presence)
        if packet.page & LAST_PAGE and node.incoming_presence is not None:
            gone: dict[str, bytes | None] = {key: None for key in node.presence if key not in node.incoming_presence}
            changes, node.incoming_presence = gone | node.incoming_presence, None
            node.version = packet.version
            self._update_presence(node, changes)
        elif packet.page & UNCHANGED:
            node.version = packet.version

    def on_reconnect(self) -> None:
        """Reset timeouts and seqs of all peers, and request their entries: packets were lost meanwhile."""
        for node in self._nodes.values():
            node.heard_at = self.now
            node.seqs = {True: None, False: None}
            node.incoming_presence = None
            self._request_presence(node.name)

    def advance_clock(self, seconds: float) -> None:
        """Count seconds for which the bus was connected, and remove the peers that have timed out."""
        self.now += seconds
        for name, node in list(self._nodes.items()):
            if self.now - node.heard_at > self._timeout:
                self.remove(name)

    def notify_connected(self) -> None:
        """Tell the listener that the bus has connected."""
        self._notify(self._listener.on_connected)

    def notify_unreadable(self) -> None:
        """Tell the listener that a packet came which cannot be decrypted: the cluster may have a new key."""
        self._notify(self._listener.on_packets_lost, "")

    def remove(self, name: str) -> None:
        """Remove a peer, but keep its counter so that its packets cannot be replayed."""
        node = self._nodes.pop(name, None)
        if node is None:
            return
        self._last_counters[node.boot] = node.counter
        self._notify(self._listener.on_node_gone, name)

    def last_counter(self, boot: bytes) -> int:
        """Return the last counter of a removed process, or -1: packets up to it are replays."""
        counter = self._last_counters.peek(boot)
        return counter if counter is not None else -1

    def _update_presence(self, node: PeerState, changes: Mapping[str, bytes | None]) -> None:
        for key, entry in changes.items():
            if node.presence.get(key) != entry:
                _apply_changes(node.presence, {key: entry})
                self._notify(self._listener.on_presence, node.name, key, entry)

    def _notify(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception as failure:
            self._on_error("bus", failure)


def _apply_changes(presence: dict[str, bytes], changes: Mapping[str, bytes | None]) -> None:
    for key, entry in changes.items():
        if entry is None:
            presence.pop(key, None)
        else:
            presence[key] = entry
