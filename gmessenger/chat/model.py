"""What the messenger passes around: what waits in an outbox on its way to one session.

msgspec structs, because a hundred thousand of them are made in a second, and unseen by the collector where they wait in
great numbers (they refer to nothing that could refer to them); nothing here knows how it will be written.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from gmessenger.errors import WireError

EVERYBODY: Final = "#all"
"""The addressee of a message to everybody present; no room can take the name."""
ONLINE: Final = "online"
OFFLINE: Final = "offline"
AROUND_A_TEXT: Final = 128
"""What a message in an outbox weighs besides its text."""


class Message(Struct, gc=False):
    """Somebody's text on its way. `sender` and `to` are names as shown; `time` is Unix seconds.

    `seq` numbers it in its conversation where it is kept; `id` is the sender's own, for the sender's other devices.
    `said` is for fronts only: the sender's word, which may tell a receiver's front how to say it. `written` holds what
    a front has made of the message, so that it is made once for all its recipients.
    """

    sender: str
    to: str
    text: str
    time: float
    said: str = ""
    seq: int | None = None
    id: str | None = None
    erased: bool = False
    written: Any = None

    @property
    def weight(self) -> int:
        return len(self.text) + AROUND_A_TEXT


class Bundle(Struct):
    """Messages of one conversation that were kept together under the seqs from `first` to `last`, for those who are
    given all of them but their own; `written` as in `Message`.
    """

    messages: list[Message]
    first: int
    last: int
    weight: int
    written: Any = None


class Breath(Struct):
    """What one sender said to one name in one breath, kept nowhere; `written` as in `Message`."""

    sender: str
    to: str
    texts: list[str]
    time: float
    weight: int
    written: Any = None


class Answer(Struct, gc=False):
    """The answer to a request that had an `id`; `code` is the wire's, `seq` that of a message that was kept, `more`
    what else belongs to it.

    Where `more["messages"]` is longer than a frame may be, it is cut: at its `end` unless the newest are at the end
    and wanted most.
    """

    code: int
    id: str | None
    time: float
    more: dict[str, Any] | None = None
    cut_at_end: bool = True
    seq: int | None = None

    @property
    def weight(self) -> int:
        if self.more is None:  # nearly always: every message is answered
            return 128
        lists = [value for value in self.more.values() if type(value) is list]
        return 128 + sum(len(each) if isinstance(each, str) else _weight(each) for items in lists for each in items)


def _weight(entry: dict[str, Any]) -> int:
    return 96 + len(entry.get("message") or "")


class Delivered(Struct):
    """A device of `name` has everything up to `seq` of the conversation with this session."""

    name: str
    seq: int
    weight: int = 96


class ReadUpTo(Struct):
    """Another device of this account has read everything up to `seq` of the conversation `name`."""

    name: str
    seq: int
    weight: int = 96


class RoomChange(Struct):
    """Somebody joined a room, left it, changed its topic, closed or opened it.

    `by` is who removed them, `reason` why it was closed.
    """

    action: Literal["join", "leave", "topic", "close", "open"]
    room: str
    name: str
    topic: str | None = None
    by: str | None = None
    reason: str | None = None
    weight: int = 160


class PresenceChange(Struct):
    """Somebody this session shares a conversation with has come or gone, or says how they are.

    `written` is as in `Message`.
    """

    name: str
    status: str
    weight: int = 128
    written: Any = None


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


class Dismissed(Struct):
    """The session may be here no more; `error` says why."""

    error: WireError
    time: float
    weight: int = 128


class Goodbye(Struct):
    """Nothing follows: when all before it is written, the connection is closed."""

    weight: int = 0


Parcel: TypeAlias = (
    Message
    | Bundle
    | Breath
    | Answer
    | Delivered
    | ReadUpTo
    | RoomChange
    | PresenceChange
    | Synced
    | Probe
    | Moving
    | Replaced
    | Dismissed
    | Goodbye
)
