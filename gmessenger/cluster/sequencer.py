"""Order of the messages that several nodes store.

`Sequencer` delivers the messages of a conversation to its local sessions in the order of their seqs, whichever node has
stored them. A message that arrives early is buffered for `HINT_DELAY`; what is still missing then is read from the
store, once for all sessions of this node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gevent.lock import BoundedSemaphore
from msgspec import Struct, field

from gmessenger.chat.delivery import CommittedMessage, DeliveryService, FanOut, Spawn
from gmessenger.chat.presence import CallLater
from gmessenger.chat.records import EVERYTHING, About, NewMessage, StoredMessage
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.session import Session
from gmessenger.cluster.interfaces import SharedStore
from gmessenger.constants import STORE_RETRY_DELAY
from gmessenger.errors import StoreUnavailable
from gmessenger.names import ROOM_PREFIX, fold

HINT_DELAY: Final = 0.02
"""Seconds to wait for a hint that may be on the way before the gap is read from the store."""
HEAD_CHECK_DELAY: Final = 0.25
"""Seconds after which the hints of committed messages have usually arrived: heads are compared only then."""
MAX_BUFFERED: Final = 1000  # early messages of a conversation; more are dropped and read from the store
MAX_CONVERSATIONS: Final = 20_000
MAX_PARALLEL_READS: Final = 4
GAP_BATCH: Final = 200  # messages read at one time


class SequenceState(Struct):
    """Delivery state of a conversation with sessions on this node.

    Attributes:
        delivered: the highest seq up to which everything has been delivered.
        buffered: messages that arrived before their turn, by seq.
        head: the highest seq known to exist.
        is_filling: a wait for hints or a read of the store is under way.
    """

    delivered: int
    buffered: dict[int, CommittedMessage] = field(default_factory=dict)
    head: int = 0
    is_filling: bool = False


class Sequencer:
    """Delivers committed messages in the order of their seqs. Only `deliver_owed` blocks.

    The messages of one node must be passed to `accept` in their order; those of several nodes may interleave.
    """

    def __init__(
        self,
        store: SharedStore,
        fan_out: FanOut,
        rooms: RoomRegistry,
        delivery: DeliveryService,
        spawn: Spawn,
        call_later: CallLater,
    ) -> None:
        self._store = store
        self._fan_out = fan_out
        self._rooms = rooms
        self._delivery = delivery
        self._spawn = spawn
        self._call_later = call_later
        self._states: dict[str, SequenceState] = {}
        self._read_slots = BoundedSemaphore(MAX_PARALLEL_READS)
        self._unchecked_heads: dict[str, int] = {}
        self.gap_messages = 0
        """Number of messages read from the store because no hint of them arrived in time."""

    def accept(self, committed: list[CommittedMessage]) -> None:
        """Deliver messages of one conversation, stored by this node or another; buffer those that are early."""
        conversation = committed[0].message.conversation
        sessions = self._recipients(conversation)
        state = self._state(conversation, sessions, committed[0].seq)
        if state is None:
            return
        for message in committed:
            if message.seq > state.delivered:
                state.buffered[message.seq] = message
        self._deliver_ready(state, sessions)
        if state.buffered:
            self._wait_for_gap(conversation, state)

    def on_heads(self, heads: Iterable[tuple[str, int]]) -> None:
        """Note the heads of conversations, and compare them with what was delivered after `HEAD_CHECK_DELAY`.

        Args:
            heads: (conversation key, highest seq).
        """
        new: dict[str, int] = {}
        for key, head in heads:
            room = self._rooms.get(key)
            if room is not None:
                room.head = max(room.head, head)
            state = self._states.get(key)
            if state is None or state.delivered < head:
                new[key] = head
        if new and not self._unchecked_heads:
            self._call_later(HEAD_CHECK_DELAY, self._check_heads)
        self._unchecked_heads |= new

    def forget(self, conversation: str) -> None:
        """Drop the state of a deleted conversation: one with the same key would begin with seq 1 again."""
        self._states.pop(conversation, None)
        self._unchecked_heads.pop(conversation, None)

    def deliver_owed(self, session: Session, cursors: Mapping[str, int]) -> None:
        """Deliver the messages up to these cursors to a guest, before it becomes the account that has them.

        The account would count them as received. Blocks while it reads the store.

        Raises:
            StoreUnavailable: the messages could not be read.
        """
        for conversation, head in cursors.items():
            while (sent := session.sync.delivered(conversation)) < head:
                page = self._store.history(conversation, EVERYTHING, None, sent, GAP_BATCH, amendments=True)
                for message in page.messages:
                    if session.sync.delivered(conversation) < message.seq <= head:
                        self._delivery.deliver(self._committed(message), (session,))
                session.sync.advance(conversation, page.messages[-1].seq if page.more and page.messages else head)

    def _check_heads(self) -> None:
        heads, self._unchecked_heads = self._unchecked_heads, {}
        for conversation, head in heads.items():
            state = self._state(conversation, self._recipients(conversation), head + 1)
            if state is not None and state.delivered < head:
                state.head = max(head, state.head)
                self._start_filling(conversation, state)

    def _recipients(self, conversation: str) -> Sequence[Session]:
        """Return the local sessions that the messages of a conversation go to."""
        if conversation[:1] == ROOM_PREFIX:
            room = self._rooms.get(conversation)
            return self._rooms.sessions(room) if room is not None else ()
        one, _, other = conversation.partition(" ")
        return self._fan_out.direct_sessions(one, other)

    def _state(self, conversation: str, sessions: Sequence[Session], seq: int) -> SequenceState | None:
        """Return the state of a conversation when `seq` arrives; None if it has no local sessions.

        A new state begins at the lowest seq that a live session was sent. Without sessions none is kept: a session that
        joins later begins at the head.
        """
        state = self._states.get(conversation)
        if not sessions:
            if state is not None and not state.is_filling:
                del self._states[conversation]
            return None
        if state is None:
            live = [session.sync.delivered(conversation) for session in sessions if not session.sync.catching_up]
            self._evict()
            state = self._states[conversation] = SequenceState(min(live, default=seq - 1))
        return state

    def _evict(self) -> None:
        if len(self._states) >= MAX_CONVERSATIONS:
            idle = [key for key, state in self._states.items() if not state.buffered and not state.is_filling]
            for key in idle[::2]:
                del self._states[key]

    def _deliver_ready(self, state: SequenceState, sessions: Sequence[Session]) -> None:
        run: list[CommittedMessage] = []
        while (message := state.buffered.pop(state.delivered + 1, None)) is not None:
            run.append(message)
            state.delivered += 1
        if run:
            self._fan_out.deliver(run, sessions)

    def _wait_for_gap(self, conversation: str, state: SequenceState) -> None:
        if len(state.buffered) > MAX_BUFFERED:
            state.head = max(state.head, *state.buffered)
            state.buffered.clear()  # they are read from the store with the gap
        if not state.is_filling:
            state.is_filling = True
            self._call_later(HINT_DELAY, lambda: self._on_hint_timeout(conversation, state))

    def _on_hint_timeout(self, conversation: str, state: SequenceState) -> None:
        state.is_filling = False
        self._start_filling(conversation, state)

    def _start_filling(self, conversation: str, state: SequenceState) -> None:
        if not state.is_filling and (state.buffered or state.delivered < state.head):
            state.is_filling = True
            self._spawn("filling a gap", self._fill_gap, conversation, state)

    def _fill_gap(self, conversation: str, state: SequenceState) -> None:
        try:
            with self._read_slots:
                while (state.buffered or state.delivered < state.head) and self._states.get(conversation) is state:
                    self._read_page(conversation, state)
        except StoreUnavailable:
            self._call_later(STORE_RETRY_DELAY, lambda: self._start_filling(conversation, state))
        finally:
            state.is_filling = False

    def _read_page(self, conversation: str, state: SequenceState) -> None:
        before = state.delivered
        page = self._store.history(conversation, EVERYTHING, None, before, GAP_BATCH, amendments=True)
        for message in page.messages:
            if message.seq > state.delivered:
                state.buffered[message.seq] = self._committed(message)
        self.gap_messages += len(page.messages)
        if page.first_seq > state.delivered + 1:  # the messages before were pruned
            state.delivered = page.first_seq - 1
        if not page.messages and state.delivered == before:  # a hint or head of messages that do not exist
            state.buffered.clear()
            state.head = state.delivered
        self._deliver_ready(state, self._recipients(conversation))

    def _committed(self, message: StoredMessage) -> CommittedMessage:
        new = NewMessage(
            message.conversation,
            message.sender,
            message.to,
            message.text,
            message.time,
            None,
            message.device,
            message.id,
            message.kind,
            About(message.about, message.what, by=message.by) if message.about is not None else None,
            message.file,
        )
        committed = committed_from(new, message.seq, "", self._rooms)
        committed.erased, committed.edited = message.erased, message.edited
        return committed


def committed_from(message: NewMessage, seq: int, action: str, rooms: RoomRegistry) -> CommittedMessage:
    """Describe a message stored by another node as if this one had committed it. It has no sender session."""
    room = rooms.get(message.conversation) if message.conversation[:1] == ROOM_PREFIX else None
    return CommittedMessage(message, seq, action, fold(message.sender), None, room, fold(message.to))
