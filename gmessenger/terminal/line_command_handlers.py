"""The command handlers of line mode: prompts and results are lines, one below the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gevent import Timeout
from gevent.queue import Full

from gmessenger import field_types as fields
from gmessenger.client import Client, HistoryMessage, fold
from gmessenger.errors import BadText, MessengerError
from gmessenger.names import is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_events, format_results
from gmessenger.terminal.amendment_handlers import ComposedMessage, MessageTarget, OutgoingFile
from gmessenger.terminal.attention import Attention
from gmessenger.terminal.command_handlers import CommandHandlers
from gmessenger.terminal.commands import HELP_NOTES, help_text
from gmessenger.terminal.dialogue import Dialogue
from gmessenger.terminal.format_messages import format_message
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.line_terminal import LineTerminal
from gmessenger.terminal.message_numbers import MessageNumbers
from gmessenger.terminal.passwords import EchoControl
from gmessenger.terminal.stdio import SEND_QUEUE_TIMEOUT, StdinReader

MAX_NUMBERED: Final = 1000
"""Conversations with a number; later ones get none."""
MAX_LISTED: Final = 30
"""Conversations listed by the server, newest first, that get a number although nothing arrived in them."""
QUOTE_TIMEOUT: Final = 2.0
"""Seconds to wait for a message that is quoted above a reply: no event is shown meanwhile."""
QUOTE_PAUSE: Final = 10.0
"""Seconds after such a timeout during which no quoted message is requested."""
REPRINT_HINT: Final = N_("Ctrl-R redraws the line you are typing, after a message has interrupted it.")
KEYS_HELP: Final = N_(
    "  Ctrl-R  redraws the line you are typing\n  Ctrl-C  quits; pressed again, without waiting for answers\n  Ctrl-D  "
    "quits, at the beginning of a line"
)


class LineCommandHandlers(CommandHandlers):
    """Command handlers that show and ask by lines.

    interactive: the lines are typed at a terminal, so sending does not wait for room in the send queue.
    """

    has_numbers = True

    def __init__(
        self,
        client: Client,
        attention: Attention,
        line_terminal: LineTerminal,
        lines: StdinReader,
        echo: EchoControl,
        quit_mode: Callable[[], None],
        *,
        interactive: bool,
    ) -> None:
        super().__init__(client, attention, quit_mode)
        self._line_terminal = line_terminal
        self._lines = lines
        self._echo = echo
        self._interactive = interactive
        self.numbers = MessageNumbers()
        self._quotes_after = 0.0  # monotonic seconds
        self._rejected: ComposedMessage | None = None
        self._recipient: str | None = None
        self._numbered: dict[str, str] = {}

    @property
    def recipient(self) -> str | None:
        return self._recipient

    @recipient.setter
    def recipient(self, name: str | None) -> None:
        self._recipient = name
        if name is not None:
            self.add_conversation(name)

    def add_conversation(self, name: str) -> None:
        """Give a conversation the next number, which it keeps; a conversation that has one keeps it."""
        if len(self._numbered) < MAX_NUMBERED:
            self._numbered.setdefault(fold(name), name)

    @property
    def can_prompt(self) -> bool:
        return self._line_terminal.is_interactive

    def give_back(self) -> None:
        """Do nothing: the line is still on the terminal."""

    def show(self, text: str) -> None:
        self._line_terminal.show(text)

    def run_dialogue(self, dialogue: Dialogue) -> None:
        with suppress(StopIteration):
            prompt = next(dialogue)
            while True:
                ask = self._ask_secret if prompt.is_secret else self._ask
                prompt = dialogue.send(ask(prompt.text))

    def _ask_secret(self, question: str) -> str | None:
        with self._echo.off():
            return self._ask(question)

    def _ask(self, question: str) -> str | None:
        return self._line_terminal.ask(self._lines, question)

    def send(
        self,
        to: str,
        text: str,
        *,
        about: int | None = None,
        what: fields.What | None = None,
        kind: fields.Kind | None = None,
        file: OutgoingFile | None = None,
    ) -> None:
        composed = ComposedMessage(to, text, about, what, kind, file)
        timeout = 0 if self._interactive else SEND_QUEUE_TIMEOUT
        try:
            file_id = file.id if file is not None else None
            message = self._client.send(to, text, timeout, about=about, what=what, kind=kind, file=file_id)
        except Full:
            self._reject(composed, format_events.send_queue_full(self._client.pending_count))
        except BadText as error:
            self._reject(composed, str(error))
        else:
            if file is not None and file.line:
                self.show(as_notice(f"{sanitize(text)}: {file.line}"))
            if not self._client.connected:
                self.show(format_events.format_waiting(message))

    def find_target(self, number: int | None, *, own: bool = False) -> MessageTarget | None:
        """Return the message with this number, or say that there is none, or that a number is missing."""
        if number is None:
            self.show(as_notice(_("which message? give the number that is shown before it, as in /reply 12 TEXT")))
        elif (message := self.numbers.find(number)) is None:
            self.show(as_notice(_("no message here has the number {number}", number=number)))
        else:
            return MessageTarget(message.conversation, message.seq)
        return None

    def confirm_erase(self, target: MessageTarget) -> None:
        """Erase a message without asking: its number was typed."""
        self.send(target.conversation, "", about=target.seq, what="erase")

    def format_history_message(self, message: HistoryMessage) -> str:
        is_own = fold(message.sender) == fold(self._client.name)
        conversation = message.to if is_room(message.to) or is_own else message.sender
        self.load_quoted(conversation, message.about or None)
        return self.numbers.on_history(conversation, message, format_message(message))

    def load_quoted(self, conversation: str, seq: int | None) -> None:
        """Load the message that a reply is about, given by its seq, if it was not shown. Blocks for `QUOTE_TIMEOUT`.

        In a long backlog no response arrives in time: the client stops reading while messages wait to be shown. After a
        timeout, replies are shown without a quote for `QUOTE_PAUSE`.
        """
        if seq is None or self.numbers.find_by_seq(conversation, seq) is not None:
            return
        if not (self._client.is_account and self._client.connected and time.monotonic() >= self._quotes_after):
            return
        for message in self._load_last(conversation, seq):
            if message.seq == seq:
                is_hidden = is_room(conversation) and self.is_from_blocked(message)
                self.numbers.add_quoted(conversation, message, is_hidden=is_hidden)

    def _load_last(self, conversation: str, seq: int) -> list[HistoryMessage]:
        """Return the last message of a conversation up to a seq, if it comes in time."""
        try:
            with Timeout(QUOTE_TIMEOUT, TimeoutError):
                return self._client.history(conversation, 1, seq + 1)
        except MessengerError:
            return []
        except TimeoutError:
            self._quotes_after = time.monotonic() + QUOTE_PAUSE
        return []

    def _reject(self, message: ComposedMessage, reason: str) -> None:
        self.on_rejected(message)
        self.show(format_events.format_not_sent(message.to, message.text, reason))

    def on_rejected(self, message: ComposedMessage) -> None:
        """Remember a rejected message for `/again`."""
        self._rejected = message

    def take_back_rejected(self) -> ComposedMessage | None:
        rejected, self._rejected = self._rejected, None
        return rejected

    def go(self, target: str) -> None:
        """Set the recipient by the number that `/go` lists, or by name; `@3` is the user named 3."""
        names = list(self._numbered.values())
        if not target:
            self._list_conversations()
        elif not target.isdecimal():
            self.recipient = target.removeprefix("@")
        elif 1 <= int(target) <= len(names):
            self.recipient = names[int(target) - 1]
        else:
            self.show(as_notice(_("there is no conversation {name}; /go lists them", name=sanitize(target))))

    def _list_conversations(self) -> None:
        with suppress(MessengerError):  # disconnected, or the server does not know the request
            if self._client.connected:
                for info in self._client.conversations()[:MAX_LISTED]:
                    self.add_conversation(info.name)
        self.show(format_results.conversations(list(enumerate(self._numbered.values(), 1)), self.recipient))

    def hide(self) -> None:
        self.recipient = None
        self.show(as_notice(_("text without a command has no recipient now")))

    def clear(self) -> None:
        self._line_terminal.clear()

    def keys(self) -> None:
        self.show(_(KEYS_HELP))

    def help_text(self) -> str:
        return help_text(
            self._line_terminal.width,
            _(HELP_NOTES),
            *([_(REPRINT_HINT)] if self._interactive else []),
            is_operator=self.is_operator,
        )
