"""A conversation as its reader sees it: what was said, in order, what of it is new, and what one is writing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from gmessenger.client import OutgoingMessage, fold
from gmessenger.names import is_room

MAX_ENTRIES: Final = 10_000
"""What is kept of a conversation; the server has the rest."""


class MessageState(Enum):
    """What has become of a message of one's own."""

    WAITING = "waiting"
    STORED = "stored"
    RELAYED = "handed over"
    DELIVERED = "delivered"
    REJECTED = "refused"


@dataclass(slots=True, eq=False)
class Entry:
    """Something that was said, or a notice, which nobody has said: its `sender` is empty.

    `at` is Unix seconds, `text` safe to draw, with its lines. One's `own` have a `state`, those said here also what was
    `typed`, to be edited and sent again if it was refused, for a `reason`; and their `message`, as soon as the link has
    it. `version` counts the changes.
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
    version: int = 0

    def set_state(self, state: MessageState, reason: str = "") -> None:
        self.state, self.reason = state, reason
        self.version += 1


@dataclass(slots=True, eq=False)
class Conversation:
    """With somebody, in a room, or (without a name) with this program itself.

    `entries` are in the order of their seqs, as far as they have one. `unread` counts what came since it was last
    looked at, `mentions` how much of that was meant for oneself; `marker` is the first of it, and stays until the
    conversation is left. `earliest` is the lowest seq that is here; `complete` says that there is nothing before it.
    `head` is how far the conversation went when the server listed it: so far `unread` counts also what is not here.
    """

    name: str
    entries: list[Entry] = field(default_factory=list)
    unread: int = 0
    mentions: int = 0
    marker: Entry | None = None
    search_hit: Entry | None = None
    """The entry that `/jump` has led to, until the reader turns elsewhere."""
    draft: str = ""
    topic: str = ""
    members: dict[str, str] = field(default_factory=dict)
    """By their folded names, as shown."""
    is_closed: bool = False
    read_seq: int = 0
    """The seq up to which oneself has read it, here or elsewhere."""
    head_seq: int = 0
    unread_after: int | None = None
    """How far it was read when it was turned to, while there was something new."""
    is_complete: bool = False
    had_rejected: bool = False
    """Whether something that was refused has been taken back."""
    is_loading: bool = False
    history_requested: bool = False
    """Whether the newest of what the server has was fetched, or is about to be."""

    @property
    def key(self) -> str:
        return fold(self.name)

    @property
    def is_room(self) -> bool:
        return is_room(self.name)

    @property
    def first_seq(self) -> int | None:
        return next((entry.seq for entry in self.entries if entry.seq is not None), None)

    @property
    def last_seq(self) -> int:
        """The highest seq that is here; 0 where there is none."""
        return next((entry.seq for entry in reversed(self.entries) if entry.seq is not None), 0)

    def find_by_seq(self, seq: int) -> Entry | None:
        """The entry with this number, if it is here."""
        return next((entry for entry in self.entries if entry.seq == seq), None)

    def add(self, entry: Entry) -> bool:
        """Put an entry in its place, unless it is there already; says whether it was new."""
        if entry.seq is None or entry.seq > self.last_seq:
            self.entries.append(entry)
        elif not self._insert(entry, entry.seq):
            return False
        if len(self.entries) > MAX_ENTRIES:
            del self.entries[: MAX_ENTRIES // 10]
            self.is_complete = False
        return True

    def add_earlier(self, entries: Iterable[Entry]) -> int:
        """Put in what was said before, above notices of later times; returns how much of it is new here.

        Of what there is no room for the oldest is left out: there may be no hole.
        """
        earlier = sorted(entries, key=lambda entry: entry.seq or 0)
        too_many = len(earlier) + len(self.entries) - MAX_ENTRIES
        if too_many > 0:
            self.is_complete = False
        new = [entry for entry in earlier[max(too_many, 0) :] if self.add(entry)]
        for entry in new:
            self._move_above_notices(entry)
        if self.unread_after is not None:
            self.marker = next(iter(self._others_after(self.unread_after)), None)
        return len(new)

    def assign_seq(self, entry: Entry, seq: int) -> None:
        """The server has given an entry that is here its number: it moves to where others see it."""
        others = [other for other in self.entries if other.seq == seq]
        if others:  # history was faster than the answer
            self.entries.remove(others[0])
        place = self.entries.index(entry)
        before = max((other.seq or 0 for other in self.entries[:place]), default=0)
        after = next((other.seq for other in self.entries[place + 1 :] if other.seq is not None), seq)
        entry.seq = seq
        if not before < seq <= after:
            del self.entries[place]
            self._insert(entry, seq)

    def find(self, message: OutgoingMessage) -> Entry | None:
        """The entry of a message of one's own, among the newest."""
        return next((entry for entry in reversed(self.entries) if entry.message is message), None)

    def mark_delivered(self, seq: int) -> None:
        """The other end has everything up to `seq`."""
        for entry in reversed(self.entries):
            if entry.state is MessageState.DELIVERED and entry.seq is not None and entry.seq <= seq:
                return
            if entry.state is MessageState.STORED and entry.seq is not None and entry.seq <= seq:
                entry.set_state(MessageState.DELIVERED)

    def count_unread(self, entry: Entry) -> None:
        """Something came that one is not looking at."""
        if self.marker is None:
            self.marker = entry
        self.unread += entry.seq is None or entry.seq > self.head_seq
        self.mentions += entry.is_mention

    def mark_read(self) -> None:
        """There is nothing new any more; the marker stays where it is."""
        if self.unread:
            self.unread_after = self.read_seq
        self.unread = self.mentions = 0
        self.read_seq = max(self.read_seq, self.last_seq)

    def mark_own_sent(self) -> None:
        """What one has said is not new, though it was counted when the server listed the conversation."""
        if self.unread and self.head_seq > self.read_seq:
            self._recount()

    def move_read_marker(self, seq: int, *, is_current: bool) -> None:
        """On another device one has read up to `seq`; what is marked as new here, before one's eyes, stays so."""
        self.read_seq = max(self.read_seq, seq)
        if not is_current:
            self._recount()

    def merge_listing(self, head: int, read: int) -> None:
        """The server says how far the conversation goes, and how far oneself has read it."""
        self.head_seq, self.read_seq = max(self.head_seq, head), max(self.read_seq, read)
        self._recount()

    def reset_seqs(self) -> None:
        """The server counts from the beginning: what is here stays as it is, above all that follows."""
        self.is_complete = self.is_complete or self.first_seq is not None
        self.history_requested = False
        for entry in self.entries:
            entry.seq = None
        self.head_seq = self.read_seq = 0
        self.unread_after = None

    def clear_markers(self) -> None:
        """One has turned away from it: what was new is not marked any more."""
        self.marker = self.unread_after = self.search_hit = None

    def last_rejected(self) -> Entry | None:
        """The newest message of one's own that was refused."""
        return next((entry for entry in reversed(self.entries) if entry.state is MessageState.REJECTED), None)

    def take_back_rejected(self) -> Entry | None:
        """Remove and return the newest rejected message of the user; None if there is none."""
        if (entry := self.last_rejected()) is not None:
            self.entries.remove(entry)
            self.had_rejected = True
        return entry

    @property
    def is_failed_attempt(self) -> bool:
        """Whether one wanted to say something to somebody, it was refused, and there is nothing else."""
        said = [entry for entry in self.entries if entry.sender]
        refused = self.had_rejected or bool(said)
        return (
            refused
            and not (self.is_room or self.draft or self.head_seq)
            and all(entry.state is MessageState.REJECTED for entry in said)
        )

    def _recount(self) -> None:
        """Count what is new by numbers, whether it is here or not."""
        new = self._others_after(self.read_seq)
        here = sum(1 for entry in self.entries if entry.seq is not None and self.read_seq < entry.seq <= self.head_seq)
        self.unread = len(new) + max(0, self.head_seq - self.read_seq) - here
        self.mentions = sum(entry.is_mention for entry in new)
        self.marker = new[0] if new else None

    def _others_after(self, seq: int) -> list[Entry]:
        """What others have said after `seq`."""
        return [entry for entry in self.entries if not entry.is_own and entry.seq is not None and entry.seq > seq]

    def _move_above_notices(self, entry: Entry) -> None:
        place = end = self.entries.index(entry)
        while place and self.entries[place - 1].seq is None and self.entries[place - 1].timestamp > entry.timestamp:
            place -= 1
        self.entries.insert(place, self.entries.pop(end))

    def _insert(self, entry: Entry, seq: int) -> bool:
        numbered = [(each.seq, place) for place, each in enumerate(self.entries) if each.seq is not None]
        where = bisect_left(numbered, (seq, -1))
        if where < len(numbered) and numbered[where][0] == seq:
            return False
        self.entries.insert(numbered[where][1] if where < len(numbered) else len(self.entries), entry)
        return True
