"""What keys and typed lines bring about. Nothing here waits: the network and the disk are other greenlets' work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from gevent.queue import Full

from gmessenger.client import Found, Link, fold
from gmessenger.errors import BadText, ExitError
from gmessenger.terminal import render
from gmessenger.terminal.commands import Mistake, Order, hint, understand
from gmessenger.terminal.desk import DOWN
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.conversation import Conversation, Entry, State
from gmessenger.terminal.window.desk import WindowDesk
from gmessenger.terminal.window.drafts import Drafts, Kept
from gmessenger.terminal.window.loading import Loading
from gmessenger.terminal.window.reading import Reading
from gmessenger.terminal.window.work import Work
from gmessenger.terminal.words import _, noted
from gmessenger.terminal_text import visible

AGAIN_WITHIN: Final = 3.0
"""Seconds in which a second Ctrl-C means what the first one was asked about."""
NEWEST: Final = 200
"""Entries among which there can be such that wait."""


class Sight(Protocol):
    """The screen, as far as it is needed for this; everything may be called from any greenlet."""

    @property
    def at_bottom(self) -> bool: ...

    def run(self) -> None: ...

    def stop(self) -> None: ...

    def resume(self) -> None: ...

    def invalidate(self) -> None: ...

    def ring(self, words: str = "") -> None: ...

    def turn_to(self, conversation: Conversation) -> None: ...

    def show_entry(self, conversation: Conversation, entry: Entry) -> None: ...

    def ask(self, question: str, *, secret: bool, answered: Callable[[str | None], None]) -> None: ...


class End(Protocol):
    """How the mode is left."""

    @property
    def leaving(self) -> bool:
        """Whether it is being left, and only answers are waited for."""

    def leave(self) -> None: ...

    def interrupt(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Lanes:
    """None of them waits for what takes longer: what one says, commands, and what is fetched without being asked."""

    sending: Work
    ordering: Work
    fetching: Work


class Acting:
    """The `Actions` of the screen, and what the desk needs of it. `sight` is given as soon as there is one."""

    sight: Sight

    def __init__(self, link: Link, book: Book, lanes: Lanes, failed: Callable[[Exception], object], end: End) -> None:
        self._link = link
        self._book = book
        self._sending, self._fetching = lanes.sending, lanes.fetching
        self._end = end
        self._warned_at = float("-inf")
        self.desk = WindowDesk(link, book, lanes.ordering, self, end.leave)
        self.reading = Reading(link, failed)
        self.loading = Loading(link, book, lanes.fetching, self.reading, self._fetched)
        self.drafts: Drafts
        self.hidden: dict[str, int] = {}

    def submit(self, text: str) -> None:
        meaning = understand(text, operator=self.desk.operator)
        if isinstance(meaning, Order):
            meaning.carry_out(self.desk)
        elif isinstance(meaning, Mistake):
            self.show(noted(visible(meaning.sentence)))
        elif self._book.current is self._book.home:
            self.show(noted(visible(hint(meaning.text))))
        else:
            self.say(self._book.current.name, meaning.text)

    def look_at(self, conversation: Conversation) -> None:
        self.loading.turned_to(conversation)
        self.reading.seen(conversation)

    def seen(self) -> None:
        self._book.current.looked_at()
        self.reading.seen(self._book.current)

    def earlier(self, conversation: Conversation) -> None:
        self.loading.earlier(conversation)

    def edit_refused(self) -> str | None:
        refused = self.desk.take_refused()
        return refused[1] if refused is not None else None

    def complete_names(self) -> Sequence[str]:
        """Who is in this room, then with whom and where one talks, then who was heard of."""
        here = self._book.current
        others = {each.key: each.name for each in self._book if each.name}
        return list((here.members | others | self.desk.names).values())

    def complete_rooms(self) -> Sequence[str]:
        self.loading.rooms_wanted()
        return self.loading.rooms

    def typed(self) -> None:
        self.drafts.touch()

    def unanswered(self) -> int:
        return self._link.unanswered

    def interrupt(self) -> None:
        """A line that was empty already is no reason to be thrown out."""
        now = time.monotonic()
        if self._end.leaving or now - self._warned_at < AGAIN_WITHIN:
            self._end.interrupt()
        else:
            self._warned_at = now
            self.show(noted(_("press Ctrl-C again to quit")))

    def leave(self) -> None:
        self._end.leave()

    def say(self, to: str, text: str) -> None:
        entry = self._book.said(to, text, time.time())
        self.used(to)
        self.drafts.touch()
        if not self._sending.put(partial(self._send, entry, to, text)):
            entry.become(State.REFUSED, render.many_wait(self._link.unanswered))
        self.sight.invalidate()

    def show(self, text: str, where: Conversation | None = None) -> None:
        gone = where not in self._book.conversations
        self._book.notice(text, time.time(), self._book.current if gone else where)
        self.sight.invalidate()

    def turn_to(self, conversation: Conversation) -> None:
        self._book.look_at(conversation)  # at once: the next key may be in the same breath
        self.sight.turn_to(conversation)

    def jump(self) -> None:
        self.desk.jump(None)

    def jump_to(self, conversation: Conversation, hit: Found) -> None:
        """Open the conversation at the hit; where it is too far back, show the messages around it as a notice."""
        seq = hit.delivery.seq or 0

        def reached(entry: Entry | None) -> None:
            if entry is not None:
                self.sight.show_entry(conversation, entry)
            else:
                self.desk.show_around(hit)

        self.turn_to(conversation)
        if not self.loading.reach(conversation, seq, reached):
            self.show(noted(_(DOWN)))

    def hide(self, conversation: Conversation) -> None:
        if conversation is self._book.home:
            return self.show(noted(_("this conversation cannot be hidden")))
        if (seq := max(conversation.latest, conversation.head)) or conversation.is_room:
            self.hidden[conversation.key] = seq
        self._book.close(conversation)
        self.loading.hidden(conversation)
        self.turn_to(self._book.current)
        return self.drafts.touch()

    def used(self, name: str) -> None:
        """Whoever writes there or enters it wants to see it, also after the next start, however this one ends."""
        if self.hidden.pop(fold(name), None) is not None:
            self._fetching.put(self.drafts.save)

    def question(self, question: str, *, secret: bool, answered: Callable[[str | None], None]) -> None:
        self.sight.ask(question, secret=secret, answered=answered)

    def joined(self, room: Conversation) -> None:
        self.used(room.name)
        self.loading.joined(room)

    def registered(self) -> None:
        self.loading.account = self.reading.on = True

    def begin_anew(self) -> None:
        """What is known by its number is not known any more."""
        self.hidden.clear()
        self.reading.begin_anew()

    def restore(self, kept: Kept) -> None:
        """Put back what an earlier run left."""
        self.hidden = dict(kept.hidden)
        for name, draft in kept.shown.items():
            self._book.open(name).draft = draft

    def kept(self) -> Kept:
        """What is to be put back by the next run."""
        wanted = (each for each in self._book if (each.name or each.draft) and not each.came_to_nothing)
        shown = {each.name: self._unfinished(each) for each in wanted}
        return Kept(shown, {key: seq for key, seq in self.hidden.items() if self._book.find(key) is None})

    def _unfinished(self, conversation: Conversation) -> str:
        """The draft. Before it what a guest has said and nobody has answered: nothing else keeps that over a crash."""
        newest = conversation.entries[-NEWEST:] if not self._link.account else []
        waiting = [entry.typed for entry in newest if entry.state is State.WAITING]
        return "\n".join([*waiting, conversation.draft] if conversation.draft else waiting)

    def _send(self, entry: Entry, to: str, text: str) -> None:
        try:
            entry.message = self._link.send(to, text)
        except Full:
            entry.become(State.REFUSED, render.many_wait(self._link.unanswered))
        except (BadText, ExitError) as error:
            entry.become(State.REFUSED, render.why(error))
        self.sight.invalidate()

    def _fetched(self) -> None:
        if self.sight.at_bottom:
            self.seen()
        self.sight.invalidate()
