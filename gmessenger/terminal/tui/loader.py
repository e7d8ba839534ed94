"""Load conversations, history and members when they are looked at, and report what was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import gevent

from gmessenger.client import Client, ConversationInfo, History, UserInfo, fold
from gmessenger.constants import MAX_HISTORY_PAGE, ONLINE
from gmessenger.errors import Forbidden, MessengerError, NoSuchRoom, NotFound, UnknownAction
from gmessenger.sanitize import sanitize
from gmessenger.terminal.tui.amendments import missing_quotes
from gmessenger.terminal.tui.conversation import MAX_ENTRIES, Conversation, Entry
from gmessenger.terminal.tui.jobs import JobQueue
from gmessenger.terminal.tui.model import MAX_CONVERSATIONS, Model

READ_MARKER_DELAY: Final = 0.3
"""Seconds in which read markers are collected before they are sent."""


class ReadMarkerSync:
    """Tell the server up to which seq each conversation was read.

    For accounts only: the server keeps no read markers of guests. on_error: called with an error of sending.
    """

    def __init__(self, client: Client, on_error: Callable[[Exception], object]) -> None:
        self._client = client
        self._on_error = on_error
        self._sent: dict[str, int] = {}
        """The highest seq that the server knows of, by folded name."""
        self._pending: dict[str, str] = {}

    def set_server_seq(self, name: str, seq: int) -> None:
        """Note the read marker that the server listed."""
        self._sent[fold(name)] = max(seq, self._sent.get(fold(name), 0))

    def reset(self) -> None:
        """Forget the markers, because the server counts from the beginning."""
        self._sent.clear()
        self._pending.clear()

    def mark_seen(self, conversation: Conversation) -> None:
        """Send the read marker soon: the newest entry of the conversation is visible. Does not block."""
        key, seq = conversation.key, conversation.received_seq
        if self._client.is_account and seq > self._sent.get(key, 0):
            self._sent[key] = seq
            if not self._pending:
                gevent.spawn_later(READ_MARKER_DELAY, self.flush)
            self._pending[key] = conversation.name

    def flush(self) -> None:
        """Send the pending read markers now. Does not block."""
        pending = dict(self._pending)
        self._pending.clear()
        try:
            for key, name in pending.items():
                if not self._client.closed:
                    self._client.mark_read(name, self._sent[key])
        except Exception as error:
            self._on_error(error)


FIRST_PAGE: Final = 50
"""Messages that are loaded when a conversation is first looked at."""
NEXT_PAGE: Final = 100
"""Messages that are loaded when the user scrolls to the top."""
MAX_QUIET_CONVERSATIONS: Final = 30
"""Conversations without unread messages that are shown."""
NO_HISTORY_ERRORS: Final = (Forbidden, NotFound, NoSuchRoom)
"""Errors that mean that there are no earlier messages which the user may read."""


class Loader:
    """Load in a job queue what the user looks at; nothing here blocks.

    on_loaded: called when there is more to show.
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
        """The rooms of the server, once they were asked for."""

    def on_connected(self, hidden: Mapping[str, int]) -> None:
        """Load again what only the server has, for the current conversation.

        hidden: the seq up to which each conversation is hidden, by folded name.
        """
        self._members_loaded.clear()
        self._rooms_requested = False
        self._jobs.put(partial(self._load_conversations, hidden))
        self.load_conversation(self._model.current)

    def load_rooms(self) -> None:
        """Load the list of rooms, once for each connection: the user begins to type the name of one."""
        if not self._rooms_requested and self._client.connected:
            self._rooms_requested = self._jobs.put(self._load_rooms)

    def load_conversation(self, conversation: Conversation) -> None:
        """Load what a conversation lacks: the user looks at it."""
        if conversation is self._model.home or not self._client.connected:
            return
        if conversation.is_room and conversation.key not in self._members_loaded:
            self._members_loaded.add(conversation.key)
            self._jobs.put(partial(self._load_members, conversation))
        if not conversation.history_requested:
            conversation.history_requested = True
            self._schedule_page(conversation, FIRST_PAGE)

    def on_joined(self, room: Conversation) -> None:
        """Note that the user has joined a room: from now on its history may be loaded."""
        self._members_loaded.discard(room.key)
        room.history_requested = room.is_complete = False

    def on_hidden(self, conversation: Conversation) -> None:
        """Forget what was loaded of a conversation that is hidden."""
        self._members_loaded.discard(conversation.key)

    def load_quotes(self, conversation: Conversation | None) -> None:
        """Load the messages that the newest entries of a conversation are replies to, if they are not loaded."""
        if conversation is None or not (self._client.is_account and self._client.connected):
            return
        for seq in missing_quotes(conversation, conversation.entries[-FIRST_PAGE:]):
            self._jobs.put(partial(self._load_quoted, conversation, seq))

    def _load_quoted(self, conversation: Conversation, seq: int) -> None:
        with suppress(MessengerError):  # then the reply is shown without
            if conversation.find_quoted(seq) is None:
                for message in self._client.history(conversation.name, 1, seq + 1):
                    self._model.keep_quoted(conversation, message)
        self._on_loaded()

    def load_earlier(self, conversation: Conversation) -> None:
        """Load the page before the first loaded message."""
        if conversation is not self._model.home and self._client.connected:
            self._schedule_page(conversation, NEXT_PAGE)

    def load_back_to(self, conversation: Conversation, seq: int, on_loaded: Callable[[Entry | None], object]) -> bool:
        """Load a conversation back to a message, without gaps. Return False while the connection is lost.

        on_loaded: called with the entry, or None if the message is too far back, in the job queue's greenlet.
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
        except MessengerError:  # the connection was lost: the caller shows what is loaded
            pass
        on_loaded(conversation.find_by_seq(seq))
        self._on_loaded()

    def _is_reachable(self, conversation: Conversation, seq: int) -> bool:
        """Return whether a message is before the first loaded one, and near enough to be loaded."""
        first_seq = conversation.first_seq
        is_near = first_seq is None or 0 < first_seq - seq <= MAX_ENTRIES - len(conversation.entries) - MAX_HISTORY_PAGE
        return is_near and not conversation.is_complete

    def _schedule_page(self, conversation: Conversation, count: int) -> None:
        if not (self._client.is_account or conversation.is_complete):
            conversation.is_complete = True
        is_full = len(conversation.entries) > MAX_ENTRIES - count
        if not (conversation.is_complete or conversation.is_loading or is_full):
            conversation.is_loading = self._jobs.put(partial(self._load_earlier, conversation, count))

    def _load_conversations(self, hidden: Mapping[str, int]) -> None:
        try:
            infos = self._client.conversations()
        except UnknownAction:  # an older server: only the saved conversations are shown
            return
        for index, info in enumerate(infos[:MAX_CONVERSATIONS]):
            self._read_markers.set_server_seq(info.name, info.read)
            if self._is_shown(info, index, hidden.get(fold(info.name))):
                self._model.merge_listing(info.name, info.seq, max(info.read, info.first - 1), info.quiet)
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
        except MessengerError:  # the connection was lost, or too many requests: loaded at the next look
            conversation.history_requested = False
        finally:
            conversation.is_loading = False
        self._on_loaded()

    def _load_page(self, conversation: Conversation, count: int) -> None:
        """Load pages until one has something new: messages of blocked users are not shown."""
        before_seq, new_count = conversation.first_seq, 0
        while not new_count and not conversation.is_complete and len(conversation.entries) < MAX_ENTRIES:
            page = self._client.history(conversation.name, count, before_seq)
            conversation.is_complete = len(page) < count
            conversation.first_readable, conversation.absences = page.first_seq, page.absences
            new_count = self._model.add_history(conversation, page)
            self._load_missing_quotes(conversation, page)
            before_seq = page[0].seq or None if page else None

    def _load_missing_quotes(self, conversation: Conversation, page: History) -> None:
        entries = [entry for entry in conversation.entries if entry.seq in {message.seq for message in page}]
        for seq in missing_quotes(conversation, entries):
            self._jobs.put(partial(self._load_quoted, conversation, seq))

    def _load_rooms(self) -> None:
        with suppress(MessengerError):  # then only the rooms that are open are completed
            self.rooms = [room.name for room in self._client.rooms()]

    def _load_members(self, room: Conversation) -> None:
        try:
            # Before the topic is asked for: members that join or leave meanwhile are events.
            self._set_members(room, self._client.members(room.name))
            room.topic = sanitize(self._client.topic(room.name)) or room.topic
        except MessengerError:
            self._members_loaded.discard(room.key)
        self._on_loaded()

    def _set_members(self, room: Conversation, users: list[UserInfo]) -> None:
        room.set_members(user.account_name for user in users)
        for user in users:
            self._model.set_presence(user.account_name, user.status or ONLINE, user.note or "")
