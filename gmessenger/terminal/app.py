"""One run of the client: make the client, a mode and the standard streams, run them, and clean up."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Final, Protocol, TextIO, cast

import gevent
from gevent import with_timeout

from gmessenger import log
from gmessenger.client import Client, Timeouts, TlsConfig
from gmessenger.config.options import ClientOptions
from gmessenger.config.parser import CLIENT
from gmessenger.console import SanitizedStderr
from gmessenger.errors import (
    CertificateNotTrusted,
    ExitError,
    FileError,
    InsecureTransport,
    LoggedInElsewhere,
    MessagesNotSent,
    PasswordRequired,
    Refused,
    WireError,
)
from gmessenger.paths import STDERR
from gmessenger.sanitize import sanitize
from gmessenger.terminal.exec_mode import ExecMode
from gmessenger.terminal.file_mode import FileMode
from gmessenger.terminal.format_events import format_unexpected_error
from gmessenger.terminal.i18n import N_, _, as_notice, localize
from gmessenger.terminal.line_mode import LineMode
from gmessenger.terminal.line_terminal import LineTerminal, make_line_terminal
from gmessenger.terminal.login import FirstRun, LoginFlow
from gmessenger.terminal.passwords import PASSWORD_ENV_VAR, EchoControl, password_from_options
from gmessenger.terminal.pipe_mode import ListenMode, SendMode
from gmessenger.terminal.send_base import retry_for
from gmessenger.terminal.shutdown import EXIT_HANGUP, ExitController
from gmessenger.terminal.state_files import device_name, erase_state, find_other_unsent, unsent_file
from gmessenger.terminal.stdio import StdinReader, is_stdin_tty, open_stderr, open_stdin, open_stdout

FLUSH_TIMEOUT: Final = 1.0
"""Seconds for writing the remaining output at the end."""
EXIT_UNEXPECTED: Final = 1
HINT_TLS: Final = N_(
    "(--tls encrypts the connection; --plain-passwords sends the password without encryption, if the server accepts "
    "it.)"
)
HINT_WSS: Final = N_(
    "(A wss:// URL is encrypted; --plain-passwords sends the password without encryption, if the server accepts it.)"
)
HINT_TRUST: Final = N_("(To trust this server, use --ca FILE or --pin sha256:….)")
HINT_DEVICE: Final = N_("(Two clients of one account can run at the same time if each has its own --device.)")
HINT_PASSWORD: Final = N_("(Use --password-file FILE, or {variable} in the environment.)")
UNSENT_COUNT: Final = N_("Messages without an answer from the server: {count}.")
NOT_ERASED: Final = N_("Some of your files on this machine could not be removed: {files}.")
SIGNAL_EXIT_CODES: Final = {"SIGTERM": 143, "SIGHUP": EXIT_HANGUP, "SIGQUIT": 131}
DUMB_TERMINALS: Final = ("", "dumb")
"""Values of TERM for terminals that cannot move the cursor."""


def wants_full_screen(options: ClientOptions) -> bool:
    """Return whether stdin and stdout are a terminal with cursor movement, and --plain is not set."""
    is_tty = is_stdin_tty() and sys.stdout is not None and os.isatty(1)
    return is_tty and not options.plain and os.environ.get("TERM", "") not in DUMB_TERMINALS


class Mode(Protocol):
    """A way to use the client, at a terminal or in a pipe. It reports its end to the `ExitController`."""

    def run(self) -> None:
        """Run the mode; an error that it raises ends the program."""

    def interrupt(self) -> None:
        """Handle Ctrl-C, or an output whose reader is gone."""


class ClientApp:
    """The program. Greenlets: one each for the mode, the client's connection, stdout and stderr."""

    def __init__(self, options: ClientOptions, arguments: Sequence[str] = ()) -> None:
        """arguments: the command line from which `options` were parsed."""
        self._options = options
        self._arguments = arguments
        self._password = password_from_options(options.password_file)
        self._exit_controller = ExitController()
        self._echo = EchoControl()
        self._stdout = open_stdout()
        self._stderr = open_stderr()
        self._line_terminal: LineTerminal | None = None
        self._client: Client | None = None
        self._mode: Mode | None = None

    def run(self) -> int:
        """Run to the end, and return the exit code."""
        gevent.get_hub().exception_stream = cast(TextIO, SanitizedStderr())
        self._handle_signals()
        self._exit_controller.spawn(self._stdout.run, self._interrupt)
        self._exit_controller.spawn(self._run_stderr)
        self._exit_controller.spawn(self._run_mode)
        try:
            code, message = self._exit_controller.wait(), ""
        except ExitError as error:
            code, message = error.exit_code, f"{localize(error)} {self._hint(error)}".rstrip()
            self._log_refused(error)
        except Exception as error:
            code, message = EXIT_UNEXPECTED, self._log_unexpected(error)
        self._finish(code, message)
        if code == EXIT_HANGUP:
            os._exit(code)  # the interpreter's shutdown would write to a terminal that is gone
        return code

    def _run_stderr(self) -> None:
        with suppress(FileError):  # it could only be reported on stderr
            self._stderr.run(lambda: None)

    def _run_mode(self) -> None:
        self._mode = mode = self._make_mode()
        if mode is not None:
            mode.run()

    def _make_mode(self) -> Mode | None:
        options, exit_controller = self._options, self._exit_controller
        if options.listen:
            mode = ExecMode if options.exec else ListenMode
            return mode(options, self._make_client(options.name), self._stdout, self._stderr, exit_controller)
        if options.to is not None and options.file:
            return FileMode(options, self._make_client(options.name), self._stderr, exit_controller)
        lines = open_stdin()
        if options.to is not None:
            return SendMode(options, self._make_client(options.name), lines, self._stderr, exit_controller)
        return self._make_interactive_mode(lines)

    def _make_interactive_mode(self, lines: StdinReader) -> Mode | None:
        """Ask for what is missing, and return the mode for a person; None if there was no answer."""
        options = self._options
        terminal = self._line_terminal = make_line_terminal(self._stdout)
        has_password = self._password is not None
        first_run = FirstRun(options, self._arguments, terminal, lines, self._echo, has_password=has_password)
        login = LoginFlow(first_run, self._make_client_with, terminal, lines, self._echo, options.retry_for)
        if (client := login.make_client()) is None:
            self._exit_controller.exit()
            return None
        other_unsent = find_other_unsent(unsent_file(self._options, client.name)) if is_stdin_tty() else None
        notice = as_notice(sanitize(other_unsent)) if other_unsent is not None else ""
        if wants_full_screen(self._options):
            return self._full_screen(client, partial(login.log_in, client), notice)
        if notice:
            terminal.show(notice)
        return LineMode(
            self._options,
            client,
            terminal,
            lines,
            self._exit_controller,
            self._echo,
            interactive=is_stdin_tty(),
            log_in=login.log_in,
        )

    def _full_screen(self, client: Client, log_in: Callable[[], None], notice: str) -> Mode:
        # Imported here: pipe modes need not load prompt_toolkit.
        from gmessenger.terminal.tui.fullscreen import FullScreenMode

        if self._options.log_destination(CLIENT.section) == STDERR and os.isatty(2):
            log.configure(log.NO_LOG)  # stderr is the screen
        return FullScreenMode(self._options, client, log_in, self._exit_controller, notice)

    def _make_client_with(self, options: ClientOptions) -> Client:
        self._options = options
        return self._make_client(options.name)

    def _make_client(self, name: str | None) -> Client:
        options = self._options
        is_sending = options.to is not None
        seconds = retry_for(options)
        timeouts = Timeouts(
            connect=options.connect_timeout,
            response=options.answer_timeout,
            probe_after=options.probe_after,
            retry_for=seconds,
            max_outage=seconds if is_sending else inf,
        )
        tls = TlsConfig(ca=Path(options.ca) if options.ca else None, pin=options.pin)
        self._client = Client(
            options.host,
            options.server_port,
            name or "",
            password=self._password,
            device=device_name(options),
            tls=tls if options.is_encrypted else None,
            plain_passwords=options.plain_passwords,
            receive_messages=not is_sending,  # --to shows no messages
            unsent_file=unsent_file(options, name or "") if is_stdin_tty() and not is_sending else None,
            invite=options.invite,
            timeouts=timeouts,
        )
        return self._client

    def _handle_signals(self) -> None:
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        for name, code in SIGNAL_EXIT_CODES.items():
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                gevent.signal_handler(number, self._exit_controller.exit, code)

    def _interrupt(self) -> None:
        if self._mode is None:
            self._exit_controller.exit()
        else:
            self._exit_controller.spawn(self._mode.interrupt)

    def _hint(self, error: ExitError) -> str:
        cause = error.__cause__
        is_exposed = self._client is not None and not self._client.can_send_password
        if isinstance(cause, InsecureTransport) or (isinstance(cause, PasswordRequired) and is_exposed):
            return _(HINT_TLS if self._options.url is None else HINT_WSS)
        if isinstance(cause, PasswordRequired) and self._password is None and not is_stdin_tty():
            return _(HINT_PASSWORD, variable=PASSWORD_ENV_VAR)
        if isinstance(cause, LoggedInElsewhere):
            return _(HINT_DEVICE)
        return _(HINT_TRUST) if isinstance(error, CertificateNotTrusted) and cause is not None else ""

    def _log_refused(self, error: ExitError) -> None:
        if isinstance(error, Refused):
            options, cause = self._options, error.__cause__
            code = cause.code if isinstance(cause, WireError) else None
            log.log_event(
                "client_refused", host=options.server_host, port=options.server_port, name=options.name, code=code
            )

    def _log_unexpected(self, error: Exception) -> str:
        log.log_event("greenlet_failed", exception=error, what="client")
        return format_unexpected_error(error, self._options.log_destination(CLIENT.section))

    def _finish(self, code: int, message: str) -> None:
        self._echo.restore()
        if self._line_terminal is not None:
            self._line_terminal.end_row()
        unsent = self._client.pending_count if self._client is not None else 0
        self._stdout.drain(FLUSH_TIMEOUT)
        if self._client is not None:
            self._client.abort()  # the modes have flushed it already
            if self._client.is_erased and (left := erase_state(self._options, self._client.name)):
                message = f"{message} {_(NOT_ERASED, files=', '.join(map(str, left)))}".lstrip()
        if unsent and code != MessagesNotSent.exit_code:
            message = f"{message} {_(UNSENT_COUNT, count=unsent)}".lstrip()
        with_timeout(FLUSH_TIMEOUT, self._print_final, message, timeout_value=None)
        log.log_event("client_stopped", exit_code=code, unsent=unsent)

    def _print_final(self, message: str) -> None:
        if message:
            self._stderr.write_line(f"{CLIENT.name}: {sanitize(message)}")
        self._stderr.drain(FLUSH_TIMEOUT)
