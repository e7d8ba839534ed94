"""A conversation as the user sees it: its entries in order, what is unread, and the draft."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from gmessenger.client import MemberJoined, MemberLeft, OutgoingMessage, fold
from gmessenger.names import is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal.amendment_handlers import OutgoingFile
from gmessenger.terminal.attention import GatheredMembers

MAX_ENTRIES: Final = 10_000
"""Entries of a conversation that are kept; the server has the rest."""


class MessageState(Enum):
    """The state of an own message."""

    WAITING = "waiting"
    STORED = "stored"
    RELAYED = "handed over"
    DELIVERED = "delivered"
    REJECTED = "refused"


@dataclass(slots=True)
class ReactionEntry:
    """Who reacted to a message by one text: the names that are known, by folded name, and how many more there are."""

    names: dict[str, str] = field(default_factory=dict)
    more: int = 0


@dataclass(slots=True, eq=False)
class Entry:
    """A message, or a notice of the program, whose `sender` is empty.

    timestamp: Unix seconds.
    text: sanitized; may have several lines.
    state: of own messages; `reason` explains a rejection.
    source_text: of own messages, what was typed, to edit and send it again.
    message: the client's message, once it is in the send queue.
    gathered: who came and who left, of a notice that says it for several.
    kind: `action`, `notice`, or empty.
    about: of a reply, the seq of the earlier message; `quote` is the beginning of that, sanitized.
    reactions: by their text, sanitized.
    is_marked: the entry is the one that the user has marked.
    version: incremented with each change, for the cache of rendered entries.
    file: the line that tells of the message's file, sanitized.
    attached: the file of an own message, to send it again.
    """

    timestamp: float
    sender: str
    text: str
    is_own: bool = False
    seq: int | None = None
    state: MessageState | None = None
    reason: str = ""
    is_mention: bool = False
    source_text: str = ""
    message: OutgoingMessage | None = None
    kind: str = ""
    about: int | None = None
    quote: str = ""
    is_edited: bool = False
    is_erased: bool = False
    reactions: dict[str, ReactionEntry] = field(default_factory=dict)
    is_marked: bool = False
    version: int = 0
    gathered: GatheredMembers | None = None
    file: str = ""
    attached: OutgoingFile | None = None

    @property
    def is_message(self) -> bool:
        """Whether the entry is a message that the server has stored, and that is still there."""
        return self.seq is not None and not self.is_erased

    def set_marked(self, is_marked: bool) -> None:
        """Mark the entry, or end that."""
        self.is_marked = is_marked
        self.version += 1

    def set_state(self, state: MessageState, reason: str = "") -> None:
        """Change the state of an own message."""
        self.state, self.reason = state, reason
        self.version += 1


@dataclass(frozen=True, slots=True)
class ComposedAmendment:
    """That the text in the input line replies to an entry, or `is_edit` and replaces its text.

    saved_draft: the text that was in the input line before.
    """

    entry: Entry
    is_edit: bool
    saved_draft: str = ""


@dataclass(slots=True, eq=False)
class Conversation:
    """A conversation with a user or in a room; the one without a name, `home`, is the program's own.

    entries: in the order of their seqs, as far as they have one; notices stay where they were added.
    unread: messages since the user last looked, those up to `head_seq` included that are not loaded.
    mentions: how many of them are for the user.
    marker: the first unread entry; it stays until the user switches away.
    """

    name: str
    entries: list[Entry] = field(default_factory=list)
    unread: int = 0
    mentions: int = 0
    marker: Entry | None = None
    search_hit: Entry | None = None
    """The entry that `/jump` went to, until the user switches away."""
    cleared: Entry | None = None
    """The newest entry when the screen was cleared: it and those before it are shown only after scrolling up."""
    draft: str = ""
    """The text of the input line."""
    composed: ComposedAmendment | None = None
    """What the text of the input line is for, if not for a message of its own."""
    marked: Entry | None = None
    """The entry that the user has marked."""
    quoted: dict[int, Entry] = field(default_factory=dict)
    """Messages by seq that are quoted in replies, and were loaded for that only."""
    amended_seq: int = 0
    """The highest seq of an amendment, which is no entry of its own."""
    topic: str = ""
    members: dict[str, str] = field(default_factory=dict)
    """Names as shown, by folded name."""
    is_closed: bool = False
    read_seq: int = 0
    """The seq up to which the user has read, here or on another device."""
    head_seq: int = 0
    """The highest seq that the server listed for the conversation."""
    unread_after: int | None = None
    """The read_seq from before the user switched here, while there were unread messages."""
    is_complete: bool = False
    """Whether there is nothing to load before the first loaded entry."""
    first_readable: int = 1
    """The lowest seq that the user may read, as far as the server has told it."""
    absences: Sequence[tuple[int, int]] = ()
    """The first and the last seq of what the user may not read, not having been a member of the room."""
    had_rejected: bool = False
    """Whether a rejected message was taken back."""
    is_loading: bool = False
    """Whether a page of history is being loaded."""
    _quiet_count: int = 0
    history_requested: bool = False
    """Whether the newest page of history was loaded, or is about to be."""

    @property
    def key(self) -> str:
        """The folded name."""
        return fold(self.name)

    @property
    def is_room(self) -> bool:
        return is_room(self.name)

    def clear(self) -> None:
        """Show nothing of what there is now, until one scrolls up."""
        self.cleared = self.entries[-1] if self.entries else None

    @property
    def first_seq(self) -> int | None:
        """The lowest seq that is loaded; None if there is none."""
        return next((entry.seq for entry in self.entries if entry.seq is not None), None)

    @property
    def last_seq(self) -> int:
        """The highest seq that is loaded; 0 if there is none."""
        return next((entry.seq for entry in reversed(self.entries) if entry.seq is not None), 0)

    @property
    def hidden_count(self) -> int:
        """The number of messages before the first one that the user may read."""
        return self.first_readable - 1

    def absent_count(self, index: int) -> int:
        """Return how many messages above an entry the user may not read, not having been a member then."""
        seq = self.entries[index].seq
        if not self.absences or seq is None:
            return 0
        above = next((entry.seq for entry in reversed(self.entries[:index]) if entry.seq is not None), None)
        if above is None and not self.is_complete:
            return 0  # there is more to load
        return sum(last - first + 1 for first, last in self.absences if (above or 0) < first and last < seq)

    def set_members(self, names: Iterable[str]) -> None:
        """Replace the members of the room."""
        self.members = {fold(name): sanitize(name) for name in names}

    def gather_member(self, event: MemberJoined | MemberLeft, now: float) -> None:
        """Show in one notice who came and who left since the last message."""
        last = self.entries[-1] if self.entries else None
        if last is None or last.gathered is None or last.gathered.is_full:
            self.add(last := Entry(now, "", "", gathered=GatheredMembers()))
        assert last.gathered is not None
        last.gathered.add(event)
        last.text = last.gathered.format(self.name).removeprefix("-- ")
        last.version += 1
        if not last.text:
            self.entries.remove(last)

    @property
    def received_seq(self) -> int:
        """The highest seq that was received: of an entry or of an amendment."""
        return max(self.last_seq, self.amended_seq)

    def mark(self, entry: Entry | None) -> None:
        """Mark an entry in place of the one that is marked, or none."""
        if self.marked is not None:
            self.marked.set_marked(False)
        self.marked = entry
        if entry is not None:
            entry.set_marked(True)

    def neighbour_message(self, offset: int) -> Entry | None:
        """Return the message before (-1) or after (1) the marked one; with none marked, the newest one.

        None if there is none.
        """
        messages = [entry for entry in self.entries if entry.is_message]
        if self.marked not in messages:
            return messages[-1] if messages and offset < 0 else None
        index = messages.index(self.marked) + offset
        return messages[max(index, 0)] if index < len(messages) else None

    def last_own_message(self) -> Entry | None:
        """Return the newest message of the user that the server has stored."""
        return next((entry for entry in reversed(self.entries) if entry.is_own and entry.is_message), None)

    @property
    def is_last_own_waiting(self) -> bool:
        """Whether the user has sent a newer message than `last_own_message`, which is not stored yet."""
        last = next(
            (
                entry
                for entry in reversed(self.entries)
                if entry.is_own and (entry.is_message or entry.state is MessageState.WAITING)
            ),
            None,
        )
        return last is not None and last.state is MessageState.WAITING

    def last_message_of_others(self) -> Entry | None:
        """Return the newest message of another user."""
        return next((entry for entry in reversed(self.entries) if not entry.is_own and entry.is_message), None)

    def find_quoted(self, seq: int) -> Entry | None:
        """Return the message with this seq, whether it is loaded or was only to be quoted."""
        return self.find_by_seq(seq) or self.quoted.get(seq)

    def find_by_seq(self, seq: int) -> Entry | None:
        """Return the entry with this seq, if it is loaded."""
        return next((entry for entry in self.entries if entry.seq == seq), None)

    def add(self, entry: Entry) -> bool:
        """Insert an entry in the order of seqs. Return False if its seq is there already."""
        if entry.seq is None or entry.seq > self.last_seq:
            self.entries.append(entry)
        elif not self._insert(entry, entry.seq):
            return False
        if len(self.entries) > MAX_ENTRIES:
            del self.entries[: MAX_ENTRIES // 10]
            self.is_complete = False
        return True

    def add_earlier(self, entries: Iterable[Entry]) -> int:
        """Insert entries of the history above notices of later times. Return how many are new.

        If there is no room for all, the oldest are left out, so that there is no gap.
        """
        earlier = sorted(entries, key=lambda entry: entry.seq or 0)
        excess = len(earlier) + len(self.entries) - MAX_ENTRIES
        if excess > 0:
            self.is_complete = False
        new = [entry for entry in earlier[max(excess, 0) :] if self.add(entry)]
        for entry in new:
            self._move_above_notices(entry)
        if self.unread_after is not None:
            self.marker = next(iter(self._others_after(self.unread_after)), None)
        return len(new)

    def assign_seq(self, entry: Entry, seq: int) -> None:
        """Give an entry the seq that the server assigned, and move it to its place in the order."""
        others = [other for other in self.entries if other.seq == seq]
        if others:  # the history arrived before the response
            self.entries.remove(others[0])
        index = self.entries.index(entry)
        previous_seq = max((other.seq or 0 for other in self.entries[:index]), default=0)
        next_seq = next((other.seq for other in self.entries[index + 1 :] if other.seq is not None), seq)
        entry.seq = seq
        if not previous_seq < seq <= next_seq:
            del self.entries[index]
            self._insert(entry, seq)

    def find(self, message: OutgoingMessage) -> Entry | None:
        """Return the entry of an own message."""
        return next((entry for entry in reversed(self.entries) if entry.message is message), None)

    def mark_delivered(self, seq: int) -> None:
        """Mark stored messages up to `seq` as delivered."""
        for entry in reversed(self.entries):
            if entry.state is MessageState.DELIVERED and entry.seq is not None and entry.seq <= seq:
                return
            if entry.state is MessageState.STORED and entry.seq is not None and entry.seq <= seq:
                entry.set_state(MessageState.DELIVERED)

    def add_unread(self, entry: Entry) -> None:
        """Count an entry that arrived while another conversation was current."""
        if self.marker is None:
            self.marker = entry
        self.unread += entry.seq is None or entry.seq > self.head_seq
        self.mentions += entry.is_mention

    def mark_read(self) -> None:
        """Mark everything as read; the marker stays where it is."""
        if self.unread:
            self.unread_after = self.read_seq
        self.unread = self.mentions = 0
        self.read_seq = max(self.read_seq, self.received_seq)

    def recount_after_own_message(self) -> None:
        """Count again after an own message: the server's listing counted it as unread."""
        if self.unread and self.head_seq > self.read_seq:
            self._recount()

    def move_read_marker(self, seq: int, *, is_current: bool) -> None:
        """Note that the user has read up to `seq` on another device.

        is_current: the conversation is on the screen, where what is marked as unread stays marked.
        """
        self.read_seq = max(self.read_seq, seq)
        if not is_current:
            self._recount()

    def merge_listing(self, head: int, read: int, quiet: int = 0) -> None:
        """Note the head and the read marker that the server listed, and count again.

        quiet: amendments after the read marker, which are no messages to read.
        """
        self._quiet_count = quiet
        self.head_seq, self.read_seq = max(self.head_seq, head), max(self.read_seq, read)
        self._recount()

    def reset_seqs(self) -> None:
        """Forget all seqs, because the server counts from the beginning.

        The entries stay, above all that follow.
        """
        self.is_complete = self.is_complete or self.first_seq is not None
        self.history_requested = False
        for entry in self.entries:
            entry.seq = None
        self.head_seq = self.read_seq = 0
        self.first_readable, self.absences = 1, ()
        self.amended_seq = 0
        self.quoted.clear()
        self.unread_after = None

    def clear_markers(self) -> None:
        """Forget the markers when the user switches away."""
        self.marker = self.unread_after = self.search_hit = None
        self.mark(None)

    def last_rejected(self) -> Entry | None:
        """Return the newest rejected message."""
        return next((entry for entry in reversed(self.entries) if entry.state is MessageState.REJECTED), None)

    def take_back_rejected(self) -> Entry | None:
        """Remove and return the newest rejected message of the user; None if there is none."""
        if (entry := self.last_rejected()) is not None:
            self.entries.remove(entry)
            self.had_rejected = True
        return entry

    @property
    def is_failed_attempt(self) -> bool:
        """Whether the conversation has only rejected messages of the user, and nothing else."""
        messages = [entry for entry in self.entries if entry.sender]
        was_rejected = self.had_rejected or bool(messages)
        return (
            was_rejected
            and not (self.is_room or self.draft or self.head_seq)
            and all(entry.state is MessageState.REJECTED for entry in messages)
        )

    def _recount(self) -> None:
        """Count the unread messages by their seqs, whether they are loaded or not."""
        new = self._others_after(self.read_seq)
        loaded = sum(
            1 for entry in self.entries if entry.seq is not None and self.read_seq < entry.seq <= self.head_seq
        )
        missing = max(0, self.head_seq - self.read_seq) - loaded
        self.unread = len(new) + max(0, missing - self._quiet_count)
        self.mentions = sum(entry.is_mention for entry in new)
        self.marker = new[0] if new else None

    def _others_after(self, seq: int) -> list[Entry]:
        """Return other users' entries after `seq`."""
        return [entry for entry in self.entries if not entry.is_own and entry.seq is not None and entry.seq > seq]

    def _move_above_notices(self, entry: Entry) -> None:
        index = old_index = self.entries.index(entry)
        while index and self.entries[index - 1].seq is None and self.entries[index - 1].timestamp > entry.timestamp:
            index -= 1
        self.entries.insert(index, self.entries.pop(old_index))

    def _insert(self, entry: Entry, seq: int) -> bool:
        numbered = [(other.seq, index) for index, other in enumerate(self.entries) if other.seq is not None]
        position = bisect_left(numbered, (seq, -1))
        if position < len(numbered) and numbered[position][0] == seq:
            return False
        self.entries.insert(numbered[position][1] if position < len(numbered) else len(self.entries), entry)
        return True
