"""The path of a message from its request: checks, rate limit, reservation, then store, relay or broadcast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from gmessenger.chat.blocks import BlockList
from gmessenger.chat.delivery import CommittedMessage, FanOut
from gmessenger.chat.outbox import MESSAGE_OVERHEAD, Message, Outbox, Response, TextBatch
from gmessenger.chat.peers import Reservation
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import PresenceTracker
from gmessenger.chat.quotas import QuotaReservation, StorageQuotas
from gmessenger.chat.ratelimit import CHARACTERS_PER_UNIT, message_cost
from gmessenger.chat.records import Account, NewMessage
from gmessenger.chat.rooms import Room, RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.chat.storage import Store
from gmessenger.chat.throttle import Throttle
from gmessenger.errors import (
    BroadcastDisabled,
    NotFound,
    NotLoggedIn,
    RecipientBusy,
    RecipientGone,
    StoreUnavailable,
    TextTooLong,
    WireError,
)
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, direct_key, fold


class OutboxReservations:
    """Room of that `weight` which outboxes keep for a message: given back once, when it is settled or where the `with`
    block raises.
    """

    __slots__ = ("reservations", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.reservations: list[Reservation] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.release()

    def try_reserve(self, outbox: Outbox) -> None:
        """Have room kept in an outbox, if it has any."""
        if outbox.reserve(self.size):
            self.reservations.append(outbox)

    def release(self) -> None:
        """Give it back: now the message comes, or will not come."""
        room, self.reservations = self.reservations, []
        for promise in room:
            promise.release(self.size)


MessageIds = Sequence[str | None]
"""The id of each of several messages, in their order."""
PENDING_MESSAGE_OVERHEAD: Final = 256
"""What a message on its way weighs besides its text."""


class Dispatcher:
    """Sends on behalf of sessions. `accounts` is shared with the entrance, which changes it.

    `seen` says of a folded name whether somebody of it has been here.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: RoomRegistry,
        fan_out: FanOut,
        blocks: BlockList,
        accounts: dict[str, Account],
        was_seen: Callable[[str], bool],
        clock: Callable[[], float],
        policy: Policy,
        quotas: StorageQuotas,
        stats: MessengerStats,
    ) -> None:
        self._store = store
        self._router = router
        self._rooms = rooms
        self._fan_out = fan_out
        self._blocks = blocks
        self._accounts = accounts
        self._was_seen = was_seen
        self._clock = clock
        self._policy = policy
        self._quotas = quotas
        self._stats = stats

    def send_direct(self, session: Session, key: str, to: str, text: str, id: str | None, action: str) -> None:
        """A message to a name; kept if either end is an account, else handed over."""
        if key in self._blocks.by_user:
            self._blocks.check(session.key, key)
        try:
            self._send_direct(session, key, to, text, id, action)
        except (NotFound, RecipientGone):  # it may have come, or become an account, on another server a moment ago
            if not self._router.peers.sync(key) or (key not in self._accounts and key not in self._router):
                raise
            self._send_direct(session, key, to, text, id, action)

    def _send_direct(self, session: Session, key: str, to: str, text: str, id: str | None, action: str) -> None:
        account = self._accounts.get(key)
        shown = account.name if account is not None else self._guest_name(key, to)
        if account is None and session.account is None:
            return self._relay(session, key, Message(session.name, shown, text, self._clock(), action), id)
        post = self._new_message(session, direct_key(session.key, key), shown, text, id)
        if account is not None:
            return self._store_message(PendingMessage(self, session, post, action, key))
        with OutboxReservations(len(text) + PENDING_MESSAGE_OVERHEAD) as promised:
            self._reserve(promised, session, key)
            return self._store_message(PendingMessage(self, session, post, action, key, reservations=promised))

    def _reserve(self, reservations: OutboxReservations, session: Session, key: str) -> None:
        """Have room kept where the guest is: nothing is stored that a guest would not be given."""
        if key not in self._router.outboxes:
            reservations.reservations += self._router.peers.reserve(session.key, key, reservations.size)
            return
        for outbox in self._router.outboxes[key]:
            reservations.try_reserve(outbox)
        if not reservations.reservations:
            raise RecipientBusy(retry_after=self._policy.busy_retry_after)

    def _guest_name(self, key: str, to: str) -> str:
        """The name of a guest who is present, as it is shown."""
        sessions = self._router.sessions(key)
        if sessions:
            return sessions[0].name
        shown = self._router.peers.latest(key)
        if shown is None:
            raise (
                RecipientGone(f"{to} has left, and messages to guests are not stored.")
                if self._was_seen(key)
                else NotFound
            )
        return shown.name

    def send_to_room(self, session: Session, room: Room, text: str, id: str | None, action: str) -> None:
        """A message to a room the session is in."""
        if room.closure is not None:
            room.check_open()
        post = self._new_message(session, room.key, room.name, text, id)
        self._store_message(PendingMessage(self, session, post, action, room=room))

    def broadcast(self, session: Session, text: str, id: str | None, action: str) -> None:
        """A message to everybody present but the sender, kept nowhere."""
        parcel = Message(session.name, BROADCAST_TARGET, text, self._clock(), action)
        hide = self._blocks.is_hidden
        others = [each for each in self._router if each is not session and not hide(each.key, session.key)]
        self._router.peers.broadcast(parcel)
        self._respond_relayed(session, id, parcel.time, sum(other.outbox.offer(parcel) for other in others))

    def _relay(self, session: Session, key: str, message: Message, id: str | None) -> None:
        """From guest to guest: what a live session takes, and nothing is kept."""
        taken = others = 0
        for outbox in self._router.outboxes.get(key, ()):
            if outbox is not session.outbox:
                others += 1
                taken += outbox.offer(message)
        if others and not taken:
            raise RecipientBusy(retry_after=self._policy.busy_retry_after)
        if key not in self._router.outboxes:
            taken = self._router.peers.relay(session, key, message, id)
        self._respond_relayed(session, id, message.time, taken)

    def send_batch(self, session: Session, key: str, texts: list[str], ids: MessageIds, action: str) -> bool:
        """Texts to one name or room together; False, and nothing has happened, where each is to be looked at by itself.

        Takes the looks once that each message costs otherwise: in rooms they were a quarter of all the work.
        """
        if key[:1] == ROOM_PREFIX:
            room = self._rooms.writable_by(key, session)
            return room is not None and self._store_batch(session, key, room.name, texts, ids, action, room=room)
        if key in self._blocks.by_user:
            return False
        account = self._accounts.get(key)
        if account is not None:
            return self._store_batch(
                session, direct_key(session.key, key), account.name, texts, ids, action, to_key=key
            )
        return session.account is None and key != session.key and self._relay_batch(session, key, texts, ids)

    def _relay_batch(self, session: Session, key: str, texts: list[str], ids: MessageIds) -> bool:
        """From guest to guest, as one parcel; False where it does not fit."""
        outboxes = self._router.outboxes.get(key)
        if outboxes is None or (session.sync.ack_pending and any(ids)):
            return False
        weight = sum(map(len, texts)) + MESSAGE_OVERHEAD * len(texts)
        if not all(outbox.make_room_for(len(texts), weight) for outbox in outboxes):
            return False
        breath = TextBatch(session.name, self._router.sessions(key)[0].name, texts, self._clock(), weight)
        taken = sum(outbox.push(breath, len(texts)) for outbox in outboxes)
        self._stats.relayed += len(texts)
        self._stats.deliveries += taken * len(texts)
        for id in filter(None, ids):
            session.outbox.push(Response(202, id, breath.time))
        return True

    def _store_batch(
        self,
        session: Session,
        conversation: str,
        to_name: str,
        texts: list[str],
        ids: MessageIds,
        action: str,
        to_key: str = "",
        room: Room | None = None,
    ) -> bool:
        """Have all of them stored; False where the sender or the store has too much on the way."""
        weight = sum(map(len, texts)) + PENDING_MESSAGE_OVERHEAD * len(texts)
        if session.pending_characters + weight > self._policy.max_pending_characters or self._quotas.limit_for(session):
            return False
        posts = [
            self._new_message(session, conversation, to_name, text, id) for text, id in zip(texts, ids, strict=True)
        ]
        try:
            self._store.append_all(
                [(post, PendingMessage(self, session, post, action, to_key, room)) for post in posts]
            )
        except WireError:
            return False
        session.add_pending(weight)
        return True

    def _respond_relayed(self, session: Session, id: str | None, time: float, deliveries: int) -> None:
        self._stats.relayed += 1
        self._stats.deliveries += deliveries
        if id is not None:
            flush_acknowledgements(session, self._store)
            session.outbox.push(Response(202, id, time))

    def _new_message(self, session: Session, conversation: str, to: str, text: str, id: str | None) -> NewMessage:
        account = session.account.id if session.account is not None else None
        device = session.device.id if session.device is not None else None
        return NewMessage(conversation, session.name, to, text, self._clock(), account, device, id)

    def _store_message(self, pending: PendingMessage) -> None:
        """Have a message stored; when it is on disk, answer and deliver."""
        if self._quotas.limit_for(pending.session):
            with self._quotas.reserve(pending.session, pending.message.text) as pending.quota:
                self._store.append(pending.message, pending)
        else:
            self._store.append(pending.message, pending)
        pending.session.add_pending(len(pending.message.text) + PENDING_MESSAGE_OVERHEAD)

    def on_stored(self, pending: PendingMessage, seq: int, duplicate: bool, error: WireError | None) -> None:
        """What became of it: answer, and bring it to those whose turn it is now."""
        session, post, room = pending.session, pending.message, pending.room
        session.release_pending(len(post.text) + PENDING_MESSAGE_OVERHEAD)
        if pending.reservations is not None:
            pending.reservations.release()
        if pending.quota is not None:
            pending.quota.complete(is_stored=error is None and not duplicate)
        if error is not None:
            self._stats.refused[error.code] += 1
            session.outbox.push(Response(error.status, post.id, self._clock(), dict(error.to_fields())))
            return
        if post.id is not None:
            session.outbox.push(Response(200, post.id, self._clock(), seq=seq))
        if room is not None:
            room.head = max(room.head, seq)
        if duplicate:
            self._stats.duplicates += 1
            return
        self._stats.stored += 1
        self._fan_out.add(CommittedMessage(post, seq, pending.action, session.key, session, room, pending.to_key))


class PendingMessage(Struct, gc=False):
    """A message on its way to the disk, and who is to be told when it is there: what the store calls when it is done.

    One object and no closures, which the collector would look through a hundred thousand times a second.
    """

    dispatcher: Dispatcher
    session: Session
    message: NewMessage
    action: str
    to_key: str = ""
    room: Room | None = None
    reservations: OutboxReservations | None = None
    quota: QuotaReservation | None = None

    def __call__(self, seq: int, duplicate: bool, error: WireError | None) -> None:
        self.dispatcher.on_stored(self, seq, duplicate, error)


def flush_acknowledgements(session: Session, store: Store) -> None:
    """Wait until what the session has acknowledged is on disk: whatever it is answered next says that it is."""
    if session.sync.ack_pending:
        store.flush()
        session.sync.flushed()


class MessageService:
    """May block the greenlet that calls it, and so hold back reading."""

    def __init__(
        self,
        policy: Policy,
        throttle: Throttle,
        sanctions: SanctionRegistry,
        dispatcher: Dispatcher,
        rooms: RoomRegistry,
        presence: PresenceTracker,
        router: Router,
    ) -> None:
        self._policy = policy
        self._throttle = throttle
        self._sanctions = sanctions
        self._dispatcher = dispatcher
        self._rooms = rooms
        self._presence = presence
        self._router = router

    def send(self, session: Session, to: str, text: str, id: str | None = None, action: str = "") -> None:
        """Bring a text to a name, a room, or EVERYBODY.

        Answers 200 with its seq once it is on disk, or 202 when a live session took it and nothing is kept. Without an
        id it is answered only if it is refused later. Raises `TextTooLong`, `NotFound`, `RecipientGone`,
        `RecipientBusy` (nobody got it), `NoSuchRoom`, `NotMember`, `RoomClosed`, `Muted`, `Blocked`,
        `BroadcastDisabled` or `RateLimited`.
        While the session is too fast, or much of its own is still on its way to the disk, it waits.
        """
        self._throttle.charge_message(session, len(text), self._recipient_count(to) if to[:1] == ROOM_PREFIX else 0)
        if self._sanctions.muted:
            self._sanctions.check_not_muted(session.key)
        if len(text) > self._policy.max_text:
            raise TextTooLong(f"A message has at most {self._policy.max_text} characters.", limit=self._policy.max_text)
        if session.pending_characters > self._policy.max_pending_characters:
            self._wait_for_store(session)
        if to[:1] != ROOM_PREFIX:
            key = fold(to)
            self._dispatcher.send_direct(session, key, to, text, id, action)
            self._presence.link(session.key, key)
        elif to != BROADCAST_TARGET:
            self._dispatcher.send_to_room(session, self._rooms.require_member(to, session), text, id, action)
        elif self._policy.broadcast:
            self._dispatcher.broadcast(session, text, id, action)
        else:
            raise BroadcastDisabled

    def send_batch(self, session: Session, to: str, texts: list[str], ids: MessageIds, action: str = "") -> bool:
        """Bring several texts to one name or room, as if each were a `message`; False, and none of them has been
        brought, where each has to be looked at by itself.

        What is asked of each message is asked of them once, which is most of what a message costs.
        """
        longest = max(map(len, texts))
        if self._sanctions.muted or longest > self._policy.max_text:
            return False
        key = fold(to)
        audience = self._recipient_count(key) if key[:1] == ROOM_PREFIX else 0
        short = longest < CHARACTERS_PER_UNIT  # as nearly all are
        price = (
            len(texts) * message_cost(0, audience)
            if short
            else sum(message_cost(len(text), audience) for text in texts)
        )
        charge = self._throttle.try_charge_batch(session, price)
        if charge is None:
            return False
        with charge:
            if not self._dispatcher.send_batch(session, key, texts, ids, action):
                return False
            charge.commit()
        if key[:1] != ROOM_PREFIX:
            self._presence.link(session.key, key)
        return True

    def join_and_send(self, session: Session, room: str, text: str, action: str) -> None:
        """A message to a room from somebody who becomes a member by it."""
        self._rooms.join(session, room)
        self.send(session, room, text, action=action)

    def _recipient_count(self, room: str) -> int:
        return len(self._router) if room == BROADCAST_TARGET else self._rooms.member_count(room)

    def _wait_for_store(self, session: Session) -> None:
        if not session.wait_for_store(self._policy.max_pending_characters, self._policy.store_timeout):
            raise StoreUnavailable
        if session.outbox.closed:  # it has been sent away meanwhile
            raise NotLoggedIn
