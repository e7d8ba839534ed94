"""Messages about earlier messages: replies, edits, erases and reactions, which are sent as any message."""

from __future__ import annotations

from gmessenger import field_types as fields
from gmessenger.client.events import BotMessageReceived, MessageReceived, MessageSentElsewhere
from gmessenger.client.message_sender import MessageSender
from gmessenger.client.sender import OutgoingMessage


class AmendmentSender(MessageSender):
    """The calls that send messages about earlier ones; each returns and raises as `send` does, and blocks no longer."""

    def reply(
        self,
        event: MessageReceived | BotMessageReceived | MessageSentElsewhere,
        text: str,
        timeout: float = 0.0,
        *,
        kind: fields.Kind | None = None,
    ) -> OutgoingMessage:
        """Reply to a message in its conversation; to one without a seq, by an ordinary message."""
        return self.send(event.conversation, text, timeout, about=event.delivery.seq or None, kind=kind)

    def edit(self, to: str, seq: int, text: str) -> OutgoingMessage:
        """Replace the text of an own message of a conversation."""
        return self.send(to, text, about=seq, what="edit")

    def erase(self, to: str, seq: int) -> OutgoingMessage:
        """Erase a message of a conversation for all users: an own one, or as an owner or moderator of the room."""
        return self.send(to, "", about=seq, what="erase")

    def react(self, to: str, seq: int, reaction: str) -> OutgoingMessage:
        """React to a message of a conversation by one character or emoji. Only for accounts."""
        return self.send(to, reaction, about=seq, what="react")

    def unreact(self, to: str, seq: int, reaction: str) -> OutgoingMessage:
        """Take an own reaction back. Only for accounts."""
        return self.send(to, reaction, about=seq, what="unreact")
