"""Fetches what the server remembers, as far as somebody looks at it: conversations, what was said before, members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from gmessenger.client import Card, Link, Standing, fold
from gmessenger.client.asking import LARGEST_PAGE
from gmessenger.errors import Forbidden, MessengerError, NeverSeen, NoSuchRoom, UnknownAction
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.conversation import MOST_ENTRIES, Conversation, Entry
from gmessenger.terminal.window.reading import Reading
from gmessenger.terminal.window.shelf import MOST_CONVERSATIONS
from gmessenger.terminal.window.work import Work
from gmessenger.terminal_text import visible

FIRST_PAGE: Final = 50
FURTHER_PAGE: Final = 100
NEWEST: Final = 30
"""Conversations that are shown though there is nothing new in them."""
NOTHING_KEPT: Final = (Forbidden, NeverSeen, NoSuchRoom)
"""What is answered where there is nothing earlier that one may read."""


class Loading:
    """All it does is done by `work`; `changed` is called when there is more to be seen.

    `account` says whether there is something to fetch: of what is said to guests the server keeps nothing.
    """

    def __init__(self, link: Link, book: Book, work: Work, reading: Reading, changed: Callable[[], object]) -> None:
        self._link = link
        self._book = book
        self._work = work
        self._reading = reading
        self._changed = changed
        self._members_known: set[str] = set()
        self._rooms_asked = False
        self.account = False
        self.rooms: Sequence[str] = ()
        """Those there are, once they were wanted."""

    def new_line(self, *, account: bool, hidden: Mapping[str, int]) -> None:
        """The line is up: what can be had only from the server is asked for again, where somebody looks at it."""
        self.account = account
        self._members_known.clear()
        self._rooms_asked = False
        self._work.put(partial(self._list, hidden))
        self.turned_to(self._book.current)

    def rooms_wanted(self) -> None:
        """Somebody begins to type the name of one: by the next letter they are here. Asked for once a line."""
        if not self._rooms_asked and self._link.connected:
            self._rooms_asked = self._work.put(self._find_rooms)

    def turned_to(self, conversation: Conversation) -> None:
        """Somebody looks at it: fetch what they would miss."""
        if conversation is self._book.home or not self._link.connected:
            return
        if conversation.is_room and conversation.key not in self._members_known:
            self._members_known.add(conversation.key)
            self._work.put(partial(self._find_members, conversation))
        if not conversation.begun:
            conversation.begun = True
            self._fetch(conversation, FIRST_PAGE)

    def joined(self, room: Conversation) -> None:
        """One has come into a room: from now on there may be something to fetch."""
        self._members_known.discard(room.key)
        room.begun = room.complete = False

    def hidden(self, conversation: Conversation) -> None:
        """What was fetched of it is gone with it."""
        self._members_known.discard(conversation.key)

    def earlier(self, conversation: Conversation) -> None:
        """Somebody wants to see what was said before that."""
        if conversation is not self._book.home and self._link.connected:
            self._fetch(conversation, FURTHER_PAGE)

    def reach(self, conversation: Conversation, seq: int, reached: Callable[[Entry | None], object]) -> bool:
        """Fetch a conversation back to a message, without a hole. Does not block.

        `reached` is called with the entry, or with None where the message is too far back; it runs in the greenlet that
        fetches. Returns False where the line is down.
        """
        if (entry := conversation.with_seq(seq)) is not None:
            reached(entry)
            return True
        if not self._link.connected:
            return False
        conversation.begun = True
        return self._work.put(partial(self._reach, conversation, seq, reached))

    def _reach(self, conversation: Conversation, seq: int, reached: Callable[[Entry | None], object]) -> None:
        try:
            while self._is_before(conversation, seq):
                distance = (conversation.earliest or seq) - seq
                self._remember(conversation, min(max(distance + FIRST_PAGE // 2, FIRST_PAGE), LARGEST_PAGE))
        except NOTHING_KEPT:
            conversation.complete = True
        except MessengerError:  # the line was lost: the caller shows what is loaded
            pass
        reached(conversation.with_seq(seq))
        self._changed()

    def _is_before(self, conversation: Conversation, seq: int) -> bool:
        """Whether a message lies before what is loaded, and near enough to be fetched."""
        earliest = conversation.earliest
        near = earliest is None or 0 < earliest - seq <= MOST_ENTRIES - len(conversation.entries) - LARGEST_PAGE
        return near and not conversation.complete

    def _fetch(self, conversation: Conversation, count: int) -> None:
        if not (self.account or conversation.complete):
            conversation.complete = True
        full = len(conversation.entries) > MOST_ENTRIES - count
        if not (conversation.complete or conversation.loading or full):
            conversation.loading = self._work.put(partial(self._find_earlier, conversation, count))

    def _list(self, hidden: Mapping[str, int]) -> None:
        try:
            standings = self._link.conversations()
        except UnknownAction:  # an older server: those are shown that were here before
            return
        for place, each in enumerate(standings[:MOST_CONVERSATIONS]):
            self._reading.known(each.with_, each.read)
            if self._is_shown(each, place, hidden.get(fold(each.with_))):
                self._book.listed(each.with_, each.seq, max(each.read, each.first - 1))
        self._changed()

    def _is_shown(self, each: Standing, place: int, hidden_at: int | None) -> bool:
        if hidden_at is not None and each.seq <= hidden_at:
            return False
        return place < NEWEST or bool(each.unread) or self._book.find(each.with_) is not None

    def _find_earlier(self, conversation: Conversation, count: int) -> None:
        try:
            self._remember(conversation, count)
        except NOTHING_KEPT:
            conversation.complete = True
        except MessengerError:  # the line, or too much at a time: when it is looked at again
            conversation.begun = False
        finally:
            conversation.loading = False
        self._changed()

    def _remember(self, conversation: Conversation, count: int) -> None:
        """A page in which nothing is new, because one blocks who said it, is not what was asked for."""
        before, new = conversation.earliest, 0
        while not new and not conversation.complete and len(conversation.entries) < MOST_ENTRIES:
            page = self._link.history(conversation.name, count, before)
            conversation.complete = len(page) < count
            new = self._book.remembered(conversation, page)
            before = page[0].seq or None if page else None

    def _find_rooms(self) -> None:
        with suppress(MessengerError):  # then those one is in are offered
            self.rooms = [room["room"] for room in self._link.rooms() if isinstance(room.get("room"), str)]

    def _find_members(self, room: Conversation) -> None:
        try:
            # At once: who comes or goes while the topic is asked for is told of meanwhile.
            self._members_are(room, self._link.members(room.name))
            room.topic = visible(self._link.topic(room.name)) or room.topic
        except MessengerError:
            self._members_known.discard(room.key)
        self._changed()

    def _members_are(self, room: Conversation, cards: list[Card]) -> None:
        room.members = {fold(card.account_name): visible(card.account_name) for card in cards}
        self._book.presence |= {fold(card.account_name): card.status or "online" for card in cards}
