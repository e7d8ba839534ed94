"""Being asked by other nodes for what is to be given to guests who are here.

Asking another node to give something to a guest who is there.

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
from msgspec import Struct

from gmessenger.chat.blocks import BlockList
from gmessenger.chat.delivery import CommittedMessage
from gmessenger.chat.outbox import Message, Outbox
from gmessenger.chat.peers import Peers, Reservation
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import CallLater, PresenceTracker
from gmessenger.chat.router import Router
from gmessenger.chat.sending import PENDING_MESSAGE_OVERHEAD
from gmessenger.chat.session import Session
from gmessenger.cluster.frames import EXPIRED, RelayReply, RelayRequest, ReleaseNotice, ReserveRequest, encode
from gmessenger.cluster.interfaces import Bus
from gmessenger.errors import Blocked, RecipientBusy, RecipientGone, StoreUnavailable, WireError

DEDUP_TTL: Final = 60.0
"""Seconds in which what was given once is not given again."""
MAX_DEDUP_KEYS: Final = 10_000
RELEASE_DELAY: Final = 1.0
"""Seconds for which a message that was stored elsewhere may wait here for what comes before it."""


class HeldReservation(Struct):
    """What is kept for a message: who sends it to whom and its weight, and in which outboxes."""

    sender_recipient_size: tuple[str, str, int]
    outboxes: Sequence[Outbox]


class RelayServer:
    """Does what other nodes ask, for guests who are here. Nothing here blocks.

    Room that is kept for a message is free when the message is given, or when it has not been for a second after it was
    redeemed, or `patience` seconds after it was wanted. `steady` is a clock that only goes forward.
    """

    def __init__(
        self,
        bus: Bus,
        router: Router,
        blocks: BlockList,
        presence: PresenceTracker,
        call_later: CallLater,
        monotonic: Callable[[], float],
        reservation_ttl: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._router = router
        self._blocks = blocks
        self._presence = presence
        self._call_later = call_later
        self._monotonic = monotonic
        self._reservation_ttl = reservation_ttl
        self._relayed: dict[str, tuple[float, int]] = {}
        self._reservations: dict[tuple[str, int], HeldReservation] = {}
        self._reservations_by_owner: dict[tuple[str, str, int], dict[tuple[str, int], None]] = {}

    def on_relay_request(self, node: str, request: RelayRequest) -> None:
        """A message from guest to guest; one that was given already is only answered again."""
        _, taken = self._relayed.get(request.mark, (0.0, 0))
        if taken:
            self._reply(node, request.ref, taken)
            return
        message = Message(request.sender, request.to, request.text, request.time, request.said)
        error, took = self._try_outboxes(request, lambda outbox: outbox.offer(message))
        if took:
            self._presence.link(request.by, request.key)
            self._remember_relayed(request.mark, len(took))
        self._reply(node, request.ref, len(took), error)

    def on_reserve_request(self, node: str, request: ReserveRequest) -> None:
        """Room for a message."""
        place = node, request.ref
        if place in self._reservations:  # the bus has brought it twice
            return
        error, took = self._try_outboxes(request, lambda outbox: outbox.reserve(request.weight))
        if took:
            whose = request.by, request.key, request.weight
            self._reservations[place] = HeldReservation(whose, took)
            self._reservations_by_owner.setdefault(whose, {})[place] = None
            self._call_later(self._reservation_ttl(), lambda: self._release(place))
        self._reply(node, request.ref, len(took), error)  # last: it is given back whatever becomes of the answer

    def on_release(self, node: str, ref: int) -> None:
        """The message comes, if it has not come, or will not come."""
        place = node, ref
        if place in self._reservations:
            self._call_later(RELEASE_DELAY, lambda: self._release(place))

    def on_deliver(self, committed: Sequence[CommittedMessage]) -> None:
        """These are given now: whoever has room kept for one of them needs it now."""
        if not self._reservations or committed[0].room is not None:
            return
        for each in committed:
            # One that weighs as much, of the same two, may take the place of another.
            awaited = self._reservations_by_owner.get(
                (each.sender_key, each.to_key, len(each.message.text) + PENDING_MESSAGE_OVERHEAD)
            )
            if awaited:
                self._release(next(iter(awaited)))

    def _release(self, node_and_ref: tuple[str, int]) -> None:
        room = self._reservations.pop(node_and_ref, None)
        if room is None:
            return
        awaited = self._reservations_by_owner[room.sender_recipient_size]
        del awaited[node_and_ref]
        if not awaited:
            del self._reservations_by_owner[room.sender_recipient_size]
        for outbox in room.outboxes:
            outbox.release(room.sender_recipient_size[2])

    def _try_outboxes(
        self, request: RelayRequest | ReserveRequest, take: Callable[[Outbox], bool]
    ) -> tuple[str, list[Outbox]]:
        """Which outboxes took it, or why none did."""
        outboxes = [each.outbox for each in self._router.sessions(request.key) if each.account is None]
        error: str = ""
        taken: list[Outbox] = []
        if self._monotonic() > request.until:
            error = EXPIRED
        elif not outboxes:
            error = RecipientGone.code
        elif self._blocks.is_hidden(request.key, request.by):
            error = Blocked.code
        elif not (taken := [outbox for outbox in outboxes if take(outbox)]):
            error = RecipientBusy.code
        return error, taken

    def _reply(self, node: str, ref: int, taken: int, error: str = "") -> None:
        self._bus.send(encode(RelayReply(ref, taken, error, self._monotonic())), {node})

    def _remember_relayed(self, mark: str, taken: int) -> None:
        now = self._monotonic()
        while self._relayed:
            oldest = next(iter(self._relayed))
            if len(self._relayed) < MAX_DEDUP_KEYS and now - self._relayed[oldest][0] < DEDUP_TTL:
                break
            del self._relayed[oldest]
        if mark:
            self._relayed[mark] = now, taken


RELAY_TIMEOUT: Final = 2.0
"""Seconds."""
MAX_NODES_TRIED: Final = 2
"""Nodes that show the same guest: one where it is, and one where it was."""
MAX_ATTEMPTS: Final = 3
CLOCK_OFFSET_TTL: Final = 60.0
"""Seconds in which two clocks do not come apart by as much as matters."""
MAX_CLOCK_OFFSETS: Final = 1000
UNKNOWN_TIME: Final = float("-inf")
REPLY_ERRORS: Final[dict[str, type[WireError]]] = {each.code: each for each in (Blocked, RecipientBusy)}

RequestFactory: TypeAlias = Callable[[int, float], RelayRequest | ReserveRequest]
"""Makes what is asked under a `ref`, `until` then."""


class RelayClient:
    """Asks, and blocks until the other node has answered. `steady` is a clock that only goes forward."""

    def __init__(self, bus: Bus, peers: Peers, policy: Policy, monotonic: Callable[[], float]) -> None:
        self._bus = bus
        self._peers = peers
        self._policy = policy
        self._monotonic = monotonic
        self._refs = count(1)
        self._pending: dict[int, AsyncResult[RelayReply]] = {}
        self._clock_offsets: dict[str, tuple[float, float]] = {}

    def relay(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        """As `Peers.relay`."""
        said = (message.sender, message.to, message.text, message.time, message.action)
        mark = _dedup_key(sender.token, key, message.text, id) if id is not None else ""
        return self._request_each(key, lambda ref, until: RelayRequest(ref, until, mark, sender.key, key, *said))[
            1
        ].taken

    def reserve(self, sender: str, key: str, size: int) -> Sequence[Reservation]:
        """As `Peers.reserve`."""
        node, answer = self._request_each(key, lambda ref, until: ReserveRequest(ref, until, sender, key, size))
        return (RemoteReservation(self._bus, node, answer.ref),)

    def on_reply(self, node: str, reply: RelayReply) -> None:
        """Another node has answered."""
        self._update_clock_offset(node, reply.at)
        waiting = self._pending.get(reply.ref)
        if waiting is not None:
            waiting.set(reply)

    def _request_each(self, key: str, make_request: RequestFactory) -> tuple[str, RelayReply]:
        """Ask where the guest came last, then where it is shown too: a node may have died, and nobody knows it yet."""
        there = self._peers.presences.get(key, {})
        guests = [node for node, shown in there.items() if shown.is_guest]
        silent = False
        for node in sorted(guests, key=lambda node: there[node].since, reverse=True)[:MAX_NODES_TRIED]:
            answer = self._request(node, make_request)
            if answer is not None and answer.error != RecipientGone.code:
                self._raise_for_error(answer)
                return node, answer
            silent = silent or answer is None
        if silent:
            raise StoreUnavailable("The server where that guest is connected does not answer.")
        raise RecipientGone

    def _request(self, node: str, make_request: RequestFactory) -> RelayReply | None:
        """What a node answers; None where it does not."""
        if not self._bus.connected:
            raise StoreUnavailable("The servers of this cluster cannot reach each other now.")
        give_up = self._monotonic() + RELAY_TIMEOUT
        for _ in range(MAX_ATTEMPTS):
            answer = self._send_and_wait(node, make_request, give_up)
            if answer is None or answer.error != EXPIRED:
                return answer
        return None

    def _send_and_wait(self, node: str, make_request: RequestFactory, deadline: float) -> RelayReply | None:
        ref, ahead = next(self._refs), self._clock_offset(node)
        waiting = self._pending[ref] = AsyncResult()
        self._bus.send(encode(make_request(ref, deadline + ahead)), {node})
        try:
            return waiting.wait(max(0.0, deadline - self._monotonic()))  # None where nothing came
        finally:
            del self._pending[ref]
            if not waiting.ready():
                self._bus.send(encode(ReleaseNotice(ref)), {node})  # should it have kept room

    def _clock_offset(self, node: str) -> float:
        ahead, found = self._clock_offsets.get(node, (UNKNOWN_TIME, UNKNOWN_TIME))
        return ahead if self._monotonic() - found < CLOCK_OFFSET_TTL else UNKNOWN_TIME

    def _update_clock_offset(self, node: str, at: float) -> None:
        now = self._monotonic()
        if len(self._clock_offsets) >= MAX_CLOCK_OFFSETS:
            self._clock_offsets.clear()
        if at - now > self._clock_offset(node):
            self._clock_offsets[node] = (at - now, now)

    def _raise_for_error(self, reply: RelayReply) -> None:
        refusal = REPLY_ERRORS.get(reply.error)
        if refusal is not None:
            raise refusal(retry_after=self._policy.busy_retry_after) if refusal is RecipientBusy else refusal()


class RemoteReservation:
    """Room that another node keeps in a guest's outbox."""

    def __init__(self, bus: Bus, node: str, ref: int) -> None:
        self._bus = bus
        self._node = node
        self._ref = ref

    def release(self, size: int) -> None:
        """The message itself goes the same way, and takes its room when its turn comes there."""
        self._bus.send(encode(ReleaseNotice(self._ref)), {self._node})


def _dedup_key(token: str, key: str, text: str, id: str) -> str:
    """What only the same message has, sent again in the same session, and what betrays nothing of that."""
    return blake2b("\0".join((token, key, id, text)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
