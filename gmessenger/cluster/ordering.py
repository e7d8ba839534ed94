"""Ordering: what several nodes keep of one conversation is brought to its sessions here in the order of its seqs.

A node that has seq n takes n + 1 as it comes, its own or another's. What comes before its turn waits a moment for what
is between; what does not come is read from the store, once for everybody here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gevent.lock import BoundedSemaphore
from msgspec import Struct, field

from gmessenger.chat.delivery import Delivery, Spawn
from gmessenger.chat.gathering import Gathering, Kept
from gmessenger.chat.names import fold
from gmessenger.chat.presence import Later
from gmessenger.chat.records import Post, Remembered
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.session import Session
from gmessenger.cluster.contract import SharedStore
from gmessenger.errors import StoreUnavailable

HINTS_TAKE: Final = 0.02
"""Seconds in which a hint that is on its way arrives."""
SETTLING_TAKES: Final = 0.25
"""Seconds in which what was committed has been brought, usually: only then a head is looked into."""
MOST_EARLY: Final = 1000
MOST_LINES: Final = 20_000
MOST_LATE: Final = 1000
READERS: Final = 4
PAGE: Final = 200
STORE_PAUSE: Final = 1.0


class Line(Struct):
    """A conversation that somebody here is in. Up to `at` everything has been brought, from `began` on by this line;
    `early` are those whose turn has not come. `late` are seqs before it that came after all; `head` is known of.
    """

    at: int
    began: int
    early: dict[int, Kept] = field(default_factory=dict)
    late: set[int] = field(default_factory=set)
    head: int = 0
    filling: bool = False


class Ordering:
    """Stands between what is kept and those who are here; `take` is called for one node's posts in their order."""

    def __init__(
        self, store: SharedStore, gathering: Gathering, rooms: Rooms, delivery: Delivery, spawn: Spawn, later: Later
    ) -> None:
        self._store = store
        self._gathering = gathering
        self._rooms = rooms
        self._delivery = delivery
        self._spawn = spawn
        self._later = later
        self._lines: dict[str, Line] = {}
        self._places = BoundedSemaphore(READERS)
        self._doubtful: dict[str, int] = {}
        self.filled = 0
        """How many messages had to be read from the store, because no hint of them came in time."""

    def take(self, kept: list[Kept]) -> None:
        """Posts of one conversation, by this node or by another: bring those whose turn it is."""
        first = kept[0]
        line = self._lines.get(first.post.conversation) or self._begin(first)
        if line is None:
            return
        for each in kept:
            if each.seq > line.at:
                line.early[each.seq] = each
            elif each.seq < line.began and each.seq not in line.late:
                self._bring_late(line, each)
        self._bring(line)
        if line.early:
            self._wait_for_others(first.post.conversation, line)

    def heads(self, heads: Iterable[tuple[str, int]]) -> None:
        """Conversations have got as far as this: look, a little later, whether everybody here has it."""
        new = {}
        for key, head in heads:
            room = self._rooms.known(key)
            if room is not None:
                room.head = max(room.head, head)
            if self._lacks(key, head):
                new[key] = head
        if new and not self._doubtful:
            self._later(SETTLING_TAKES, self._look)
        self._doubtful |= new

    def forget(self, conversation: str) -> None:
        """It is over: should there be one of that key again, its seqs begin anew."""
        self._lines.pop(conversation, None)
        self._doubtful.pop(conversation, None)

    def _lacks(self, conversation: str, head: int) -> bool:
        line = self._lines.get(conversation)
        return line.at < head if line is not None else bool(self._sessions(conversation))

    def _look(self) -> None:
        doubtful, self._doubtful = self._doubtful, {}
        for conversation, head in doubtful.items():
            line = self._lines.get(conversation) or self._begin_at(conversation, head)
            if line is not None and line.at < head:
                line.head = max(head, line.head)
                self._fill_soon(conversation, line)

    def _sessions(self, conversation: str) -> Sequence[Session]:
        """Those here that a conversation's messages go to."""
        if conversation[:1] == "#":
            room = self._rooms.known(conversation)
            return self._rooms.sessions(room) if room is not None else ()
        one, _, other = conversation.partition(" ")
        return self._gathering.ends(one, other)

    def _begin(self, kept: Kept) -> Line | None:
        """A line for a conversation of which this is the first that comes here; None where nobody here is in it."""
        sessions = self._sessions(kept.post.conversation)
        if not sessions:
            return None
        live = _live(sessions, kept.post.conversation)
        return self._add(kept.post.conversation, min(live) if live else kept.seq - 1)

    def _begin_at(self, conversation: str, head: int) -> Line | None:
        """A line for a conversation of which nothing came here yet, though it has got to `head`."""
        sessions = self._sessions(conversation)
        if not sessions:
            return None
        live = _live(sessions, conversation)
        if live:
            return self._add(conversation, min(live))
        guests = [session for session in sessions if session.account is None]
        if guests:  # they are due what was said since they came
            self._spawn("looking for a guest's", self._catch_up_guests, conversation, head, guests)
        return None

    def _add(self, conversation: str, at: int) -> Line:
        if len(self._lines) >= MOST_LINES:
            for key in [key for key, line in self._lines.items() if not line.early and not line.filling][::2]:
                del self._lines[key]
        line = self._lines[conversation] = Line(at, at + 1)
        return line

    def _bring(self, line: Line) -> None:
        run: list[Kept] = []
        while (kept := line.early.pop(line.at + 1, None)) is not None:
            run.append(kept)
            line.at += 1
        if run:
            self._gathering.give(run)

    def _bring_late(self, line: Line, kept: Kept) -> None:
        """It comes after what was said after it, because nobody knew of it: guests are given it all the same."""
        if len(line.late) < MOST_LATE:
            line.late.add(kept.seq)
            self._gathering.give([kept])

    def _wait_for_others(self, conversation: str, line: Line) -> None:
        if len(line.early) > MOST_EARLY:
            line.head = max(line.head, *line.early)
            line.early.clear()  # they are read with the others
        if not line.filling:
            line.filling = True
            self._later(HINTS_TAKE, lambda: self._fill_or_not(conversation, line))

    def _fill_or_not(self, conversation: str, line: Line) -> None:
        line.filling = False
        if line.early or line.at < line.head:
            self._fill_soon(conversation, line)

    def _fill_soon(self, conversation: str, line: Line) -> None:
        if not line.filling:
            line.filling = True
            self._spawn("filling a gap", self._fill, conversation, line)

    def _fill(self, conversation: str, line: Line) -> None:
        try:
            with self._places:
                while line.early or line.at < line.head:
                    self._read_on(conversation, line)
        except StoreUnavailable:
            self._later(STORE_PAUSE, lambda: self._fill_or_not(conversation, line))
            return
        line.filling = False

    def _read_on(self, conversation: str, line: Line) -> None:
        before = line.at
        page = self._store.history(conversation, 1, None, before, PAGE)
        read = [each for each in page.messages if each.seq > line.at]
        if any(each.erased for each in read):
            self._skip(conversation, line, read[-1].seq)
            return
        for each in read:
            line.early.setdefault(each.seq, self._kept(each))
        self.filled += len(read)
        self._bring(line)
        if line.at == before:  # what is between is kept no more
            line.at = min(line.early, default=line.head + 1) - 1
            self._bring(line)

    def _skip(self, conversation: str, line: Line, to: int) -> None:
        """Tombstones are among them: each session pages them by itself."""
        line.at = to
        for seq in [seq for seq in line.early if seq <= to]:
            del line.early[seq]
        for session in self._sessions(conversation):
            self._delivery.look(session, conversation, to)

    def _catch_up_guests(self, conversation: str, head: int, guests: Sequence[Session]) -> None:
        try:
            page = self._store.history(conversation, 1, None, None, PAGE)
        except StoreUnavailable:
            return  # the next look asks again
        if conversation in self._lines:  # meanwhile one came
            return
        since = min(session.since for session in guests)
        due = [self._kept(each) for each in page.messages if each.time >= since and not each.erased]
        self._add(conversation, head).began = 1
        if due:
            self._gathering.give(due)

    def _kept(self, each: Remembered) -> Kept:
        post = Post(each.conversation, each.sender, each.to, each.text, each.time, None, each.device, each.id)
        return kept_of(post, each.seq, "", self._rooms)


def kept_of(post: Post, seq: int, said: str, rooms: Rooms) -> Kept:
    """What was kept by another node, as if it had been kept by this."""
    room = rooms.known(post.conversation) if post.conversation[:1] == "#" else None
    return Kept(post, seq, said, fold(post.sender), None, room, fold(post.to))


def _live(sessions: Iterable[Session], conversation: str) -> list[int]:
    """How far accounts' sessions are that take what comes live."""
    return [each.sent.get(conversation, 0) for each in sessions if each.account is not None and not each.behind]
