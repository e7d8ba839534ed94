"""Line mode: what is typed goes out a line at a time, what comes in is shown below. For a terminal and for a pipe."""

from __future__ import annotations

from collections.abc import Callable

from gevent import Greenlet

from gmessenger.client import Accepted, Connected, Delivered, Link, LinkEvent, Lost, Received, Rejected, SentElsewhere
from gmessenger.options import ClientOptions
from gmessenger.terminal import render
from gmessenger.terminal.attention import Attention
from gmessenger.terminal.commands import Mistake, Order, hint, understand
from gmessenger.terminal.ending import HURRY, INTERRUPTED, Ending
from gmessenger.terminal.input import Cut, Lines
from gmessenger.terminal.journal import write_down
from gmessenger.terminal.line_desk import LineDesk
from gmessenger.terminal.marks import Marks
from gmessenger.terminal.parting import AT_ONCE, await_answers
from gmessenger.terminal.passwords import Echo
from gmessenger.terminal.screen import Screen
from gmessenger.terminal.words import _, noted
from gmessenger.terminal_text import visible


class LineMode:
    """A conversation by lines, and its beginning and end."""

    def __init__(
        self,
        options: ClientOptions,
        link: Link,
        screen: Screen,
        lines: Lines,
        ending: Ending,
        echo: Echo,
        *,
        typed: bool,
        log_in: Callable[[Link], None],
    ) -> None:
        """`log_in` asks what it has to before anything else is shown."""
        self._options = options
        self._link = link
        self._screen = screen
        self._lines = lines
        self._ending = ending
        self._desk = LineDesk(link, screen, lines, echo, self.leave, typed=typed)
        self._log_in = log_in
        self._marks = Marks()
        self._attention = Attention(link)
        self._leaving = False
        self._following: Greenlet[..., object] | None = None

    def run(self) -> None:
        """Log in, then talk until somebody has enough. Raises `Unreachable` or `Refused`."""
        self._log_in(self._link)
        self._following = self._ending.spawn(self._follow)
        self._ask()
        for line in self._lines:
            self._screen.typed()
            self._attention.typed()
            self._take(line)
            if self._leaving:
                return
            self._ask()
        self.leave()

    def interrupt(self) -> None:
        """Ctrl-C: leave, with little patience; the second time at once."""
        if self._leaving:
            self._ending.leave(INTERRUPTED)
        else:
            self._leave_within(HURRY)

    def leave(self) -> None:
        self._leave_within(self._options.answer_timeout)

    def _take(self, line: str | Cut) -> None:
        if isinstance(line, Cut):
            return self._screen.show(noted(_("not sent: a line can have at most {limit}", limit=render.too_long(line))))
        meaning = understand(line, operator=self._desk.operator)
        if isinstance(meaning, Order):
            return meaning.carry_out(self._desk)
        if isinstance(meaning, Mistake):
            return self._screen.show(noted(visible(meaning.sentence)))
        return self._say(meaning.text)

    def _say(self, text: str) -> None:
        if text and self._desk.addressee is not None:
            self._desk.send(self._desk.addressee, text)
        elif text:
            self._screen.show(noted(visible(hint(text))))

    def _ask(self) -> None:
        self._screen.prompt(_("to {name}> ", name=to) if (to := self._desk.addressee) else "> ")

    def _follow(self) -> None:
        for event in self._link:
            write_down(event, self._options)
            if isinstance(event, Connected):
                self._take_up(event)
            told = self._told(event)
            if told is not None:
                self._screen.show(told, ring=self._attention.shown(event) and self._options.bell)
                if not self._screen.finish():
                    return  # there is no terminal any more; only what was shown may be acknowledged
                self._link.done()
            if self._ending.over:
                return

    def _take_up(self, event: Connected) -> None:
        self._desk.operator = event.operator
        if event.blocks:
            self._desk.learn_blocks()

    def _told(self, event: LinkEvent) -> str | None:
        if isinstance(event, Accepted):
            self._marks.accepted(event)
        if isinstance(event, Rejected):
            self._desk.was_refused(event.message.to, event.message.text)
        if isinstance(event, Delivered) and not self._marks.is_news(event):
            return None
        if isinstance(event, Received) and event.delivery.to.startswith("#") and self._desk.hides(event.delivery):
            return None
        if isinstance(event, Received | SentElsewhere) and event.delivery.broadcast is not True:
            self._desk.learn(self._with(event))
        if isinstance(event, Lost) and event.attempt == 1:
            return render.cut(event)
        return self._arrived(event) if isinstance(event, Connected) else render.told(event)

    def _with(self, event: Received | SentElsewhere) -> str:
        """The conversation that a message belongs to."""
        delivery = event.delivery
        direct = isinstance(event, Received) and not delivery.to.startswith("#")
        return delivery.sender if direct else delivery.to

    def _arrived(self, event: Connected) -> str:
        """What one wants to know besides, at a terminal."""
        unanswered = self._link.unanswered
        if event.again and unanswered:
            return render.back(unanswered)
        told = render.told(event) or ""
        if event.again:
            return told
        left_over = [render.left_over(unanswered)] if unanswered else []
        return "\n".join(
            (told, _("You are {name}.", name=visible(self._link.name)), *left_over, self._desk.help_text())
        )

    def _leave_within(self, seconds: float) -> None:
        self._leaving = True
        self._screen.clear()
        unsaid = await_answers(self._link, seconds, self._screen.show)
        self._screen.finish(AT_ONCE)
        self._link.abandon()
        if self._following is not None:
            self._following.join(HURRY)
        if unsaid is not None:
            self._ending.fail(unsaid)
        else:
            self._ending.leave()
