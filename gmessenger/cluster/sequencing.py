"""Ordering: what several nodes keep of one conversation is brought to its sessions here in the order of its seqs.

A node that has seq n takes n + 1 as it comes, its own or another's. What comes before its turn waits a moment for what
is between; what does not come is read from the store, once for everybody here.

Hinting: other nodes are told what this one has kept, those of them where somebody is who is to hear it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from gevent.lock import BoundedSemaphore
from msgspec import Struct, field

from gmessenger.chat.delivery import CommittedMessage, DeliveryService, FanOut, Spawn
from gmessenger.chat.peers import Peers
from gmessenger.chat.presence import CallLater, PresenceTracker
from gmessenger.chat.records import NewMessage, StoredMessage
from gmessenger.chat.rooms import MAX_PRESENCE_MEMBERS, Room, RoomRegistry
from gmessenger.chat.session import Session
from gmessenger.cluster.frames import HintBatch, MessageHint, encode
from gmessenger.cluster.interfaces import Bus, SharedStore
from gmessenger.errors import StoreUnavailable
from gmessenger.names import fold

HINT_DELAY: Final = 0.02
"""Seconds in which a hint that is on its way arrives."""
HEAD_CHECK_DELAY: Final = 0.25
"""Seconds in which what was committed has been brought, usually: only then a head is looked into."""
MAX_BUFFERED: Final = 1000
MAX_CONVERSATIONS: Final = 20_000
MAX_PARALLEL_READS: Final = 4
GAP_BATCH: Final = 200
STORE_RETRY_DELAY: Final = 1.0


class SequenceState(Struct):
    """A conversation that somebody here is in. Up to `at` everything has been brought; `early` are those whose turn has
    not come, `head` is known of.
    """

    delivered: int
    buffered: dict[int, CommittedMessage] = field(default_factory=dict)
    head: int = 0
    is_filling: bool = False


class Sequencer:
    """Stands between what is kept and those who are here; `take` is called for one node's posts in their order."""

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
        """How many messages had to be read from the store, because no hint of them came in time."""

    def accept(self, committed: list[CommittedMessage]) -> None:
        """Posts of one conversation, by this node or by another: bring those whose turn it is."""
        conversation = committed[0].message.conversation
        sessions = self._recipients(conversation)
        line = self._state(conversation, sessions, committed[0].seq)
        if line is None:
            return
        for each in committed:
            if each.seq > line.delivered:
                line.buffered[each.seq] = each
        self._deliver_ready(line, sessions)
        if line.buffered:
            self._wait_for_gap(conversation, line)

    def on_heads(self, heads: Iterable[tuple[str, int]]) -> None:
        """Conversations have got as far as this: look, a little later, whether everybody here has it."""
        new: dict[str, int] = {}
        for key, head in heads:
            room = self._rooms.get(key)
            if room is not None:
                room.head = max(room.head, head)
            line = self._states.get(key)
            if line is None or line.delivered < head:
                new[key] = head
        if new and not self._unchecked_heads:
            self._call_later(HEAD_CHECK_DELAY, self._check_heads)
        self._unchecked_heads |= new

    def forget(self, conversation: str) -> None:
        """It is over: should there be one of that key again, its seqs begin anew."""
        self._states.pop(conversation, None)
        self._unchecked_heads.pop(conversation, None)

    def deliver_owed(self, session: Session, cursors: Mapping[str, int]) -> None:
        """A guest becomes an account that is owed nothing up to its cursors: what was on its way to it comes now.

        Raises `StoreUnavailable`.
        """
        for conversation, head in cursors.items():
            while (sent := session.delivered.get(conversation, 0)) < head:
                page = self._store.history(conversation, 1, None, sent, GAP_BATCH)
                for each in page.messages:
                    if session.delivered.get(conversation, 0) < each.seq <= head:
                        self._delivery.deliver(self._committed(each), (session,))
                session.delivered[conversation] = max(
                    session.delivered.get(conversation, 0),
                    page.messages[-1].seq if page.more and page.messages else head,
                )

    def _check_heads(self) -> None:
        doubtful, self._unchecked_heads = self._unchecked_heads, {}
        for conversation, head in doubtful.items():
            line = self._state(conversation, self._recipients(conversation), head + 1)
            if line is not None and line.delivered < head:
                line.head = max(head, line.head)
                self._start_filling(conversation, line)

    def _recipients(self, conversation: str) -> Sequence[Session]:
        """Those here that a conversation's messages go to."""
        if conversation[:1] == "#":
            room = self._rooms.get(conversation)
            return self._rooms.sessions(room) if room is not None else ()
        one, _, other = conversation.partition(" ")
        return self._fan_out.direct_sessions(one, other)

    def _state(self, conversation: str, sessions: Sequence[Session], seq: int) -> SequenceState | None:
        """The line of a conversation that has got to `seq`, begun where those are who take what comes live.

        None where nobody here is in it: whoever comes into it begins at its end.
        """
        line = self._states.get(conversation)
        if not sessions:
            if line is not None and not line.is_filling:
                del self._states[conversation]
            return None
        if line is None:
            live = [each.delivered.get(conversation, 0) for each in sessions if not each.catching_up]
            self._evict()
            line = self._states[conversation] = SequenceState(min(live, default=seq - 1))
        return line

    def _evict(self) -> None:
        if len(self._states) >= MAX_CONVERSATIONS:
            for key in [key for key, line in self._states.items() if not line.buffered and not line.is_filling][::2]:
                del self._states[key]

    def _deliver_ready(self, state: SequenceState, sessions: Sequence[Session]) -> None:
        run: list[CommittedMessage] = []
        while (kept := state.buffered.pop(state.delivered + 1, None)) is not None:
            run.append(kept)
            state.delivered += 1
        if run:
            self._fan_out.deliver(run, sessions)

    def _wait_for_gap(self, conversation: str, state: SequenceState) -> None:
        if len(state.buffered) > MAX_BUFFERED:
            state.head = max(state.head, *state.buffered)
            state.buffered.clear()  # they are read with the others
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
        page = self._store.history(conversation, 1, None, before, GAP_BATCH)
        for each in page.messages:
            if each.seq > state.delivered:
                state.buffered[each.seq] = self._committed(each)
        self.gap_messages += len(page.messages)
        if page.first_seq > state.delivered + 1:  # what is between is kept no more
            state.delivered = page.first_seq - 1
        if not page.messages and state.delivered == before:  # somebody tells of what there is not
            state.buffered.clear()
            state.head = state.delivered
        self._deliver_ready(state, self._recipients(conversation))

    def _committed(self, message: StoredMessage) -> CommittedMessage:
        post = NewMessage(
            message.conversation,
            message.sender,
            message.to,
            message.text,
            message.time,
            None,
            message.device,
            message.id,
        )
        return committed_from(post, message.seq, "", self._rooms, message.erased)


def committed_from(
    message: NewMessage, seq: int, action: str, rooms: RoomRegistry, erased: bool = False
) -> CommittedMessage:
    """What was kept by another node, as if it had been kept by this."""
    room = rooms.get(message.conversation) if message.conversation[:1] == "#" else None
    return CommittedMessage(message, seq, action, fold(message.sender), None, room, fold(message.to), erased)


class HintPublisher:
    """`take` is what this node does with posts in their order: its own, and other nodes'."""

    def __init__(
        self,
        bus: Bus,
        peers: Peers,
        rooms: RoomRegistry,
        presence: PresenceTracker,
        accept: Callable[[list[CommittedMessage]], None],
    ) -> None:
        self._bus = bus
        self._peers = peers
        self._rooms = rooms
        self._presence = presence
        self._accept = accept

    def publish(self, committed: list[CommittedMessage]) -> None:
        """This node has kept posts of one conversation."""
        nodes = self._interested_nodes(committed[0])
        if nodes:
            hints = [_make_hint(each) for each in committed]
            self._bus.send(encode(HintBatch(hints)), nodes)
        self._accept(committed)

    def on_hints(self, hints: HintBatch) -> None:
        """Another node has."""
        if not hints.hints:
            return
        kept = [committed_from(each.to_message(), each.seq, each.said, self._rooms) for each in hints.hints]
        room, first = kept[0].room, kept[0]
        if room is not None and room.id != hints.hints[0].room:
            return  # the room of that name is another, here or there: what is kept is found by its head
        if room is not None:
            room.head = max(room.head, kept[-1].seq)
        elif first.message.conversation[:1] != "#":
            self._presence.link(first.sender_key, first.to_key)
        self._accept(kept)

    def _interested_nodes(self, committed: CommittedMessage) -> set[str]:
        """The nodes where somebody is who hears it."""
        shown = self._peers.presences
        if not shown:
            return set()
        if committed.room is None:
            return {node for key in (committed.sender_key, committed.to_key) for node in shown.get(key, ())}
        if (
            committed.room.size > MAX_PRESENCE_MEMBERS
        ):  # looking at all its members would cost more than telling everybody
            return set(self._bus.nodes)
        return {node for key in _room_keys(committed.room) for node in shown.get(key, ())}


def _room_keys(room: Room) -> Iterable[str]:
    yield from (account.key for account in room.members.values())
    yield from room.remote_guests


def _make_hint(committed: CommittedMessage) -> MessageHint:
    post = committed.message
    return MessageHint(
        post.conversation,
        committed.seq,
        post.sender,
        post.to,
        post.text,
        post.time,
        committed.action,
        post.device,
        post.id,
        committed.room.id if committed.room is not None else 0,
    )
