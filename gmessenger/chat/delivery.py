"""Delivery of committed messages: live to sessions that were sent all before them, else from the store.

Messages of one conversation that were committed together are delivered to each session as one batch: a hundred messages
to a room of a thousand are a thousand events, not a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from gevent.event import Event
from msgspec import Struct

from gmessenger.chat.backlog import ShortBacklog
from gmessenger.chat.history import target_of
from gmessenger.chat.outbound import MESSAGE_OVERHEAD, BacklogSkipped, CatchUpDone, Message, MessageBatch
from gmessenger.chat.recent_changes import RecentChanges
from gmessenger.chat.records import REMOVES_TEXT, NewMessage, StoredMessage
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import RoomRegistry
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
    """A message that is on disk, with its seq; see also `PendingMessage`.

    `action`: the sender's word for the request; see `Message`.
    `sender_key`: the sender's folded name at the commit. `sender_session`: the session that sent it, None if it is on
    another node.
    `room`, or `to_key` for a direct message: the recipient; exactly one is set.
    `erased`: its text was erased since, and is empty. `edited`: as in `StoredMessage`. `tags`: as in `Message`.
    """

    message: NewMessage
    seq: int
    action: str
    sender_key: str
    sender_session: Session | None
    room: Room | None = None
    to_key: str = ""
    erased: bool = False
    edited: float | None = None
    tags: Mapping[str, str] | None = None


CommittedHandler: TypeAlias = Callable[[list[CommittedMessage]], object]
"""Takes committed messages of one conversation, ordered by seq."""


class DeliveryService:
    """Puts committed messages into the outboxes of sessions, and starts their catch-ups.

    What arrives live neither blocks nor yields. A catch-up runs in a greenlet of its own.
    """

    def __init__(self, store: Store, spawn: Spawn, stats: MessengerStats, changes: RecentChanges | None = None) -> None:
        self.changes = changes if changes is not None else RecentChanges()
        self._store = store
        self._spawn = spawn
        self.stats = stats

    def deliver(self, committed: CommittedMessage, sessions: Iterable[Session]) -> None:
        """Deliver a committed message to these sessions, its sender's own included.

        The session that sent it is sent nothing, unless it hears itself there: it has the message. The sender's other
        sessions get its id with it.
        """
        shared = message_from_committed(committed)
        size = shared.size  # the copy for its sender, which also has the id, is of the same size
        conversation, seq, sent = committed.message.conversation, committed.seq, 0
        for session in sessions:
            message, is_own = shared, False
            if session.key == committed.sender_key:
                is_own = is_sender_session(session, committed)
                if is_own and not session.hears_itself_in(committed.to_key):
                    self._count_own(session, conversation, seq)
                    continue
                message = message_from_committed(committed, committed.message.id)
            sync = session.sync
            if sync.is_next(conversation, seq) and session.outbox.offer_sized(message, size):
                if is_own:
                    self._acknowledge_own(session, conversation, (seq,))
                else:
                    sync.advance(conversation, seq)
                sent += 1
            elif sync.fall_behind(conversation, seq):
                self.start_catch_up(session)
        self.stats.deliveries += sent

    def deliver_batch(
        self, session: Session, conversation: str, batch: MessageBatch, own_seqs: Sequence[int] = ()
    ) -> bool:
        """Deliver a whole batch to a session.

        Args:
            own_seqs: seqs that the session sent itself; they are missing from the batch, unless it `hears_itself`.

        Returns:
            False if nothing was delivered, and each message must be delivered by itself.
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
        if own_seqs:
            self._acknowledge_own(session, conversation, own_seqs)
        return True

    def start_catch_up(
        self, session: Session, then: Callable[[Session], object] = lambda session: None, most: int | None = None
    ) -> None:
        """Start the greenlet that sends a session its backlog, and calls `then`.

        The session's state must say that it catches up. `most`: as of `Messenger.start_delivery`.
        """
        self._spawn("catching up", self._run_catch_up, session, then, most)

    def catch_up_if_behind(self, session: Session, conversation: str, head: int) -> None:
        """Start a catch-up if the session was not sent everything up to `head`, the last seq of the conversation.

        For a session that has just joined: a message that was stored meanwhile must not wait for the next one.
        """
        if session.account is not None and session.sync.fall_behind(conversation, head):
            self.start_catch_up(session)

    def restart_catch_up(self, session: Session) -> None:
        """Stop live delivery to an account's session, and send it the missing messages from the store."""
        session.sync.start_catch_up()
        self.start_catch_up(session)

    def _count_own(self, session: Session, conversation: str, seq: int) -> None:
        """Count a message as sent to the session that sent it, and acknowledge it."""
        sync = session.sync
        if sync.is_next(conversation, seq):
            self._acknowledge_own(session, conversation, (seq,))
        elif sync.fall_behind(conversation, seq):
            self.start_catch_up(session)

    def _acknowledge_own(self, session: Session, conversation: str, own_seqs: Sequence[int]) -> None:
        """Record messages that the session sent itself, and move its device's cursor as far as that acknowledges."""
        acknowledged = session.sync.acknowledge_own(conversation, own_seqs)
        if acknowledged and session.device is not None:
            self._store.acknowledge(session.device.id, conversation, acknowledged)

    def _run_catch_up(self, session: Session, then: Callable[[Session], object], most: int | None) -> None:
        try:
            self._catch_up(session, most)
            then(session)
        except Exception:
            session.outbox.close_after_drain()  # it would stay behind: the client reconnects, and catches up anew
            raise

    def _catch_up(self, session: Session, most: int | None) -> None:
        shortened = ShortBacklog(self._store, most)
        while not session.outbox.closed:
            session.sync.begin_pass()
            try:
                self._send_backlog(session, shortened)
            except StoreUnavailable:
                Event().wait(STORE_RETRY_DELAY)
                continue
            if session.sync.caught_up():
                session.outbox.push(CatchUpDone())
                return

    def _send_backlog(self, session: Session, shortened: ShortBacklog) -> None:
        """Send what the store has after what was sent, conversation by conversation.

        Stops early where the session is closed, or has left a conversation meanwhile: then its seqs may begin anew.
        """
        assert session.account is not None
        sync, heads = session.sync, self._store.backlog(session.account.id)
        shortened.begin(heads)
        for conversation, head in sorted(heads.items()):
            shortened.skip_older(session, session.account, conversation)
            while sync.delivered(conversation) < head and not session.outbox.closed:
                changes = self.changes.count
                page = self._store.page(session.account.id, conversation, sync.delivered(conversation))
                for message in page.messages:
                    if not self._wait_for_turn(session, message):
                        return
                    if self.changes.is_outdated((message,), changes):
                        break  # edited or erased since: read it again
                    if skipped := shortened.take_skipped(conversation):
                        session.outbox.push(BacklogSkipped(target_of(session, conversation, message), skipped))
                    self._send_stored(session, message)
                if sync.is_pass_stale:
                    return
                if not page.more and not self.changes.is_outdated(page.messages, changes):
                    # What was pruned is not owed, nor what was said in a room after the account was removed from it.
                    sync.advance(conversation, head)

    def _wait_for_turn(self, session: Session, message: StoredMessage) -> bool:
        """Block until there is room for a message, if it is to be sent. Returns False if the pass is over."""
        return (not _is_owed(session, message) or session.outbox.wait_for_room()) and not session.sync.is_pass_stale

    def _send_stored(self, session: Session, message: StoredMessage) -> None:
        """Send a message for which there is room, if it is to be sent."""
        if _is_owed(session, message):
            session.outbox.push(message_from_stored(message, is_own=fold(message.sender) == session.key))
            self.stats.deliveries += 1
        session.sync.advance(message.conversation, message.seq)


def _is_owed(session: Session, message: StoredMessage) -> bool:
    """Return whether a catch-up sends a message: all but what the session's device sent, unless it `hears_itself`."""
    return session.device is None or message.device != session.device.id or session.hears_itself_in(fold(message.to))


def is_sender_session(session: Session, committed: CommittedMessage) -> bool:
    """Return whether a session of the sender's name sent it, or has replaced the session that did on its device."""
    if session is committed.sender_session:
        return True
    if session.account is None:  # a guest has one session, but for it the owner of the server may have erased something
        return committed.message.about is None or not committed.message.about.by
    return session.device is not None and session.device.id == committed.message.device


def message_from_committed(committed: CommittedMessage, id: str | None = None) -> Message:
    """Return the event for a committed message; with its `id` for its sender's other devices."""
    new = committed.message
    message = Message(new.sender, new.to, new.text, new.time, committed.action, committed.seq, id, committed.erased)
    if new.about is not None:
        message.about, message.what, message.by = new.about.seq, new.about.what, new.about.by
    if new.kind:
        message.kind = new.kind
    if committed.edited is not None:
        message.edited = committed.edited
    if not committed.erased:
        message.file, message.tags = new.file, committed.tags
    return message


def message_from_stored(stored: StoredMessage, *, is_own: bool) -> Message:
    """Return the event for a stored message; with its id for its sender."""
    return Message(
        stored.sender,
        stored.to,
        stored.text,
        stored.time,
        seq=stored.seq,
        id=stored.id if is_own else None,
        erased=stored.erased,
        kind=stored.kind,
        about=stored.about,
        what=stored.what,
        edited=stored.edited,
        file=stored.file,
        by=stored.by,
    )


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
        self.listeners: list[CommittedHandler] = []
        """Each is called with the messages of one conversation that this server has committed, after delivery."""

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
            committed = self._committed.pop(next(iter(self._committed)))
            self._sequencer(committed)
            for listener in self.listeners:
                listener(committed)

    def deliver(self, committed: list[CommittedMessage], sessions: Sequence[Session] | None = None) -> None:
        """Deliver messages of one conversation, ordered by seq, to these sessions, or to all recipients of this server.

        More than one, if their seqs are consecutive, go as one batch to each session that accepts it.
        """
        if self._on_deliver is not None:
            self._on_deliver(committed)
        for message in [each.message for each in committed if each.message.about is not None]:
            if message.about is not None and message.about.what in REMOVES_TEXT:
                self._delivery.changes.note(message.conversation, message.about.seq)
        if sessions is None:
            sessions = self.recipient_sessions(committed[0])
        if len(committed) > 1 and committed[-1].seq - committed[0].seq + 1 == len(committed):
            self._deliver_batch(committed, sessions)
        else:
            self._deliver_each(committed, sessions)

    def recipient_sessions(self, committed: CommittedMessage) -> Sequence[Session]:
        """Return the local sessions of the members of the room, or of both ends of the conversation."""
        if committed.room is not None:
            return self._rooms.sessions(committed.room)
        return self.direct_sessions(committed.to_key, committed.sender_key)

    def direct_sessions(self, one: str, other: str) -> Sequence[Session]:
        """Return the local sessions of two names, which may be the same."""
        sessions = self._router.sessions(one)
        return sessions + self._router.sessions(other) if one != other else list(sessions)

    def _deliver_batch(self, committed: list[CommittedMessage], sessions: Sequence[Session]) -> None:
        messages = [message_from_committed(each) for each in committed]
        size = sum([len(message.text) for message in messages]) + MESSAGE_OVERHEAD * len(messages)
        batch = MessageBatch(messages, committed[0].seq, committed[-1].seq, size)
        indexes_by_sender: dict[str, list[int]] = {}
        for index, each in enumerate(committed):
            indexes_by_sender.setdefault(each.sender_key, []).append(index)
        deliver_batch, conversation = self._delivery.deliver_batch, committed[0].message.conversation
        for session in sessions:
            if (indexes := indexes_by_sender.get(session.key)) is None:
                done = deliver_batch(session, conversation, batch)
            else:
                done = deliver_batch(session, conversation, *_batch_for_sender(session, committed, batch, indexes))
            if not done:
                self._deliver_each(committed, (session,))

    def _deliver_each(self, committed: list[CommittedMessage], sessions: Sequence[Session]) -> None:
        for each in committed:
            self._delivery.deliver(each, sessions)


def _batch_for_sender(
    session: Session, committed: list[CommittedMessage], batch: MessageBatch, indexes: list[int]
) -> tuple[MessageBatch, list[int]]:
    """Return the batch for a session whose name sent the messages at these indexes, and the seqs it sent itself.

    The other messages are shared with all batches: in a room of a hundred where ten send, delivering to these ten
    message by message was a fifth of all the work.
    """
    if len(indexes) == len(committed) and _sent_all(session, committed):  # nearly always in a direct conversation
        return MessageBatch([], batch.first_seq, batch.last_seq, 0), [each.seq for each in committed]
    messages, own_seqs, size = batch.messages.copy(), [], batch.size
    for index in reversed(indexes):
        each = committed[index]
        is_own = session is each.sender_session or is_sender_session(session, each)
        if is_own:
            own_seqs.append(each.seq)
        if is_own and not session.hears_itself_in(each.to_key):
            size -= len(messages.pop(index).text) + MESSAGE_OVERHEAD
        else:
            messages[index] = message_from_committed(each, each.message.id)
    return MessageBatch(messages, batch.first_seq, batch.last_seq, size), own_seqs[::-1]


def _sent_all(session: Session, committed: list[CommittedMessage]) -> bool:
    """Return whether a session sent all of these messages, and is to receive none of them."""
    if session.hears_itself_in(committed[0].to_key):
        return False
    return all([each.sender_session is session for each in committed])  # noqa: C419  (a list is faster)
