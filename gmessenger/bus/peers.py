"""State of the other nodes: the presence that each shows, its last sequence numbers, and when it was last heard.

Whatever comes here was said by a node of the cluster, and said now: `admission.py` sees to that. A card is told to the
listener when it is another one than before, however often and on whatever way it came. Time is that of the link: while
it is away, none goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gmessenger.bus.protocol import FIRST_PAGE, LAST_PAGE, UNCHANGED, Packet
from gmessenger.cluster.interfaces import BusListener

MAX_NODES: Final = 1000
"""However many there are that have the key."""


class PeerState:
    """Another node, which lives: the cards it shows, the number of that state, and how far it has been heard.

    `counter` is that of its last envelope, `seqs` those of the last parcels to all (True) and to us (False): None where
    what comes next is the first that we can know of. `pages` are the cards of a reading that is under way.
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


class PeerTable:
    """The other nodes. `failed` is told of the listener's mistakes, `lost` of how many parcels of a node did not come.

    `wanted` is called for a node that has to be asked for what it shows.
    """

    def __init__(
        self,
        listener: BusListener,
        own: str,
        timeout: float,
        on_error: Callable[[str, BaseException], None],
        on_gap: Callable[[str, int], None],
        request_presence: Callable[[str], None],
    ) -> None:
        self._listener = listener
        self._own = own
        self._timeout = timeout
        self._on_error = on_error
        self._on_gap = on_gap
        self._request_presence = request_presence
        self._nodes: dict[str, PeerState] = {}
        self._last_counters: dict[bytes, int] = {}
        self.now = 0.0

    @property
    def nodes(self) -> Collection[str]:
        return self._nodes.keys()

    @property
    def is_full(self) -> bool:
        return len(self._nodes) >= MAX_NODES

    def find(self, name: str) -> PeerState | None:
        return self._nodes.get(name)

    def add(self, node: PeerState, packet: Packet) -> None:
        """A node has proved with this parcel that it lives; another process that had its name is gone."""
        self.remove(node.name)
        node.heard_at = self.now
        node.seqs = {True: packet.broadcast_seq, False: packet.seq}
        self._nodes[node.name] = node
        self._request_presence(node.name)

    def receive(self, node: PeerState, packet: Packet, *, to_all: bool, is_requested: bool) -> None:
        """A node has spoken. Where it is `read_soon` anyway, its cards are left to that."""
        node.heard_at = self.now
        self._check_gap(node, packet, to_all)
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
        received = self._listener.on_data
        for data in packet.payloads:
            try:
                received(node.name, data)
            except Exception as failure:  # the next one may be about somebody else
                self._on_error("bus", failure)
        if packet.is_leaving:
            self.remove(node.name)

    def _check_gap(self, node: PeerState, packet: Packet, to_all: bool) -> None:
        """Detect frames that were lost: a gap in the sequence numbers, or fewer than the node counted as sent."""
        seq = node.seqs[to_all]
        missed = packet.seq - seq - 1 if seq is not None else 0
        node.seqs[to_all] = packet.seq
        if packet.node_seqs is not None:
            before, sent = node.seqs[False], packet.node_seqs.get(self._own, 0)
            missed = max(0, missed) + (max(0, sent - before) if before is not None else 0)
            node.seqs[False] = sent
        if missed > 0:  # else the node has begun to count anew, since it had lost sight of us
            node.incoming_presence = None
            self._on_gap(node.name, missed)
            self._notify(self._listener.on_gap, node.name)

    def _receive_page(self, node: PeerState, packet: Packet) -> None:
        """Take one page of a node's presence; after the last page, entries that were on none of them are removed."""
        if packet.page & FIRST_PAGE:
            node.incoming_presence = {}
        if node.incoming_presence is not None:
            _apply_changes(node.incoming_presence, packet.presence)
        if packet.page & LAST_PAGE and node.incoming_presence is not None:
            gone: dict[str, bytes | None] = {key: None for key in node.presence if key not in node.incoming_presence}
            cards, node.incoming_presence = gone | node.incoming_presence, None
            node.version = packet.version
            self._update_presence(node, cards)
        elif packet.page & UNCHANGED:
            node.version = packet.version

    def on_reconnect(self) -> None:
        """Restart the timeouts and sequence numbers of all nodes, and ask each for its presence: frames were lost."""
        for node in self._nodes.values():
            node.heard_at = self.now
            node.seqs = {True: None, False: None}
            node.incoming_presence = None
            self._request_presence(node.name)

    def advance_clock(self, seconds: float) -> None:
        """The link was well for so long. Those who said nothing for too long are gone."""
        self.now += seconds
        for name, node in list(self._nodes.items()):
            if self.now - node.heard_at > self._timeout:
                self.remove(name)

    def notify_connected(self) -> None:
        self._notify(self._listener.on_connected)

    def notify_unreadable(self) -> None:
        """Something has come that others may understand."""
        self._notify(self._listener.on_gap, "")

    def remove(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is None:
            return
        if len(self._last_counters) >= MAX_NODES:
            del self._last_counters[next(iter(self._last_counters))]
        self._last_counters[node.boot] = node.counter
        self._notify(self._listener.on_node_gone, name)

    def last_counter(self, boot: bytes) -> int:
        """Return the last counter of a process that was forgotten, or -1: its older frames are replays."""
        return self._last_counters.get(boot, -1)

    def _update_presence(self, node: PeerState, changes: Mapping[str, bytes | None]) -> None:
        for key, card in changes.items():
            if node.presence.get(key) != card:
                _apply_changes(node.presence, {key: card})
                self._notify(self._listener.on_presence, node.name, key, card)

    def _notify(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception as failure:
            self._on_error("bus", failure)


def _apply_changes(presence: dict[str, bytes], changes: Mapping[str, bytes | None]) -> None:
    for key, card in changes.items():
        if card is None:
            presence.pop(key, None)
        else:
            presence[key] = card
