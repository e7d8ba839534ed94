"""Delivery of what was kept: live to who has everything before it, from the store to who has not.

A session takes seq n of a conversation live only if it was sent n - 1; otherwise it turns *behind* and pages from the
store until it has reached the head, compared and switched without letting anybody in between.

What was committed together in a room, or between two, is brought together to everybody there.

A room of a thousand that hears a hundred messages is a thousand parcels, and not a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from gevent.event import Event
from msgspec import Struct

from gmessenger.chat.outbox import CatchUpDone, Message, MessageBatch
from gmessenger.chat.records import Device, NewMessage, StoredMessage
from gmessenger.chat.rooms import Room, RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.chat.storage import Store
from gmessenger.constants import STORE_RETRY_DELAY
from gmessenger.errors import StoreUnavailable
from gmessenger.names import fold

Spawn = Callable[..., object]
"""`spawn(what, function, *args)` runs a function in a greenlet whose failure is reported under that description."""


class CommittedMessage(Struct, gc=False):
    """A post that is on disk, whose it is (`key` is the name folded, `sender` the session, if it is here), and the room
    or the name it is for. Where it was `erased` since, its text is empty.
    """

    message: NewMessage
    seq: int
    action: str
    sender_key: str
    sender_session: Session | None
    room: Room | None = None
    to_key: str = ""
    erased: bool = False


CommittedHandler: TypeAlias = Callable[[list[CommittedMessage]], object]
"""Takes committed messages of one conversation, ordered by seq."""


class DeliveryService:
    """Brings kept messages to sessions, and counts what it and others bring."""

    def __init__(self, store: Store, spawn: Spawn, stats: MessengerStats) -> None:
        self._store = store
        self._spawn = spawn
        self.stats = stats

    def deliver(self, committed: CommittedMessage, sessions: Iterable[Session]) -> None:
        """Deliver a committed message to these sessions, its sender's own included.

        The session that sent it is sent nothing: it has the message. The sender's other sessions get its id with it.
        """
        shared = message_from_committed(committed)
        conversation, seq, sent = committed.message.conversation, committed.seq, 0
        for session in sessions:
            message = shared
            if session.key == committed.sender_key:
                if is_sender_session(session, committed):
                    self._count_own(session, conversation, seq)
                    continue
                message = message_from_committed(committed, committed.message.id)
            sync = session.sync
            if sync.is_next(conversation, seq) and session.outbox.offer(message):
                sync.advance(conversation, seq)
                sent += 1
            elif sync.fall_behind(conversation, seq):
                self.start_catch_up(session)
        self.stats.deliveries += sent

    def deliver_batch(
        self, session: Session, conversation: str, batch: MessageBatch, own_seqs: Sequence[int] = ()
    ) -> bool:
        """Hand over all of a bundle, or none of it; False where each of its messages has to be looked at.

        `own` are the seqs that are not in it because the session has said them itself.
        """
        sync, count = session.sync, len(batch.messages)
        if not sync.is_next(conversation, batch.first_seq):
            if sync.catching_up:
                sync.fall_behind(conversation, batch.last_seq)
            return sync.catching_up
        if not session.outbox.offer_batch(batch, count):
            return False
        sync.advance(conversation, batch.last_seq)
        self.stats.deliveries += count
        if own_seqs and session.device is not None:
            self._acknowledge(session, session.device, conversation, own_seqs)
        return True

    def start_catch_up(self, session: Session) -> None:
        """Have a session that is behind sent all that it has not acknowledged; it is told when it has it."""
        self._spawn("catching up", self._run_catch_up, session)

    def check_gap(self, session: Session, conversation: str, head: int) -> None:
        """What came while the session was on its way into a conversation must not wait for the next message."""
        if session.account is not None and session.sync.fall_behind(conversation, head):
            self.start_catch_up(session)

    def restart_catch_up(self, session: Session) -> None:
        """Have an account's session page from the store whatever it has not been sent."""
        session.sync.start_catch_up()
        self.start_catch_up(session)

    def _count_own(self, session: Session, conversation: str, seq: int) -> None:
        """A session's own message, which it has."""
        sync = session.sync
        if sync.is_next(conversation, seq):
            sync.advance(conversation, seq)
            if session.device is not None:
                self._acknowledge(session, session.device, conversation, (seq,))
        elif sync.fall_behind(conversation, seq):
            self.start_catch_up(session)

    def _acknowledge(self, session: Session, device: Device, conversation: str, own_seqs: Iterable[int]) -> None:
        """Move the device's cursor over the session's own messages, up to the first unacknowledged one of others."""
        acknowledged = session.sync.acknowledge_own(conversation, own_seqs)
        if acknowledged:
            self._store.acknowledge(device.id, conversation, acknowledged)

    def _run_catch_up(self, session: Session) -> None:
        try:
            self._catch_up(session)
        except Exception:
            session.outbox.close_after_drain()  # it would be behind for good: it comes again, and begins anew
            raise

    def _catch_up(self, session: Session) -> None:
        while not session.outbox.closed:
            session.sync.begin_pass()
            try:
                self._send_backlog(session)
            except StoreUnavailable:
                Event().wait(STORE_RETRY_DELAY)
                continue
            if session.sync.caught_up():
                session.outbox.push(CatchUpDone())
                return

    def _send_backlog(self, session: Session) -> None:
        """Send what the store has after what was sent, conversation by conversation.

        Stops early where the session is closed, or has left a conversation meanwhile: then its seqs may begin anew.
        """
        assert session.account is not None
        sync = session.sync
        for conversation, head in sorted(self._store.backlog(session.account.id).items()):
            while sync.delivered(conversation) < head and not session.outbox.closed:
                page = self._store.page(session.account.id, conversation, sync.delivered(conversation))
                if not all(self._send_stored(session, message) for message in page.messages) or sync.is_pass_stale:
                    return
                if not page.more:
                    # What was pruned is not owed, nor what was said in a room after the account was removed from it.
                    sync.advance(conversation, head)

    def _send_stored(self, session: Session, message: StoredMessage) -> bool:
        """Block until there is room, and send it, unless the session's device sent it. False where the pass is over."""
        assert session.device is not None
        is_from_device = message.device == session.device.id
        if not (is_from_device or session.outbox.wait_for_room()) or session.sync.is_pass_stale:
            return False
        if not is_from_device:
            session.outbox.push(message_from_stored(message, is_own=fold(message.sender) == session.key))
            self.stats.deliveries += 1
        session.sync.advance(message.conversation, message.seq)
        return True


def is_sender_session(session: Session, committed: CommittedMessage) -> bool:
    """Whether a session of its sender's name has said it, itself or before it was replaced on its device."""
    if session.account is None or session is committed.sender_session:  # a guest has one session
        return True
    return session.device is not None and session.device.id == committed.message.device


def message_from_committed(committed: CommittedMessage, id: str | None = None) -> Message:
    """What was kept, on its way; with its `id` to its sender's other devices."""
    post = committed.message
    return Message(post.sender, post.to, post.text, post.time, committed.action, committed.seq, id, committed.erased)


def message_from_stored(stored: StoredMessage, *, is_own: bool) -> Message:
    """What was kept, as it is shown again; with its id where it is shown to its sender."""
    return Message(
        stored.sender,
        stored.to,
        stored.text,
        stored.time,
        seq=stored.seq,
        id=stored.id if is_own else None,
        erased=stored.erased,
    )


def history_entry(stored: StoredMessage, **more: Any) -> dict[str, Any]:
    """A message in the answer to history or search."""
    if stored.erased:
        return {"seq": stored.seq, "erased": True, "message": "", **more}
    return {
        "from": stored.sender,
        "to": stored.to,
        "time": stored.time,
        "message": stored.text,
        "seq": stored.seq,
        **more,
    }


class FanOut:
    """Collects the messages of one commit, and delivers those of each conversation together.

    `flush` MUST be called after the last `add` of a commit, before the loop runs anything else: the store's
    notification does so (`Store.set_batch_listener`). Neither blocks.

    On a cluster, what is collected goes through the node's sequencer, which orders messages of several nodes and calls
    `deliver`: see `attach`. Sequencer and fan-out need each other, so it cannot be an argument of the constructor.
    """

    def __init__(self, rooms: RoomRegistry, router: Router, delivery: DeliveryService) -> None:
        self._rooms = rooms
        self._router = router
        self._delivery = delivery
        self._committed: dict[str, list[CommittedMessage]] = {}
        self._sequencer: CommittedHandler = self.deliver
        self._on_deliver: CommittedHandler | None = None

    def attach(self, sequencer: CommittedHandler, on_deliver: CommittedHandler | None = None) -> None:
        """Pass what is committed to `sequencer` instead of `deliver`, and call `on_deliver` before each delivery.

        Called once, by the node of a cluster, before the server listens.
        """
        self._sequencer = sequencer
        self._on_deliver = on_deliver

    def add(self, committed: CommittedMessage) -> None:
        """Collect a message. Those of one conversation come in the order of their seqs."""
        self._committed.setdefault(committed.message.conversation, []).append(committed)

    def flush(self) -> None:
        """Deliver what was collected. Where that raises, call it again for the rest."""
        while self._committed:
            self._sequencer(self._committed.pop(next(iter(self._committed))))

    def deliver(self, committed: list[CommittedMessage], sessions: Sequence[Session] | None = None) -> None:
        """Deliver messages of one conversation, ordered by seq, to these sessions, or to all recipients of this server.

        More than one, if their seqs are consecutive, go as one batch to each session that accepts it.
        """
        if self._on_deliver is not None:
            self._on_deliver(committed)
        if sessions is None:
            sessions = self.recipient_sessions(committed[0])
        if len(committed) > 1 and committed[-1].seq - committed[0].seq + 1 == len(committed):
            self._deliver_batch(committed, sessions)
        else:
            self._deliver_each(committed, sessions)

    def recipient_sessions(self, committed: CommittedMessage) -> Sequence[Session]:
        """Everybody here who is in the room, or at either end."""
        if committed.room is not None:
            return self._rooms.sessions(committed.room)
        return self.direct_sessions(committed.to_key, committed.sender_key)

    def direct_sessions(self, one: str, other: str) -> Sequence[Session]:
        """The sessions here of two names, which may be the same."""
        sessions = self._router.sessions(one)
        return sessions + self._router.sessions(other) if one != other else list(sessions)

    def _deliver_batch(self, committed: list[CommittedMessage], sessions: Sequence[Session]) -> None:
        messages = [message_from_committed(each) for each in committed]
        bundle = MessageBatch(messages, committed[0].seq, committed[-1].seq, sum(message.size for message in messages))
        spoken: dict[str, list[int]] = {}  # who has said some of it, and at which places
        for place, each in enumerate(committed):
            spoken.setdefault(each.sender_key, []).append(place)
        give, conversation = self._delivery.deliver_batch, committed[0].message.conversation
        for session in sessions:
            if session.key in spoken:
                given = give(session, conversation, *_batch_for_sender(session, committed, bundle, spoken[session.key]))
            else:
                given = give(session, conversation, bundle)
            if not given:
                self._deliver_each(committed, (session,))

    def _deliver_each(self, committed: list[CommittedMessage], sessions: Sequence[Session]) -> None:
        for each in committed:
            self._delivery.deliver(each, sessions)


def _batch_for_sender(
    session: Session, committed: list[CommittedMessage], batch: MessageBatch, own_places: list[int]
) -> tuple[MessageBatch, list[int]]:
    """What is due to a session of somebody who said what is at these places, and the seqs of what it said itself.

    The rest it shares with everybody: in a room of a hundred where ten speak, to bring these ten what was said one by
    one was a fifth of all the work.
    """
    due, own, weight = batch.messages.copy(), [], batch.size
    for place in reversed(own_places):
        each = committed[place]
        if is_sender_session(session, each):
            own.append(each.seq)
            weight -= due.pop(place).size
        else:
            due[place] = message_from_committed(each, each.message.id)
    return MessageBatch(due, batch.first_seq, batch.last_seq, weight), own[::-1]
