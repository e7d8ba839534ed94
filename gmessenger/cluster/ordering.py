"""Ordering: what several nodes keep of one conversation is brought to its sessions here in the order of its seqs.

A node that has seq n takes n + 1 as it comes, its own or another's. What comes before its turn waits a moment for what
is between; what does not come is read from the store, once for everybody here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gevent.lock import BoundedSemaphore
from msgspec import Struct, field

from gmessenger.chat.delivery import Delivery, Kept, Spawn
from gmessenger.chat.gathering import Gathering
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
READERS: Final = 4
PAGE: Final = 200
STORE_PAUSE: Final = 1.0


class Line(Struct):
    """A conversation that somebody here is in. Up to `at` everything has been brought; `early` are those whose turn has
    not come, `head` is known of.
    """

    at: int
    early: dict[int, Kept] = field(default_factory=dict)
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
        conversation = kept[0].post.conversation
        sessions = self._sessions(conversation)
        line = self._line(conversation, sessions, kept[0].seq)
        if line is None:
            return
        for each in kept:
            if each.seq > line.at:
                line.early[each.seq] = each
        self._bring(line, sessions)
        if line.early:
            self._wait_for_others(conversation, line)

    def heads(self, heads: Iterable[tuple[str, int]]) -> None:
        """Conversations have got as far as this: look, a little later, whether everybody here has it."""
        new: dict[str, int] = {}
        for key, head in heads:
            room = self._rooms.known(key)
            if room is not None:
                room.head = max(room.head, head)
            line = self._lines.get(key)
            if line is None or line.at < head:
                new[key] = head
        if new and not self._doubtful:
            self._later(SETTLING_TAKES, self._look)
        self._doubtful |= new

    def forget(self, conversation: str) -> None:
        """It is over: should there be one of that key again, its seqs begin anew."""
        self._lines.pop(conversation, None)
        self._doubtful.pop(conversation, None)

    def give_owed(self, session: Session, cursors: Mapping[str, int]) -> None:
        """A guest becomes an account that is owed nothing up to its cursors: what was on its way to it comes now.

        Raises `StoreUnavailable`.
        """
        for conversation, head in cursors.items():
            while (sent := session.sent.get(conversation, 0)) < head:
                page = self._store.history(conversation, 1, None, sent, PAGE)
                for each in page.messages:
                    if session.sent.get(conversation, 0) < each.seq <= head:
                        self._delivery.deliver(self._kept(each), (session,))
                session.sent[conversation] = max(
                    session.sent.get(conversation, 0), page.messages[-1].seq if page.more and page.messages else head
                )

    def _look(self) -> None:
        doubtful, self._doubtful = self._doubtful, {}
        for conversation, head in doubtful.items():
            line = self._line(conversation, self._sessions(conversation), head + 1)
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

    def _line(self, conversation: str, sessions: Sequence[Session], seq: int) -> Line | None:
        """The line of a conversation that has got to `seq`, begun where those are who take what comes live.

        None where nobody here is in it: whoever comes into it begins at its end.
        """
        line = self._lines.get(conversation)
        if not sessions:
            if line is not None and not line.filling:
                del self._lines[conversation]
            return None
        if line is None:
            live = [each.sent.get(conversation, 0) for each in sessions if not each.behind]
            self._make_room()
            line = self._lines[conversation] = Line(min(live, default=seq - 1))
        return line

    def _make_room(self) -> None:
        if len(self._lines) >= MOST_LINES:
            for key in [key for key, line in self._lines.items() if not line.early and not line.filling][::2]:
                del self._lines[key]

    def _bring(self, line: Line, sessions: Sequence[Session]) -> None:
        run: list[Kept] = []
        while (kept := line.early.pop(line.at + 1, None)) is not None:
            run.append(kept)
            line.at += 1
        if run:
            self._gathering.give(run, sessions)

    def _wait_for_others(self, conversation: str, line: Line) -> None:
        if len(line.early) > MOST_EARLY:
            line.head = max(line.head, *line.early)
            line.early.clear()  # they are read with the others
        if not line.filling:
            line.filling = True
            self._later(HINTS_TAKE, lambda: self._fill_or_not(conversation, line))

    def _fill_or_not(self, conversation: str, line: Line) -> None:
        line.filling = False
        self._fill_soon(conversation, line)

    def _fill_soon(self, conversation: str, line: Line) -> None:
        if not line.filling and (line.early or line.at < line.head):
            line.filling = True
            self._spawn("filling a gap", self._fill, conversation, line)

    def _fill(self, conversation: str, line: Line) -> None:
        try:
            with self._places:
                while (line.early or line.at < line.head) and self._lines.get(conversation) is line:
                    self._read_on(conversation, line)
        except StoreUnavailable:
            self._later(STORE_PAUSE, lambda: self._fill_soon(conversation, line))
        finally:
            line.filling = False

    def _read_on(self, conversation: str, line: Line) -> None:
        before = line.at
        page = self._store.history(conversation, 1, None, before, PAGE)
        for each in page.messages:
            if each.seq > line.at:
                line.early[each.seq] = self._kept(each)
        self.filled += len(page.messages)
        if page.first > line.at + 1:  # what is between is kept no more
            line.at = page.first - 1
        if not page.messages and line.at == before:  # somebody tells of what there is not
            line.early.clear()
            line.head = line.at
        self._bring(line, self._sessions(conversation))

    def _kept(self, each: Remembered) -> Kept:
        post = Post(each.conversation, each.sender, each.to, each.text, each.time, None, each.device, each.id)
        return kept_of(post, each.seq, "", self._rooms, each.erased)


def kept_of(post: Post, seq: int, said: str, rooms: Rooms, erased: bool = False) -> Kept:
    """What was kept by another node, as if it had been kept by this."""
    room = rooms.known(post.conversation) if post.conversation[:1] == "#" else None
    return Kept(post, seq, said, fold(post.sender), None, room, fold(post.to), erased)
