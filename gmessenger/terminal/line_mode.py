"""Line mode: send what is typed, line by line, and show events as lines; for a terminal or a pipe."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gevent import Greenlet

from gmessenger.client import (
    Accepted,
    BotMessageReceived,
    ChatEvent,
    Client,
    Connected,
    DeliveryEvent,
    Disconnected,
    MemberJoined,
    MemberLeft,
    MessageAmended,
    MessageDelivered,
    MessageReceived,
    Rejected,
    SettingsChanged,
    fold,
)
from gmessenger.config.options import ClientOptions
from gmessenger.errors import MessengerError
from gmessenger.names import is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_events
from gmessenger.terminal.amendment_handlers import ComposedMessage, OutgoingFile
from gmessenger.terminal.attention import Attention, GatheredMembers
from gmessenger.terminal.bell import BellPolicy
from gmessenger.terminal.commands import CommandError, ParsedCommand, no_recipient_hint, parse_line
from gmessenger.terminal.event_log import log_client_event
from gmessenger.terminal.i18n import _, as_notice
from gmessenger.terminal.lifecycle import QUIET_FLUSH_TIMEOUT, flush_before_exit
from gmessenger.terminal.line_command_handlers import LineCommandHandlers
from gmessenger.terminal.line_terminal import LineTerminal
from gmessenger.terminal.passwords import EchoControl
from gmessenger.terminal.shutdown import EXIT_INTERRUPTED, HURRY_TIMEOUT, ExitController
from gmessenger.terminal.stdio import StdinReader, TruncatedLine


class ShownMessages:
    """Remember which messages line mode has shown; the next typed line means that they have been read."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._unread: dict[str, tuple[str, int]] = {}
        """The highest seq shown of each conversation: folded name to (name, seq)."""

    def add(self, event: ChatEvent) -> None:
        """Note an event that was shown; events without a stored message are ignored."""
        if isinstance(event, DeliveryEvent):
            self._add(event.conversation, event.delivery.seq or None)
        elif isinstance(event, Accepted):
            self._add(event.message.to, event.response.seq)

    def mark_read(self) -> None:
        """Tell the server that everything shown has been read. Does not block.

        The server keeps no read markers for guests.
        """
        unread, self._unread = self._unread, {}
        with suppress(MessengerError):  # the client has ended, which is reported elsewhere
            for conversation, seq in unread.values() if self._client.is_account else ():
                self._client.mark_read(conversation, seq)

    def _add(self, conversation: str, seq: int | None) -> None:
        if seq is not None:
            _name, highest = self._unread.get(fold(conversation), (conversation, 0))
            self._unread[fold(conversation)] = (conversation, max(highest, seq))


SLOW_DELIVERY: Final = 3.0
"""Seconds. A recipient who is online has a message sooner, and "sent to NAME" says enough then."""
MAX_TRACKED: Final = 1000
"""Undelivered messages that are remembered for each recipient."""


class DeliveryTracker:
    """Remember which messages the server has and the recipient has not; only late deliveries are reported.

    monotonic: a clock in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._undelivered: dict[str, deque[tuple[int, float]]] = {}

    def on_accepted(self, event: Accepted) -> None:
        """Note when the server stored a direct message."""
        seq = event.response.seq
        if seq is not None and not is_room(event.message.to):
            waiting = self._undelivered.setdefault(fold(event.message.to), deque(maxlen=MAX_TRACKED))
            waiting.append((seq, self._monotonic()))

    def was_slow(self, event: MessageDelivered) -> bool:
        """Return whether a message that is delivered now had waited for SLOW_DELIVERY seconds."""
        waiting = self._undelivered.get(fold(event.name), deque())
        is_slow = False
        while waiting and waiting[0][0] <= event.seq:
            is_slow = self._monotonic() - waiting.popleft()[1] >= SLOW_DELIVERY or is_slow
        return is_slow


class LineMode:
    """Line mode: reads lines in the greenlet of `run`, shows events in another one."""

    def __init__(
        self,
        options: ClientOptions,
        client: Client,
        line_terminal: LineTerminal,
        lines: StdinReader,
        exit_controller: ExitController,
        echo: EchoControl,
        *,
        interactive: bool,
        log_in: Callable[[Client], None],
    ) -> None:
        """interactive: lines are typed at a terminal.

        log_in: logs in, with prompts if needed, before anything else is shown.
        """
        self._options = options
        self._client = client
        self._line_terminal = line_terminal
        self._lines = lines
        self._exit_controller = exit_controller
        self._attention = Attention(client.name)
        self._gathered: dict[str, GatheredMembers] = {}
        self._handlers = LineCommandHandlers(
            client, self._attention, line_terminal, lines, echo, self.quit, interactive=interactive
        )
        self._log_in = log_in
        self._delivery_tracker = DeliveryTracker()
        self._shown_messages = ShownMessages(client)
        self._bell_policy = BellPolicy()
        self._leaving = False
        self._event_loop: Greenlet[..., object] | None = None

    def run(self) -> None:
        """Log in, then read lines until the end of the input or `/quit`. Blocks.

        Raises `Unreachable` or `Refused`.
        """
        self._log_in(self._client)
        self._event_loop = self._exit_controller.spawn(self._run_events)
        self._show_prompt()
        for line in self._lines:
            self._line_terminal.on_line_typed()
            self._shown_messages.mark_read()
            self._show_gathered(*self._gathered)
            self._handle_line(line)
            if self._leaving:
                return
            self._show_prompt()
        self.quit()

    def interrupt(self) -> None:
        """Handle Ctrl-C: quit after a short flush; the second time, quit at once."""
        if self._leaving:
            self._exit_controller.exit(EXIT_INTERRUPTED)
        else:
            self._quit_within(HURRY_TIMEOUT)

    def quit(self) -> None:
        """Quit when all messages have a response, or after the response timeout. Blocks until then."""
        self._quit_within(self._options.answer_timeout)

    def _handle_line(self, line: str | TruncatedLine) -> None:
        if isinstance(line, TruncatedLine):
            return self._line_terminal.show(
                as_notice(_("not sent: a line can have at most {limit}", limit=format_events.truncation_limit(line)))
            )
        parsed = parse_line(line, is_operator=self._handlers.is_operator)
        if isinstance(parsed, ParsedCommand):
            return parsed.run(self._handlers)
        if isinstance(parsed, CommandError):
            return self._handlers.refuse(sanitize(parsed.message))
        return self._send(parsed.text)

    def _send(self, text: str) -> None:
        if text and self._handlers.recipient is not None:
            self._handlers.send(self._handlers.recipient, text)
        elif text:
            self._line_terminal.show(as_notice(sanitize(no_recipient_hint(text))))

    def _show_prompt(self) -> None:
        self._line_terminal.prompt(_("to {name}> ", name=to) if (to := self._handlers.recipient) else "> ")

    def _run_events(self) -> None:
        """Show events until the client ends. An event is acknowledged once it is written out."""
        for event in self._client:
            log_client_event(event, self._options)
            if isinstance(event, Connected):
                self._handlers.on_connected(event)
            text = self._format_event(event)
            if text is not None:
                self._shown_messages.add(event)
                self._line_terminal.show(text, ring=self._options.bell and self._rings(event))
                if not self._line_terminal.drain():
                    return  # the reader is gone: what was not shown must not be acknowledged
                self._client.ack()
            if self._exit_controller.is_set:
                return

    def _rings(self, event: ChatEvent) -> bool:
        """Return whether to ring now, by the user's settings."""
        if not isinstance(event, MessageReceived):
            return False
        is_mention = self._attention.is_mention(event.delivery.message)
        is_for_me = self._attention.notifies(event.conversation, is_mention=is_mention)
        return is_for_me and self._bell_policy.may_ring()

    def _format_event(self, event: ChatEvent) -> str | None:
        if isinstance(event, Accepted):
            self._delivery_tracker.on_accepted(event)
        if isinstance(event, Rejected):
            message = event.message
            file = OutgoingFile(message.file) if message.file is not None else None
            self._handlers.on_rejected(
                ComposedMessage(message.to, message.text, message.about, message.what, message.kind, file)
            )
        if isinstance(event, MessageDelivered) and not self._delivery_tracker.was_slow(event):
            return None
        if (
            isinstance(event, MessageReceived | BotMessageReceived | MessageAmended)
            and is_room(event.delivery.to)
            and self._handlers.is_from_blocked(event.delivery)
        ):
            return None
        if isinstance(event, DeliveryEvent) and event.delivery.broadcast is not True:
            self._handlers.add_conversation(event.conversation)
        if isinstance(event, SettingsChanged):
            self._attention.apply(event.settings)
        if isinstance(event, MemberJoined | MemberLeft):
            return self._format_membership(event)
        if isinstance(event, Accepted):
            return self._handlers.numbers.on_accepted(event, self._client.name)
        if isinstance(event, Rejected):
            return self._handlers.numbers.on_rejected(event)
        if isinstance(event, DeliveryEvent):
            if not isinstance(event, MessageAmended):
                self._handlers.load_quoted(event.conversation, event.delivery.about or None)
            self._show_gathered(event.conversation)
            return self._handlers.numbers.on_received(event, format_events.format_event(event) or "")
        if isinstance(event, Disconnected) and event.attempt == 1:
            return format_events.format_disconnected(event)
        return self._format_connected(event) if isinstance(event, Connected) else format_events.format_event(event)

    def _format_membership(self, event: MemberJoined | MemberLeft) -> str | None:
        """Return what to show now of who came or left, as the settings say; that the user was removed always."""
        if self._attention.joins == "shown" or fold(event.name) == fold(self._client.name):
            return format_events.format_event(event)
        if self._attention.joins == "gathered":
            gathered = self._gathered.setdefault(event.room, GatheredMembers())
            gathered.add(event)
            if gathered.is_full:
                self._show_gathered(event.room)
        return None

    def _show_gathered(self, *rooms: str) -> None:
        """Show who came into these rooms and left them since this was last shown."""
        for room in rooms:
            if (gathered := self._gathered.pop(room, None)) is not None and (text := gathered.format(room)):
                self._line_terminal.show(text)

    def _format_connected(self, event: Connected) -> str:
        """Return what to show after a login or a reconnect."""
        pending = self._client.pending_count
        if event.reconnected and pending:
            return format_events.format_reconnected(pending)
        text = format_events.format_event(event) or ""
        if event.reconnected:
            return text
        leftover = [format_events.format_leftover(pending)] if pending else []
        return "\n".join(
            (text, _("You are {name}.", name=sanitize(self._client.name)), *leftover, self._handlers.help_text())
        )

    def _quit_within(self, timeout: float) -> None:
        self._leaving = True
        self._line_terminal.clear_prompt()
        unsent_error = flush_before_exit(self._client, timeout, self._line_terminal.show)
        self._line_terminal.drain(QUIET_FLUSH_TIMEOUT)
        self._client.abort()
        if self._event_loop is not None:
            self._event_loop.join(HURRY_TIMEOUT)
        if unsent_error is not None:
            self._exit_controller.fail(unsent_error)
        else:
            self._exit_controller.exit()
