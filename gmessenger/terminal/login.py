"""Log in for a person at a terminal, and ask for the server and the name if they are not configured.

The questions are asked in lines, before any mode takes over the terminal. The answers are saved when the server has
accepted them, so that a typing mistake is not saved; the password never is.
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
from gmessenger.errors import (
    BadPassword,
    FileError,
    GuestsDisabled,
    InsecureTransport,
    InvalidInvite,
    MessengerError,
    PasswordChangeRequired,
    Refused,
    Unreachable,
    WireError,
)
from gmessenger.hosts import split_host_port
from gmessenger.sanitize import sanitize
from gmessenger.server_urls import is_server_url, parse_server_url
from gmessenger.terminal.format_events import format_reason
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.lifecycle import StartupRetry
from gmessenger.terminal.line_terminal import LineTerminal
from gmessenger.terminal.passwords import MAX_PASSWORD_ATTEMPTS, EchoControl, log_in_with_password
from gmessenger.terminal.saved_config import save_values
from gmessenger.terminal.stdio import StdinReader

SERVER_OPTIONS: Final = ("host", "port", "tls", "ca", "pin")
"""Options that belong together: where the server is, and how its certificate is verified."""
ACCOUNT_OFFER: Final = N_(
    "you are a guest: your name is reserved only until you leave. With a password it becomes your account, and "
    "messages are stored for you while you are away."
)
NEW_HERE: Final = N_(
    "New here? This server admits accounts only, and {name} is none yet; with a password it becomes your account."
)
SAVED: Final = N_("saved in {file}: {what}; the next start asks no questions")
SAVED_BUT_PASSWORD: Final = N_("saved in {file}: {what}; the next start asks only for the password")
SERVER_SPELLINGS: Final = N_(
    "a server is HOST, HOST:PORT or a URL, as in chat.example.org, 192.0.2.7:7777 or wss://chat.example.org"
)
REGISTRATION_BY_INVITE: Final = "invite"
REGISTRATIONS_OFFERED: Final = frozenset({"open", REGISTRATION_BY_INVITE})


class FirstRun:
    """Ask a person for the server and the name, unless they were given; save the answers after the login."""

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
        """has_password: a file or the environment has the password, so the next start asks for none."""
        self._options = options
        self._arguments = arguments
        self._environ = environ
        self._line_terminal = line_terminal
        self._lines = lines
        self._echo = echo
        self._has_password = has_password
        self._port = options.port
        self._typed_server = ""
        """The server as it was typed."""
        self._questions: list[Callable[[], bool]] = []
        self._answered: list[Callable[[], bool]] = []
        """Questions that were answered. A question returns whether there was an answer."""
        self._config_file: Path | None = None
        """The file for the answers; None if nothing was asked, or if another configuration file is in use."""
        self._options_to_save: Sequence[str] = ()
        """Those of SERVER_OPTIONS that are saved."""

    @property
    def has_asked(self) -> bool:
        """Whether a question was answered."""
        return bool(self._answered)

    @property
    def has_asked_server(self) -> bool:
        """Whether the server was typed by the user."""
        return self._ask_server in self._answered

    def ask(self) -> ClientOptions | None:
        """Ask the pending questions, and return the completed options; None if there was no answer. Blocks."""
        if not self._options.name:
            self._questions = [*self._server_questions(), self._ask_name]
        while self._questions:
            if not self._questions[0]():
                return None
            self._answered.append(self._questions.pop(0))
        return self._options

    def ask_again(self, error: Refused | Unreachable) -> bool:
        """Show why the login failed, and let the next `ask` repeat the question that caused it.

        Returns False, and shows nothing, if asking again cannot help.
        """
        cause, question = error.__cause__, self._ask_server if isinstance(error, Unreachable) else self._ask_name
        is_final = isinstance(error, Refused) and (
            not isinstance(cause, WireError) or isinstance(cause, InsecureTransport)
        )
        if is_final or question not in self._answered or not self._line_terminal.is_interactive:
            return False
        self._show(format_reason(error))
        self._questions = [question]
        return True

    def on_logged_in(self, client: Client) -> None:
        """Offer a guest an account who is new or has an invite, and save the answers.

        Call it once, after the login. Blocks.
        """
        is_invited = client.registration_invite is not None and self._line_terminal.is_interactive
        if client.registration in REGISTRATIONS_OFFERED and (is_invited or self._config_file is not None):
            self._offer_account(client)
        if self._config_file is not None:
            self._save_answers(self._config_file, client)

    def _server_questions(self) -> list[Callable[[], bool]]:
        """Return the question for the server if it is to be asked, and decide what is saved where."""
        if not self._line_terminal.is_interactive:
            return []
        values = resolve_sources(CLIENT, self._arguments, self._environ)[1]
        sources = {value.option.key: value.source for value in values}
        default_file = paths.config_file(CLIENT.section, self._environ)
        file_in_use = config_file_in_use(CLIENT, self._arguments, self._environ)
        self._config_file = default_file if file_in_use in (None, str(default_file)) else None
        if sources["host"] in (DEFAULT, COMMAND_LINE):
            self._options_to_save = [
                "host",
                *(key for key in SERVER_OPTIONS if sources[key] == COMMAND_LINE and key != "host"),
            ]
        return [self._ask_server] if sources["host"] == DEFAULT else []

    def _ask_server(self) -> bool:
        default = self._typed_server or self._options.host
        question = _("Server [{usual}]: ", usual=default)
        while (answer := self._ask_line(question)) is not None:
            with suppress(ValueError):
                self._set_server(answer or default)
                self._typed_server = answer or self._typed_server
                return True
            self._show(_(SERVER_SPELLINGS))
        return False

    def _set_server(self, text: str) -> None:
        """Use the server that was typed: HOST, HOST:PORT or a URL. Raises ValueError for anything else."""
        saved = [key for key in self._options_to_save if key != "port"]
        if is_server_url(text):
            url = parse_server_url(text)
            invite = url.invite or self._options.invite
            self._options = replace(self._options, host=str(url), port=0, invite=invite)
            self._options_to_save = saved
            return
        host, port = split_host_port(text)
        self._options = replace(self._options, host=host, port=port or self._port)
        self._options_to_save = [*saved, "port"] if port else self._options_to_save

    def _ask_name(self) -> bool:
        default = self._options.name or ""
        question = _("Your name [{usual}]: ", usual=default) if default else _("Your name: ")
        name = ""
        while not name:
            if (answer := self._ask_line(question)) is None:
                return False
            name = answer or default
        self._options = replace(self._options, name=name)
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
            if not self._register(client, password, client.registration, client.register):
                break
        if not client.is_account:
            self._show(_("nothing is registered; /register does it at any time"))
        return None

    def register_stranger(self, client: Client, error: Refused) -> bool:
        """Offer to register a name that was refused as a guest's, and to log in as its account. Blocks.

        Returns whether that was done.
        """
        cause = error.__cause__
        if not isinstance(cause, GuestsDisabled) or cause.registration not in REGISTRATIONS_OFFERED:
            return False
        if not client.can_send_password:
            return False
        name = sanitize(client.name)
        self._show(_(NEW_HERE, name=name))
        for _try in range(MAX_PASSWORD_ATTEMPTS):
            password = self._ask_secret(_("A password for {name} (Enter: not now): ", name=name))
            if not password:
                return False
            if not self._register(client, password, cause.registration, client.start_registered):
                break
        return client.is_account

    def replace_password(self, client: Client) -> None:
        """Ask for a password in place of the operator's one-time password. Blocks."""
        self._show(_(PasswordChangeRequired.message))
        for _try in range(MAX_PASSWORD_ATTEMPTS):
            password = self._ask_secret(_("The new password: "))
            if not password:
                break
            if password != self._ask_secret(_("Repeat the password: ")):
                self._show(_("the passwords differ"))
                continue
            try:
                return client.replace_password(password)
            except MessengerError as error:
                self._show(format_reason(error))
        return self._show(_("the password is as it was; /password changes it"))

    def _register(
        self, client: Client, password: str, registration: str | None, register: Callable[[str, str | None], object]
    ) -> bool:
        """Register the user's name, or show why not. Return whether to ask for another password."""
        if password != self._ask_secret(_("Repeat the password: ")):
            self._show(_("the passwords differ"))
            return True
        known = client.registration_invite if registration == REGISTRATION_BY_INVITE else None
        for _try in range(MAX_PASSWORD_ATTEMPTS):
            is_asked = registration == REGISTRATION_BY_INVITE and known is None
            invite = self._ask_line(_("Your invite: ")) if is_asked else known
            known = None  # it is asked for if it is refused
            try:
                register(password, invite or None)
            except MessengerError as error:
                self._show(format_reason(error))
                if invite and isinstance(error.__cause__ or error, InvalidInvite):
                    continue  # a code is easily mistyped, and the password is known
                return isinstance(error.__cause__ or error, BadPassword)
            self._show(_("{name} is now your account; logging in needs its password", name=client.name))
            return False
        return False

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
        return self._show(sanitize(_(SAVED_BUT_PASSWORD if wants_password else SAVED, file=str(file), what=what)))


class LoginFlow:
    """Connect and log in for a person at a terminal.

    make_client: makes a client from complete options.
    retry_for: seconds for which an unreachable server is tried again; a server that was just typed is asked for again.
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
        """Ask for what is missing, and return a client; None if there was no answer. Blocks.

        If something was asked, the client is logged in already, because what the server rejects is asked again. Raises
        `Refused` or `Unreachable`.
        """
        while (options := self._first_run.ask()) is not None:
            client = self._make_client(options)
            if not self._first_run.has_asked or self._try_login(client):
                return client
        return None

    def log_in(self, client: Client) -> None:
        """Log in, unless `make_client` did. Call it once, before anything else is shown. Blocks.

        Raises `Refused` or `Unreachable`.
        """
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
        # A server that was just typed is asked for again at once: the answer may have been a typing mistake.
        seconds = 0.0 if self._first_run.has_asked_server else self._retry_for
        startup = StartupRetry(seconds, self._line_terminal.show, interactive=self._line_terminal.is_interactive)
        if self._line_terminal.is_interactive:
            try:
                log_in_with_password(
                    client, partial(startup.start, client), lambda reason: self._ask_password(client.name, reason)
                )
            except Refused as error:
                if not self._first_run.register_stranger(client, error):
                    raise
            if client.must_change_password:
                self._first_run.replace_password(client)
        else:
            startup.start(client)

    def _ask_password(self, name: str, reason: str) -> str | None:
        self._line_terminal.show(as_notice(sanitize(reason)))
        with self._echo.off():
            return self._line_terminal.ask(self._lines, _("Password for {name}: ", name=name))
