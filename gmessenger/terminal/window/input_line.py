"""The input line: what one is writing, which belongs to the conversation that is in sight, and answers to questions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completer
from prompt_toolkit.document import Document
from prompt_toolkit.layout import Layout

from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.conversation import Conversation
from gmessenger.terminal.window.recalling import Remembered

PRIVATE: Final = "/register "
"""The beginning of a line that goes into no file: there may be an invitation behind it."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is to be answered in place of the input line; `answered` gets None where it is not."""

    words: str
    secret: bool
    answered: Callable[[str | None], None]


class InputLine:
    """What is typed. `typed` is called whenever the draft of the current conversation has changed."""

    def __init__(self, book: Book, completer: Completer, history: Path, typed: Callable[[], None]) -> None:
        self._book, self._typed = book, typed
        self._owner: Conversation = book.current
        self._questions: deque[Question] = deque()
        self.buffer = Buffer(
            document=Document(book.current.draft),
            completer=completer,
            complete_while_typing=True,
            history=Remembered(history),
            on_text_changed=lambda _: self._changed(),
        )
        self.answer = Buffer(multiline=False)

    @property
    def question(self) -> Question | None:
        """The one that is to be answered now."""
        return self._questions[0] if self._questions else None

    def follow(self) -> None:
        """See that what is being written is the draft of the conversation that is in sight now, and no other's."""
        if self._owner is not self._book.current:
            self._owner.draft = self.buffer.text
            self._owner = self._book.current
        elif self.buffer.text or not self._owner.draft:  # unless an earlier run has left something
            return
        self.buffer.reset(Document(self._owner.draft))  # with the text, what could be undone is another's

    def focus(self, layout: Layout) -> None:
        """See that what is typed goes to the question, if there is one."""
        wanted, other = (self.answer, self.buffer) if self._questions else (self.buffer, self.answer)
        if layout.buffer_has_focus and layout.current_buffer is other:
            layout.focus(wanted)

    def put(self, text: str) -> None:
        """Have this written there instead of what is; that can be had back from the history."""
        if self.buffer.text != text:
            self._remember()
        self.buffer.text = text
        self.buffer.cursor_position = len(text)

    def take(self) -> str:
        """What was written; there is nothing any more, but it can be had back from the history."""
        text = self.buffer.text
        self._remember()
        self.buffer.reset()
        self._changed()
        return text

    def ask(self, question: Question) -> None:
        """After those that were asked before."""
        self._questions.append(question)

    def answered(self, *, with_nothing: bool = False) -> None:
        """The question is answered by what is typed, or not at all."""
        question, text = self._questions.popleft(), self.answer.text
        self.answer.reset()
        question.answered(None if with_nothing else text)

    def answer_nothing(self) -> None:
        """There is nobody any more to answer."""
        while self._questions:
            self.answered(with_nothing=True)

    def _remember(self) -> None:
        if self.buffer.text.strip() and not self.buffer.text.casefold().startswith(PRIVATE):
            self.buffer.append_to_history()

    def _changed(self) -> None:
        if self._owner.draft != self.buffer.text:
            self._owner.draft = self.buffer.text
            self._typed()
