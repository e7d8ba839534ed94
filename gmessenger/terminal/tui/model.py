"""The model of the full screen: conversations, and how each event changes them.

Pure; the time is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from gmessenger.client import MessageEvent, OutgoingMessage, SearchResults, events, fold
from gmessenger.constants import ONLINE
from gmessenger.names import ROOM_PREFIX, is_room
from gmessenger.sanitize import sanitize, sanitize_lines
from gmessenger.terminal import format_events
from gmessenger.terminal.amendment_handlers import OutgoingFile
from gmessenger.terminal.attention import Attention
from gmessenger.terminal.format_messages import HIDDEN_TEXT, format_file
from gmessenger.terminal.i18n import is_pruned
from gmessenger.terminal.tui import amendments
from gmessenger.terminal.tui.conversation import Conversation, Entry, MessageState
from gmessenger.terminal.tui.search_listings import SearchListings, notice_text

MAX_CONVERSATIONS: Final = 1000
"""Conversations that are kept; the server has the others."""


class ConversationList:
    """All conversations, in order and by name.

    first: always there, and never removed.
    """

    def __init__(self, first: Conversation) -> None:
        self.conversations = [first]
        self._by_key = {first.key: first}

    def find(self, name: str) -> Conversation | None:
        """Return the conversation with a user or in a room, if there is one."""
        return self._by_key.get(fold(name))

    def open(self, name: str, current: Conversation) -> Conversation:
        """Return the conversation of that name, and create it if there is none.

        current: never removed to make room.
        """
        conversation = self.find(name)
        if conversation is None:
            if len(self.conversations) >= MAX_CONVERSATIONS:
                self._evict(current)
            conversation = self._by_key[fold(name)] = Conversation(name)
            self.conversations.append(conversation)
        return conversation

    def close(self, conversation: Conversation) -> None:
        """Remove a conversation, unless it is removed already."""
        if self._by_key.get(conversation.key) is conversation:
            self.conversations.remove(conversation)
            del self._by_key[conversation.key]

    def _evict(self, current: Conversation) -> None:
        """Remove the oldest direct conversation, preferably one without unread messages."""
        candidates = [
            conversation
            for conversation in self.conversations[1:]
            if conversation is not current and _is_evictable(conversation)
        ]
        if candidates:
            self.close(next((conversation for conversation in candidates if not conversation.unread), candidates[0]))


def _is_evictable(conversation: Conversation) -> bool:
    return not (conversation.is_room or conversation.draft or conversation.last_rejected() is not None)


HOME_NAME: Final = ""
"""The name of `home`, the program's own conversation, which is always there and always first."""


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
    """The state of the screen, without how it is drawn.

    is_from_blocked: says whether a blocked user sent a message in a room.
    """

    def __init__(self, own_name: str, is_from_blocked: Callable[[MessageEvent], bool] = lambda delivery: False) -> None:
        self.own_name = own_name
        self.connection = ConnectionState()
        self.home = Conversation(HOME_NAME, is_complete=True)
        self._list = ConversationList(self.home)
        self.current = self.home
        self.presence: dict[str, str] = {}
        """Statuses by folded name: `online`, `offline`, or the user's own words."""
        self.notes: dict[str, str] = {}
        """The notes on them, where there are any."""
        self.is_operator = False
        self.is_pruned = False
        """Whether the server keeps messages for some time only."""
        self._is_from_blocked = is_from_blocked
        self.attention = Attention(own_name)
        self.search_listings = SearchListings(own_name)

    @property
    def conversations(self) -> list[Conversation]:
        """All conversations in the order of their numbers; the first is `home`."""
        return self._list.conversations

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self.conversations)

    def set_presence(self, name: str, status: str, note: str = "") -> None:
        """Set the status of a user, and the note on it."""
        key = fold(name)
        self.presence[key] = status
        self.notes.pop(key, None)
        if note:
            self.notes[key] = note

    def find(self, name: str) -> Conversation | None:
        """Return the conversation of that name, if there is one."""
        return self._list.find(name)

    def open(self, name: str) -> Conversation:
        """Return the conversation of that name, and create it if there is none."""
        return self._list.open(name, self.current)

    def switch_to(self, conversation: Conversation) -> None:
        """Make another conversation the current one."""
        if conversation is not self.current:
            self.current.clear_markers()
            if self.current.is_failed_attempt and self.current.last_rejected() is None:
                self._list.close(self.current)
        self.current = conversation
        conversation.mark_read()

    def neighbour(self, offset: int) -> Conversation:
        """Return the conversation `offset` places after the current one; after the last comes the first."""
        index = self.conversations.index(self.current)
        return self.conversations[(index + offset) % len(self.conversations)]

    def next_unread(self) -> Conversation | None:
        """Return the next conversation with mentions, else the next one with unread messages, else None."""
        index = self.conversations.index(self.current)
        others = self.conversations[index + 1 :] + self.conversations[:index]
        candidates = [conversation for conversation in others if conversation.mentions] or [
            conversation for conversation in others if conversation.unread
        ]
        return candidates[0] if candidates else None

    def close(self, conversation: Conversation) -> None:
        """Remove a conversation until its next message; `home` stays."""
        if conversation is not self.home:
            if conversation is self.current:
                self.switch_to(self.neighbour(-1))
            self._list.close(conversation)

    def add_notice(
        self, text: str, now: float, conversation: Conversation | None = None, hits: SearchResults | None = None
    ) -> None:
        """Add a notice to a conversation, by default to `home`; the text is sanitized already.

        hits: what it lists, if it is the listing of a search; that follows what is edited or erased later.
        """
        entry = Entry(now, "", notice_text(text))
        (conversation or self.home).add(entry)
        if hits is not None:
            self.search_listings.add(entry, hits)

    def add_sent(self, message: OutgoingMessage, now: float) -> Entry:
        """Add an own message that is in the client's send queue."""
        entry = self.add_outgoing(message.to, message.text, now, message.about, message.kind)
        entry.message = message
        return entry

    def add_outgoing(
        self,
        to: str,
        text: str,
        now: float,
        about: int | None = None,
        kind: str | None = None,
        attached: OutgoingFile | None = None,
    ) -> Entry:
        """Add an own message as pending, before the client has it."""
        entry = Entry(
            now,
            self.own_name,
            sanitize_lines(text),
            is_own=True,
            state=MessageState.WAITING,
            source_text=text,
            kind=kind or "",
            about=about,
            file=attached.line if attached is not None else "",
            attached=attached,
        )
        conversation = self.open(to)
        amendments.set_quote(conversation, entry)
        conversation.add(entry)
        return entry

    def merge_listing(self, name: str, head: int, read: int, quiet: int = 0) -> None:
        """Note what the server listed of a conversation: its head, the user's read marker, and amendments after it."""
        conversation = self.open(name)
        if conversation is not self.current:
            conversation.merge_listing(head, read, quiet)

    def add_history(self, conversation: Conversation, messages: Sequence[MessageEvent]) -> int:
        """Add messages of the history. Return how many are new."""
        entries = [self._make_entry(message) for message in messages if not self._is_hidden(message)]
        count = conversation.add_earlier(entries)
        amendments.update_quotes(conversation, entries)
        for entry in entries:
            amendments.set_quote(conversation, entry)
        return count

    def keep_quoted(self, conversation: Conversation, message: MessageEvent) -> None:
        """Keep a message that was loaded because a reply quotes it; without its text if it is hidden."""
        entry = self._make_entry(message)
        if self._is_hidden(message) and not entry.is_erased:
            entry.text = HIDDEN_TEXT
        amendments.keep_quoted(conversation, entry)

    def apply(self, event: events.ChatEvent, now: float) -> bool:
        """Apply an event. Return whether it deserves a bell. `now`: Unix seconds."""
        return bool(EVENT_REDUCERS[type(event)](self, event, now))

    def _make_entry(self, delivery: MessageEvent) -> Entry:
        is_mention = self.attention.is_mention(delivery.message)
        return amendments.make_entry(delivery, self.own_name, is_mention=is_mention)

    def _is_hidden(self, delivery: MessageEvent) -> bool:
        return is_room(delivery.to) and self._is_from_blocked(delivery)

    def _on_message(self, event: events.MessageReceived | events.BotMessageReceived, now: float) -> bool:
        delivery = event.delivery
        if self._is_hidden(delivery):
            return False
        entry = self._make_entry(delivery)
        conversation = self.home if delivery.broadcast is True else self.open(event.conversation)
        amendments.set_quote(conversation, entry)
        if not conversation.add(entry):
            return False
        if conversation is not self.current:
            conversation.add_unread(entry)
        is_notified = self.attention.notifies(conversation.name, is_mention=entry.is_mention)
        return is_notified and isinstance(event, events.MessageReceived)

    def _on_sent_elsewhere(self, event: events.MessageSentElsewhere, now: float) -> None:
        conversation = self.open(event.conversation)
        entry = self._make_entry(event.delivery)
        amendments.set_quote(conversation, entry)
        conversation.add(entry)
        conversation.recount_after_own_message()

    def _on_amended(self, event: events.MessageAmended, now: float) -> None:
        delivery, conversation = event.delivery, self.find(event.conversation)
        if self._is_hidden(delivery):
            return
        what = "erase" if delivery.erased is True and delivery.what == "edit" else delivery.what
        by = event.by if what == delivery.what else ""
        self.search_listings.amend(event.conversation, delivery.about or 0, what or "", delivery.message, by)
        if conversation is None:
            return
        conversation.amended_seq = max(conversation.amended_seq, delivery.seq or 0)
        amendments.amend(conversation, delivery.about or 0, what or "", delivery.message, by)

    def _on_own_amendment(self, message: OutgoingMessage, seq: int) -> None:
        conversation = self.find(message.to)
        if message.what is not None:
            self.search_listings.amend(message.to, message.about or 0, message.what, message.text, self.own_name)
        if conversation is not None and message.what is not None:
            conversation.amended_seq = max(conversation.amended_seq, seq)
            amendments.amend(conversation, message.about or 0, message.what, message.text, self.own_name)

    def _on_accepted(self, event: events.Accepted, now: float) -> None:
        if event.message.what is not None:
            return self._on_own_amendment(event.message, event.response.seq or 0)
        conversation, entry = self._own_entry(event.message, now)
        if event.response.seq is not None:
            conversation.assign_seq(entry, event.response.seq)
            conversation.recount_after_own_message()
        if event.response.file:  # the client knew its type by its name only
            entry.file = format_file(event.response.file)
        return entry.set_state(MessageState.STORED if event.response.seq is not None else MessageState.RELAYED)

    def _on_rejected(self, event: events.Rejected, now: float) -> bool:
        if event.message.what is not None:
            self.add_notice(format_events.format_event(event) or "", now, self.open(event.message.to))
            return True
        conversation, entry = self._own_entry(event.message, now)
        entry.set_state(MessageState.REJECTED, format_events.format_reason(event.reason))
        if conversation is not self.current:
            conversation.add_unread(entry)
        return True

    def _on_deferred(self, event: events.Deferred, now: float) -> None:
        if event.message.what is not None:
            return self.add_notice(format_events.format_event(event) or "", now, self.open(event.message.to))
        reason = format_events.format_reason(event.reason)
        return self._own_entry(event.message, now)[1].set_state(MessageState.WAITING, reason)

    def _own_entry(self, message: OutgoingMessage, now: float) -> tuple[Conversation, Entry]:
        """Return the entry of an own message; of one that an earlier run left, a new entry."""
        conversation = self.open(message.to)
        return conversation, conversation.find(message) or self.add_sent(message, now)

    def _on_delivered(self, event: events.MessageDelivered, now: float) -> None:
        if (conversation := self.find(event.name)) is not None:
            conversation.mark_delivered(event.seq)

    def _on_read_marker(self, event: events.ReadMarkerMoved, now: float) -> None:
        if (conversation := self.find(event.conversation)) is not None:
            conversation.move_read_marker(event.seq, is_current=conversation is self.current)

    def _on_presence(self, event: events.PresenceChanged, now: float) -> None:
        self.set_presence(event.name, event.status, event.note)
        conversation = self.find(event.name)
        if conversation is not None:
            self.add_notice(format_events.format_event(event) or "", now, conversation)

    def _on_joined(self, event: events.MemberJoined, now: float) -> None:
        room = self.open(event.room)
        room.members[fold(event.name)] = event.name
        self.set_presence(event.name, ONLINE)
        self._notify_membership(room, event, now)

    def _on_left(self, event: events.MemberLeft, now: float) -> None:
        room = self.open(event.room)
        room.members.pop(fold(event.name), None)
        self._notify_membership(room, event, now)

    def _notify_membership(
        self, room: Conversation, event: events.MemberJoined | events.MemberLeft, now: float
    ) -> None:
        """Show who came or left as the settings say; that the user was removed is always shown."""
        is_own = fold(event.name) == fold(self.own_name)
        if self.attention.joins == "shown" or is_own:
            self._notify_room(event, room.name, now)
        elif self.attention.joins == "gathered":
            room.gather_member(event, now)

    def _on_settings(self, event: events.SettingsChanged, now: float) -> None:
        self.attention.apply(event.settings)

    def _on_topic(self, event: events.TopicChanged, now: float) -> None:
        self.open(event.room).topic = sanitize(event.topic)
        self._notify_room(event, event.room, now)

    def _on_room_state(self, event: events.RoomClosedByOperator | events.RoomReopened, now: float) -> None:
        self.open(event.room).is_closed = isinstance(event, events.RoomClosedByOperator)
        self._notify_room(event, event.room, now)

    def _notify_room(self, event: events.ChatEvent, room: str, now: float) -> None:
        self.add_notice(format_events.format_event(event) or "", now, self.open(room))

    def _on_invited(self, event: events.Invited, now: float) -> bool:
        """Say it where the user looks; it rings the bell."""
        self.add_notice(format_events.format_event(event) or "", now, self.current)
        return True

    def _on_gap(self, event: events.GapDetected, now: float) -> None:
        self.add_notice(format_events.format_event(event) or "", now, self.open(event.conversation))

    def _on_connected(self, event: events.Connected, now: float) -> None:
        self.connection = ConnectionState(ConnectionPhase.CONNECTED)
        for conversation in self.conversations if event.seqs_reset else ():
            conversation.reset_seqs()
        self.is_operator = event.is_operator
        self.is_pruned = is_pruned(event.greeting)
        self._on_notice(event, now)

    def _on_disconnected(self, event: events.Disconnected, now: float) -> None:
        reason = format_events.format_reason(event.reason)
        self.connection = ConnectionState(ConnectionPhase.LOST, now + event.retry_in, reason)
        self._on_notice(event, now)

    def _on_notice(self, event: events.ChatEvent, now: float) -> None:
        if (text := format_events.format_event(event)) is not None:
            self.add_notice(text, now)


EVENT_REDUCERS: Final[dict[type[events.ChatEvent], Callable[[Model, Any, float], bool | None]]] = {
    events.Connected: Model._on_connected,
    events.Synced: lambda model, event, now: None,  # see CatchUpSummary
    events.Disconnected: Model._on_disconnected,
    events.MessageReceived: Model._on_message,
    events.BotMessageReceived: Model._on_message,
    events.MessageAmended: Model._on_amended,
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
    events.SettingsChanged: Model._on_settings,
    events.Invited: Model._on_invited,
    events.MemberShutOut: lambda model, event, now: model._notify_room(event, event.room, now),
    events.MemberLetIn: lambda model, event, now: model._notify_room(event, event.room, now),
    events.MemberSilenced: lambda model, event, now: model._notify_room(event, event.room, now),
    events.MemberUnsilenced: lambda model, event, now: model._notify_room(event, event.room, now),
    events.RulesChanged: lambda model, event, now: model._notify_room(event, event.room, now),
    events.RoleChanged: lambda model, event, now: model._notify_room(event, event.room, now),
    events.Notice: Model._on_notice,
}
"""The method that applies each kind of event."""


USER_PREFIX: Final = "@"


def find_by_text(model: Model, text: str) -> Conversation | None:
    """Return the conversation with this number, else with this name, else the first whose name begins so."""
    if text.isdecimal() and int(text) < len(model.conversations):
        return model.conversations[int(text)]
    bare_name = fold(text).lstrip(ROOM_PREFIX + USER_PREFIX)
    matches = find_by_prefix(model, text) if bare_name else []
    return min(matches, key=lambda conversation: conversation.key.lstrip(ROOM_PREFIX) != bare_name, default=None)


def find_by_prefix(model: Model, prefix: str) -> list[Conversation]:
    """Return the conversations whose names begin so, with or without a leading `#` or `@`."""
    bare_prefix = fold(prefix).lstrip(ROOM_PREFIX + USER_PREFIX)
    candidates = (
        conversation
        for conversation in model
        if conversation.name and (conversation.is_room or not prefix.startswith(ROOM_PREFIX))
    )
    return [conversation for conversation in candidates if conversation.key.lstrip(ROOM_PREFIX).startswith(bare_prefix)]
