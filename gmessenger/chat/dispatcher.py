"""What becomes of a message that has passed the checks: it is stored, relayed or broadcast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from gmessenger.chat.amendments import authorize, is_erasure
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.delivery import CommittedMessage, FanOut
from gmessenger.chat.outbound import MESSAGE_OVERHEAD, Message, Response, TextBatch
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.peers import Reservation
from gmessenger.chat.policy import Policy
from gmessenger.chat.quotas import QuotaReservation, StorageQuotas
from gmessenger.chat.records import About, Account, FileInfo, NewMessage
from gmessenger.chat.results import SentMessage, file_entry
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.chat.storage import Store
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import (
    Forbidden,
    NoSuchMessage,
    NoSuchRoom,
    NotFound,
    NotMember,
    RecipientBusy,
    RecipientGone,
    WireError,
)
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, direct_key


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


class OutgoingText(Struct, gc=False):
    """A text to be sent, and the fields of its request. `about`: the message that it replies to, or changes.

    `file`: one of the account that sends it. `tags`: as in `Message`.
    """

    text: str
    id: str | None = None
    action: str = ""
    kind: str = ""
    about: About | None = None
    file: FileInfo | None = None
    tags: Mapping[str, str] | None = None


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

    def send_direct(self, session: Session, key: str, to: str, outgoing: OutgoingText) -> None:
        """Send a message to a name: stored if either end is an account, else relayed.

        Blocks where other nodes have to be asked. Raises `NotFound`, `RecipientGone`, `RecipientBusy`, `Blocked`, and
        as the store's `append`.
        """
        if key in self._blocks.by_user:
            self._blocks.check(session.key, key)
        about = outgoing.about
        if about is not None and about.what:
            authorize(session, about, direct_key(session.key, key), None, outgoing.text, self._policy)
        try:
            self._send_direct(session, key, to, outgoing)
        except (NotFound, RecipientGone):  # it may have logged in or registered on another node a moment ago
            if self._router.peers.sync(key) and (key in self._accounts or key in self._router):
                return self._send_direct(session, key, to, outgoing)
            if not is_erasure(about) or session.account is None:
                raise
            # A sender may erase its message although the recipient does not exist any more.
            self._store_message(session, self._pending(session, direct_key(session.key, key), to, outgoing, key))

    def _send_direct(self, session: Session, key: str, to: str, outgoing: OutgoingText) -> None:
        account = self._accounts.get(key)
        if account is not None and account.is_bot:
            raise Forbidden("This is a hook: nobody reads what is sent to it.")
        name = account.name if account is not None else self._router.shown_names.get(key) or self._guest_name(key, to)
        if account is None and session.account is None:
            return self._relay(session, key, name, outgoing)
        pending = self._pending(session, direct_key(session.key, key), name, outgoing, key)
        if account is not None:
            return self._store_message(session, pending)
        with OutboxReservations(len(outgoing.text) + PENDING_MESSAGE_OVERHEAD) as pending.reservations:
            self._reserve(pending.reservations, session, key)
            return self._store_message(session, pending)

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
        """Return the name of a guest on another node as shown. Raises `NotFound`, or `RecipientGone` if seen lately."""
        presence = self._router.peers.latest(key)
        if presence is None:
            raise (
                RecipientGone(f"{to} has left, and messages to guests are not stored.")
                if self._is_recent(key)
                else NotFound
            )
        return presence.name

    def send_to_room(self, session: Session, room: Room, outgoing: OutgoingText) -> None:
        """Store a message to a room that the session is in, or may write to from outside.

        Raises `RoomClosed`, `OnlySpeakers`, `Silenced`, and as `append`.
        """
        about = outgoing.about
        if about is not None and about.what:
            authorize(session, about, room.key, room, outgoing.text, self._policy)
        if room.is_restricted and not (is_erasure(about) and session.role == OPERATOR_ROLE):
            self._rooms.check_may_write(room, session)
            room.check_not_silenced(session, self._clock())
        self._store_message(session, self._pending(session, room.key, room.name, outgoing, "", room))

    def broadcast(self, session: Session, outgoing: OutgoingText) -> None:
        """Send a message to all online users but the sender, stored nowhere."""
        text, kind = outgoing.text, outgoing.kind
        message = Message(session.name, BROADCAST_TARGET, text, self._clock(), outgoing.action, kind=kind)
        is_hidden = self._blocks.is_hidden
        others = [other for other in self._router if other is not session and not is_hidden(other.key, session.key)]
        self._router.peers.broadcast(message)
        accepted = sum(other.outbox.offer(message) for other in others)
        self._respond_relayed(session, outgoing.id, message.time, accepted)

    def _relay(self, session: Session, key: str, name: str, outgoing: OutgoingText) -> None:
        """Send a message from guest to guest, here or on another node.

        Raises `RecipientBusy` if no outbox has room, or `NoSuchMessage`.
        """
        if outgoing.about is not None:
            raise NoSuchMessage("Messages between guests are not stored, so none can be about another.")
        id, kind = outgoing.id, outgoing.kind
        message = Message(session.name, name, outgoing.text, self._clock(), outgoing.action, kind=kind)
        message.tags = outgoing.tags
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
        if account is not None and account.is_bot:
            return False
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
        batch = TextBatch(session.name, self._router.shown_names[key], texts, self._clock(), size)
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
        sender, key, now = session.name, session.key, self._clock()
        account, device = session.account_id, session.device_id
        by_member = _needs_membership(session, room)
        messages = [
            NewMessage(conversation, sender, to_name, text, now, account, device, id, needs_membership=by_member)
            for text, id in zip(texts, ids, strict=True)
        ]
        try:
            self._store.append_all(
                [
                    (message, PendingMessage(message, 0, action, key, session, room, to_key, dispatcher=self))
                    for message in messages
                ]
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

    def _pending(
        self,
        session: Session,
        conversation: str,
        to: str,
        outgoing: OutgoingText,
        to_key: str,
        room: Room | None = None,
    ) -> PendingMessage:
        message = NewMessage(
            conversation,
            session.name,
            to,
            outgoing.text,
            self._clock(),
            session.account_id,
            session.device_id,
            outgoing.id,
            outgoing.kind,
            outgoing.about,
            outgoing.file,
            needs_membership=_needs_membership(session, room),
        )
        action, tags = outgoing.action, outgoing.tags
        return PendingMessage(message, 0, action, session.key, session, room, to_key, tags=tags, dispatcher=self)

    def _store_message(self, session: Session, pending: PendingMessage) -> None:
        """Hand a message to the store, which calls `on_stored`."""
        if self._quotas.limit_for(session):
            with self._quotas.reserve(session, pending.message.text) as pending.quota:
                self._store.append(pending.message, pending)
        else:
            self._store.append(pending.message, pending)
        session.add_pending(len(pending.message.text) + PENDING_MESSAGE_OVERHEAD)

    def on_stored(self, pending: PendingMessage, seq: int, duplicate: bool, error: WireError | None) -> None:
        """Send the sender its response, and have the message delivered. Called by the store; does not yield."""
        session, message, room = pending.sender_session, pending.message, pending.room
        assert session is not None
        session.release_pending(len(message.text) + PENDING_MESSAGE_OVERHEAD)
        if pending.reservations is not None:
            pending.reservations.release()
        if pending.quota is not None:
            pending.quota.complete(is_stored=error is None and not duplicate)
        if error is not None:
            if room is not None and room.rules.is_private and isinstance(error, NotMember):
                error = NoSuchRoom()  # the answer that every non-member gets
            self._stats.refused[error.code] += 1
            session.outbox.push(Response(error.status, message.id, self._clock(), error=error.to_fields()))
            return
        if message.id is not None or session.answers_all:
            file = message.file
            result = SentMessage(seq, file_entry(file)) if file is not None and file.is_known else None
            session.outbox.push(Response(200, message.id, self._clock(), result, seq=seq))
        if room is not None:
            room.head = max(room.head, seq)
        if duplicate:
            self._stats.duplicates += 1
            return
        self._stats.stored += 1
        if session.account is None:
            session.note_said(message.conversation, seq)
        pending.seq, pending.sender_key = seq, session.key
        self._fan_out.add(pending)


class PendingMessage(CommittedMessage, kw_only=True, gc=False):
    """A message in the store's queue; the store calls it as the callback once the message is on disk or refused.

    Until then its `seq` is 0. It becomes the committed message itself, so that each is made once. It is no closure: the
    garbage collector would traverse a hundred thousand of them a second. Its `sender_session` is never None.
    """

    dispatcher: MessageDispatcher
    reservations: OutboxReservations | None = None
    quota: QuotaReservation | None = None

    def __call__(self, seq: int, duplicate: bool, error: WireError | None) -> None:
        self.dispatcher.on_stored(self, seq, duplicate, error)


def _needs_membership(session: Session, room: Room | None) -> bool:
    """Return whether a session may write to a room because its account is a member. The store keeps no guests."""
    return room is not None and session.account is not None and room.has_member(session)


def flush_acknowledgements(session: Session, store: Store) -> None:
    """Block until what the session acknowledged and sent is on disk: its next response promises that it is."""
    if session.sync.ack_pending:
        store.flush()
        session.sync.flushed()
