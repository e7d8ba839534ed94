"""The first run: whoever comes without a server and a name is asked for them, once, and for no more than that.

Asked in lines, before any mode takes the terminal over. The answers are remembered once the server has let them in, so
that a slip of the finger is not; the password never.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from gmessenger import places
from gmessenger.client import Link
from gmessenger.commandline import CLIENT
from gmessenger.errors import FileProblem, MessengerError, PasswordExposed, Refused, Unreachable, WireError
from gmessenger.given import COMMAND_LINE, DEFAULT, file_read, given
from gmessenger.hosts import split_host_port
from gmessenger.options import ClientOptions, written
from gmessenger.terminal.input import Lines
from gmessenger.terminal.passwords import TRIES, Echo
from gmessenger.terminal.remembering import remember
from gmessenger.terminal.render import why
from gmessenger.terminal.screen import Screen
from gmessenger.terminal.words import N_, _, noted
from gmessenger.terminal_text import visible

PLACE: Final = ("host", "port", "tls", "ca", "pin")
"""What belongs together, to find a server again and to trust no other one."""
OFFER: Final = N_(
    "you are a guest: your name is reserved only until you leave. With a password it becomes your account, and "
    "messages are stored for you while you are away."
)
ASKS_NOTHING: Final = N_("saved in {file}: {what}; the next start asks no questions")
ASKS_FOR_PASSWORD: Final = N_("saved in {file}: {what}; the next start asks only for the password")
BY_INVITE: Final = "invite"
OFFERED: Final = frozenset({"open", BY_INVITE})


class First:
    """Asks somebody at a terminal for what was not given, and for nothing that was."""

    def __init__(
        self,
        options: ClientOptions,
        arguments: Sequence[str],
        screen: Screen,
        lines: Lines,
        echo: Echo,
        environ: Mapping[str, str] = os.environ,
        *,
        password_given: bool = False,
    ) -> None:
        """With `password_given`, by a file or the environment, it is not asked for at the next start either."""
        self._options = options
        self._arguments = arguments
        self._environ = environ
        self._screen = screen
        self._lines = lines
        self._echo = echo
        self._password_given = password_given
        self._port = options.port
        self._server = ""
        """As it was typed."""
        self._to_ask: list[Callable[[], bool]] = []
        self._asked: list[Callable[[], bool]] = []
        """Those that were answered. Each says whether there was an answer."""
        self._file: Path | None = None
        """Where to remember what was asked; None where nothing was, or where there is no file of one's own."""
        self._place: Sequence[str] = ()
        """Those options of PLACE that are to be remembered."""

    @property
    def has_asked(self) -> bool:
        return bool(self._asked)

    @property
    def has_asked_server(self) -> bool:
        return self._ask_server in self._asked

    def ask(self) -> ClientOptions | None:
        """The options with a server and a name; None where there was no answer."""
        if not self._options.name:
            self._to_ask = [*self._find_server(), self._ask_name]
        while self._to_ask:
            if not self._to_ask[0]():
                return None
            self._asked.append(self._to_ask.pop(0))
        return self._options

    def ask_again(self, error: Refused | Unreachable) -> bool:
        """Whether it can help to ask once more what was asked: then it is said why, and the next `ask` does."""
        cause, question = error.__cause__, self._ask_server if isinstance(error, Unreachable) else self._ask_name
        hopeless = isinstance(error, Refused) and (
            not isinstance(cause, WireError) or isinstance(cause, PasswordExposed)
        )
        if hopeless or question not in self._asked or not self._screen.prompting:
            return False
        self._say(why(error))
        self._to_ask = [question]
        return True

    def entered(self, link: Link) -> None:
        """To be called once, logged in: offers a guest an account, and remembers what was asked."""
        if self._file is not None:
            if link.registration in OFFERED:
                self._offer(link)
            self._remember(self._file, link)

    def _find_server(self) -> list[Callable[[], bool]]:
        """Where the server is to be asked for, the question."""
        if not self._screen.prompting:
            return []
        sources = {each.row.key: each.source for each in given(CLIENT, self._arguments, self._environ)[1]}
        own, read = places.config_file(CLIENT.section, self._environ), file_read(CLIENT, self._arguments, self._environ)
        self._file = own if read in (None, str(own)) else None
        if sources["host"] in (DEFAULT, COMMAND_LINE):
            self._place = ["host", *(key for key in PLACE if sources[key] == COMMAND_LINE and key != "host")]
        return [self._ask_server] if sources["host"] == DEFAULT else []

    def _ask_server(self) -> bool:
        question = _("Server [{usual}]: ", usual=self._server or self._options.host)
        while (answer := self._answer(question)) is not None:
            with suppress(ValueError):
                host, port = split_host_port(answer or self._server or self._options.host)
                self._server = answer or self._server
                self._options = replace(self._options, host=host, port=port or self._port)
                self._place = [*(key for key in self._place if key != "port"), "port"] if port else self._place
                return True
            self._say(_("a server is HOST or HOST:PORT, as in chat.example.org or 192.0.2.7:7777"))
        return False

    def _ask_name(self) -> bool:
        usual = self._options.name or ""
        question = _("Your name [{usual}]: ", usual=usual) if usual else _("Your name: ")
        answer = ""
        while not answer:
            if (heard := self._answer(question)) is None:
                return False
            answer = heard or usual
        self._options = replace(self._options, name=answer)
        return True

    def _answer(self, question: str) -> str | None:
        answer = self._screen.ask(self._lines, question)
        return answer.strip() if answer is not None else None

    def _say(self, sentence: str) -> None:
        self._screen.show(noted(sentence))

    def _ask_unseen(self, question: str) -> str:
        with self._echo.off():
            return self._screen.ask(self._lines, question) or ""

    def _offer(self, link: Link) -> None:
        name = visible(link.name)
        self._say(_(OFFER))
        for _try in range(TRIES):
            password = self._ask_unseen(_("A password for {name} (Enter: not now): ", name=name))
            if not password:
                return self._say(_("not registered; /register does it at any time"))
            if self._register(link, password):
                return None
        return self._say(_("nothing is registered; /register does it at any time"))

    def _register(self, link: Link, password: str) -> bool:
        """Whether the name is an account now; else it was said why not."""
        if password != self._ask_unseen(_("Repeat the password: ")):
            self._say(_("the passwords differ"))
            return False
        invite = self._answer(_("Your invitation code: ")) if link.registration == BY_INVITE else None
        try:
            link.register(password, invite or None)
        except MessengerError as error:
            self._say(why(error))
            return False
        self._say(_("{name} is now your account; logging in needs its password", name=link.name))
        return True

    def _remember(self, file: Path, link: Link) -> None:
        values = {key: written(getattr(self._options, key)) for key in (*self._place, "name")}
        name = {"name": values.pop("name")}
        try:
            new = remember(file, values, name)
        except FileProblem as error:
            return self._say(why(error))
        what = ", ".join(f"{key} = {value}" for key, value in new.items())
        if not new:
            return None
        wants_password = link.account and not self._password_given
        said = _(ASKS_FOR_PASSWORD if wants_password else ASKS_NOTHING, file=str(file), what=what)
        return self._say(visible(said))
