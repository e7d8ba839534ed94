"""What the keys do. Nothing here may wait: whatever takes time is asked of the `Actions`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Protocol

from prompt_toolkit.application import get_app

from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.conversation import Conversation
from gmessenger.terminal.window.entries import Entries
from gmessenger.terminal.window.input_line import InputLine
from gmessenger.terminal.window.scrollback import Scrollback
from gmessenger.terminal.words import counted

LONGEST: Final = 100_000
"""Characters of the input line; no server takes as much."""


class Actions(Protocol):
    """What the keys ask of the rest of the program. It never waits."""

    def submit(self, text: str) -> None:
        """Enter was pressed; the text may have several lines."""

    def look_at(self, conversation: Conversation) -> None:
        """The reader has turned to this conversation."""

    def seen(self) -> None:
        """The newest of the current conversation is in sight again."""

    def earlier(self, conversation: Conversation) -> None:
        """The reader has reached the first message that is here."""

    def edit_refused(self) -> str | None:
        """The newest refused message of the current conversation, which is to be written anew."""

    def complete_names(self) -> Sequence[str]:
        """Who may be meant, the likeliest first."""

    def complete_rooms(self) -> Sequence[str]:
        """The rooms there are, as far as is known. It asks for them, and does not wait."""

    def jump(self) -> None:
        """The next of what was found is wanted."""

    def typed(self) -> None:
        """The draft of the current conversation has changed."""

    def unanswered(self) -> int:
        """How many messages have not been answered by the server."""

    def interrupt(self) -> None:
        """Ctrl-C on an empty line."""

    def leave(self) -> None:
        """Ctrl-D on an empty line."""


class Hands:
    """What the keys do with the screen and the input line."""

    def __init__(self, book: Book, actions: Actions, scrollback: Scrollback, entries: Entries, line: InputLine) -> None:
        self._book, self._actions, self._line = book, actions, line
        self._scrollback, self._entries = scrollback, entries

    def enter(self) -> None:
        """Send what is written, or answer with it."""
        if self._line.question is not None:
            return self._line.answered()
        text = self._line.take()
        if not text.strip():
            return None
        self._to_bottom()
        return self._actions.submit(text)

    def new_line(self) -> None:
        if self._line.question is None:
            self._line.buffer.insert_text("\n")

    def paste(self, text: str) -> None:
        """Insert pasted text, without the newlines at its end; refuse it where the line would exceed LONGEST."""
        buffer, text = self._line.buffer, text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        if self._line.question is not None:  # which is answered in one line: a copied password often ends with a line
            buffer, text = self._line.answer, text.strip("\n").replace("\n", " ")
        if len(buffer.text) + len(text) <= LONGEST:
            return buffer.insert_text(text)
        said = counted("Not pasted: that is {count} character.", "Not pasted: that is {count} characters.", len(text))
        return self._book.notice(said, time.time(), self._book.current)

    def complete(self, by: int) -> None:
        """Take the next that is offered, or the one before; offer something where nothing is."""
        buffer = self._line.buffer
        if buffer.complete_state is None:
            buffer.start_completion(select_first=by > 0, select_last=by < 0)
        elif by > 0:
            buffer.complete_next()
        else:
            buffer.complete_previous()

    def turn_to(self, conversation: Conversation) -> None:
        """Have another conversation in sight, with its draft in the input line."""
        self._book.look_at(conversation)
        self._line.follow()
        self._scrollback.forget()
        self._actions.look_at(conversation)

    def step(self, by: int) -> None:
        self.turn_to(self._book.step(by))

    def go_to(self, number: int) -> None:
        if number < len(self._book.conversations):
            self.turn_to(self._book.conversations[number])

    def next_unread(self) -> None:
        if (conversation := self._book.next_unread()) is not None:
            self.turn_to(conversation)

    def page(self, pages: int) -> None:
        self._scrolled(self._scrollback.page(pages))

    def scroll(self, rows: int) -> None:
        self._scrolled(self._scrollback.scroll(rows))

    def to_top(self) -> None:
        self._scrollback.to_top()
        self._scrolled(hit_the_end=True)

    def to_marker(self) -> None:
        self._scrollback.to_marker()
        self._scrolled(hit_the_end=False)

    def to_bottom(self) -> None:
        self._to_bottom()

    def jump(self) -> None:
        self._actions.jump()

    def edit_refused(self) -> None:
        if (text := self._actions.edit_refused()) is not None:
            self._line.put(text)

    def bare(self) -> None:
        """Nothing but the text, or everything again."""
        self._entries.bare = not self._entries.bare

    def redraw(self) -> None:
        get_app().renderer.clear()

    def suspend(self) -> None:
        get_app().suspend_to_background()

    def interrupt(self) -> None:
        """Give up what is written or asked; where that is nothing, the program."""
        if self._line.question is not None:
            self._line.answered(with_nothing=True)
        elif self._line.buffer.text:
            self._line.take()
        else:
            self._actions.interrupt()

    def end(self) -> None:
        """Leave, unless something is written: then delete, as Ctrl-D does in a shell."""
        if self._line.question is not None:
            self._line.answered(with_nothing=True)
        elif self._line.buffer.text:
            self._line.buffer.delete()
        else:
            self._actions.leave()

    def _scrolled(self, hit_the_end: bool) -> None:
        current = self._book.current
        if hit_the_end and not current.complete and not current.loading:
            self._actions.earlier(current)
        if self._scrollback.at_bottom:
            self._actions.seen()

    def _to_bottom(self) -> None:
        if not self._scrollback.at_bottom:
            self._scrollback.to_bottom()
            self._actions.seen()
