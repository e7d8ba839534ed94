"""`--exec`: a command for each message that arrives, one at a time and in order, never through a shell."""

from __future__ import annotations

import errno
import os
import shlex
import signal
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Final

from gevent.subprocess import Popen, TimeoutExpired

from gmessenger.client import Delivery, Link, Received, SentElsewhere
from gmessenger.errors import FileProblem
from gmessenger.options import ClientOptions
from gmessenger.sentences import Sentence
from gmessenger.terminal.ending import HURRY, Ending
from gmessenger.terminal.output import Output
from gmessenger.terminal.passwords import VARIABLE
from gmessenger.terminal.pipe import Listening
from gmessenger.terminal.words import N_, _, noted
from gmessenger.terminal_text import visible

LONGEST_VALUE: Final = 32_768
"""Bytes of a variable; the system takes four times as many, and a longer text is whole on the command's input."""
FAILED: Final = N_("the command for a message from {sender} ended with exit code {code}")
KILLED: Final = N_("the command for a message from {sender} was terminated by {signal}")
TOO_LONG: Final = N_("the command for a message from {sender} was terminated: it ran longer than {seconds} s")
NO_ROOM: Final = N_(
    "the command for a message from {sender} was not started: the message makes the environment too large"
)


class Executing(Listening):
    """Nothing is printed: each message goes to a command, and is done with when that has ended, well or not.

    One that did not end well does not come again: it would for ever, and keep back all that came after it. What
    oneself has written on another device goes to no command, lest it be answered.
    """

    def __init__(self, options: ClientOptions, link: Link, output: Output, status: Output, ending: Ending) -> None:
        super().__init__(options, link, output, status, ending)
        self._runner = Runner(shlex.split(options.exec or ""), options.exec_timeout)
        ending.at_last(self._runner.end)

    def _take(self, event: Received | SentElsewhere) -> bool:
        """Whether it is done with: not if the program was ended, and the command with it."""
        if isinstance(event, Received) and event.delivery.erased is not True:
            fault = self._runner.run(visible(event.delivery.sender), variables(event.delivery), self._given(event))
            if fault and not self._ending.over:
                self._status.say(fault)
        return not self._ending.over

    def _given(self, event: Received) -> bytes:
        """What the command can read: the text, or the frame."""
        return (event.frame if self._options.json else event.delivery.message.encode(errors="replace")) + b"\n"


def variables(delivery: Delivery) -> dict[str, str]:
    """What the command is told of a message in its environment; all of it as its sender wrote it."""
    to = delivery.to
    told = {
        "FROM": delivery.sender,
        "TO": to,
        "CONVERSATION": to if to.startswith("#") else delivery.sender,
        "TEXT": delivery.message,
        "TIME": f"{delivery.time:.6f}",
        "SEQ": str(delivery.seq or ""),
    }
    return {f"GMESSENGER_{name}": _value(value) for name, value in told.items()}


def _value(text: str) -> str:
    """As a variable can have it: without NUL, and not too long."""
    data = text.replace("\0", "\ufffd").encode(errors="replace")
    return data[:LONGEST_VALUE].decode(errors="ignore")


class Runner:
    """Runs a command, one at a time and each for so many seconds at most."""

    def __init__(self, words: Sequence[str], seconds: float) -> None:
        self._words = words
        self._seconds = seconds
        self._process: Popen[bytes] | None = None

    def run(self, sender: str, environment: dict[str, str], given: bytes) -> str | None:
        """Wait for it to end; returns None where it ended with 0, else what is to be said.

        Raises `FileProblem` where it cannot be started whatever the message is.
        """
        try:
            self._process = process = self._start(environment, given)
        except OSError as error:
            if error.errno == errno.E2BIG:
                return noted(_(NO_ROOM, sender=sender))
            reason = Sentence(error.strerror or str(error))
            raise FileProblem(
                Sentence("Cannot run {program}: {reason}.", program=self._words[0], reason=reason)
            ) from error
        try:
            return _fault(sender, process.wait(self._seconds))
        except TimeoutExpired:
            self.end()
            return noted(_(TOO_LONG, sender=sender, seconds=f"{self._seconds:g}"))

    def end(self) -> None:
        """End what is running, with all that it has started: ask, and after a moment do not ask."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutExpired):
            process.wait(HURRY)
        _signal(process, signal.SIGKILL)
        with suppress(TimeoutExpired):  # it may be somebody else's by now, as what `sudo` starts
            process.wait(HURRY)

    def _start(self, environment: dict[str, str], given: bytes) -> Popen[bytes]:
        inherited = {name: value for name, value in os.environb.items() if name != os.fsencode(VARIABLE)}
        # Not a pipe: the command may read nothing of it, or leave it to somebody who never does.
        with TemporaryFile() as file:
            file.write(given)
            file.seek(0)
            # A session of its own is a group of its own: what the command starts can be ended with it.
            # As bytes: names and texts may be such as the locale of this process cannot say.
            told = {os.fsencode(name): value.encode() for name, value in environment.items()}
            return Popen(self._words, stdin=file, env=inherited | told, start_new_session=True)


def _signal(process: Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _fault(sender: str, code: int) -> str | None:
    if code < 0:
        return noted(_(KILLED, sender=sender, signal=_named(-code)))
    return noted(_(FAILED, sender=sender, code=code)) if code else None


def _named(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return str(number)  # one of the real-time signals
