"""What the commands have in common that send something, wait for the answers, and end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from gevent import Greenlet

from gmessenger.client import Accepted, Client, Disconnected, Notice, Rejected
from gmessenger.config.options import ClientOptions
from gmessenger.errors import ExitError, MessagesNotSent, Refused, UnknownAction, WireError
from gmessenger.names import BROADCAST_TARGET, is_room
from gmessenger.terminal import format_events
from gmessenger.terminal.event_log import log_client_event
from gmessenger.terminal.i18n import N_, _, as_notice, localize
from gmessenger.terminal.lifecycle import StartupRetry
from gmessenger.terminal.shutdown import HURRY_TIMEOUT, ExitController
from gmessenger.terminal.stdio import OutputWriter
from gmessenger.text import Text

MAX_SEND_RETRY: Final = 60.0
"""Seconds. A command in a pipe should fail before its user gives up on it."""
FLUSH_INTERVAL: Final = 1.0
"""Seconds between two checks whether the client has ended."""


def retry_for(options: ClientOptions) -> float:
    """Return the seconds for which an unreachable server is tried again: fewer with `--to`."""
    return min(options.retry_for, MAX_SEND_RETRY) if options.to is not None else options.retry_for


class SendingMode(ABC):
    """A command that fails unless the server has accepted all that it sends. It tells the first error at once."""

    def __init__(
        self, options: ClientOptions, client: Client, stderr: OutputWriter, exit_controller: ExitController
    ) -> None:
        self._options = options
        self._to = options.to or ""
        self._client = client
        self._stderr = stderr
        self._exit_controller = exit_controller
        self._accepted_count = 0
        self._rejected_count = 0
        self._first_error = ""

    @abstractmethod
    def _format_unsent(self, reason: str) -> str | None:
        """Return the sentence to fail with; None if all was accepted."""

    def _start(self) -> Greenlet[..., object]:
        """Log in, join the room that messages go to, if it is one; return the greenlet that handles events.

        Blocks. Raises `Unreachable`, and `Refused`, also for the room.
        """
        StartupRetry(retry_for(self._options), self._stderr.write_line).start(self._client)
        event_loop = self._exit_controller.spawn(self._run_events)
        _join_target(self._client, self._to)
        return event_loop

    def _end(self, event_loop: Greenlet[..., object]) -> None:
        """Wait for the answers, and end the program. Blocks."""
        # Each message has its own response timeout; there is none for all of them.
        while self._client.flush(FLUSH_INTERVAL) and not self._client.closed:
            pass
        self._client.close()
        event_loop.join(HURRY_TIMEOUT)
        self._finish(None)

    def _on_rejected(self, reason: str) -> None:
        self._rejected_count += 1
        if not self._first_error:
            # Reported at once: the input may go on for days.
            self._first_error = reason
            self._stderr.write_line(as_notice(_("not sent: {reason}", reason=format_events.format_reason(reason))))

    def _run_events(self) -> None:
        try:
            for event in self._client:
                log_client_event(event, self._options)
                if isinstance(event, Accepted):
                    self._accepted_count += 1
                elif isinstance(event, Rejected):
                    self._on_rejected(event.reason)
                elif isinstance(event, Disconnected | Notice) and (text := format_events.format_event(event)):
                    self._stderr.write_line(text)
        except ExitError as error:
            self._finish(error)

    def _finish(self, error: ExitError | None) -> None:
        reason = self._first_error or (str(error) if error else N_("the server did not answer."))
        unsent = self._format_unsent(localize(reason))
        if unsent is not None:
            self._exit_controller.fail(MessagesNotSent(unsent))
        elif error is not None:
            self._exit_controller.fail(error)
        else:
            self._exit_controller.exit()


def _join_target(client: Client, to: str) -> None:
    """Join the room that messages go to, if it is one. Raises `Refused`."""
    if not is_room(to) or to == BROADCAST_TARGET:
        return
    try:
        client.join(to)
    except UnknownAction as error:
        raise Refused(Text("Cannot join {room}: this server has no rooms.", room=to)) from error
    except WireError as error:
        raise Refused(Text("Cannot join {room}: {reason}", room=to, reason=str(error))) from error
