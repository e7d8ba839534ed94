"""The desk of the full screen: what commands bring is shown in the conversation they were typed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from gmessenger.client import Found, Link, fold
from gmessenger.terminal import answers
from gmessenger.terminal.commands import help_text
from gmessenger.terminal.desk import Commanded, Dialogue
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.conversation import Conversation
from gmessenger.terminal.window.finding import meant
from gmessenger.terminal.window.keys import keys_text
from gmessenger.terminal.window.panes import shown_name
from gmessenger.terminal.window.work import Work
from gmessenger.terminal.words import N_, _, noted
from gmessenger.terminal_text import visible

NOTES: Final = N_(
    "Text without a command goes to the conversation shown. //text sends a text that begins with a slash."
)
FEW: Final = 10
MOST_NAMES: Final = 5000
"""What is heard of first is forgotten first."""
ANY_WIDTH: Final = 10_000
"""The screen breaks tables by itself, and again when its width changes."""


class Screen(Protocol):
    """What a desk needs of the full screen around it."""

    def say(self, to: str, text: str) -> None:
        """Have it sent."""

    def show(self, text: str, where: Conversation | None = None) -> None:
        """Show lines, where one is looking unless it is said `where`."""

    def turn_to(self, conversation: Conversation) -> None: ...

    def jump_to(self, conversation: Conversation, hit: Found) -> None:
        """Turn to a message that was found, which may have to be fetched."""

    def hide(self, conversation: Conversation) -> None: ...

    def question(self, question: str, *, secret: bool, answered: Callable[[str | None], None]) -> None:
        """Ask in the input line."""

    def joined(self, room: Conversation) -> None: ...

    def registered(self) -> None:
        """The name is an account from now on."""


class WindowDesk(Commanded):
    """The `Desk` of the full screen. Nothing here waits: what has to is done by `orders`, one after the other."""

    def __init__(self, link: Link, book: Book, orders: Work, screen: Screen, leave: Callable[[], None]) -> None:
        super().__init__(link, leave)
        self._book = book
        self._orders = orders
        self._screen = screen
        self.names: dict[str, str] = {}
        """Whom and which rooms one has been told of, by their folded names: what may be meant by a few letters."""

    @property
    def addressee(self) -> str | None:
        return self._book.current.name or None

    @addressee.setter
    def addressee(self, name: str | None) -> None:
        if name is not None:
            self._screen.turn_to(self._book.open(name))

    @property
    def asks(self) -> bool:
        return True

    def show(self, text: str) -> None:
        self._screen.show(text)

    def hold(self, dialogue: Dialogue, answer: str | None = None) -> None:
        """Each question is there before the next key, lest a password typed in haste go to somebody."""
        with suppress(StopIteration):
            question = dialogue.send(answer)
            self._screen.question(question.words, secret=question.secret, answered=partial(self.hold, dialogue))

    def send(self, to: str, text: str) -> None:
        self._screen.say(to, text)

    def take_refused(self) -> tuple[str, str] | None:
        here = self._book.current
        refused = here.last_refused()
        if refused is None:
            return None
        here.entries.remove(refused)
        here.taken_back = True
        return here.name, refused.typed

    def history(self, count: int) -> None:
        """It is here already, or comes when one scrolls to it."""
        self.show(noted(_("earlier messages are above: PgUp scrolls to them")))

    def status_is(self, status: str) -> None:
        self._book.presence[fold(self._book.me)] = status

    def go(self, where: str) -> None:
        if not where:
            names = [(number, shown_name(each)) for number, each in enumerate(self._book)]
            return self.show(answers.conversations(names, shown_name(self._book.current)))
        if (found := meant(self._book, where)) is not None:
            self._screen.turn_to(found)
        else:
            words = _("there is no conversation {name}; /msg NAME or /join #ROOM starts one", name=visible(where))
            self.show(noted(words))
        return None

    def jump_to(self, hit: Found) -> None:
        self._screen.jump_to(self._book.open(hit.with_), hit)

    def hide(self) -> None:
        self._screen.hide(self._book.current)

    def keys(self) -> None:
        self.show(keys_text())

    def help_text(self) -> str:
        return help_text(ANY_WIDTH, _(NOTES), operator=self.operator)

    def learn(self, *names: str) -> None:
        """These may be meant."""
        self.names |= {fold(name): visible(name) for name in names}
        while len(self.names) > MOST_NAMES:
            del self.names[next(iter(self.names))]

    def learn_blocks(self) -> None:
        """At once: what blocked people have said in rooms meanwhile comes next."""
        if said := self._outcome(self._learn):
            self._screen.show(said)

    def _answered(self, ask: Callable[[], str | None]) -> None:
        here = self._book.current
        if not self._orders.put(lambda: self._carry_out(ask, here)):
            self.show(noted(_("too many commands are already waiting for an answer")))

    def _carry_out(self, ask: Callable[[], str | None], here: Conversation) -> None:
        if said := self._outcome(ask):
            self._screen.show(said, here)

    def _join(self, room: str) -> str:
        here = self._book.current
        answer = self._link.join(room)
        conversation = self._book.open(room)
        conversation.members = {fold(name): visible(name) for name in answer.members or ()}
        conversation.topic = visible(answer.topic or "")
        self._screen.joined(conversation)
        self._screen.show(answers.entered(room, _some(answer.members or ()), answer.topic or ""), conversation)
        if self._book.current is here:  # not to pull away somebody who has turned elsewhere meanwhile
            self._screen.turn_to(conversation)
        return ""

    def _set_topic(self, room: str, topic: str) -> str:
        said = super()._set_topic(room, topic)
        self._book.open(room).topic = visible(topic)
        return said

    def _register(self, password: str, invite: str) -> str:
        said = super()._register(password, invite)
        self._screen.registered()
        return said


def _some(names: Sequence[str]) -> Sequence[str]:
    """The first of them: all are in the list of members."""
    return names if len(names) <= FEW else [*names[:FEW], "…"]
