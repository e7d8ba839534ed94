"""Somebody at a terminal comes to a server: asked for what is missing, and again where an answer was no good."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gmessenger.client import Link
from gmessenger.errors import Refused, Unreachable
from gmessenger.options import ClientOptions
from gmessenger.terminal.first import First
from gmessenger.terminal.input import Lines
from gmessenger.terminal.passwords import Echo, enter
from gmessenger.terminal.screen import Screen
from gmessenger.terminal.startup import Startup
from gmessenger.terminal.words import _, noted
from gmessenger.terminal_text import visible


class Arriving:
    """Connect and log in for a person at a terminal. `call` makes the link for options that are complete.

    retry_for: seconds for which a server that is not there yet is tried again; one that was typed at the question is
    asked for again instead.
    """

    def __init__(
        self,
        first: First,
        call: Callable[[ClientOptions], Link],
        screen: Screen,
        lines: Lines,
        echo: Echo,
        retry_for: float,
    ) -> None:
        self._first = first
        self._call = call
        self._screen = screen
        self._lines = lines
        self._echo = echo
        self._retry_for = retry_for
        self._let_in = False

    def find(self) -> Link | None:
        """A link to log in; None where there was no answer. Raises `Refused` or `Unreachable`.

        Where something was asked it is logged in already: what the server does not take is asked again.
        """
        while (options := self._first.ask()) is not None:
            link = self._call(options)
            if not self._first.has_asked or self._is_let_in(link):
                return link
        return None

    def log_in(self, link: Link) -> None:
        """To be called once, before anything else is shown. Raises `Refused` or `Unreachable`."""
        if not self._let_in:
            self._enter(link)
        self._first.entered(link)

    def _is_let_in(self, link: Link) -> bool:
        try:
            self._enter(link)
        except (Refused, Unreachable) as error:
            if not self._first.ask_again(error):
                raise
            link.abandon()
        else:
            self._let_in = True
        return self._let_in

    def _enter(self, link: Link) -> None:
        # Where the server was typed just now, the question comes again at once: it may have been a slip.
        seconds = 0.0 if self._first.has_asked_server else self._retry_for
        startup = Startup(seconds, self._screen.show, typed=self._screen.prompting)
        if self._screen.prompting:
            enter(link, partial(startup.start, link), lambda why: self._ask_password(link.name, why))
        else:
            startup.start(link)

    def _ask_password(self, name: str, why: str) -> str | None:
        self._screen.show(noted(visible(why)))
        with self._echo.off():
            return self._screen.ask(self._lines, _("Password for {name}: ", name=name))
