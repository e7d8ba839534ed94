"""The short numbers by which line mode names messages, so that commands can be about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gmessenger.client import Accepted, DeliveryEvent, HistoryMessage, MessageAmended, Rejected, fold
from gmessenger.sanitize import sanitize, sanitize_lines
from gmessenger.terminal.format_events import format_event, format_reason
from gmessenger.terminal.format_messages import (
    HIDDEN_TEXT,
    erased_text,
    format_accepted,
    format_amendment,
    format_amendment_rejected,
    quote_text,
)
from gmessenger.terminal.text_codes import strip_codes

MAX_NUMBER: Final = 999
"""The highest number; after it, numbers begin again at 1, and name the newer messages."""
QUOTE_PREFIX: Final = "        > "


@dataclass(slots=True)
class NumberedMessage:
    """A message that was shown with a number; `quote` is its beginning, sanitized."""

    number: int
    conversation: str
    seq: int
    quote: str


class MessageNumbers:
    """Give the messages that are shown numbers from 1 on, and find them again."""

    def __init__(self) -> None:
        self._by_number: dict[int, NumberedMessage] = {}
        self._by_seq: dict[tuple[str, int], NumberedMessage] = {}
        self._last_number = 0

    def find(self, number: int) -> NumberedMessage | None:
        """Return the newest message with this number."""
        return self._by_number.get(number)

    def find_by_seq(self, conversation: str, seq: int | None) -> NumberedMessage | None:
        """Return the message with this seq, if it was shown and still has a number."""
        return self._by_seq.get((fold(conversation), seq or 0))

    def add(self, conversation: str, seq: int, sender: str, text: str) -> NumberedMessage:
        """Give a message the next number, or return the one that it has; sender and text are not sanitized."""
        if (known := self.find_by_seq(conversation, seq)) is not None:
            return known
        self._last_number = self._last_number % MAX_NUMBER + 1
        if (replaced := self._by_number.get(self._last_number)) is not None:
            del self._by_seq[fold(replaced.conversation), replaced.seq]
        quote = quote_text(sanitize(sender), sanitize_lines(strip_codes(text)))
        message = NumberedMessage(self._last_number, conversation, seq, quote)
        self._by_number[message.number] = self._by_seq[fold(conversation), seq] = message
        return message

    def add_quoted(self, conversation: str, message: HistoryMessage, *, is_hidden: bool) -> None:
        """Give a number to a message that is not shown itself, but quoted; without its text if it `is_hidden`."""
        if message.seq:
            text = HIDDEN_TEXT if is_hidden else message.message
            numbered = self.add(conversation, message.seq, message.sender, text)
            if message.erased is True:
                numbered.quote = erased_text(message.by)

    def on_received(self, event: DeliveryEvent, text: str) -> str | None:
        """Return the text of a message that is shown with its number, and the beginning of what it replies to."""
        if isinstance(event, MessageAmended):
            return self._on_amended(event)
        delivery = event.delivery
        if not delivery.seq or delivery.broadcast is True or delivery.erased is True:
            return text
        message = self.add(event.conversation, delivery.seq, delivery.sender, delivery.message)
        return self._with_quote(event.conversation, delivery.about or None, f"{message.number} {text}")

    def on_history(self, conversation: str, message: HistoryMessage, text: str) -> str:
        """Return the text of a message of the history with its number, and the beginning of what it replies to."""
        if not message.seq or message.erased is True:
            return text
        numbered = self.add(conversation, message.seq, message.sender, message.message)
        return self._with_quote(conversation, message.about or None, f"{numbered.number} {text}")

    def on_accepted(self, event: Accepted, own_name: str) -> str:
        """Return what is said of a message that the server has accepted: its number, or what was amended."""
        message, seq = event.message, event.response.seq
        if message.what is None:
            number = self.add(message.to, seq, own_name, message.text).number if seq else None
            return format_accepted(message) + (f" ({number})" if number is not None else "")
        numbered = self.find_by_seq(message.to, message.about)
        if numbered is not None:
            _amend(numbered, message.what, message.text, own_name)
        return format_accepted(message, numbered.number if numbered is not None else None)

    def on_rejected(self, event: Rejected) -> str | None:
        """Return what is said of a message that the server has refused; an amendment names the message's number."""
        message = event.message
        if message.what is None:
            return format_event(event)
        numbered = self.find_by_seq(message.to, message.about)
        number = numbered.number if numbered is not None else None
        return format_amendment_rejected(message, format_reason(event.reason), number)

    def _on_amended(self, event: MessageAmended) -> str | None:
        delivery = event.delivery
        numbered = self.find_by_seq(event.conversation, delivery.about or None)
        if numbered is None:
            return format_amendment(event)
        _amend(numbered, delivery.what or "", delivery.message, event.by)
        text = format_amendment(event, numbered.number)
        return f"{numbered.number} {text}" if text is not None and delivery.what == "edit" else text

    def _with_quote(self, conversation: str, about: int | None, text: str) -> str:
        if about is None:
            return text
        quoted = self.find_by_seq(conversation, about)
        return f"{QUOTE_PREFIX}{quoted.number} {quoted.quote}\n{text}" if quoted is not None else text


def _amend(numbered: NumberedMessage, what: str, text: str, by: str) -> None:
    if what == "edit":
        numbered.quote = quote_text(numbered.quote.partition(":")[0], sanitize_lines(strip_codes(text)))
    elif what == "erase":
        numbered.quote = erased_text(by)
