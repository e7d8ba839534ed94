"""The first run: whoever comes without a server and a name is asked for them, once, and for no more than that.

Asked in lines, before any mode takes the terminal over. The answers are remembered once the server has let them in, so
that a slip of the finger is not; the password never.

Somebody at a terminal comes to a server: asked for what is missing, and again where an answer was no good.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from gmessenger import paths
from gmessenger.client import Client
from gmessenger.config.options import ClientOptions, format_value
from gmessenger.config.parser import CLIENT
from gmessenger.config.sources import COMMAND_LINE, DEFAULT, config_file_in_use, resolve_sources
from gmessenger.errors import FileError, InsecureTransport, MessengerError, Refused, Unreachable, WireError
from gmessenger.hosts import split_host_port
from gmessenger.sanitize import sanitize
from gmessenger.terminal.format_events import format_reason
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.lifecycle import StartupRetry
from gmessenger.terminal.line_terminal import LineTerminal
from gmessenger.terminal.passwords import MAX_PASSWORD_ATTEMPTS, EchoControl, log_in_with_password
from gmessenger.terminal.saved_config import save_values
from gmessenger.terminal.stdio import StdinReader

SERVER_OPTIONS: Final = ("host", "port", "tls", "ca", "pin")
"""What belongs together, to find a server again and to trust no other one."""
ACCOUNT_OFFER: Final = N_(
    "you are a guest: your name is reserved only until you leave. With a password it becomes your account, and "
    "messages are stored for you while you are away."
)
SAVED: Final = N_("saved in {file}: {what}; the next start asks no questions")
SAVED_BUT_PASSWORD: Final = N_("saved in {file}: {what}; the next start asks only for the password")
REGISTRATION_BY_INVITE: Final = "invite"
REGISTRATIONS_OFFERED: Final = frozenset({"open", REGISTRATION_BY_INVITE})


class FirstRun:
    """Asks somebody at a terminal for what was not given, and for nothing that was."""

    def __init__(
        self,
        options: ClientOptions,
        arguments: Sequence[str],
        line_terminal: LineTerminal,
        lines: StdinReader,
        echo: EchoControl,
        environ: Mapping[str, str] = os.environ,
        *,
        has_password: bool = False,
    ) -> None:
        """With `password_given`, by a file or the environment, it is not asked for at the next start either."""
        self._options = options
        self._arguments = arguments
        self._environ = environ
        self._line_terminal = line_terminal
        self._lines = lines
        self._echo = echo
        self._has_password = has_password
        self._port = options.port
        self._typed_server = ""
        """As it was typed."""
        self._questions: list[Callable[[], bool]] = []
        self._answered: list[Callable[[], bool]] = []
        """Those that were answered. Each says whether there was an answer."""
        self._config_file: Path | None = None
        """Where to remember what was asked; None where nothing was, or where there is no file of one's own."""
        self._options_to_save: Sequence[str] = ()
        """Those options of PLACE that are to be remembered."""

    @property
    def has_asked(self) -> bool:
        return bool(self._answered)

    @property
    def has_asked_server(self) -> bool:
        return self._ask_server in self._answered

    def ask(self) -> ClientOptions | None:
        """The options with a server and a name; None where there was no answer."""
        if not self._options.name:
            self._questions = [*self._server_questions(), self._ask_name]
        while self._questions:
            if not self._questions[0]():
                return None
            self._answered.append(self._questions.pop(0))
        return self._options

    def ask_again(self, error: Refused | Unreachable) -> bool:
        """Whether it can help to ask once more what was asked: then it is said why, and the next `ask` does."""
        cause, question = error.__cause__, self._ask_server if isinstance(error, Unreachable) else self._ask_name
        hopeless = isinstance(error, Refused) and (
            not isinstance(cause, WireError) or isinstance(cause, InsecureTransport)
        )
        if hopeless or question not in self._answered or not self._line_terminal.is_interactive:
            return False
        self._show(format_reason(error))
        self._questions = [question]
        return True

    def on_logged_in(self, client: Client) -> None:
        """To be called once, logged in: offers a guest an account, and remembers what was asked."""
        if self._config_file is not None:
            if client.registration in REGISTRATIONS_OFFERED:
                self._offer_account(client)
            self._save_answers(self._config_file, client)

    def _server_questions(self) -> list[Callable[[], bool]]:
        """Where the server is to be asked for, the question."""
        if not self._line_terminal.is_interactive:
            return []
        sources = {each.option.key: each.source for each in resolve_sources(CLIENT, self._arguments, self._environ)[1]}
        own, read = (
            paths.config_file(CLIENT.section, self._environ),
            config_file_in_use(CLIENT, self._arguments, self._environ),
        )
        self._config_file = own if read in (None, str(own)) else None
        if sources["host"] in (DEFAULT, COMMAND_LINE):
            self._options_to_save = [
                "host",
                *(key for key in SERVER_OPTIONS if sources[key] == COMMAND_LINE and key != "host"),
            ]
        return [self._ask_server] if sources["host"] == DEFAULT else []

    def _ask_server(self) -> bool:
        question = _("Server [{usual}]: ", usual=self._typed_server or self._options.host)
        while (answer := self._ask_line(question)) is not None:
            with suppress(ValueError):
                host, port = split_host_port(answer or self._typed_server or self._options.host)
                self._typed_server = answer or self._typed_server
                self._options = replace(self._options, host=host, port=port or self._port)
                self._options_to_save = (
                    [*(key for key in self._options_to_save if key != "port"), "port"]
                    if port
                    else self._options_to_save
                )
                return True
            self._show(_("a server is HOST or HOST:PORT, as in chat.example.org or 192.0.2.7:7777"))
        return False

    def _ask_name(self) -> bool:
        usual = self._options.name or ""
        question = _("Your name [{usual}]: ", usual=usual) if usual else _("Your name: ")
        answer = ""
        while not answer:
            if (heard := self._ask_line(question)) is None:
                return False
            answer = heard or usual
        self._options = replace(self._options, name=answer)
        return True

    def _ask_line(self, question: str) -> str | None:
        answer = self._line_terminal.ask(self._lines, question)
        return answer.strip() if answer is not None else None

    def _show(self, text: str) -> None:
        self._line_terminal.show(as_notice(text))

    def _ask_secret(self, question: str) -> str:
        with self._echo.off():
            return self._line_terminal.ask(self._lines, question) or ""

    def _offer_account(self, client: Client) -> None:
        name = sanitize(client.name)
        self._show(_(ACCOUNT_OFFER))
        for _try in range(MAX_PASSWORD_ATTEMPTS):
            password = self._ask_secret(_("A password for {name} (Enter: not now): ", name=name))
            if not password:
                return self._show(_("not registered; /register does it at any time"))
            if self._register(client, password):
                return None
        return self._show(_("nothing is registered; /register does it at any time"))

    def _register(self, client: Client, password: str) -> bool:
        """Whether the name is an account now; else it was said why not."""
        if password != self._ask_secret(_("Repeat the password: ")):
            self._show(_("the passwords differ"))
            return False
        invite = self._ask_line(_("Your invitation code: ")) if client.registration == REGISTRATION_BY_INVITE else None
        try:
            client.register(password, invite or None)
        except MessengerError as error:
            self._show(format_reason(error))
            return False
        self._show(_("{name} is now your account; logging in needs its password", name=client.name))
        return True

    def _save_answers(self, file: Path, client: Client) -> None:
        values = {key: format_value(getattr(self._options, key)) for key in (*self._options_to_save, "name")}
        name = {"name": values.pop("name")}
        try:
            new = save_values(file, values, name)
        except FileError as error:
            return self._show(format_reason(error))
        what = ", ".join(f"{key} = {value}" for key, value in new.items())
        if not new:
            return None
        wants_password = client.is_account and not self._has_password
        said = _(SAVED_BUT_PASSWORD if wants_password else SAVED, file=str(file), what=what)
        return self._show(sanitize(said))


class LoginFlow:
    """Connect and log in for a person at a terminal. `call` makes the link for options that are complete.

    retry_for: seconds for which a server that is not there yet is tried again; one that was typed at the question is
    asked for again instead.
    """

    def __init__(
        self,
        first_run: FirstRun,
        make_client: Callable[[ClientOptions], Client],
        line_terminal: LineTerminal,
        lines: StdinReader,
        echo: EchoControl,
        retry_for: float,
    ) -> None:
        self._first_run = first_run
        self._make_client = make_client
        self._line_terminal = line_terminal
        self._lines = lines
        self._echo = echo
        self._retry_for = retry_for
        self._logged_in = False

    def make_client(self) -> Client | None:
        """A link to log in; None where there was no answer. Raises `Refused` or `Unreachable`.

        Where something was asked it is logged in already: what the server does not take is asked again.
        """
        while (options := self._first_run.ask()) is not None:
            link = self._make_client(options)
            if not self._first_run.has_asked or self._try_login(link):
                return link
        return None

    def log_in(self, client: Client) -> None:
        """To be called once, before anything else is shown. Raises `Refused` or `Unreachable`."""
        if not self._logged_in:
            self._connect(client)
        self._first_run.on_logged_in(client)

    def _try_login(self, client: Client) -> bool:
        try:
            self._connect(client)
        except (Refused, Unreachable) as error:
            if not self._first_run.ask_again(error):
                raise
            client.abort()
        else:
            self._logged_in = True
        return self._logged_in

    def _connect(self, client: Client) -> None:
        # Where the server was typed just now, the question comes again at once: it may have been a slip.
        seconds = 0.0 if self._first_run.has_asked_server else self._retry_for
        startup = StartupRetry(seconds, self._line_terminal.show, interactive=self._line_terminal.is_interactive)
        if self._line_terminal.is_interactive:
            log_in_with_password(
                client, partial(startup.start, client), lambda why: self._ask_password(client.name, why)
            )
        else:
            startup.start(client)

    def _ask_password(self, name: str, reason: str) -> str | None:
        self._line_terminal.show(as_notice(sanitize(reason)))
        with self._echo.off():
            return self._line_terminal.ask(self._lines, _("Password for {name}: ", name=name))
