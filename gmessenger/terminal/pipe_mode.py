"""The client as a command in a pipe: `--to` sends what it reads, `--listen` prints what it receives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gmessenger.client import Client, DeliveryEvent, MessageAmended, MessageSentElsewhere
from gmessenger.config.options import ClientOptions
from gmessenger.errors import BadText
from gmessenger.terminal import format_events
from gmessenger.terminal.event_log import log_client_event
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.lifecycle import StartupRetry
from gmessenger.terminal.send_base import SendingMode, retry_for
from gmessenger.terminal.shutdown import EXIT_INTERRUPTED, ExitController
from gmessenger.terminal.stdio import MAX_LINE, SEND_QUEUE_TIMEOUT, OutputWriter, StdinReader, TruncatedLine

NOT_SENT: Final = N_("Not sent: {lost} of {count} lines. The first: {reason}")
WHOLE_NOT_SENT: Final = N_("Not sent: {reason}")


class SendMode(SendingMode):
    """Send each line of the input as a message, or with `--whole` all of it as one.

    Fails unless the server accepted all of them.
    """

    def __init__(
        self,
        options: ClientOptions,
        client: Client,
        lines: StdinReader,
        stderr: OutputWriter,
        exit_controller: ExitController,
    ) -> None:
        super().__init__(options, client, stderr, exit_controller)
        self._lines = lines
        self._line_count = 0

    def run(self) -> None:
        """Send the input, and wait for the responses. Blocks.

        Raises `Unreachable`, and `Refused`, also for the room.
        """
        event_loop = self._start()
        for text in self._read_whole() if self._options.whole else self._lines:
            if isinstance(text, TruncatedLine) or text.strip():  # blank lines are not sent
                self._line_count += 1
                self._send(text)
        self._end(event_loop)

    def interrupt(self) -> None:
        """Handle Ctrl-C: exit at once, with a code that says whether messages are left."""
        if self._unsent_count:
            self._stderr.write_line(
                as_notice(_("interrupted; lines without an answer: {count}", count=self._unsent_count))
            )
        self._exit_controller.exit(EXIT_INTERRUPTED if self._unsent_count or not self._client.connected else 0)

    @property
    def _unsent_count(self) -> int:
        return self._rejected_count + self._client.pending_count

    def _read_whole(self) -> Iterator[str | TruncatedLine]:
        """Yield the whole input as one text without its last line end, or a TruncatedLine if it is too long."""
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

    def _format_unsent(self, reason: str) -> str | None:
        if not self._unsent_count:
            return None
        template = WHOLE_NOT_SENT if self._options.whole else NOT_SENT
        return _(template, lost=self._unsent_count, count=self._line_count, reason=reason)


class ListenMode:
    """Print all messages that arrive, as lines or with `--json` as frames; the input is not read."""

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
        """Log in, and print until the client ends. Blocks. Raises `Unreachable` and `Refused`."""
        StartupRetry(retry_for(self._options), self._stderr.write_line).start(self._client)
        for event in self._client:
            log_client_event(event, self._options)
            if isinstance(event, DeliveryEvent):
                if not self._handle_message(event):
                    return  # what was not written must not be acknowledged
                self._client.ack()
            elif (text := format_events.format_event(event)) is not None:
                self._stderr.write_line(text)
            if self._exit_controller.is_set:
                return

    def interrupt(self) -> None:
        """Handle Ctrl-C: exit; nothing is left to wait for."""
        self._exit_controller.exit()

    def _handle_message(self, event: DeliveryEvent) -> bool:
        """Print a message. Return whether to acknowledge it: not if the reader of the output is gone.

        With `--json`, messages of the account itself are printed only with `--own`: a bot would answer itself.
        """
        is_own = isinstance(event, MessageSentElsewhere) or (isinstance(event, MessageAmended) and event.is_own)
        if self._options.json and is_own and not self._options.own:
            return True
        if self._options.json:
            self._stdout.write_json(event.frame)
        elif (text := format_events.format_event(event)) is not None:
            self._stdout.write_line(text)
        return self._stdout.drain()
