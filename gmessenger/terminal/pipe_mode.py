"""The client as a command in a pipe: `--to` sends what it reads, `--listen` prints what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gmessenger.client import Client, Disconnected, MessageReceived, MessageSentElsewhere, Notice, Rejected
from gmessenger.config.options import ClientOptions
from gmessenger.errors import BadText, ExitError, MessagesNotSent, Refused, UnknownAction, WireError
from gmessenger.names import BROADCAST_TARGET, is_room
from gmessenger.terminal import format_events
from gmessenger.terminal.event_log import log_client_event
from gmessenger.terminal.i18n import N_, _, as_notice, localize
from gmessenger.terminal.lifecycle import StartupRetry
from gmessenger.terminal.shutdown import EXIT_INTERRUPTED, HURRY_TIMEOUT, ExitController
from gmessenger.terminal.stdio import MAX_LINE, SEND_QUEUE_TIMEOUT, OutputWriter, StdinReader, TruncatedLine
from gmessenger.text import Text

NOT_SENT: Final = N_("Not sent: {lost} of {count} lines. The first: {reason}")
WHOLE_NOT_SENT: Final = N_("Not sent: {reason}")
MAX_SEND_RETRY: Final = 60.0
"""Seconds."""
FLUSH_INTERVAL: Final = 1.0
"""Looks like a room, but everybody is in it."""


def retry_for(options: ClientOptions) -> float:
    """Seconds that a server which is not there, or not any more, is tried again for; with `--to` a minute at most."""
    return min(options.retry_for, MAX_SEND_RETRY) if options.to is not None else options.retry_for


class SendMode:
    """Every line of the input becomes a message, or all of it one; the exit code says whether all of them arrived."""

    def __init__(
        self,
        options: ClientOptions,
        client: Client,
        lines: StdinReader,
        stderr: OutputWriter,
        exit_controller: ExitController,
    ) -> None:
        self._options = options
        self._to = options.to or ""
        self._client = client
        self._lines = lines
        self._stderr = stderr
        self._exit_controller = exit_controller
        self._line_count = 0
        self._rejected_count = 0
        self._first_error = ""

    def run(self) -> None:
        """Raises `Unreachable` and `Refused`, the latter for the room too."""
        StartupRetry(retry_for(self._options), self._stderr.write_line).start(self._client)
        following = self._exit_controller.spawn(self._run_events)
        if is_room(self._to) and self._to != BROADCAST_TARGET:
            self._join()
        for text in self._read_whole() if self._options.whole else self._lines:
            if isinstance(text, TruncatedLine) or text.strip():  # a blank line says nothing to anybody
                self._line_count += 1
                self._send(text)
        # Each message has its own time to be answered in; all together they have none.
        while self._client.flush(FLUSH_INTERVAL) and not self._client.closed:
            pass
        self._client.close()
        following.join(HURRY_TIMEOUT)
        self._finish(None)

    def interrupt(self) -> None:
        """Ctrl-C: leave at once, with a code that says whether anything is left behind."""
        if self._unsent_count:
            self._stderr.write_line(
                as_notice(_("interrupted; lines without an answer: {count}", count=self._unsent_count))
            )
        self._exit_controller.exit(EXIT_INTERRUPTED if self._unsent_count or not self._client.connected else 0)

    @property
    def _unsent_count(self) -> int:
        return self._rejected_count + self._client.pending_count

    def _join(self) -> None:
        try:
            self._client.join(self._to)
        except UnknownAction as error:
            raise Refused(Text("Cannot join {room}: this server has no rooms.", room=self._to)) from error
        except WireError as error:
            raise Refused(Text("Cannot join {room}: {reason}", room=self._to, reason=str(error))) from error

    def _read_whole(self) -> Iterator[str | TruncatedLine]:
        """The whole input as one text, without the end of its last line; of one that is too long only that it is."""
        lines: list[str] = []
        length = 0
        for line in self._lines:
            length += len(line) + 1 if isinstance(line, str) else line.limit
            if isinstance(line, TruncatedLine) or length > MAX_LINE:
                return (yield TruncatedLine(MAX_LINE, "characters"))
            lines.append(line)
        yield "\n".join(lines)

    def _send(self, text: str | TruncatedLine) -> None:
        if isinstance(text, TruncatedLine):
            limit = format_events.truncation_limit(text)
            return self._on_rejected(
                _("The input is longer than {limit}.", limit=limit)
                if self._options.whole
                else _("Line {number} is longer than {limit}.", number=self._line_count, limit=limit)
            )
        try:
            self._client.send(self._to, text, timeout=SEND_QUEUE_TIMEOUT)
        except BadText as error:
            self._on_rejected(str(error))
        return None

    def _on_rejected(self, reason: str) -> None:
        self._rejected_count += 1
        if not self._first_error:
            # At once: the input may go on for days.
            self._first_error = reason
            self._stderr.write_line(as_notice(_("not sent: {reason}", reason=format_events.format_reason(reason))))

    def _run_events(self) -> None:
        try:
            for event in self._client:
                log_client_event(event, self._options)
                if isinstance(event, Rejected):
                    self._on_rejected(event.reason)
                elif isinstance(event, Disconnected | Notice) and (told := format_events.format_event(event)):
                    self._stderr.write_line(told)
        except ExitError as error:
            self._finish(error)

    def _finish(self, error: ExitError | None) -> None:
        reason = self._first_error or (str(error) if error else N_("the server did not answer."))
        if self._unsent_count:
            sentence = WHOLE_NOT_SENT if self._options.whole else NOT_SENT
            counts = {"lost": self._unsent_count, "count": self._line_count}
            self._exit_controller.fail(MessagesNotSent(_(sentence, **counts, reason=localize(reason))))
        elif error is not None:
            self._exit_controller.fail(error)
        else:
            self._exit_controller.exit()


class ListenMode:
    """Everything received is printed, as frames or as lines; nothing is read."""

    def __init__(
        self,
        options: ClientOptions,
        client: Client,
        stdout: OutputWriter,
        stderr: OutputWriter,
        exit_controller: ExitController,
    ) -> None:
        self._options = options
        self._client = client
        self._stdout = stdout
        self._stderr = stderr
        self._exit_controller = exit_controller

    def run(self) -> None:
        """Raises `Unreachable` and `Refused`."""
        StartupRetry(retry_for(self._options), self._stderr.write_line).start(self._client)
        for event in self._client:
            log_client_event(event, self._options)
            if isinstance(event, MessageReceived | MessageSentElsewhere):
                if not self._handle_message(event):
                    return  # only what is done with may be acknowledged
                self._client.ack()
            elif (told := format_events.format_event(event)) is not None:
                self._stderr.write_line(told)
            if self._exit_controller.is_set:
                return

    def interrupt(self) -> None:
        """Ctrl-C is how one leaves."""
        self._exit_controller.exit()

    def _handle_message(self, event: MessageReceived | MessageSentElsewhere) -> bool:
        """Print a message. Whether it is done with: not if nobody reads any more.

        A program is told what the account itself says only where it asks for that: it would answer itself.
        """
        if self._options.json and isinstance(event, MessageSentElsewhere) and not self._options.own:
            return True
        if self._options.json:
            self._stdout.write_json(event.frame)
        else:
            self._stdout.write_line(format_events.format_event(event) or "")
        return self._stdout.drain()
