"""The call by which a client sends any message, for the classes that have other calls on top of it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gmessenger import field_types as fields
from gmessenger.client.sender import OutgoingMessage


class MessageSender(ABC):
    """The base of the classes that send messages of one kind."""

    @abstractmethod
    def send(
        self,
        to: str,
        text: str,
        timeout: float = 0.0,
        *,
        about: int | None = None,
        what: fields.What | None = None,
        kind: fields.Kind | None = None,
        file: str | None = None,
    ) -> OutgoingMessage:
        """Queue a message."""
