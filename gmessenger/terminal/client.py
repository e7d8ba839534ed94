"""One run of the client: puts a link, a mode and the standard streams together, and takes them apart again."""

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

from gmessenger import logs
from gmessenger.client import Link, Patience, Tls
from gmessenger.commandline import CLIENT
from gmessenger.errors import (
    ExitError,
    FileProblem,
    NotAllSent,
    PasswordExposed,
    PasswordNeeded,
    Refused,
    Replaced,
    Untrusted,
    WireError,
)
from gmessenger.options import ClientOptions
from gmessenger.places import STDERR
from gmessenger.terminal.arriving import Arriving
from gmessenger.terminal.ending import HANGUP, Ending
from gmessenger.terminal.executing import Executing
from gmessenger.terminal.first import First
from gmessenger.terminal.input import is_typed, standard_input
from gmessenger.terminal.line import LineMode
from gmessenger.terminal.output import standard_error, standard_output
from gmessenger.terminal.passwords import VARIABLE, Echo, given_password
from gmessenger.terminal.pipe import Listening, Sending, retry_for
from gmessenger.terminal.screen import Screen, line_screen
from gmessenger.terminal.spoken import spoken
from gmessenger.terminal.state import device_name, erase_state, unsent_file, waiting_elsewhere
from gmessenger.terminal.words import N_, _, noted
from gmessenger.terminal_text import SafeErrors, visible

FINISH_WITHIN: Final = 1.0
"""Seconds that what is still to be written has at the end."""
UNEXPECTED: Final = 1
UNEXPECTED_SENTENCE: Final = N_("Internal error ({fault}); details are in the log: {place}")
NEEDS_TLS: Final = N_(
    "(--tls encrypts the connection; --plain-passwords sends the password without encryption, if the server accepts "
    "it.)"
)
NEEDS_TRUST: Final = N_("(To trust this server, use --ca FILE or --pin sha256:….)")
NEEDS_DEVICE: Final = N_("(Two clients of one account can run at the same time if each has its own --device.)")
NEEDS_PASSWORD: Final = N_("(Use --password-file FILE, or {variable} in the environment.)")
UNANSWERED: Final = N_("Messages without an answer from the server: {count}.")
NOT_ERASED: Final = N_("Some of your files on this machine could not be removed: {files}.")
STOPPED_BY: Final = {"SIGTERM": 143, "SIGHUP": HANGUP, "SIGQUIT": 131}
NO_SCREEN: Final = ("", "dumb")
"""Terminals that cannot put anything anywhere."""


def is_full_screen(options: ClientOptions) -> bool:
    """Whether somebody sits at a screen and wants all of it used."""
    seen = is_typed() and sys.stdout is not None and os.isatty(1)
    return seen and not options.plain and os.environ.get("TERM", "") not in NO_SCREEN


class Mode(Protocol):
    """A way to use the client, at a terminal or in a pipe. It tells its `Ending` when it is over."""

    def run(self) -> None:
        """What it raises ends the program too."""

    def interrupt(self) -> None:
        """Ctrl-C was pressed, or nobody reads the output any more."""


class Client:
    """The program. Its greenlets: the mode's, the link's, and one for each of the two outputs."""

    def __init__(self, options: ClientOptions, arguments: Sequence[str] = ()) -> None:
        """The `arguments` are those the options were read from."""
        self._options = options
        self._arguments = arguments
        self._password = given_password(options.password_file)
        self._ending = Ending()
        self._echo = Echo()
        self._output = standard_output()
        self._status = standard_error()
        self._screen: Screen | None = None
        self._link: Link | None = None
        self._mode: Mode | None = None

    def run(self) -> int:
        """Run to the end; returns the exit code."""
        gevent.get_hub().exception_stream = cast(TextIO, SafeErrors())
        self._obey_signals()
        self._ending.spawn(self._output.run, self._interrupt)
        self._ending.spawn(self._run_status)
        self._ending.spawn(self._work)
        try:
            code, sentence = self._ending.wait(), ""
        except ExitError as error:
            code, sentence = error.exit_code, f"{spoken(error)} {self._hint(error)}".rstrip()
            self._log_refusal(error)
        except Exception as error:
            code, sentence = UNEXPECTED, self._unexpected(error)
        self._finish(code, sentence)
        if code == HANGUP:
            os._exit(code)  # the interpreter's own end would touch a terminal that is not there any more
        return code

    def _run_status(self) -> None:
        with suppress(FileProblem):  # there is nowhere left to say so
            self._status.run(lambda: None)

    def _work(self) -> None:
        self._mode = mode = self._make_mode()
        if mode is not None:
            mode.run()

    def _make_mode(self) -> Mode | None:
        options, ending = self._options, self._ending
        if options.listen:
            listening = Executing if options.exec else Listening
            return listening(options, self._call(options.name), self._output, self._status, ending)
        lines = standard_input()
        if options.to is not None:
            return Sending(options, self._call(options.name), lines, self._status, ending)
        screen = self._screen = line_screen(self._output)
        given = self._password is not None
        first = First(options, self._arguments, screen, lines, self._echo, password_given=given)
        arriving = Arriving(first, self._call_with, screen, lines, self._echo, options.retry_for)
        if (link := arriving.find()) is None:
            ending.leave()
            return None
        elsewhere = waiting_elsewhere(unsent_file(self._options, link.name)) if is_typed() else None
        remark = noted(visible(elsewhere)) if elsewhere is not None else ""
        if is_full_screen(self._options):
            return self._full_screen(link, partial(arriving.log_in, link), remark)
        if remark:
            screen.show(remark)
        typed = is_typed()
        return LineMode(self._options, link, screen, lines, ending, self._echo, typed=typed, log_in=arriving.log_in)

    def _full_screen(self, link: Link, log_in: Callable[[], None], remark: str) -> Mode:
        from gmessenger.terminal.window.mode import FullScreen  # what draws it is not to be waited for in a pipe

        if self._options.log_place(CLIENT.section) == STDERR and os.isatty(2):
            logs.configure(logs.NOWHERE)  # it would be drawn over
        return FullScreen(self._options, link, log_in, self._ending, remark)

    def _call_with(self, complete: ClientOptions) -> Link:
        self._options = complete
        return self._call(complete.name)

    def _call(self, name: str | None) -> Link:
        options = self._options
        in_a_pipe = options.to is not None
        seconds = retry_for(options)
        patience = Patience(
            connect=options.connect_timeout,
            answer=options.answer_timeout,
            probe_after=options.probe_after,
            retry_for=seconds,
            outage=seconds if in_a_pipe else inf,
        )
        self._link = Link(
            options.host,
            options.server_port,
            name or "",
            password=self._password,
            device=device_name(options),
            tls=Tls(ca=Path(options.ca) if options.ca else None, pin=options.pin) if options.tls else None,
            plain_passwords=options.plain_passwords,
            receiving=options.to is None,  # it would be shown to nobody
            unsent=unsent_file(options, name or "") if is_typed() and options.to is None else None,
            patience=patience,
        )
        return self._link

    def _obey_signals(self) -> None:
        gevent.signal_handler(signal.SIGINT, self._interrupt)
        for name, code in STOPPED_BY.items():
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                gevent.signal_handler(number, self._ending.leave, code)

    def _interrupt(self) -> None:
        if self._mode is None:
            self._ending.leave()
        else:
            self._ending.spawn(self._mode.interrupt)

    def _hint(self, error: ExitError) -> str:
        cause = error.__cause__
        exposed = self._link is not None and not self._link.can_send_password
        if isinstance(cause, PasswordExposed) or (isinstance(cause, PasswordNeeded) and exposed):
            return _(NEEDS_TLS)
        if isinstance(cause, PasswordNeeded) and self._password is None and not is_typed():
            return _(NEEDS_PASSWORD, variable=VARIABLE)
        if isinstance(cause, Replaced):
            return _(NEEDS_DEVICE)
        return _(NEEDS_TRUST) if isinstance(error, Untrusted) and cause is not None else ""

    def _log_refusal(self, error: ExitError) -> None:
        if isinstance(error, Refused):
            options, cause = self._options, error.__cause__
            code = cause.word if isinstance(cause, WireError) else None
            logs.event("client_refused", host=options.host, port=options.server_port, name=options.name, code=code)

    def _unexpected(self, error: Exception) -> str:
        logs.event("greenlet_failed", failure=error, what="client")
        place = self._options.log_place(CLIENT.section)
        return _(UNEXPECTED_SENTENCE, fault=type(error).__name__, place=place)

    def _finish(self, code: int, sentence: str) -> None:
        self._echo.restore()
        if self._screen is not None:
            self._screen.end_row()
        unsent = self._link.unanswered if self._link is not None else 0
        self._output.finish(FINISH_WITHIN)
        if self._link is not None:
            self._link.abandon()  # what was written is done with already
            if self._link.is_forgotten and (left := erase_state(self._options, self._link.name)):
                sentence = f"{sentence} {_(NOT_ERASED, files=', '.join(map(str, left)))}".lstrip()
        if unsent and code != NotAllSent.exit_code:
            sentence = f"{sentence} {_(UNANSWERED, count=unsent)}".lstrip()
        with_timeout(FINISH_WITHIN, self._say_last, sentence, timeout_value=None)
        logs.event("client_stopped", exit_code=code, unsent=unsent)

    def _say_last(self, sentence: str) -> None:
        if sentence:
            self._status.say(f"{CLIENT.program}: {visible(sentence)}")
        self._status.finish(FINISH_WITHIN)
