"""Line mode: what is typed goes out a line at a time, what comes in is shown below. For a terminal and for a pipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gevent import Greenlet
from gevent.queue import Full

from gmessenger.client import Connected, Link, LinkEvent, Lost
from gmessenger.errors import BadText, MessengerError, NotAllSent
from gmessenger.logs import log_calls
from gmessenger.options import ClientOptions
from gmessenger.terminal import render
from gmessenger.terminal.commands import Mistake, Order, help_text, hint, understand
from gmessenger.terminal.ending import HURRY, INTERRUPTED, Ending
from gmessenger.terminal.input import ROOM_WITHIN, Cut, Lines
from gmessenger.terminal.journal import write_down
from gmessenger.terminal.screen import Screen
from gmessenger.terminal.visible import visible

AT_ONCE: Final = 0.3
"""Seconds that answers usually take; waiting any longer is worth a word."""
REPRINT: Final = "Ctrl-R shows what you have begun to type again, after a message came in between."


class LineMode:
    """A conversation by lines: the `Desk` at which commands are carried out."""

    def __init__(
        self, options: ClientOptions, link: Link, screen: Screen, lines: Lines, ending: Ending, *, typed: bool
    ) -> None:
        self._options = options
        self._link = link
        self._screen = screen
        self._lines = lines
        self._ending = ending
        self._typed = typed
        self._addressee: str | None = None
        self._leaving = False
        self._following: Greenlet[..., object] | None = None

    def run(self) -> None:
        """Log in, then talk until somebody has enough. Raises `Unreachable` or `Refused`."""
        self._link.start()
        self._following = self._ending.spawn(self._follow)
        self._ask()
        for line in self._lines:
            self._screen.typed()
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

    @log_calls("to")
    def message(self, to: str, text: str) -> None:
        self._addressee = to
        if text:
            self._send(to, text)

    def ask_for_message(self) -> None:
        to = (self._screen.ask(self._lines, "To whom? ") or "").strip()
        text = self._screen.ask(self._lines, f"Text for {to}: ") if to else ""
        if text:
            self.message(to, text)
        else:
            self._screen.show("-- nothing sent")

    @log_calls()
    def users(self) -> None:
        self._answered(lambda: self._screen.show(render.users(self._link.users(), self._link.name)))

    @log_calls()
    def status(self, status: str) -> None:
        self._answered(lambda: self._link.status(status))

    def help(self) -> None:
        self._screen.show(self._help())

    def leave(self) -> None:
        self._leave_within(self._options.answer_timeout)

    def _take(self, line: str | Cut) -> None:
        if isinstance(line, Cut):
            return self._screen.show(f"-- not sent: a line can have at most {line.limit} {line.of}")
        meaning = understand(line)
        if isinstance(meaning, Order):
            return meaning.carry_out(self)
        if isinstance(meaning, Mistake):
            return self._screen.show(f"-- {visible(meaning.sentence)}")
        return self._say(meaning.text)

    def _say(self, text: str) -> None:
        if text and self._addressee is not None:
            self._send(self._addressee, text)
        elif text:
            self._screen.show(f"-- {visible(hint(text))}")

    def _send(self, to: str, text: str) -> None:
        try:
            message = self._link.send(to, text, wait=0 if self._typed else ROOM_WITHIN)
        except Full:
            self._screen.show(render.not_sent(to, text, f"{self._link.unanswered} messages are waiting already."))
        except BadText as error:
            self._screen.show(render.not_sent(to, text, str(error)))
        else:
            if not self._link.connected:
                self._screen.show(render.waiting(message))

    def _answered(self, ask: Callable[[], object]) -> None:
        """Ask the server something, or say why not."""
        if not self._link.connected:
            return self._screen.show("-- the line is down; ask again when it is back")
        try:
            ask()
        except MessengerError as error:
            self._screen.show(f"-- {visible(str(error))}")

    def _ask(self) -> None:
        self._screen.prompt(f"to {self._addressee}> " if self._addressee else "> ")

    def _follow(self) -> None:
        for event in self._link:
            write_down(event, self._options)
            told = render.told(event)
            if told is not None:
                self._screen.show(told + self._remark(event))

    def _remark(self, event: LinkEvent) -> str:
        """What one wants to know besides, at a terminal."""
        if isinstance(event, Lost) and event.attempt == 1:
            return "; what you type meanwhile is sent then"
        if isinstance(event, Connected) and event.again:
            return f"; sending {count} now" if (count := self._link.unanswered) else ""
        if isinstance(event, Connected):
            return f"\nYou are {visible(self._link.name)}.\n{self._help()}"
        return ""

    def _help(self) -> str:
        return help_text(self._screen.width, *([REPRINT] if self._typed else []))

    def _leave_within(self, seconds: float) -> None:
        self._leaving = True
        self._screen.clear()
        left = self._link.flush(AT_ONCE)
        if left:
            self._screen.show(f"-- waiting for {left} to be answered; Ctrl-C leaves at once")
            left = self._link.flush(seconds)
        self._link.close()
        if self._following is not None:
            self._following.join(HURRY)
        if left:
            self._ending.fail(NotAllSent(f"Messages that were not answered, and may be lost: {left}."))
        else:
            self._ending.leave()
