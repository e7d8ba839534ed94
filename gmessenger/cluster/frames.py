"""Frames between the nodes of a cluster: msgpack arrays on the bus, told apart by tag.

Fields travel by position, so their order is part of the format and their names are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import MsgspecError, Struct, msgpack

from gmessenger.chat.records import About, FileInfo, NewMessage
from gmessenger.room_roles import RoomRole

EXPIRED: Final = "late"
"""Value of `RelayReply.error` for a request that arrived after its deadline. No error has this code."""


class MessageHint(Struct, array_like=True, gc=False):
    """A message that another node has stored.

    Attributes:
        action: the action word of `chat.outbound.Message`.
        room: id of the room; 0 in a direct conversation.
        about: seq of the message that it is about; `kind`, `what`, `file`: as in `StoredMessage`; `by`: as in `About`.
        tags: as in `chat.outbound.Message`.
    """

    conversation: str
    seq: int
    sender: str
    to: str
    text: str
    time: float
    action: str
    device: int | None
    id: str | None
    room: int = 0
    kind: str = ""
    about: int | None = None
    what: str = ""
    by: str = ""
    file: FileInfo | None = None
    tags: Mapping[str, str] | None = None

    def to_message(self) -> NewMessage:
        """Convert the hint to the record that the storing node has committed."""
        about = About(self.about, self.what, by=self.by) if self.about is not None else None
        return NewMessage(
            self.conversation,
            self.sender,
            self.to,
            self.text,
            self.time,
            device=self.device,
            id=self.id,
            kind=self.kind,
            about=about,
            file=self.file,
        )


class HintBatch(Struct, array_like=True, tag=1):
    """Messages of one conversation, in the order of their seqs."""

    hints: list[MessageHint]


class ChangeNotice(Struct, array_like=True, tag=2):
    """Makes the other nodes read the change feed; says nothing of what was changed."""


class ReceiptFrame(Struct, array_like=True, tag=3):
    """A delivery or read receipt for all sessions of a name.

    Attributes:
        to: folded name of the recipient of the receipt.
        peer: whom the conversation is with, as the recipient sees it.
        seq: the last message covered.
        is_read: True for a read receipt, False for a delivery receipt.
    """

    to: str
    peer: str
    seq: int
    is_read: bool


class BroadcastFrame(Struct, array_like=True, tag=4):
    """A broadcast message, for every session on the other nodes."""

    sender: str
    text: str
    time: float
    action: str
    kind: str = ""


class RelayRequest(Struct, array_like=True, tag=5):
    """A message between guests, to be put into the recipient's outboxes on another node.

    Attributes:
        ref: number of the request, repeated in the reply.
        deadline: monotonic time on the receiving node up to which the message may be delivered.
        dedup_key: equal for a message and its repetitions; empty where the client gave no id.
        sender_key: folded name of the sender.
        key: folded name of the recipient.
    """

    ref: int
    deadline: float
    dedup_key: str
    sender_key: str
    key: str
    sender: str
    to: str
    text: str
    time: float
    action: str
    kind: str = ""
    tags: Mapping[str, str] | None = None


class ReserveRequest(Struct, array_like=True, tag=6):
    """Request to reserve space in a guest's outboxes for a message that is being stored.

    Attributes:
        ref: number of the request; it identifies the reservation later.
        deadline: see `RelayRequest`.
        sender_key: folded name of the sender.
        key: folded name of the recipient.
        size: characters to reserve, overhead included.
    """

    ref: int
    deadline: float
    sender_key: str
    key: str
    size: int


class ReleaseNotice(Struct, array_like=True, tag=7):
    """Notice that a reservation can be freed when its message is delivered, or after `RELEASE_DELAY`."""

    ref: int


class RelayReply(Struct, array_like=True, tag=8):
    """Reply to a `RelayRequest` or `ReserveRequest`.

    Attributes:
        taken: number of outboxes that accepted the message or the reservation.
        error: code of an error, `EXPIRED`, or empty.
        at: monotonic time of the replying node.
    """

    ref: int
    taken: int
    error: str
    at: float


class SignalFrame(Struct, array_like=True, tag=9):
    """A signal, for the sessions on other nodes that it is for. The fields are those of `chat.outbound.Signal`."""

    sender: str
    to: str
    tags: Mapping[str, str]
    time: float
    text: str = ""
    kind: str = ""
    least: RoomRole = "member"


class ProtocolNotice(Struct, array_like=True, tag=10):
    """What a protocol tells itself on the other nodes. The words mean something to it alone."""

    protocol: str
    words: list[str]


NodeFrame: TypeAlias = (
    HintBatch
    | ChangeNotice
    | ReceiptFrame
    | BroadcastFrame
    | RelayRequest
    | ReserveRequest
    | ReleaseNotice
    | RelayReply
    | SignalFrame
    | ProtocolNotice
)
encode: Final = msgpack.Encoder().encode
_decoder: Final = msgpack.Decoder(NodeFrame)


def decode(data: bytes) -> NodeFrame | None:
    """Decode a frame; None for one that is not understood, as a node of another release may send."""
    try:
        frame: NodeFrame = _decoder.decode(data)
    except (MsgspecError, UnicodeDecodeError):
        return None
    return frame
