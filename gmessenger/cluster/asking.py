"""Asking another node to give something to a guest who is there.

Nobody waits for ever for an answer, and what arrives after that is not done: else what was refused with 503 were heard
all the same. So each question says until when it may be done, by the clock of the node that is asked. From its answers
we know how far that clock is ahead of ours (a little further, since an answer takes a while: so nothing is done later
than we think). A node whose clock we do not know answers that the question is late, and is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import count
from typing import Final, TypeAlias

from gevent.event import AsyncResult

from gmessenger.chat.elsewhere import Elsewhere, Promise
from gmessenger.chat.model import Message
from gmessenger.chat.policy import Policy
from gmessenger.chat.session import Session
from gmessenger.cluster.contract import Bus
from gmessenger.cluster.frames import LATE, Answered, Offer, Redeemed, Wanted, encode
from gmessenger.errors import Blocked, NotHere, RecipientBusy, StoreUnavailable, WireError

ANSWERS_WITHIN: Final = 2.0
"""Seconds."""
MOST_ASKED: Final = 2
"""Nodes that show the same guest: one where it is, and one where it was."""
ATTEMPTS: Final = 3
CLOCKS_KNOWN_FOR: Final = 60.0
"""Seconds in which two clocks do not come apart by as much as matters."""
MOST_CLOCKS: Final = 1000
LONG_AGO: Final = float("-inf")
REFUSALS: Final[dict[str, type[WireError]]] = {each.word: each for each in (Blocked, RecipientBusy)}

Question: TypeAlias = Callable[[int, float], Offer | Wanted]
"""Makes what is asked under a `ref`, `until` then."""


class Asking:
    """Asks, and blocks until the other node has answered. `steady` is a clock that only goes forward."""

    def __init__(self, bus: Bus, elsewhere: Elsewhere, policy: Policy, steady: Callable[[], float]) -> None:
        self._bus = bus
        self._elsewhere = elsewhere
        self._policy = policy
        self._steady = steady
        self._refs = count(1)
        self._waiting: dict[int, AsyncResult[Answered]] = {}
        self._ahead: dict[str, tuple[float, float]] = {}

    def hand_over(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        """As `Elsewhere.hand_over`."""
        said = (message.sender, message.to, message.text, message.time, message.said)
        mark = _mark(sender.token, key, message.text, id) if id is not None else ""
        return self._ask_each(key, lambda ref, until: Offer(ref, until, mark, sender.key, key, *said))[1].taken

    def promise(self, sender: str, key: str, weight: int) -> Sequence[Promise]:
        """As `Elsewhere.promise`."""
        node, answer = self._ask_each(key, lambda ref, until: Wanted(ref, until, sender, key, weight))
        return (Kept(self._bus, node, answer.ref),)

    def answered(self, node: str, answer: Answered) -> None:
        """Another node has answered."""
        self._compare_clocks(node, answer.at)
        waiting = self._waiting.get(answer.ref)
        if waiting is not None:
            waiting.set(answer)

    def _ask_each(self, key: str, question: Question) -> tuple[str, Answered]:
        """Ask where the guest came last, then where it is shown too: a node may have died, and nobody knows it yet."""
        there = self._elsewhere.shown.get(key, {})
        guests = [node for node, shown in there.items() if shown.guest]
        silent = False
        for node in sorted(guests, key=lambda node: there[node].since, reverse=True)[:MOST_ASKED]:
            answer = self._ask(node, question)
            if answer is not None and answer.error != NotHere.word:
                self._check(answer)
                return node, answer
            silent = silent or answer is None
        if silent:
            raise StoreUnavailable("The server where that guest is connected does not answer.")
        raise NotHere

    def _ask(self, node: str, question: Question) -> Answered | None:
        """What a node answers; None where it does not."""
        if not self._bus.connected:
            raise StoreUnavailable("The servers of this cluster cannot reach each other now.")
        give_up = self._steady() + ANSWERS_WITHIN
        for _ in range(ATTEMPTS):
            answer = self._hear(node, question, give_up)
            if answer is None or answer.error != LATE:
                return answer
        return None

    def _hear(self, node: str, question: Question, give_up: float) -> Answered | None:
        ref, ahead = next(self._refs), self._ahead_of_us(node)
        waiting = self._waiting[ref] = AsyncResult()
        self._bus.send(encode(question(ref, give_up + ahead)), {node})
        try:
            return waiting.wait(max(0.0, give_up - self._steady()))  # None where nothing came
        finally:
            del self._waiting[ref]
            if not waiting.ready():
                self._bus.send(encode(Redeemed(ref)), {node})  # should it have kept room

    def _ahead_of_us(self, node: str) -> float:
        ahead, found = self._ahead.get(node, (LONG_AGO, LONG_AGO))
        return ahead if self._steady() - found < CLOCKS_KNOWN_FOR else LONG_AGO

    def _compare_clocks(self, node: str, at: float) -> None:
        now = self._steady()
        if len(self._ahead) >= MOST_CLOCKS:
            self._ahead.clear()
        if at - now > self._ahead_of_us(node):
            self._ahead[node] = (at - now, now)

    def _check(self, answer: Answered) -> None:
        refusal = REFUSALS.get(answer.error)
        if refusal is not None:
            raise refusal(retry_after=self._policy.busy_pause) if refusal is RecipientBusy else refusal()


class Kept:
    """Room that another node keeps in a guest's outbox."""

    def __init__(self, bus: Bus, node: str, ref: int) -> None:
        self._bus = bus
        self._node = node
        self._ref = ref

    def redeem(self, weight: int) -> None:
        """The message itself goes the same way, and takes its room when its turn comes there."""
        self._bus.send(encode(Redeemed(self._ref)), {self._node})


def _mark(token: str, key: str, text: str, id: str) -> str:
    """What only the same message has, sent again in the same session, and what betrays nothing of that."""
    return blake2b("\0".join((token, key, id, text)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
