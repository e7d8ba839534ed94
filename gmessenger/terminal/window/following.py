"""Follows the link: what it tells goes into the book, on the screen, and back to the server as far as it was read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gmessenger.client import Accepted, Connected, Link, LinkEvent, Received, Rejected
from gmessenger.options import ClientOptions
from gmessenger.terminal import render
from gmessenger.terminal.journal import write_down
from gmessenger.terminal.window.acting import Acting
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.catching_up import CatchingUp
from gmessenger.terminal.window.conversation import Conversation
from gmessenger.terminal.words import N_, _, noted
from gmessenger.terminal_text import visible

BETWEEN_RINGS: Final = 1.0
"""Seconds: what has waited for a night comes all at once, and is worth one bell."""
LONGEST_WORDS: Final = 120
LAST_BY_NUMBER: Final = 9
FIRST_WORDS: Final = N_(
    "1 or /msg NAME sends a direct message, /join #ROOM joins a room, 2 or /help lists all commands, /keys all keys, "
    "3 or /quit quits."
)


class Following:
    """`failed` is told of an event that could not be dealt with; those behind it are."""

    def __init__(
        self,
        options: ClientOptions,
        link: Link,
        book: Book,
        acting: Acting,
        failed: Callable[[Exception], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._link = link
        self._book = book
        self._acting = acting
        self._failed = failed
        self._clock = clock
        self._catching_up = CatchingUp()
        self._rang_at = float("-inf")

    def run(self) -> None:
        """Until the link ends. Raises what it ended with."""
        for event in self._link:
            write_down(event, self._options)
            try:
                self._take(event)
            except Exception as error:
                self._failed(error)
            self._link.done()

    def _take(self, event: LinkEvent) -> None:
        before = len(self._book.conversations)
        rings = self._book.apply(event, time.time())
        if isinstance(event, Received) and len(self._book.conversations) > before:
            self._announce(self._book.conversations[-1])
        if isinstance(event, Connected):
            self._connected(event)
        if isinstance(event, Received):
            self._acting.desk.learn(event.delivery.sender)
        if (sentence := self._catching_up.note(event, self._link.unanswered)) is not None:
            self._acting.show(sentence, self._book.current)
        if isinstance(event, Accepted | Rejected):
            self._acting.drafts.touch()
            self._acting.used(event.message.to)
        if rings:
            self._ring(event)
        if self._acting.sight.at_bottom:
            self._acting.seen()
        self._acting.sight.invalidate()

    def _connected(self, event: Connected) -> None:
        acting = self._acting
        if not event.again:
            self._introduce()
        acting.desk.operator = event.operator
        acting.reading.on = self._link.account
        if event.anew:
            acting.begin_anew()
        acting.loading.new_line(account=self._link.account, hidden=acting.hidden)
        if event.blocks:
            acting.desk.learn_blocks()

    def _introduce(self) -> None:
        acting, home = self._acting, self._book.home
        acting.show(_("You are {name}.", name=visible(self._link.name)), home)
        if count := self._link.unanswered:
            acting.show(render.left_over(count), home)
        acting.show(_(FIRST_WORDS), home)

    def _announce(self, conversation: Conversation) -> None:
        """Somebody who has only just come need not know yet what the numbers at the left are for."""
        home, number = self._book.home, len(self._book.conversations) - 1
        if self._book.current is home and number <= LAST_BY_NUMBER:
            name = visible(conversation.name)
            words = _("{name} writes to you; Alt-{number} goes there, Alt-0 comes back", name=name, number=number)
            self._acting.show(noted(words), home)

    def _ring(self, event: LinkEvent) -> None:
        if self._clock() - self._rang_at < BETWEEN_RINGS:
            return
        self._rang_at = self._clock()
        said = event.delivery if isinstance(event, Received) else None
        words = f"{visible(said.sender)}: {visible(said.message)}"[:LONGEST_WORDS] if said else ""
        self._acting.sight.ring(words)
