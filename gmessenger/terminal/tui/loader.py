"""Tells the server how far one has read, so that one's other devices need not show it as new.

Fetches what the server remembers, as far as somebody looks at it: conversations, what was said before, members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import gevent

from gmessenger.client import Client, ConversationInfo, UserInfo, fold
from gmessenger.constants import MAX_HISTORY_PAGE, ONLINE
from gmessenger.errors import Forbidden, MessengerError, NoSuchRoom, NotFound, UnknownAction
from gmessenger.sanitize import sanitize
from gmessenger.terminal.tui.conversation import MAX_ENTRIES, Conversation, Entry
from gmessenger.terminal.tui.jobs import JobQueue
from gmessenger.terminal.tui.model import MAX_CONVERSATIONS, Model

READ_MARKER_DELAY: Final = 0.3
"""Seconds in which what is read is told of at once."""


class ReadMarkerSync:
    """Does nothing while it is not `on`: what guests read is not kept. `failed` is told of an error."""

    def __init__(self, client: Client, on_error: Callable[[Exception], object]) -> None:
        self._client = client
        self._on_error = on_error
        self._sent: dict[str, int] = {}
        self._flush_timer: dict[str, str] = {}

    def set_server_seq(self, name: str, seq: int) -> None:
        """The server knows of so much."""
        self._sent[fold(name)] = max(seq, self._sent.get(fold(name), 0))

    def reset(self) -> None:
        """The server counts from the beginning, and knows nothing of what was read."""
        self._sent.clear()
        self._flush_timer.clear()

    def mark_seen(self, conversation: Conversation) -> None:
        """Somebody has the newest of it before their eyes. Takes no time."""
        key, seq = conversation.key, conversation.last_seq
        if self._client.is_account and seq > self._sent.get(key, 0):
            self._sent[key] = seq
            if not self._flush_timer:
                gevent.spawn_later(READ_MARKER_DELAY, self.flush)
            self._flush_timer[key] = conversation.name

    def flush(self) -> None:
        """What is due, now."""
        due = dict(self._flush_timer)
        self._flush_timer.clear()
        try:
            for key, name in due.items():
                if not self._client.closed:
                    self._client.mark_read(name, self._sent[key])
        except Exception as error:
            self._on_error(error)


FIRST_PAGE: Final = 50
NEXT_PAGE: Final = 100
MAX_QUIET_CONVERSATIONS: Final = 30
"""Conversations that are shown though there is nothing new in them."""
NO_HISTORY_ERRORS: Final = (Forbidden, NotFound, NoSuchRoom)
"""What is answered where there is nothing earlier that one may read."""


class Loader:
    """All it does is done by `work`; `changed` is called when there is more to be seen.

    `account` says whether there is something to fetch: of what is said to guests the server keeps nothing.
    """

    def __init__(
        self,
        client: Client,
        model: Model,
        jobs: JobQueue,
        read_markers: ReadMarkerSync,
        on_loaded: Callable[[], object],
    ) -> None:
        self._client = client
        self._model = model
        self._jobs = jobs
        self._read_markers = read_markers
        self._on_loaded = on_loaded
        self._members_loaded: set[str] = set()
        self._rooms_requested = False
        self.rooms: Sequence[str] = ()
        """Those there are, once they were wanted."""

    def on_connected(self, hidden: Mapping[str, int]) -> None:
        """The line is up: what can be had only from the server is asked for again, where somebody looks at it."""
        self._members_loaded.clear()
        self._rooms_requested = False
        self._jobs.put(partial(self._load_conversations, hidden))
        self.load_conversation(self._model.current)

    def load_rooms(self) -> None:
        """Somebody begins to type the name of one: by the next letter they are here. Asked for once a line."""
        if not self._rooms_requested and self._client.connected:
            self._rooms_requested = self._jobs.put(self._load_rooms)

    def load_conversation(self, conversation: Conversation) -> None:
        """Somebody looks at it: fetch what they would miss."""
        if conversation is self._model.home or not self._client.connected:
            return
        if conversation.is_room and conversation.key not in self._members_loaded:
            self._members_loaded.add(conversation.key)
            self._jobs.put(partial(self._load_members, conversation))
        if not conversation.history_requested:
            conversation.history_requested = True
            self._schedule_page(conversation, FIRST_PAGE)

    def on_joined(self, room: Conversation) -> None:
        """One has come into a room: from now on there may be something to fetch."""
        self._members_loaded.discard(room.key)
        room.history_requested = room.is_complete = False

    def on_hidden(self, conversation: Conversation) -> None:
        """What was fetched of it is gone with it."""
        self._members_loaded.discard(conversation.key)

    def load_earlier(self, conversation: Conversation) -> None:
        """Somebody wants to see what was said before that."""
        if conversation is not self._model.home and self._client.connected:
            self._schedule_page(conversation, NEXT_PAGE)

    def load_back_to(self, conversation: Conversation, seq: int, on_loaded: Callable[[Entry | None], object]) -> bool:
        """Fetch a conversation back to a message, without a hole. Does not block.

        `reached` is called with the entry, or with None where the message is too far back; it runs in the greenlet that
        fetches. Returns False where the line is down.
        """
        if (entry := conversation.find_by_seq(seq)) is not None:
            on_loaded(entry)
            return True
        if not self._client.connected:
            return False
        conversation.history_requested = True
        return self._jobs.put(partial(self._load_back_to, conversation, seq, on_loaded))

    def _load_back_to(self, conversation: Conversation, seq: int, on_loaded: Callable[[Entry | None], object]) -> None:
        try:
            while self._is_reachable(conversation, seq):
                distance = (conversation.first_seq or seq) - seq
                self._load_page(conversation, min(max(distance + FIRST_PAGE // 2, FIRST_PAGE), MAX_HISTORY_PAGE))
        except NO_HISTORY_ERRORS:
            conversation.is_complete = True
        except MessengerError:  # the line was lost: the caller shows what is loaded
            pass
        on_loaded(conversation.find_by_seq(seq))
        self._on_loaded()

    def _is_reachable(self, conversation: Conversation, seq: int) -> bool:
        """Whether a message lies before what is loaded, and near enough to be fetched."""
        earliest = conversation.first_seq
        near = earliest is None or 0 < earliest - seq <= MAX_ENTRIES - len(conversation.entries) - MAX_HISTORY_PAGE
        return near and not conversation.is_complete

    def _schedule_page(self, conversation: Conversation, count: int) -> None:
        if not (self._client.is_account or conversation.is_complete):
            conversation.is_complete = True
        full = len(conversation.entries) > MAX_ENTRIES - count
        if not (conversation.is_complete or conversation.is_loading or full):
            conversation.is_loading = self._jobs.put(partial(self._load_earlier, conversation, count))

    def _load_conversations(self, hidden: Mapping[str, int]) -> None:
        try:
            standings = self._client.conversations()
        except UnknownAction:  # an older server: those are shown that were here before
            return
        for place, each in enumerate(standings[:MAX_CONVERSATIONS]):
            self._read_markers.set_server_seq(each.name, each.read)
            if self._is_shown(each, place, hidden.get(fold(each.name))):
                self._model.merge_listing(each.name, each.seq, max(each.read, each.first - 1))
        self._on_loaded()

    def _is_shown(self, info: ConversationInfo, index: int, hidden_at: int | None) -> bool:
        if hidden_at is not None and info.seq <= hidden_at:
            return False
        return index < MAX_QUIET_CONVERSATIONS or bool(info.unread) or self._model.find(info.name) is not None

    def _load_earlier(self, conversation: Conversation, count: int) -> None:
        try:
            self._load_page(conversation, count)
        except NO_HISTORY_ERRORS:
            conversation.is_complete = True
        except MessengerError:  # the line, or too much at a time: when it is looked at again
            conversation.history_requested = False
        finally:
            conversation.is_loading = False
        self._on_loaded()

    def _load_page(self, conversation: Conversation, count: int) -> None:
        """A page in which nothing is new, because one blocks who said it, is not what was asked for."""
        before, new = conversation.first_seq, 0
        while not new and not conversation.is_complete and len(conversation.entries) < MAX_ENTRIES:
            page = self._client.history(conversation.name, count, before)
            conversation.is_complete = len(page) < count
            new = self._model.add_history(conversation, page)
            before = page[0].seq or None if page else None

    def _load_rooms(self) -> None:
        with suppress(MessengerError):  # then those one is in are offered
            self.rooms = [room["room"] for room in self._client.rooms() if isinstance(room.get("room"), str)]

    def _load_members(self, room: Conversation) -> None:
        try:
            # At once: who comes or goes while the topic is asked for is told of meanwhile.
            self._set_members(room, self._client.members(room.name))
            room.topic = sanitize(self._client.topic(room.name)) or room.topic
        except MessengerError:
            self._members_loaded.discard(room.key)
        self._on_loaded()

    def _set_members(self, room: Conversation, users: list[UserInfo]) -> None:
        room.members = {fold(card.account_name): sanitize(card.account_name) for card in users}
        self._model.presence |= {fold(card.account_name): card.status or ONLINE for card in users}
