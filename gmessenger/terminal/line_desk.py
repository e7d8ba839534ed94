"""The desk of line mode: it asks and answers by lines, one below the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gevent.queue import Full

from gmessenger.client import Link, fold
from gmessenger.errors import BadText, MessengerError
from gmessenger.terminal import answers, render
from gmessenger.terminal.commands import NOTES, help_text
from gmessenger.terminal.desk import Commanded, Dialogue
from gmessenger.terminal.input import ROOM_WITHIN, Lines
from gmessenger.terminal.passwords import Echo
from gmessenger.terminal.screen import Screen
from gmessenger.terminal.words import N_, _, noted
from gmessenger.terminal_text import visible

MAX_NUMBERED: Final = 1000
"""Conversations; what comes later has no number."""
MAX_LISTED: Final = 30
"""Conversations that the server knows, the newest first, which have numbers though nothing came from there."""
REPRINT: Final = N_("Ctrl-R redraws the line you are typing, after a message has interrupted it.")
KEYS: Final = N_(
    "  Ctrl-R  redraws the line you are typing\n  Ctrl-C  quits; pressed again, without waiting for answers\n  Ctrl-D  "
    "quits, at the beginning of a line"
)


class LineDesk(Commanded):
    """The `Desk` of line mode. `typed` says whether somebody types the lines."""

    def __init__(
        self, link: Link, screen: Screen, lines: Lines, echo: Echo, leave: Callable[[], None], *, typed: bool
    ) -> None:
        super().__init__(link, leave)
        self._screen = screen
        self._lines = lines
        self._echo = echo
        self._typed = typed
        self._refused: tuple[str, str] | None = None
        self._addressee: str | None = None
        self._numbered: dict[str, str] = {}

    @property
    def addressee(self) -> str | None:
        return self._addressee

    @addressee.setter
    def addressee(self, name: str | None) -> None:
        self._addressee = name
        if name is not None:
            self.learn(name)

    def learn(self, name: str) -> None:
        """Give a conversation a number, which it keeps."""
        if len(self._numbered) < MAX_NUMBERED:
            self._numbered.setdefault(fold(name), name)

    @property
    def asks(self) -> bool:
        return self._screen.prompting

    def show(self, text: str) -> None:
        self._screen.show(text)

    def hold(self, dialogue: Dialogue) -> None:
        with suppress(StopIteration):
            question = next(dialogue)
            while True:
                ask = self._ask_secret if question.secret else self._ask
                question = dialogue.send(ask(question.words))

    def _ask_secret(self, question: str) -> str | None:
        with self._echo.off():
            return self._ask(question)

    def _ask(self, question: str) -> str | None:
        return self._screen.ask(self._lines, question)

    def send(self, to: str, text: str) -> None:
        try:
            message = self._link.send(to, text, wait=0 if self._typed else ROOM_WITHIN)
        except Full:
            self._refuse(to, text, render.many_wait(self._link.unanswered))
        except BadText as error:
            self._refuse(to, text, str(error))
        else:
            if not self._link.connected:
                self.show(render.waiting(message))

    def _refuse(self, to: str, text: str, reason: str) -> None:
        self.was_refused(to, text)
        self.show(render.not_sent(to, text, reason))

    def was_refused(self, to: str, text: str) -> None:
        """Keep it, to be sent again."""
        self._refused = to, text

    def take_refused(self) -> tuple[str, str] | None:
        refused, self._refused = self._refused, None
        return refused

    def go(self, where: str) -> None:
        """Turn to a conversation by a number that `/go` shows, or by name; `@3` is the name 3."""
        names = list(self._numbered.values())
        if not where:
            self._list_conversations()
        elif not where.isdecimal():
            self.addressee = where.removeprefix("@")
        elif 1 <= int(where) <= len(names):
            self.addressee = names[int(where) - 1]
        else:
            self.show(noted(_("there is no conversation {name}; /go lists them", name=visible(where))))

    def _list_conversations(self) -> None:
        with suppress(MessengerError):  # the line is down, or the server does not know the question
            if self._link.connected:
                for each in self._link.conversations()[:MAX_LISTED]:
                    self.learn(each.with_)
        self.show(answers.conversations(list(enumerate(self._numbered.values(), 1)), self.addressee))

    def hide(self) -> None:
        self.addressee = None
        self.show(noted(_("text without a command has no recipient now")))

    def keys(self) -> None:
        self.show(_(KEYS))

    def help_text(self) -> str:
        return help_text(self._screen.width, _(NOTES), *([_(REPRINT)] if self._typed else []), operator=self.operator)
