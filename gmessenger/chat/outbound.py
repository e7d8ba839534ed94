"""The events that the server sends to sessions. They wait in the outbox of each session until they are encoded.

They are msgspec structs, since a hundred thousand of them are made in a second. Those that wait in great numbers are
hidden from the garbage collector: they refer to nothing that could refer to them. How an event is encoded is the
protocol's matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from gmessenger.account_settings import AccountSettings
from gmessenger.chat.records import FileInfo
from gmessenger.chat.results import Result
from gmessenger.chat.room_events import EncodingCache, InvitationEvent, RoomEvent, UserRenamed
from gmessenger.errors import ErrorFields, WireError
from gmessenger.room_roles import RoomRole

RESPONSE_SIZE: Final = 128
"""What a response weighs besides its result."""
MESSAGE_OVERHEAD: Final = 128
"""Characters that a message in an outbox counts besides its text."""


def tags_size(tags: Mapping[str, str]) -> int:
    """Return how many characters tags have."""
    return sum(len(key) + len(value) for key, value in tags.items())


class Message(Struct, gc=False):
    """A text for one session, or shared by several.

    `sender`, `to`: names as shown. `time`: Unix seconds.
    `action`: the sender's word for the request, by which the recipient's protocol may choose its own.
    `seq`: its number in the conversation; None if it is not stored.
    `id`: the sender's own id of it; only for the sender's other devices.
    `erased`: the text was erased, and is empty. `edited`: when it was edited last, Unix seconds.
    `kind`, `about`, `what`, `file`: as in `StoredMessage`.
    `encoded`: the protocols' cache: the message is encoded once for all recipients to whom it looks the same.
    `tags`: what the sender's client has said beside it, for who is online now; it is stored nowhere. The protocol that
    takes it bounds its size, and what a key means is between its clients.
    `by`: of an erase, who did it, where that is not the sender; else empty.
    """

    sender: str
    to: str
    text: str
    time: float
    action: str = ""
    seq: int | None = None
    id: str | None = None
    erased: bool = False
    encoded: EncodingCache | None = None
    kind: str = ""
    about: int | None = None
    what: str = ""
    edited: float | None = None
    file: FileInfo | None = None
    tags: Mapping[str, str] | None = None
    by: str = ""

    @property
    def size(self) -> int:
        return len(self.text) + MESSAGE_OVERHEAD + (tags_size(self.tags) if self.tags is not None else 0)


class MessageBatch(Struct):
    """Messages of one conversation that were committed together, from `first_seq` to `last_seq`.

    The session's own are left out, unless it `hears_itself`. `encoded` as in `Message`.
    """

    messages: list[Message]
    first_seq: int
    last_seq: int
    size: int
    encoded: EncodingCache | None = None


class Signal(Struct):
    """What a client tells those who are online beside any message, such as that its user is writing. Not stored.

    Only sessions that `accept_signals` are sent it, and none whose outbox is half full. `tags` as in `Message`.
    `text`, `kind`: for a client's question to another client, which its user does not see; to `BROADCAST_TARGET`, what
    an operator says to those who want to hear it. `least`: of a room, the role that one needs to be sent it.
    """

    sender: str
    to: str
    tags: Mapping[str, str]
    time: float
    text: str = ""
    kind: str = ""
    size: int = 512
    least: RoomRole = "member"
    encoded: EncodingCache | None = None


class RelayedText(Struct, gc=False):
    """A text from one guest to another. It is not stored, and has no kind, no tags and no id.

    `is_line`: the sender's protocol knows that it is one line, which any protocol may send as it is.
    """

    sender: str
    to: str
    text: str
    time: float
    is_line: bool = False

    @property
    def size(self) -> int:
        return len(self.text) + MESSAGE_OVERHEAD


class TextBatch(Struct):
    """Texts of one sender to one name that came in one read and are not stored. `encoded` as in `Message`."""

    sender: str
    to: str
    texts: list[str]
    time: float
    size: int
    encoded: EncodingCache | None = None


class EncodedFrames(Struct):
    """What the session's protocol has encoded itself, and is sent in turn with the other events.

    Only the protocol that offers it to its own session knows how to send it.
    """

    data: bytes
    size: int


class Response(Struct, gc=False):
    """The response to the request `id`: a `result`, or the fields of an `error`, or neither.

    `status` is that of the protocol, `time` Unix seconds, `seq` that of a message that was stored.
    """

    status: int
    id: str | None
    time: float
    result: Result | None = None
    error: ErrorFields | None = None
    seq: int | None = None

    @property
    def size(self) -> int:
        # Nearly always without: every message is answered.
        return RESPONSE_SIZE if self.result is None else RESPONSE_SIZE + self.result.size


class DeliveryReceipt(Struct):
    """A device of `name` has received everything up to `seq` of its conversation with this session."""

    name: str
    seq: int
    size: int = 96


class ReadReceipt(Struct):
    """Another device of this account has read everything up to `seq` of the conversation `name`.

    `at`: the time up to which, in Unix seconds, where the reader has said it.
    """

    name: str
    seq: int
    at: float | None = None
    size: int = 96


class PresenceUpdate(Struct):
    """A user whom this session shares a conversation with has logged in or out, or has set a status.

    `note`: of the status, or empty. `encoded` as in `Message`.
    """

    name: str
    status: str
    note: str = ""
    size: int = 128
    encoded: EncodingCache | None = None


class SettingsUpdate(Struct):
    """Another session of the account has changed its settings."""

    settings: AccountSettings
    size: int = 512


class ProfileUpdate(Struct):
    """A user or a room, by name, has changed its profile: the values of some keys, None for those that are gone."""

    name: str
    changes: dict[str, str | None]

    @property
    def size(self) -> int:
        return 128 + sum(len(key) + len(value or "") for key, value in self.changes.items())


class CatchUpDone(Struct):
    """The session was sent its whole backlog; live messages follow."""

    size: int = 64


class BacklogSkipped(Struct):
    """Of the backlog of a conversation, `count` messages are left out; the newest follow. `target`: as in a request."""

    target: str
    count: int
    size: int = 96


class LivenessProbe(Struct):
    """Asks the client to respond, to see whether the connection is alive."""

    size: int = 64


class ServerMoving(Struct):
    """The server stops; the client should reconnect after `retry_after` seconds."""

    retry_after: float
    size: int = 64


class SessionReplaced(Struct):
    """Another connection has replaced this session."""

    time: float
    size: int = 128


class SessionClosed(Struct):
    """The server has ended the session; `error` says why."""

    error: WireError
    time: float
    size: int = 128


class EndOfStream(Struct):
    """The last event: once everything before it is written, the connection is closed."""

    size: int = 0


Outbound: TypeAlias = (
    Message
    | MessageBatch
    | RelayedText
    | TextBatch
    | Signal
    | EncodedFrames
    | Response
    | DeliveryReceipt
    | ReadReceipt
    | RoomEvent
    | UserRenamed
    | InvitationEvent
    | PresenceUpdate
    | SettingsUpdate
    | ProfileUpdate
    | CatchUpDone
    | BacklogSkipped
    | LivenessProbe
    | ServerMoving
    | SessionReplaced
    | SessionClosed
    | EndOfStream
)

TEXTS: Final = (Message, MessageBatch, RelayedText, TextBatch)
"""The events that carry what others have said: a session that resumes is sent them."""


def frame_count(event: Outbound) -> int:
    """Return how many frames an event is."""
    if isinstance(event, MessageBatch):
        return len(event.messages)
    return len(event.texts) if isinstance(event, TextBatch) else 1
