"""State of the other nodes: the presence that each shows, its last sequence numbers, and when it was last heard.

Whatever comes here was said by a node of the cluster, and said now: `admission.py` sees to that. A card is told to the
listener when it is another one than before, however often and on whatever way it came. Time is that of the link: while
it is away, none goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gmessenger.bus.parcels import FIRST_PAGE, LAST_PAGE, NOTHING_NEW, Parcel
from gmessenger.cluster.contract import Heard

MOST_NODES: Final = 1000
"""However many there are that have the key."""


class Node:
    """Another node, which lives: the cards it shows, the number of that state, and how far it has been heard.

    `counter` is that of its last envelope, `seqs` those of the last parcels to all (True) and to us (False): None where
    what comes next is the first that we can know of. `pages` are the cards of a reading that is under way.
    """

    __slots__ = ("boot", "cards", "ciphers", "counter", "heard_at", "name", "number", "pages", "seqs")

    def __init__(self, name: str, boot: bytes, counter: int, now: float) -> None:
        self.name = name
        self.boot = boot
        self.counter = counter
        self.heard_at = now
        self.number = -1
        self.cards: dict[str, bytes] = {}
        self.pages: dict[str, bytes] | None = None
        self.seqs: dict[bool, int | None] = {True: None, False: None}
        self.ciphers: dict[bytes, AESGCM] = {}


class Others:
    """The other nodes. `failed` is told of the listener's mistakes, `lost` of how many parcels of a node did not come.

    `wanted` is called for a node that has to be asked for what it shows.
    """

    def __init__(
        self,
        heard: Heard,
        own: str,
        timeout: float,
        failed: Callable[[str, BaseException], None],
        lost: Callable[[str, int], None],
        wanted: Callable[[str], None],
    ) -> None:
        self._heard = heard
        self._own = own
        self._timeout = timeout
        self._failed = failed
        self._lost = lost
        self._wanted = wanted
        self._nodes: dict[str, Node] = {}
        self._left: dict[bytes, int] = {}
        self.now = 0.0

    @property
    def nodes(self) -> Collection[str]:
        return self._nodes.keys()

    @property
    def full(self) -> bool:
        return len(self._nodes) >= MOST_NODES

    def find(self, name: str) -> Node | None:
        return self._nodes.get(name)

    def admit(self, node: Node, parcel: Parcel) -> None:
        """A node has proved with this parcel that it lives; another process that had its name is gone."""
        self.forget(node.name)
        node.heard_at = self.now
        node.seqs = {True: parcel.sent, False: parcel.seq}
        self._nodes[node.name] = node
        self._wanted(node.name)

    def hear(self, node: Node, parcel: Parcel, *, to_all: bool, read_soon: bool) -> None:
        """A node has spoken. Where it is `read_soon` anyway, its cards are left to that."""
        node.heard_at = self.now
        self._count(node, parcel, to_all)
        if parcel.page:
            self._read(node, parcel)
        elif node.pages is not None:
            _change(node.pages, parcel.cards)
        elif not read_soon and parcel.number > node.number:
            if parcel.cards and parcel.number == node.number + 1:
                node.number = parcel.number
                self._show(node, parcel.cards)
            else:
                self._wanted(node.name)
        received = self._heard.received
        for data in parcel.hints:
            try:
                received(node.name, data)
            except Exception as failure:  # the next one may be about somebody else
                self._failed("bus", failure)
        if parcel.bye:
            self.forget(node.name)

    def _count(self, node: Node, parcel: Parcel, to_all: bool) -> None:
        """Detect frames that were lost: a gap in the sequence numbers, or fewer than the node counted as sent."""
        seq = node.seqs[to_all]
        missed = parcel.seq - seq - 1 if seq is not None else 0
        node.seqs[to_all] = parcel.seq
        if parcel.counts is not None:
            before, sent = node.seqs[False], parcel.counts.get(self._own, 0)
            missed = max(0, missed) + (max(0, sent - before) if before is not None else 0)
            node.seqs[False] = sent
        if missed > 0:  # else the node has begun to count anew, since it had lost sight of us
            node.pages = None
            self._lost(node.name, missed)
            self._tell(self._heard.missed, node.name)

    def _read(self, node: Node, parcel: Parcel) -> None:
        """Take one page of a node's presence; after the last page, entries that were on none of them are removed."""
        if parcel.page & FIRST_PAGE:
            node.pages = {}
        if node.pages is not None:
            _change(node.pages, parcel.cards)
        if parcel.page & LAST_PAGE and node.pages is not None:
            gone: dict[str, bytes | None] = {key: None for key in node.cards if key not in node.pages}
            cards, node.pages = gone | node.pages, None
            node.number = parcel.number
            self._show(node, cards)
        elif parcel.page & NOTHING_NEW:
            node.number = parcel.number

    def link_is_back(self) -> None:
        """Restart the timeouts and sequence numbers of all nodes, and ask each for its presence: frames were lost."""
        for node in self._nodes.values():
            node.heard_at = self.now
            node.seqs = {True: None, False: None}
            node.pages = None
            self._wanted(node.name)

    def time_goes_by(self, seconds: float) -> None:
        """The link was well for so long. Those who said nothing for too long are gone."""
        self.now += seconds
        for name, node in list(self._nodes.items()):
            if self.now - node.heard_at > self._timeout:
                self.forget(name)

    def resumed(self) -> None:
        self._tell(self._heard.resumed)

    def doubt(self) -> None:
        """Something has come that others may understand."""
        self._tell(self._heard.missed, "")

    def forget(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is None:
            return
        if len(self._left) >= MOST_NODES:
            del self._left[next(iter(self._left))]
        self._left[node.boot] = node.counter
        self._tell(self._heard.gone, name)

    def heard_of(self, boot: bytes) -> int:
        """Return the last counter of a process that was forgotten, or -1: its older frames are replays."""
        return self._left.get(boot, -1)

    def _show(self, node: Node, cards: Mapping[str, bytes | None]) -> None:
        for key, card in cards.items():
            if node.cards.get(key) != card:
                _change(node.cards, {key: card})
                self._tell(self._heard.shown, node.name, key, card)

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception as failure:
            self._failed("bus", failure)


def _change(cards: dict[str, bytes], changes: Mapping[str, bytes | None]) -> None:
    for key, card in changes.items():
        if card is None:
            cards.pop(key, None)
        else:
            cards[key] = card
