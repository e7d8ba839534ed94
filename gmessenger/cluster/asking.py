"""Asking another node to give something to a guest who is there, and being asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

import gevent
from gevent.event import AsyncResult

from gmessenger.chat.blocks import Blocks
from gmessenger.chat.elsewhere import Elsewhere, Promise
from gmessenger.chat.model import Message
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import Later, Presence
from gmessenger.chat.router import Router
from gmessenger.cluster.contract import Bus
from gmessenger.cluster.frames import Answered, Offer, Redeemed, Wanted, encode
from gmessenger.errors import Blocked, NotHere, RecipientBusy, StoreUnavailable, WireError

ANSWERS_WITHIN: Final = 5.0
"""Seconds."""
REFUSALS: Final[dict[str, type[WireError]]] = {each.__name__: each for each in (Blocked, NotHere, RecipientBusy)}


class Asking:
    """Asks, and blocks until the other node has answered."""

    def __init__(self, bus: Bus, elsewhere: Elsewhere, policy: Policy) -> None:
        self._bus = bus
        self._elsewhere = elsewhere
        self._policy = policy
        self._refs = count(1)
        self._waiting: dict[int, AsyncResult[Answered]] = {}

    def hand_over(self, sender: str, key: str, message: Message) -> int:
        """As `Elsewhere.hand_over`."""
        node, ref = self._node_of(key), next(self._refs)
        said = (message.sender, message.to, message.text, message.time, message.said)
        return self._ask(node, ref, Offer(ref, sender, key, *said))

    def promise(self, sender: str, key: str, weight: int) -> Sequence[Promise]:
        """As `Elsewhere.promise`."""
        node, ref = self._node_of(key), next(self._refs)
        self._ask(node, ref, Wanted(ref, sender, key, weight))
        return (Kept(self._bus, node, ref),)

    def answered(self, answer: Answered) -> None:
        """Another node has answered."""
        waiting = self._waiting.get(answer.ref)
        if waiting is not None:
            waiting.set(answer)

    def _node_of(self, key: str) -> str:
        there = self._elsewhere.shown.get(key, {})
        node = next((node for node, shown in there.items() if shown.guest), None)
        if node is None:
            raise NotHere
        return node

    def _ask(self, node: str, ref: int, question: Offer | Wanted) -> int:
        if not self._bus.connected:
            raise StoreUnavailable("The servers of this cluster cannot hear each other now.")
        waiting = self._waiting[ref] = AsyncResult()
        self._bus.send(encode(question), {node})
        try:
            answer = waiting.get(timeout=ANSWERS_WITHIN)
        except gevent.Timeout:
            answer = None
        finally:
            del self._waiting[ref]
        if answer is None:
            raise StoreUnavailable("The server where that guest is does not answer.")
        refusal = REFUSALS.get(answer.error)
        if refusal is not None:
            raise refusal(retry_after=self._policy.busy_pause) if refusal is RecipientBusy else refusal()
        return answer.taken


class Kept:
    """Room that another node keeps in a guest's outbox."""

    def __init__(self, bus: Bus, node: str, ref: int) -> None:
        self._bus = bus
        self._node = node
        self._ref = ref

    def redeem(self, weight: int) -> None:
        """Before the message itself, which goes the same way."""
        self._bus.send(encode(Redeemed(self._ref)), {self._node})


class Asked:
    """Does what other nodes ask, for guests who are here. Nothing here blocks.

    Room that is kept for a message is free again after `patience` seconds, should nobody redeem it.
    """

    def __init__(
        self, bus: Bus, router: Router, blocks: Blocks, presence: Presence, later: Later, patience: Callable[[], float]
    ) -> None:
        self._bus = bus
        self._router = router
        self._blocks = blocks
        self._presence = presence
        self._later = later
        self._patience = patience
        self._promised: dict[tuple[str, int], tuple[int, list[Outbox]]] = {}

    def offered(self, node: str, offer: Offer) -> None:
        """A message from guest to guest."""
        message = Message(offer.sender, offer.to, offer.text, offer.time, offer.said)
        self._presence.conversed(offer.by, offer.key)
        self._answer(node, offer, lambda outbox: outbox.offer(message))

    def wanted(self, node: str, wanted: Wanted) -> None:
        """Room for a message."""
        promised = self._answer(node, wanted, lambda outbox: outbox.promise(wanted.weight))
        if promised:
            self._promised[node, wanted.ref] = wanted.weight, promised
            self._later(self._patience(), lambda: self.redeem(node, wanted.ref))

    def redeem(self, node: str, ref: int) -> None:
        """It is needed no more."""
        weight, promised = self._promised.pop((node, ref), (0, []))
        for outbox in promised:
            outbox.redeem(weight)

    def _answer(self, node: str, asked: Offer | Wanted, take: Callable[[Outbox], bool]) -> list[Outbox]:
        """Say which outboxes took it, or why none did."""
        outboxes = [each.outbox for each in self._router.sessions(asked.key) if each.account is None]
        error, taken = "", []
        if not outboxes:
            error = NotHere.__name__
        elif self._blocks.hide(asked.key, asked.by):
            error = Blocked.__name__
        elif not (taken := [outbox for outbox in outboxes if take(outbox)]):
            error = RecipientBusy.__name__
        self._bus.send(encode(Answered(asked.ref, len(taken), error)), {node})
        return taken
