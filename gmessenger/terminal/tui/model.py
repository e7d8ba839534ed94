"""The model of the full screen: conversations, and how each client event changes them. Pure; time is passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from gmessenger.client import MessageEvent, OutgoingMessage, events, fold
from gmessenger.constants import ONLINE
from gmessenger.names import ROOM_PREFIX, is_room
from gmessenger.sanitize import sanitize, sanitize_lines
from gmessenger.terminal import format_events
from gmessenger.terminal.format_events import ERASED_MESSAGE, mention_matcher
from gmessenger.terminal.i18n import _
from gmessenger.terminal.tui.conversation import Conversation, Entry, MessageState

MAX_CONVERSATIONS: Final = 1000
"""So many are here; of an account's, the server has the rest."""


class ConversationList:
    """All conversations. `first` is always there."""

    def __init__(self, first: Conversation) -> None:
        self.conversations = [first]
        self._by_key = {first.key: first}

    def find(self, name: str) -> Conversation | None:
        return self._by_key.get(fold(name))

    def open(self, name: str, current: Conversation) -> Conversation:
        """The conversation of that name. Where it is one too many, another one goes, but not the one `in_sight`."""
        found = self.find(name)
        if found is None:
            if len(self.conversations) >= MAX_CONVERSATIONS:
                self._evict(current)
            found = self._by_key[fold(name)] = Conversation(name)
            self.conversations.append(found)
        return found

    def close(self, conversation: Conversation) -> None:
        """Does no harm twice."""
        if self._by_key.get(conversation.key) is conversation:
            self.conversations.remove(conversation)
            del self._by_key[conversation.key]

    def _evict(self, current: Conversation) -> None:
        """The oldest with somebody goes in which nothing is new; where there is none, the oldest with somebody."""
        others = [each for each in self.conversations[1:] if each is not current and _is_evictable(each)]
        if others:
            self.close(next((each for each in others if not each.unread), others[0]))


def _is_evictable(conversation: Conversation) -> bool:
    return not (conversation.is_room or conversation.draft or conversation.last_rejected() is not None)


HOME_NAME: Final = ""
"""The name of the conversation with this program itself, which is always there and always first."""


class ConnectionPhase(Enum):
    """The phases of the connection to the server."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"


@dataclass(slots=True)
class ConnectionState:
    """The state of the connection to the server.

    retry_at: Unix seconds of the next attempt; reason: why the connection was lost. Both only in phase LOST.
    """

    phase: ConnectionPhase = ConnectionPhase.CONNECTING
    retry_at: float = 0.0
    reason: str = ""


class Model:
    """What one sees, apart from how it is drawn. `hides` says of somebody's words in a room that one blocks them."""

    def __init__(self, own_name: str, is_from_blocked: Callable[[MessageEvent], bool] = lambda delivery: False) -> None:
        self.own_name = own_name
        self.connection = ConnectionState()
        self.home = Conversation(HOME_NAME, is_complete=True)
        self._list = ConversationList(self.home)
        self.current = self.home
        self.presence: dict[str, str] = {}
        """What is known of how others are, by their folded names: `online`, `offline`, or their words."""
        self.is_operator = False
        self._is_from_blocked = is_from_blocked
        self._is_mention = mention_matcher(own_name)

    @property
    def conversations(self) -> list[Conversation]:
        """All conversations in the order of their numbers; the first is `home`."""
        return self._list.conversations

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self.conversations)

    def find(self, name: str) -> Conversation | None:
        return self._list.find(name)

    def open(self, name: str) -> Conversation:
        """The conversation of that name, which is there from now on."""
        return self._list.open(name, self.current)

    def switch_to(self, conversation: Conversation) -> None:
        """Turn to another conversation."""
        if conversation is not self.current:
            self.current.clear_markers()
            if self.current.is_failed_attempt and self.current.last_rejected() is None:
                self._list.close(self.current)
        self.current = conversation
        conversation.mark_read()

    def neighbour(self, offset: int) -> Conversation:
        """The conversation so many places further on, or back; after the last comes the first."""
        place = self.conversations.index(self.current)
        return self.conversations[(place + offset) % len(self.conversations)]

    def next_unread(self) -> Conversation | None:
        """Where something is meant for oneself; else where there is anything new, the next one after this."""
        place = self.conversations.index(self.current)
        others = self.conversations[place + 1 :] + self.conversations[:place]
        wanted = [each for each in others if each.mentions] or [each for each in others if each.unread]
        return wanted[0] if wanted else None

    def close(self, conversation: Conversation) -> None:
        """Show it no more, until something comes from there; home stays."""
        if conversation is not self.home:
            if conversation is self.current:
                self.switch_to(self.neighbour(-1))
            self._list.close(conversation)

    def add_notice(self, text: str, now: float, conversation: Conversation | None = None) -> None:
        """Say something that nobody has said; `text` is safe to draw."""
        (conversation or self.home).add(Entry(now, "", text.removeprefix("-- ").replace("\n-- ", "\n")))

    def add_sent(self, message: OutgoingMessage, now: float) -> Entry:
        """One has said something here."""
        entry = self.add_outgoing(message.to, message.text, now)
        entry.message = message
        return entry

    def add_outgoing(self, to: str, text: str, now: float) -> Entry:
        """One is saying something here: the link does not have it yet."""
        entry = Entry(
            now, self.own_name, sanitize_lines(text), is_own=True, state=MessageState.WAITING, source_text=text
        )
        self.open(to).add(entry)
        return entry

    def merge_listing(self, name: str, head: int, read: int) -> None:
        """The server knows this conversation: it goes up to the number `head`, and one has read up to `read`."""
        conversation = self.open(name)
        if conversation is not self.current:
            conversation.merge_listing(head, read)

    def add_history(self, conversation: Conversation, messages: list[MessageEvent]) -> int:
        """Put in what the server says was said before; returns how much of it is new here."""
        return conversation.add_earlier(self._make_entry(each) for each in messages if not self._is_hidden(each))

    def apply(self, event: events.ChatEvent, now: float) -> bool:
        """Write an event down; says whether it is worth a bell. `now` is Unix seconds."""
        return bool(EVENT_REDUCERS[type(event)](self, event, now))

    def _make_entry(self, delivery: MessageEvent) -> Entry:
        own = fold(delivery.sender) == fold(self.own_name)
        erased = delivery.erased is True
        text = _(ERASED_MESSAGE) if erased else sanitize_lines(delivery.message)
        sender = "" if erased else sanitize(delivery.sender)
        seq = delivery.seq or None
        state = MessageState.STORED if own and not erased else None
        mention = not own and self._is_mention(delivery.message)
        return Entry(delivery.time, sender, text, own, seq, state, is_mention=mention)

    def _is_hidden(self, delivery: MessageEvent) -> bool:
        return is_room(delivery.to) and self._is_from_blocked(delivery)

    def _on_message(self, event: events.MessageReceived, now: float) -> bool:
        delivery = event.delivery
        if self._is_hidden(delivery):
            return False
        entry = self._make_entry(delivery)
        room = is_room(delivery.to)
        where = self.home if delivery.broadcast is True else self.open(delivery.to if room else delivery.sender)
        if not where.add(entry):
            return False
        if where is not self.current:
            where.count_unread(entry)
        return entry.is_mention or not room

    def _on_sent_elsewhere(self, event: events.MessageSentElsewhere, now: float) -> None:
        where = self.open(event.delivery.to)
        where.add(self._make_entry(event.delivery))
        where.mark_own_sent()

    def _on_accepted(self, event: events.Accepted, now: float) -> None:
        where, entry = self._own_entry(event.message, now)
        if event.response.seq is not None:
            where.assign_seq(entry, event.response.seq)
            where.mark_own_sent()
        entry.set_state(MessageState.STORED if event.response.seq is not None else MessageState.RELAYED)

    def _on_rejected(self, event: events.Rejected, now: float) -> bool:
        where, entry = self._own_entry(event.message, now)
        entry.set_state(MessageState.REJECTED, format_events.format_reason(event.reason))
        if where is not self.current:
            where.count_unread(entry)
        return True

    def _on_deferred(self, event: events.Deferred, now: float) -> None:
        self._own_entry(event.message, now)[1].set_state(
            MessageState.WAITING, format_events.format_reason(event.reason)
        )

    def _own_entry(self, message: OutgoingMessage, now: float) -> tuple[Conversation, Entry]:
        """The entry of a message; one that an earlier run had left over is new here."""
        where = self.open(message.to)
        return where, where.find(message) or self.add_sent(message, now)

    def _on_delivered(self, event: events.MessageDelivered, now: float) -> None:
        if (where := self.find(event.name)) is not None:
            where.mark_delivered(event.seq)

    def _on_read_marker(self, event: events.ReadMarkerMoved, now: float) -> None:
        if (where := self.find(event.conversation)) is not None:
            where.move_read_marker(event.seq, is_current=where is self.current)

    def _on_presence(self, event: events.PresenceChanged, now: float) -> None:
        self.presence[fold(event.name)] = event.status
        where = self.find(event.name)
        if where is not None:
            self.add_notice(format_events.format_event(event) or "", now, where)

    def _on_joined(self, event: events.MemberJoined, now: float) -> None:
        where = self.open(event.room)
        where.members[fold(event.name)] = event.name
        self.presence[fold(event.name)] = ONLINE
        self._notify_room(event, event.room, now)

    def _on_left(self, event: events.MemberLeft, now: float) -> None:
        where = self.open(event.room)
        where.members.pop(fold(event.name), None)
        self._notify_room(event, event.room, now)

    def _on_topic(self, event: events.TopicChanged, now: float) -> None:
        self.open(event.room).topic = sanitize(event.topic)
        self._notify_room(event, event.room, now)

    def _on_room_state(self, event: events.RoomClosedByOperator | events.RoomReopened, now: float) -> None:
        self.open(event.room).is_closed = isinstance(event, events.RoomClosedByOperator)
        self._notify_room(event, event.room, now)

    def _notify_room(self, event: events.ChatEvent, room: str, now: float) -> None:
        self.add_notice(format_events.format_event(event) or "", now, self.open(room))

    def _on_gap(self, event: events.GapDetected, now: float) -> None:
        self.add_notice(format_events.format_event(event) or "", now, self.open(event.conversation))

    def _on_connected(self, event: events.Connected, now: float) -> None:
        self.connection = ConnectionState(ConnectionPhase.CONNECTED)
        for each in self.conversations if event.seqs_reset else ():
            each.reset_seqs()
        self.is_operator = event.is_operator
        self._on_notice(event, now)

    def _on_disconnected(self, event: events.Disconnected, now: float) -> None:
        reason = format_events.format_reason(event.reason)
        self.connection = ConnectionState(ConnectionPhase.LOST, now + event.retry_in, reason)
        self._on_notice(event, now)

    def _on_notice(self, event: events.ChatEvent, now: float) -> None:
        if (told := format_events.format_event(event)) is not None:
            self.add_notice(told, now)


EVENT_REDUCERS: Final[dict[type[events.ChatEvent], Callable[[Model, Any, float], bool | None]]] = {
    events.Connected: Model._on_connected,
    events.Synced: lambda book, event, now: None,  # there is more to be said of it than the event knows
    events.Disconnected: Model._on_disconnected,
    events.MessageReceived: Model._on_message,
    events.MessageSentElsewhere: Model._on_sent_elsewhere,
    events.GapDetected: Model._on_gap,
    events.MessageDelivered: Model._on_delivered,
    events.ReadMarkerMoved: Model._on_read_marker,
    events.Accepted: Model._on_accepted,
    events.Rejected: Model._on_rejected,
    events.Deferred: Model._on_deferred,
    events.PresenceChanged: Model._on_presence,
    events.MemberJoined: Model._on_joined,
    events.MemberLeft: Model._on_left,
    events.TopicChanged: Model._on_topic,
    events.RoomClosedByOperator: Model._on_room_state,
    events.RoomReopened: Model._on_room_state,
    events.Notice: Model._on_notice,
}
"""What each event writes into the book."""


USER_PREFIX: Final = "@"


def find_by_text(model: Model, text: str) -> Conversation | None:
    """The conversation with this number; else with this name; else the first that begins so."""
    if text.isdecimal() and int(text) < len(model.conversations):
        return model.conversations[int(text)]
    bare = fold(text).lstrip(ROOM_PREFIX + USER_PREFIX)
    found = find_by_prefix(model, text) if bare else []
    return min(found, key=lambda each: each.key.lstrip(ROOM_PREFIX) != bare, default=None)


def find_by_prefix(model: Model, prefix: str) -> list[Conversation]:
    """Those whose names begin so, with `#` or `@` before them or without."""
    bare = fold(prefix).lstrip(ROOM_PREFIX + USER_PREFIX)
    named = (each for each in model if each.name and (each.is_room or not prefix.startswith(ROOM_PREFIX)))
    return [each for each in named if each.key.lstrip(ROOM_PREFIX).startswith(bare)]
