"""What the messenger passes around: what waits in an outbox on its way to one session.

msgspec structs, because a hundred thousand of them are made in a second; nothing here knows how it will be written.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import Struct

EVERYBODY: Final = "#all"
"""The addressee of a message to everybody present; no room can take the name."""
ONLINE: Final = "online"
OFFLINE: Final = "offline"


class Message(Struct):
    """Somebody's text on its way. `sender` and `to` are names as shown; `time` is Unix seconds.

    `said` is for fronts only: the sender's word, which may tell a receiver's front how to say it. `written` holds what
    a front has made of the message, so that it is made once for all its recipients.
    """

    sender: str
    to: str
    text: str
    time: float
    said: str = ""
    written: bytes | None = None

    @property
    def weight(self) -> int:
        return len(self.text) + 128


class Answer(Struct):
    """The answer to a request that had an `id`; `code` is the wire's, `more` what belongs to it."""

    code: int
    id: str | None
    time: float
    more: dict[str, Any] | None = None
    weight: int = 128


class PresenceChange(Struct):
    """Somebody this session shares a conversation with has come, gone, or says how they are."""

    name: str
    status: str
    weight: int = 128


class Synced(Struct):
    """The session has everything that was waiting for it."""

    weight: int = 64


class Probe(Struct):
    """Asks the other end whether it is there."""

    weight: int = 64


class Moving(Struct):
    """The server stops; come back in `retry_in` seconds."""

    retry_in: float
    weight: int = 64


class Replaced(Struct):
    """Another connection has taken this session's place."""

    time: float
    weight: int = 128


class Goodbye(Struct):
    """Nothing follows: when all before it is written, the connection is closed."""

    weight: int = 0


Parcel: TypeAlias = Message | Answer | PresenceChange | Synced | Probe | Moving | Replaced | Goodbye
