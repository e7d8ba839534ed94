"""The book: all conversations, and what each event of the link writes into them. Pure; the time is passed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from gmessenger.client import (
    Accepted,
    CaughtUp,
    Closed,
    Connected,
    Deferred,
    Delivered,
    Delivery,
    Joined,
    Left,
    LinkEvent,
    Lost,
    Message,
    Missed,
    Notice,
    Opened,
    PresenceChanged,
    ReadElsewhere,
    Received,
    Rejected,
    SentElsewhere,
    TopicChanged,
    fold,
)
from gmessenger.terminal import render
from gmessenger.terminal.mentions import mentions_of
from gmessenger.terminal.messages import ERASED
from gmessenger.terminal.window.conversation import Conversation, Entry, State
from gmessenger.terminal.window.shelf import Shelf
from gmessenger.terminal.words import _
from gmessenger.terminal_text import visible, visible_lines

HOME: Final = ""
"""The name of the conversation with this program itself, which is always there and always first."""
OFFLINE: Final = "offline"
ONLINE: Final = "online"


@dataclass(slots=True)
class Line:
    """How the line to the server is; while it is `lost`, when it is tried again, on the clock that is passed in."""

    state: Literal["connecting", "connected", "lost"] = "connecting"
    retry_at: float = 0.0
    reason: str = ""


class Book:
    """What one sees, apart from how it is drawn. `hides` says of somebody's words in a room that one blocks them."""

    def __init__(self, me: str, hides: Callable[[Delivery], bool] = lambda delivery: False) -> None:
        self.me = me
        self.line = Line()
        self.home = Conversation(HOME, complete=True)
        self._shelf = Shelf(self.home)
        self.conversations = self._shelf.in_order
        self.current = self.home
        self.presence: dict[str, str] = {}
        """What is known of how others are, by their folded names: `online`, `offline`, or their words."""
        self.operator = False
        self._hides = hides
        self._is_meant = mentions_of(me)

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self.conversations)

    def find(self, name: str) -> Conversation | None:
        return self._shelf.find(name)

    def open(self, name: str) -> Conversation:
        """The conversation of that name, which is there from now on."""
        return self._shelf.open(name, self.current)

    def look_at(self, conversation: Conversation) -> None:
        """Turn to another conversation."""
        if conversation is not self.current:
            self.current.left()
            if self.current.came_to_nothing and self.current.last_refused() is None:
                self._shelf.close(self.current)
        self.current = conversation
        conversation.looked_at()

    def step(self, by: int) -> Conversation:
        """The conversation so many places further on, or back; after the last comes the first."""
        place = self.conversations.index(self.current)
        return self.conversations[(place + by) % len(self.conversations)]

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
                self.look_at(self.step(-1))
            self._shelf.close(conversation)

    def notice(self, text: str, now: float, where: Conversation | None = None) -> None:
        """Say something that nobody has said; `text` is safe to draw."""
        (where or self.home).add(Entry(now, "", text.removeprefix("-- ").replace("\n-- ", "\n")))

    def sent(self, message: Message, now: float) -> Entry:
        """One has said something here."""
        entry = self.said(message.to, message.text, now)
        entry.message = message
        return entry

    def said(self, to: str, text: str, now: float) -> Entry:
        """One is saying something here: the link does not have it yet."""
        entry = Entry(now, self.me, visible_lines(text), own=True, state=State.WAITING, typed=text)
        self.open(to).add(entry)
        return entry

    def listed(self, name: str, head: int, read: int) -> None:
        """The server knows this conversation: it goes up to the number `head`, and one has read up to `read`."""
        conversation = self.open(name)
        if conversation is not self.current:
            conversation.listed(head, read)

    def remembered(self, conversation: Conversation, messages: list[Delivery]) -> int:
        """Put in what the server says was said before; returns how much of it is new here."""
        return conversation.add_earlier(self._entry(each) for each in messages if not self._is_hidden(each))

    def apply(self, event: LinkEvent, now: float) -> bool:
        """Write an event down; says whether it is worth a bell. `now` is Unix seconds."""
        return bool(WRITTEN[type(event)](self, event, now))

    def _entry(self, delivery: Delivery) -> Entry:
        own = fold(delivery.sender) == fold(self.me)
        erased = delivery.erased is True
        text = _(ERASED) if erased else visible_lines(delivery.message)
        sender = "" if erased else visible(delivery.sender)
        seq = delivery.seq or None
        state = State.STORED if own and not erased else None
        mention = not own and self._is_meant(delivery.message)
        return Entry(delivery.time, sender, text, own, seq, state, mention=mention)

    def _is_hidden(self, delivery: Delivery) -> bool:
        return delivery.to.startswith("#") and self._hides(delivery)

    def _received(self, event: Received, now: float) -> bool:
        delivery = event.delivery
        if self._is_hidden(delivery):
            return False
        entry = self._entry(delivery)
        room = delivery.to.startswith("#")
        where = self.home if delivery.broadcast is True else self.open(delivery.to if room else delivery.sender)
        if not where.add(entry):
            return False
        if where is not self.current:
            where.arrived(entry)
        return entry.mention or not room

    def _sent_elsewhere(self, event: SentElsewhere, now: float) -> None:
        where = self.open(event.delivery.to)
        where.add(self._entry(event.delivery))
        where.said_oneself()

    def _accepted(self, event: Accepted, now: float) -> None:
        where, entry = self._own(event.message, now)
        if event.answer.seq is not None:
            where.numbered(entry, event.answer.seq)
            where.said_oneself()
        entry.become(State.STORED if event.answer.seq is not None else State.HANDED_OVER)

    def _rejected(self, event: Rejected, now: float) -> bool:
        where, entry = self._own(event.message, now)
        entry.become(State.REFUSED, render.why(event.reason))
        if where is not self.current:
            where.arrived(entry)
        return True

    def _deferred(self, event: Deferred, now: float) -> None:
        self._own(event.message, now)[1].become(State.WAITING, render.why(event.reason))

    def _own(self, message: Message, now: float) -> tuple[Conversation, Entry]:
        """The entry of a message; one that an earlier run had left over is new here."""
        where = self.open(message.to)
        return where, where.find(message) or self.sent(message, now)

    def _delivered(self, event: Delivered, now: float) -> None:
        if (where := self.find(event.name)) is not None:
            where.delivered(event.seq)

    def _read_elsewhere(self, event: ReadElsewhere, now: float) -> None:
        if (where := self.find(event.with_)) is not None:
            where.read_elsewhere(event.seq, in_sight=where is self.current)

    def _presence(self, event: PresenceChanged, now: float) -> None:
        self.presence[fold(event.name)] = event.status
        where = self.find(event.name)
        if where is not None:
            self.notice(render.told(event) or "", now, where)

    def _joined(self, event: Joined, now: float) -> None:
        where = self.open(event.room)
        where.members[fold(event.name)] = event.name
        self.presence[fold(event.name)] = ONLINE
        self._tell_room(event, event.room, now)

    def _left(self, event: Left, now: float) -> None:
        where = self.open(event.room)
        where.members.pop(fold(event.name), None)
        self._tell_room(event, event.room, now)

    def _topic(self, event: TopicChanged, now: float) -> None:
        self.open(event.room).topic = visible(event.topic)
        self._tell_room(event, event.room, now)

    def _closed(self, event: Closed | Opened, now: float) -> None:
        self.open(event.room).closed = isinstance(event, Closed)
        self._tell_room(event, event.room, now)

    def _tell_room(self, event: LinkEvent, room: str, now: float) -> None:
        self.notice(render.told(event) or "", now, self.open(room))

    def _missed(self, event: Missed, now: float) -> None:
        self.notice(render.told(event) or "", now, self.open(event.with_))

    def _connected(self, event: Connected, now: float) -> None:
        self.line = Line("connected")
        for each in self.conversations if event.anew else ():
            each.begin_anew()
        self.operator = event.operator
        self._notice(event, now)

    def _lost(self, event: Lost, now: float) -> None:
        self.line = Line("lost", now + event.retry_in, render.why(event.reason))
        self._notice(event, now)

    def _notice(self, event: LinkEvent, now: float) -> None:
        if (told := render.told(event)) is not None:
            self.notice(told, now)


WRITTEN: Final[dict[type[LinkEvent], Callable[[Book, Any, float], bool | None]]] = {
    Connected: Book._connected,
    CaughtUp: lambda book, event, now: None,  # there is more to be said of it than the event knows
    Lost: Book._lost,
    Received: Book._received,
    SentElsewhere: Book._sent_elsewhere,
    Missed: Book._missed,
    Delivered: Book._delivered,
    ReadElsewhere: Book._read_elsewhere,
    Accepted: Book._accepted,
    Rejected: Book._rejected,
    Deferred: Book._deferred,
    PresenceChanged: Book._presence,
    Joined: Book._joined,
    Left: Book._left,
    TopicChanged: Book._topic,
    Closed: Book._closed,
    Opened: Book._closed,
    Notice: Book._notice,
}
"""What each event writes into the book."""
