"""Relay of messages between guests on different nodes, and reservation of space in their outboxes.

`RelayClient` asks the recipient's node and blocks until it replies or `RELAY_TIMEOUT` has passed. A request that
arrives later must not be executed, or a message refused with 503 would be delivered nevertheless. Each request
therefore carries a deadline on the clock of the node that is asked. The offset between the two monotonic clocks is
learned from replies; as a reply takes time, the estimate errs towards an earlier deadline. A node whose offset is
unknown is sent a deadline that has passed; it replies with `EXPIRED` and its time, and is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import count
from typing import Final, NamedTuple, TypeAlias

from gevent.event import AsyncResult
from msgspec import Struct

from gmessenger.chat.blocks import BlockList
from gmessenger.chat.delivery import CommittedMessage
from gmessenger.chat.dispatcher import PENDING_MESSAGE_OVERHEAD
from gmessenger.chat.outbound import Message
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.peers import Peers, Reservation
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import CallLater, PresenceTracker
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.cluster.frames import EXPIRED, RelayReply, RelayRequest, ReleaseNotice, ReserveRequest, encode
from gmessenger.cluster.interfaces import Bus
from gmessenger.errors import Blocked, RecipientBusy, RecipientGone, StoreUnavailable, WireError
from gmessenger.lru_map import LruMap

RELAY_DEDUP_TTL: Final = 60.0
"""Seconds for which a repeated message is recognised and not delivered again."""
MAX_DEDUP_KEYS: Final = 10_000
RELEASE_DELAY: Final = 1.0
"""Seconds that a message stored on another node may wait here for the messages before it."""


class ReservationKey(NamedTuple):
    """Folded names of sender and recipient, and characters to reserve: known before a message is stored.

    Messages of one shape may use each other's reservations.
    """

    sender_key: str
    recipient_key: str
    size: int


class HeldReservation(Struct):
    """A reservation held for a node that stores a message."""

    shape: ReservationKey
    outboxes: Sequence[Outbox]


class RelayServer:
    """Executes the requests of other nodes for guests on this node. No method blocks.

    A reservation is freed when its message is delivered, `RELEASE_DELAY` after the requesting node has released it, or
    `reservation_ttl()` seconds after it was made, whichever is first.
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
        self._reservations_by_shape: dict[ReservationKey, dict[tuple[str, int], None]] = {}

    def on_relay_request(self, node: str, request: RelayRequest) -> None:
        """Deliver a message to a guest and reply. A message that was delivered before is only replied to."""
        _, count = self._relayed.get(request.dedup_key, (0.0, 0))
        if count:
            self._reply(node, request.ref, count)
            return
        message = Message(request.sender, request.to, request.text, request.time, request.action, kind=request.kind)
        message.tags = request.tags
        error, outboxes = self._try_outboxes(request, lambda outbox: outbox.offer(message))
        if outboxes:
            self._presence.link(request.sender_key, request.key)
            self._remember_relayed(request.dedup_key, len(outboxes))
        self._reply(node, request.ref, len(outboxes), error)

    def on_reserve_request(self, node: str, request: ReserveRequest) -> None:
        """Reserve space in a guest's outboxes and reply."""
        id = node, request.ref
        if id in self._reservations:  # the bus has duplicated the request
            return
        error, outboxes = self._try_outboxes(request, lambda outbox: outbox.reserve(request.size))
        if outboxes:
            shape = ReservationKey(request.sender_key, request.key, request.size)
            self._reservations[id] = HeldReservation(shape, outboxes)
            self._reservations_by_shape.setdefault(shape, {})[id] = None
            self._call_later(self._reservation_ttl(), lambda: self._release(id))
        self._reply(node, request.ref, len(outboxes), error)  # last: freed in time even if the reply fails

    def on_release(self, node: str, ref: int) -> None:
        """Free a reservation in a moment: its message is on the way, or will not come."""
        id = node, ref
        if id in self._reservations:
            self._call_later(RELEASE_DELAY, lambda: self._release(id))

    def on_deliver(self, committed: Sequence[CommittedMessage]) -> None:
        """Free the reservations of messages that are about to be delivered: the messages take their space."""
        if not self._reservations or committed[0].room is not None:
            return
        for entry in committed:
            size = len(entry.message.text) + PENDING_MESSAGE_OVERHEAD
            ids = self._reservations_by_shape.get(ReservationKey(entry.sender_key, entry.to_key, size))
            if ids:
                self._release(next(iter(ids)))

    def _release(self, node_and_ref: tuple[str, int]) -> None:
        reservation = self._reservations.pop(node_and_ref, None)
        if reservation is None:
            return
        ids = self._reservations_by_shape[reservation.shape]
        del ids[node_and_ref]
        if not ids:
            del self._reservations_by_shape[reservation.shape]
        for outbox in reservation.outboxes:
            outbox.release(reservation.shape.size)

    def _try_outboxes(
        self, request: RelayRequest | ReserveRequest, take: Callable[[Outbox], bool]
    ) -> tuple[str, list[Outbox]]:
        """Return the outboxes that accepted the request, or the error code if none did."""
        outboxes = [session.outbox for session in self._router.sessions(request.key) if session.account is None]
        error: str = ""
        accepted: list[Outbox] = []
        if self._monotonic() > request.deadline:
            error = EXPIRED
        elif not outboxes:
            error = RecipientGone.code
        elif self._blocks.is_hidden(request.key, request.sender_key):
            error = Blocked.code
        elif not (accepted := [outbox for outbox in outboxes if take(outbox)]):
            error = RecipientBusy.code
        return error, accepted

    def _reply(self, node: str, ref: int, count: int, error: str = "") -> None:
        self._bus.send(encode(RelayReply(ref, count, error, self._monotonic())), {node})

    def _remember_relayed(self, dedup_key: str, count: int) -> None:
        now = self._monotonic()
        while self._relayed:
            oldest = next(iter(self._relayed))
            if len(self._relayed) < MAX_DEDUP_KEYS and now - self._relayed[oldest][0] < RELAY_DEDUP_TTL:
                break
            del self._relayed[oldest]
        if dedup_key:
            self._relayed[dedup_key] = now, count


RELAY_TIMEOUT: Final = 2.0  # seconds for each node asked
MAX_NODES_TRIED: Final = 2
"""Of the nodes that show the same guest: the one where it is, and the one where it was."""
MAX_ATTEMPTS: Final = 3
CLOCK_OFFSET_TTL: Final = 60.0
"""Seconds for which a clock offset is used: the drift in that time does not matter."""
MAX_CLOCK_OFFSETS: Final = 1000
UNKNOWN_OFFSET: Final = float("-inf")
REPLY_ERRORS: Final[dict[str, type[WireError]]] = {error.code: error for error in (Blocked, RecipientBusy)}

RequestFactory: TypeAlias = Callable[[int, float], RelayRequest | ReserveRequest]
"""Creates a request from its `ref` and `deadline`."""


class RelayClient:
    """Sends requests to the node of a guest. `relay` and `reserve` block until it has replied."""

    def __init__(self, bus: Bus, peers: Peers, policy: Policy, monotonic: Callable[[], float]) -> None:
        self._bus = bus
        self._peers = peers
        self._policy = policy
        self._monotonic = monotonic
        self._refs = count(1)
        self._pending: dict[int, AsyncResult[RelayReply]] = {}
        self._clock_offsets: LruMap[str, tuple[float, float]] = LruMap(MAX_CLOCK_OFFSETS)

    def relay(self, sender: Session, key: str, message: Message, id: str | None) -> int:
        """Implement `Peers.relay`."""
        content = (message.sender, message.to, message.text, message.time, message.action, message.kind, message.tags)
        dedup_key = _dedup_key(sender.token, key, message.text, id) if id is not None else ""
        _, reply = self._request_each(
            key, lambda ref, deadline: RelayRequest(ref, deadline, dedup_key, sender.key, key, *content)
        )
        return reply.taken

    def reserve(self, sender: str, key: str, size: int) -> Sequence[Reservation]:
        """Implement `Peers.reserve`."""
        node, reply = self._request_each(key, lambda ref, deadline: ReserveRequest(ref, deadline, sender, key, size))
        return (RemoteReservation(self._bus, node, reply.ref),)

    def on_reply(self, node: str, reply: RelayReply) -> None:
        """Hand a reply to the greenlet that waits for it, and learn the clock offset of the node."""
        self._update_clock_offset(node, reply.at)
        pending = self._pending.get(reply.ref)
        if pending is not None:
            pending.set(reply)

    def _request_each(self, key: str, make_request: RequestFactory) -> tuple[str, RelayReply]:
        """Ask the node where the guest logged in last, then another that shows it: the first may have died."""
        presences = self._peers.presences.get(key, {})
        nodes = [node for node, presence in presences.items() if presence.is_guest]
        is_unsure = False
        for node in sorted(nodes, key=lambda node: presences[node].since, reverse=True)[:MAX_NODES_TRIED]:
            reply = self._request(node, make_request)
            if reply is not None and reply.error != RecipientGone.code:
                self._raise_for_error(reply)
                return node, reply
            is_unsure = is_unsure or reply is None
        if is_unsure:
            raise StoreUnavailable("The server where that guest is connected does not answer.")
        raise RecipientGone

    def _request(self, node: str, make_request: RequestFactory) -> RelayReply | None:
        """Return the reply of a node; None where it does not reply in time."""
        if not self._bus.connected:
            raise StoreUnavailable("The servers of this cluster cannot reach each other now.")
        deadline = self._monotonic() + RELAY_TIMEOUT
        for _ in range(MAX_ATTEMPTS):
            reply = self._send_and_wait(node, make_request, deadline)
            if reply is None or reply.error != EXPIRED:
                return reply
        return None

    def _send_and_wait(self, node: str, make_request: RequestFactory, deadline: float) -> RelayReply | None:
        ref, offset = next(self._refs), self._clock_offset(node)
        pending = self._pending[ref] = AsyncResult()
        self._bus.send(encode(make_request(ref, deadline + offset)), {node})
        try:
            return pending.wait(max(0.0, deadline - self._monotonic()))  # None after the timeout
        finally:
            del self._pending[ref]
            if not pending.ready():
                self._bus.send(encode(ReleaseNotice(ref)), {node})  # the node may have made the reservation

    def _clock_offset(self, node: str) -> float:
        offset, measured_at = self._clock_offsets.get(node) or (UNKNOWN_OFFSET, UNKNOWN_OFFSET)
        return offset if self._monotonic() - measured_at < CLOCK_OFFSET_TTL else UNKNOWN_OFFSET

    def _update_clock_offset(self, node: str, at: float) -> None:
        now = self._monotonic()
        if at - now > self._clock_offset(node):
            self._clock_offsets[node] = (at - now, now)

    def _raise_for_error(self, reply: RelayReply) -> None:
        error = REPLY_ERRORS.get(reply.error)
        if error is not None:
            raise error(retry_after=self._policy.busy_retry_after) if error is RecipientBusy else error()


class RemoteReservation:
    """A reservation in the outboxes of a guest on another node."""

    def __init__(self, bus: Bus, node: str, ref: int) -> None:
        self._bus = bus
        self._node = node
        self._ref = ref

    def release(self, size: int) -> None:
        """Release the reservation: the message follows on the bus, and takes the space when delivered."""
        self._bus.send(encode(ReleaseNotice(self._ref)), {self._node})


def _dedup_key(token: str, key: str, text: str, id: str) -> str:
    """Hash what a message and its repetition in the same session have in common, without revealing it."""
    return blake2b("\0".join((token, key, id, text)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
