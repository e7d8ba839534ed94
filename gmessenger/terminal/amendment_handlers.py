"""Command handlers of messages about earlier ones: replies, edits, erases and reactions; and actions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from gmessenger import field_types as fields
from gmessenger.log import traced
from gmessenger.terminal.handler_base import HandlerBase
from gmessenger.terminal.i18n import _


@dataclass(frozen=True, slots=True)
class MessageTarget:
    """The message that a command is about."""

    conversation: str
    seq: int


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """An uploaded file, by its id. line: its URL and description as displayed, sanitized; empty if they are unknown."""

    id: str
    line: str = ""


@dataclass(frozen=True, slots=True)
class ComposedMessage:
    """A message as it was to be sent, to send it again; the fields are those of `send`."""

    to: str
    text: str
    about: int | None = None
    what: fields.What | None = None
    kind: fields.Kind | None = None
    file: OutgoingFile | None = None


class AmendmentHandlers(HandlerBase):
    """The handlers of `/me` and of commands about a message; which one that is depends on the mode.

    has_numbers: messages are named by numbers; else a number that is typed belongs to the text.
    """

    has_numbers: ClassVar[bool]

    @abstractmethod
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
        """Send a message, or show why it cannot be sent."""

    @abstractmethod
    def find_target(self, number: int | None, *, own: bool = False) -> MessageTarget | None:
        """Return the message that a command means, or say why there is none.

        number: that which the user has given; None without one.
        own: without a number, one's own last message is meant.
        """

    @abstractmethod
    def confirm_erase(self, target: MessageTarget) -> None:
        """Erase a message, after asking where a key may have been pressed by mistake."""

    @traced()
    def action(self, text: str) -> None:
        """Send the recipient what the user does."""
        if (to := self.recipient) is None:
            self.refuse(_("There is no recipient yet: write /msg NAME TEXT first."))
        else:
            self.send(to, text, kind="action")

    @traced("number")
    def reply(self, number: int | None, text: str) -> None:
        """Reply to a message."""
        self._amend(number, text, None)

    @traced("number")
    def edit(self, number: int | None, text: str) -> None:
        """Replace the text of an own message."""
        self._amend(number, text, "edit", own=True)

    @traced("number")
    def erase(self, number: int | None, rest: str) -> None:
        """Erase a message."""
        if rest:
            return self.refuse(_("Usage: {usage}", usage="/erase [NUMBER]" if self.has_numbers else "/erase"))
        if (target := self.find_target(number, own=True)) is not None:
            self.confirm_erase(target)
        return None

    @traced("number")
    def react(self, number: int | None, reaction: str) -> None:
        """React to a message."""
        self._amend(number, reaction.strip(), "react")

    @traced("number")
    def unreact(self, number: int | None, reaction: str) -> None:
        """Take an own reaction back."""
        self._amend(number, reaction.strip(), "unreact")

    def _amend(self, number: int | None, text: str, what: fields.What | None, *, own: bool = False) -> None:
        if number is not None and not self.has_numbers:
            number, text = None, f"{number} {text}"
        target = self.find_target(number, own=own)
        if target is not None and not text.strip():
            self.refuse(_("nothing sent: the text is missing"))
        elif target is not None:
            self.send(target.conversation, text, about=target.seq, what=what)
