"""`--exec`: run a command for each message that arrives, one at a time, in order, without a shell."""

from __future__ import annotations

import errno
import shlex
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gevent.subprocess import Popen, TimeoutExpired

from gmessenger.client import Client, DeliveryEvent, MessageEvent, MessageReceived
from gmessenger.config.options import ClientOptions
from gmessenger.errors import FileError
from gmessenger.names import is_room
from gmessenger.processes import message_variables, start_command, terminate_command
from gmessenger.sanitize import sanitize
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.passwords import PASSWORD_ENV_VAR
from gmessenger.terminal.pipe_mode import ListenMode
from gmessenger.terminal.shutdown import HURRY_TIMEOUT, ExitController
from gmessenger.terminal.stdio import OutputWriter
from gmessenger.text import Text

COMMAND_FAILED: Final = N_("the command for a message from {sender} ended with exit code {code}")
COMMAND_KILLED: Final = N_("the command for a message from {sender} was terminated by {signal}")
COMMAND_TIMED_OUT: Final = N_("the command for a message from {sender} was terminated: it ran longer than {seconds} s")
ENVIRONMENT_TOO_LARGE: Final = N_(
    "the command for a message from {sender} was not started: the message makes the environment too large"
)


class ExecMode(ListenMode):
    """Run a command for each message instead of printing it.

    A message is acknowledged when its command has ended, whatever its exit code: if the message were delivered again,
    the command would fail again and block all messages behind it. Messages that the user sent on another device run no
    command, so that a bot does not answer itself; neither do those of kind `notice`, which are other programs', and
    amendments.
    """

    def __init__(
        self,
        options: ClientOptions,
        client: Client,
        stdout: OutputWriter,
        stderr: OutputWriter,
        exit_controller: ExitController,
    ) -> None:
        super().__init__(options, client, stdout, stderr, exit_controller)
        self._runner = CommandRunner(shlex.split(options.exec or ""), options.exec_timeout)
        exit_controller.on_exit(self._runner.terminate)

    def _handle_message(self, event: DeliveryEvent) -> bool:
        """Run the command. Return whether to acknowledge the message: not if the program is ending."""
        if isinstance(event, MessageReceived) and event.delivery.erased is not True:
            fault = self._runner.run(
                sanitize(event.delivery.sender), environment_for(event.delivery), self._command_input(event)
            )
            if fault and not self._exit_controller.is_set:
                self._stderr.write_line(fault)
        return not self._exit_controller.is_set

    def _command_input(self, event: MessageReceived) -> bytes:
        """Return the stdin of the command: the text, or with --json the frame."""
        return (event.frame if self._options.json else event.delivery.message.encode(errors="replace")) + b"\n"


def environment_for(event: MessageEvent) -> dict[str, str]:
    """Return the environment variables that describe a message. Their values are not sanitized."""
    to = event.to
    values = {
        "FROM": event.sender,
        "TO": to,
        "CONVERSATION": to if is_room(to) else event.sender,
        "TEXT": event.message,
        "TIME": f"{event.time:.6f}",
        "SEQ": str(event.seq or ""),
        "ABOUT": str(event.about or ""),
        "KIND": event.kind or "",
        "FILE": event.file.url if event.file else "",
    }
    return message_variables(**values)


class CommandRunner:
    """Run a command, one process at a time.

    timeout: seconds after which a process is terminated.
    """

    def __init__(self, arguments: Sequence[str], timeout: float) -> None:
        self._arguments = arguments
        self._timeout = timeout
        self._process: Popen[bytes] | None = None

    def run(self, sender: str, environment: dict[str, str], stdin: bytes) -> str | None:
        """Run the command, and wait for its end. Return None if it exited with 0, else a notice.

        Raises `FileError` if it cannot be started at all. Blocks the greenlet.
        """
        try:
            self._process = process = self._start(environment, stdin)
        except OSError as error:
            if error.errno == errno.E2BIG:
                return as_notice(_(ENVIRONMENT_TOO_LARGE, sender=sender))
            reason = Text(error.strerror or str(error))
            raise FileError(
                Text("Cannot run {program}: {reason}.", program=self._arguments[0], reason=reason)
            ) from error
        try:
            return _describe_exit(sender, process.wait(self._timeout))
        except TimeoutExpired:
            self.terminate()
            return as_notice(_(COMMAND_TIMED_OUT, sender=sender, seconds=f"{self._timeout:g}"))

    def terminate(self) -> None:
        """Terminate the running process group: SIGTERM, and SIGKILL after HURRY_TIMEOUT seconds.

        Blocks the greenlet for at most twice that.
        """
        if self._process is not None:
            terminate_command(self._process, HURRY_TIMEOUT)

    def _start(self, environment: dict[str, str], stdin: bytes) -> Popen[bytes]:
        return start_command(self._arguments, environment, stdin, removed=(PASSWORD_ENV_VAR,))


def _describe_exit(sender: str, code: int) -> str | None:
    if code < 0:
        return as_notice(_(COMMAND_KILLED, sender=sender, signal=_signal_name(-code)))
    return as_notice(_(COMMAND_FAILED, sender=sender, code=code)) if code else None


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return str(number)  # one of the real-time signals
