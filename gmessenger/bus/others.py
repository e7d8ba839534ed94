"""What is known of the other nodes: what each shows, and when it was last heard of.

A card is told to the listener when it is another one than before, however often and on whatever way it came. Time is
that of the link: while it is away, none goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from gmessenger.bus.parcels import Parcel
from gmessenger.bus.shelf import Contents
from gmessenger.cluster.contract import Heard

MOST_NODES: Final = 1000
"""A Redis that strangers write to must not fill our memory."""


class Node:
    """Another node: the cards it shows, and the number of that state."""

    __slots__ = ("cards", "heard_at", "number")

    def __init__(self, now: float) -> None:
        self.heard_at = now
        self.number = 0
        self.cards: dict[str, bytes] = {}


class Others:
    """The other nodes. `failed` is told of the listener's mistakes."""

    def __init__(self, heard: Heard, timeout: float, failed: Callable[[str, BaseException], None]) -> None:
        self._heard = heard
        self._timeout = timeout
        self._failed = failed
        self._nodes: dict[str, Node] = {}
        self.now = 0.0

    @property
    def nodes(self) -> Collection[str]:
        return self._nodes.keys()

    @property
    def full(self) -> bool:
        return len(self._nodes) >= MOST_NODES

    def hear(self, parcel: Parcel, *, read_soon: bool) -> bool:
        """A node has spoken: tell of it, and whether the node's shelf has to be read, since something was missed.

        Where it is `read_soon` anyway, the cards are left to that: it was not read before they were written.
        """
        name = parcel.node
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = Node(self.now)
        node.heard_at = self.now
        missed = False
        if not read_soon and parcel.number > node.number:
            missed = not parcel.cards or parcel.number > node.number + 1
            if not missed:
                node.number = parcel.number
                self._change(name, node, parcel.cards)
        received = self._heard.received
        for data in parcel.hints:
            try:
                received(name, data)
            except Exception as failure:  # the next one may be about somebody else
                self._failed("bus", failure)
        if parcel.bye:
            self._forget(name)
        return missed and not parcel.bye

    def read(self, name: str, found: Contents) -> None:
        """A node's shelf was read. Where there is none, what is known stays until the node has been silent too long."""
        if found.left:
            self._forget(name)
        if found.number is None:
            return
        node = self._nodes.get(name)
        if node is None:
            if self.full:
                return
            node = self._nodes[name] = Node(self.now)
        if found.number < node.number:
            return  # it has expired and is being written anew
        node.number = found.number
        gone: dict[str, bytes | None] = {key: None for key in node.cards if key not in found.cards}
        self._change(name, node, gone | dict(found.cards))

    def link_is_back(self) -> None:
        """From now on they are to be heard of again."""
        for node in self._nodes.values():
            node.heard_at = self.now

    def time_goes_by(self, seconds: float) -> None:
        """The link was well for so long. Those who said nothing for too long are gone."""
        self.now += seconds
        for name, node in list(self._nodes.items()):
            if self.now - node.heard_at > self._timeout:
                self._forget(name)

    def resumed(self) -> None:
        self._tell(self._heard.resumed)

    def _change(self, name: str, node: Node, cards: Mapping[str, bytes | None]) -> None:
        for key, card in cards.items():
            if node.cards.get(key) == card:
                continue
            if card is None:
                del node.cards[key]
            else:
                node.cards[key] = card
            self._tell(self._heard.shown, name, key, card)

    def _forget(self, name: str) -> None:
        if self._nodes.pop(name, None) is not None:
            self._tell(self._heard.gone, name)

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception as failure:
            self._failed("bus", failure)
