"""The path of a message from its request: checks, rate limit, reservation, then store, relay or broadcast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from gmessenger.chat.amendments import authorize, is_erasure
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.delivery import CommittedMessage, FanOut
from gmessenger.chat.membership import RoomMembership
from gmessenger.chat.outbox import MESSAGE_OVERHEAD, Message, Outbox, Response, TextBatch
from gmessenger.chat.peers import Reservation
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import PresenceTracker
from gmessenger.chat.quotas import QuotaReservation, StorageQuotas
from gmessenger.chat.ratelimit import CHARACTERS_PER_UNIT, message_cost
from gmessenger.chat.records import About, Account, NewMessage
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.chat.storage import Store
from gmessenger.chat.throttle import Throttle
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import (
    BroadcastDisabled,
    NoSuchMessage,
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
    """Room for one message that outboxes keep free until it is stored.

    It is given back once: by `release`, or where the `with` block raises. `size`: in characters.
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
        """Reserve room in an outbox, if there is any."""
        if outbox.reserve(self.size):
            self.reservations.append(outbox)

    def release(self) -> None:
        """Give all of it back: the message comes now, or will not come."""
        reservations, self.reservations = self.reservations, []
        for reservation in reservations:
            reservation.release(self.size)


MessageIds = Sequence[str | None]
"""The ids of several messages, in their order; None for a message without."""
PENDING_MESSAGE_OVERHEAD: Final = 256
"""Characters that a message in the store's queue counts besides its text."""


class MessageDispatcher:
    """Stores, relays or broadcasts messages that have passed the checks of `MessageService`.

    `accounts` is the authenticator's, which changes it. `is_recent`: whether a folded name was online lately.
    A message to a room, or with an account at either end, is stored: the store calls back once it is on disk, and only
    then is the sender sent a response and the message delivered.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: RoomRegistry,
        fan_out: FanOut,
        blocks: BlockList,
        accounts: Mapping[str, Account],
        is_recent: Callable[[str], bool],
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
        self._is_recent = is_recent
        self._clock = clock
        self._policy = policy
        self._quotas = quotas
        self._stats = stats

    def send_direct(
        self,
        session: Session,
        key: str,
        to: str,
        text: str,
        id: str | None,
        action: str,
        kind: str = "",
        about: About | None = None,
    ) -> None:
        """Send a message to a name: stored if either end is an account, else relayed.

        Blocks where other nodes have to be asked. Raises `NotFound`, `RecipientGone`, `RecipientBusy`, `Blocked`, and
        as the store's `append`.
        """
        if key in self._blocks.by_user:
            self._blocks.check(session.key, key)
        if about is not None and about.what:
            authorize(session, about, direct_key(session.key, key), None, text, self._policy)
        try:
            self._send_direct(session, key, to, text, id, action, kind, about)
        except (NotFound, RecipientGone):  # it may have logged in or registered on another node a moment ago
            if not self._router.peers.sync(key) or (key not in self._accounts and key not in self._router):
                if about is None or about.what != "erase" or session.account is None:
                    raise
                # What one said can be taken back, whether or not the other end is still there.
                message = self._new_message(session, direct_key(session.key, key), to, text, id, kind, about)
                return self._store_message(PendingMessage(self, session, message, action, key))
            self._send_direct(session, key, to, text, id, action, kind, about)

    def _send_direct(
        self,
        session: Session,
        key: str,
        to: str,
        text: str,
        id: str | None,
        action: str,
        kind: str,
        about: About | None,
    ) -> None:
        account = self._accounts.get(key)
        name = account.name if account is not None else self._guest_name(key, to)
        if account is None and session.account is None:
            if about is not None:
                raise NoSuchMessage("Messages between guests are not stored, so none can be about another.")
            return self._relay(session, key, Message(session.name, name, text, self._clock(), action, kind=kind), id)
        message = self._new_message(session, direct_key(session.key, key), name, text, id, kind, about)
        if account is not None:
            return self._store_message(PendingMessage(self, session, message, action, key))
        with OutboxReservations(len(text) + PENDING_MESSAGE_OVERHEAD) as reservations:
            self._reserve(reservations, session, key)
            return self._store_message(PendingMessage(self, session, message, action, key, reservations=reservations))

    def _reserve(self, reservations: OutboxReservations, session: Session, key: str) -> None:
        """Reserve room in a guest's outboxes: no message to a guest is stored that it could not be sent."""
        if key not in self._router.outboxes:
            reservations.reservations += self._router.peers.reserve(session.key, key, reservations.size)
            return
        for outbox in self._router.outboxes[key]:
            reservations.try_reserve(outbox)
        if not reservations.reservations:
            raise RecipientBusy(retry_after=self._policy.busy_retry_after)

    def _guest_name(self, key: str, to: str) -> str:
        """Return the name of an online guest as shown. Raises `NotFound`, or `RecipientGone` if it was seen lately."""
        sessions = self._router.sessions(key)
        if sessions:
            return sessions[0].name
        presence = self._router.peers.latest(key)
        if presence is None:
            raise (
                RecipientGone(f"{to} has left, and messages to guests are not stored.")
                if self._is_recent(key)
                else NotFound
            )
        return presence.name

    def send_to_room(
        self,
        session: Session,
        room: Room,
        text: str,
        id: str | None,
        action: str,
        kind: str = "",
        about: About | None = None,
    ) -> None:
        """Store a message to a room that the session is in.

        Raises `RoomClosed`, `OnlySpeakers`, `Silenced`, and as `append`.
        """
        if about is not None and about.what:
            authorize(session, about, room.key, room, text, self._policy)
        if room.is_restricted and not (is_erasure(about) and session.role == OPERATOR_ROLE):
            self._rooms.check_may_write(room, session)
            room.check_not_silenced(session, self._clock())
        message = self._new_message(session, room.key, room.name, text, id, kind, about)
        self._store_message(PendingMessage(self, session, message, action, room=room))

    def broadcast(self, session: Session, text: str, id: str | None, action: str, kind: str = "") -> None:
        """Send a message to all online users but the sender, stored nowhere."""
        message = Message(session.name, BROADCAST_TARGET, text, self._clock(), action, kind=kind)
        is_hidden = self._blocks.is_hidden
        others = [other for other in self._router if other is not session and not is_hidden(other.key, session.key)]
        self._router.peers.broadcast(message)
        self._respond_relayed(session, id, message.time, sum(other.outbox.offer(message) for other in others))

    def _relay(self, session: Session, key: str, message: Message, id: str | None) -> None:
        """Send a message from guest to guest, here or on another node. Raises `RecipientBusy` if no outbox has room."""
        accepted = others = 0
        for outbox in self._router.outboxes.get(key, ()):
            if outbox is not session.outbox:
                others += 1
                accepted += outbox.offer(message)
        if others and not accepted:
            raise RecipientBusy(retry_after=self._policy.busy_retry_after)
        if key not in self._router.outboxes:
            accepted = self._router.peers.relay(session, key, message, id)
        self._respond_relayed(session, id, message.time, accepted)

    def send_batch(self, session: Session, key: str, texts: list[str], ids: MessageIds, action: str) -> bool:
        """Send texts to one name or room together, with one check of recipient and membership for all.

        Returns False, and has done nothing, where each must be sent by itself. (For rooms the checks of each message
        were a quarter of all the work.)
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
        """Send texts from guest to guest as one event. Returns False if it does not fit, or the guest is not here."""
        outboxes = self._router.outboxes.get(key)
        if outboxes is None or (session.sync.ack_pending and any(ids)):
            return False
        size = sum(map(len, texts)) + MESSAGE_OVERHEAD * len(texts)
        if not all(outbox.make_room_for(len(texts), size) for outbox in outboxes):
            return False
        batch = TextBatch(session.name, self._router.sessions(key)[0].name, texts, self._clock(), size)
        accepted = sum(outbox.push(batch, len(texts)) for outbox in outboxes)
        self._stats.relayed += len(texts)
        self._stats.deliveries += accepted * len(texts)
        for id in filter(None, ids):
            session.outbox.push(Response(202, id, batch.time))
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
        """Store all texts or none. Returns False if too much is pending, or the sender has a quota."""
        size = sum(map(len, texts)) + PENDING_MESSAGE_OVERHEAD * len(texts)
        if session.pending_characters + size > self._policy.max_pending_characters or self._quotas.limit_for(session):
            return False
        messages = [
            self._new_message(session, conversation, to_name, text, id) for text, id in zip(texts, ids, strict=True)
        ]
        try:
            self._store.append_all(
                [(message, PendingMessage(self, session, message, action, to_key, room)) for message in messages]
            )
        except WireError:
            return False
        session.add_pending(size)
        return True

    def _respond_relayed(self, session: Session, id: str | None, time: float, deliveries: int) -> None:
        self._stats.relayed += 1
        self._stats.deliveries += deliveries
        if id is not None or session.answers_all:
            flush_acknowledgements(session, self._store)
            session.outbox.push(Response(202, id, time))

    def _new_message(
        self,
        session: Session,
        conversation: str,
        to: str,
        text: str,
        id: str | None,
        kind: str = "",
        about: About | None = None,
    ) -> NewMessage:
        account = session.account.id if session.account is not None else None
        device = session.device.id if session.device is not None else None
        return NewMessage(conversation, session.name, to, text, self._clock(), account, device, id, kind, about)

    def _store_message(self, pending: PendingMessage) -> None:
        """Hand a message to the store, which calls `on_stored`."""
        if self._quotas.limit_for(pending.session):
            with self._quotas.reserve(pending.session, pending.message.text) as pending.quota:
                self._store.append(pending.message, pending)
        else:
            self._store.append(pending.message, pending)
        pending.session.add_pending(len(pending.message.text) + PENDING_MESSAGE_OVERHEAD)

    def on_stored(self, pending: PendingMessage, seq: int, duplicate: bool, error: WireError | None) -> None:
        """Send the sender its response, and have the message delivered. Called by the store; does not yield."""
        session, message, room = pending.session, pending.message, pending.room
        session.release_pending(len(message.text) + PENDING_MESSAGE_OVERHEAD)
        if pending.reservations is not None:
            pending.reservations.release()
        if pending.quota is not None:
            pending.quota.complete(is_stored=error is None and not duplicate)
        if error is not None:
            self._stats.refused[error.code] += 1
            session.outbox.push(Response(error.status, message.id, self._clock(), error=error.to_fields()))
            return
        if message.id is not None or session.answers_all:
            session.outbox.push(Response(200, message.id, self._clock(), seq=seq))
        if room is not None:
            room.head = max(room.head, seq)
        if duplicate:
            self._stats.duplicates += 1
            return
        self._stats.stored += 1
        if session.account is None:
            session.note_said(message.conversation, seq)
        self._fan_out.add(CommittedMessage(message, seq, pending.action, session.key, session, room, pending.to_key))


class PendingMessage(Struct, gc=False):
    """A message in the store's queue, and what is needed once it is on disk. The store calls it as the callback.

    One struct and no closure: the garbage collector would traverse a hundred thousand closures a second.
    """

    dispatcher: MessageDispatcher
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
    """Block until what the session acknowledged and sent is on disk: its next response promises that it is."""
    if session.sync.ack_pending:
        store.flush()
        session.sync.flushed()


class MessageService:
    """Checks and sends messages. Called from the connection's greenlet: blocking it holds back its requests."""

    def __init__(
        self,
        policy: Policy,
        throttle: Throttle,
        sanctions: SanctionRegistry,
        dispatcher: MessageDispatcher,
        rooms: RoomRegistry,
        membership: RoomMembership,
        presence: PresenceTracker,
        router: Router,
    ) -> None:
        self._policy = policy
        self._throttle = throttle
        self._sanctions = sanctions
        self._dispatcher = dispatcher
        self._rooms = rooms
        self._membership = membership
        self._presence = presence
        self._router = router

    def send(
        self,
        session: Session,
        to: str,
        text: str,
        id: str | None = None,
        action: str = "",
        kind: str = "",
        about: About | None = None,
    ) -> None:
        """Send a text to a name, a room, or `BROADCAST_TARGET`; with `about`, a reply or an amendment.

        The response is 200 with the seq once the message is on disk, or 202 if a session accepted it and it is not
        stored. Without an id there is none, unless the session `answers_all`, or the message is refused after this
        returns.

        Blocks while the session is over its rate, or has too much pending in the store.

        Raises:
            TextTooLong, RateLimited, Muted, Blocked, NotFound, RecipientGone, NoSuchRoom, NotMember, RoomClosed,
            OnlySpeakers, Silenced, BroadcastDisabled
            RecipientBusy: no session of the recipient had room for it.
            AccountsOnly, BadRequest, NoSuchMessage: of a message about another.
            StoreUnavailable: it could not be stored, or what is pending was not within the timeout.
            NotLoggedIn: the session was ended while this blocked.
        """
        recipients = self._recipient_count(session, to) if to[:1] == ROOM_PREFIX else 0
        self._throttle.charge_message(session, len(text), recipients)
        if self._sanctions.muted:
            self._sanctions.check_not_muted(session.key)
        if len(text) > self._policy.max_text:
            raise TextTooLong(f"A message has at most {self._policy.max_text} characters.", limit=self._policy.max_text)
        if session.pending_characters > self._policy.max_pending_characters:
            self._wait_for_store(session)
        if about is not None and about.what == "erase":
            text = ""
        if to[:1] != ROOM_PREFIX:
            key = fold(to)
            self._dispatcher.send_direct(session, key, to, text, id, action, kind, about)
            self._presence.link(session.key, key)
        elif to != BROADCAST_TARGET:
            room = self._rooms.require_member(to, session) if about is None else self._room_for(session, to, about)
            self._dispatcher.send_to_room(session, room, text, id, action, kind, about)
        elif about is not None:
            raise NoSuchMessage("Broadcasts are not stored, so none can be about another.")
        elif self._policy.broadcast:
            self._dispatcher.broadcast(session, text, id, action, kind)
        else:
            raise BroadcastDisabled

    def _room_for(self, session: Session, to: str, about: About | None) -> Room:
        """Return the room to write to. An operator erases in rooms that it is no member of, too."""
        if is_erasure(about) and session.role == OPERATOR_ROLE:
            return self._rooms.find(to)
        return self._rooms.require_member(to, session)

    def send_batch(self, session: Session, to: str, texts: list[str], ids: MessageIds, action: str = "") -> bool:
        """Send several texts to one name or room as `send` would, with one check for all: most of a message's cost.

        Returns False, and has sent none, where one might be refused or delayed: then each must be sent by itself.
        Never blocks.
        """
        longest = max(map(len, texts))
        if self._sanctions.muted or longest > self._policy.max_text:
            return False
        key = fold(to)
        recipients = self._recipient_count(session, key) if key[:1] == ROOM_PREFIX else 0
        if longest < CHARACTERS_PER_UNIT:  # as nearly all are
            cost = len(texts) * message_cost(0, recipients)
        else:
            cost = sum(message_cost(len(text), recipients) for text in texts)
        charge = self._throttle.try_charge_batch(session, cost)
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
        """Join a room and send a text to it, as course clients do. Raises as `RoomMembership.join` and `send`."""
        self._membership.join(session, room)
        self.send(session, room, text, action=action)

    def _recipient_count(self, session: Session, room: str) -> int:
        """Return how many recipients a message costs for. To a room that the session is not in, that tells nothing."""
        return len(self._router) if room == BROADCAST_TARGET else self._rooms.member_count(room, session)

    def _wait_for_store(self, session: Session) -> None:
        if not session.wait_for_store(self._policy.max_pending_characters, self._policy.store_timeout):
            raise StoreUnavailable
        if session.outbox.closed:  # the session was ended meanwhile
            raise NotLoggedIn
