"""What nodes say to each other over the bus, as bytes: msgpack, small and decoded into structs by their tags."""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import MsgspecError, Struct, msgpack

from gmessenger.chat.records import NewMessage

EXPIRED: Final = "late"
"""What stands in the place of an error's word where the question came too late to be answered; no error has it."""


class MessageHint(Struct, array_like=True, gc=False):
    """A post that another node has kept under `seq`; `said` as in `Message`, `room` the id of the room it is in."""

    conversation: str
    seq: int
    sender: str
    to: str
    text: str
    time: float
    said: str
    device: int | None
    id: str | None
    room: int = 0

    def to_message(self) -> NewMessage:
        return NewMessage(self.conversation, self.sender, self.to, self.text, self.time, None, self.device, self.id)


class HintBatch(Struct, array_like=True, tag=1):
    """Posts of one conversation, in the order of their seqs."""

    hints: list[MessageHint]


class ChangeNotice(Struct, array_like=True, tag=2):
    """There are changes to be read."""


class ReceiptFrame(Struct, array_like=True, tag=3):
    """For every session of a name (`to`, folded): `with_` has it up to `seq`, or the name itself has read so far."""

    to: str
    with_: str
    seq: int
    read: bool


class BroadcastFrame(Struct, array_like=True, tag=4):
    """A message to everybody present."""

    sender: str
    text: str
    time: float
    said: str


class RelayRequest(Struct, array_like=True, tag=5):
    """A message from guest to guest (`key`, folded, as `by` is); `ref` is for the answer.

    It is given up to `until`, by the receiver's steady clock. What is sent again has the same `mark`, if it has one.
    """

    ref: int
    until: float
    mark: str
    by: str
    key: str
    sender: str
    to: str
    text: str
    time: float
    said: str


class ReserveRequest(Struct, array_like=True, tag=6):
    """Room in a guest's outbox is wanted for a message of such a weight; it is kept under `ref`. `until` is when
    nobody waits for that any more, as in `RelayRequest`.
    """

    ref: int
    until: float
    by: str
    key: str
    weight: int


class ReleaseNotice(Struct, array_like=True, tag=7):
    """The room that was kept under `ref` is free when the message has come, or soon: it may not come."""

    ref: int


class RelayReply(Struct, array_like=True, tag=8):
    """The outcome of a `RelayRequest` or `ReserveRequest`: in how many outboxes, the code of an error, or `EXPIRED`.

    `at` is when, by the steady clock of whoever answers.
    """

    ref: int
    taken: int
    error: str
    at: float


NodeFrame: TypeAlias = (
    HintBatch
    | ChangeNotice
    | ReceiptFrame
    | BroadcastFrame
    | RelayRequest
    | ReserveRequest
    | ReleaseNotice
    | RelayReply
)
encode: Final = msgpack.Encoder().encode
_decoder: Final = msgpack.Decoder(NodeFrame)


def decode(data: bytes) -> NodeFrame | None:
    """A frame; None for what is none, as a node of another release may send."""
    try:
        frame: NodeFrame = _decoder.decode(data)
    except (MsgspecError, UnicodeDecodeError):
        return None
    return frame
