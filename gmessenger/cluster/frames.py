"""What nodes say to each other over the bus, as bytes: msgpack, small and decoded into structs by their tags."""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import MsgspecError, Struct, msgpack

from gmessenger.chat.records import Post

LATE: Final = "late"
"""What stands in the place of an error's word where the question came too late to be answered; no error has it."""


class Hint(Struct, array_like=True, gc=False):
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

    def post(self) -> Post:
        return Post(self.conversation, self.sender, self.to, self.text, self.time, None, self.device, self.id)


class Hints(Struct, array_like=True, tag=1):
    """Posts of one conversation, in the order of their seqs."""

    hints: list[Hint]


class Changed(Struct, array_like=True, tag=2):
    """There are changes to be read."""


class Told(Struct, array_like=True, tag=3):
    """For every session of a name (`to`, folded): `with_` has it up to `seq`, or the name itself has read so far."""

    to: str
    with_: str
    seq: int
    read: bool


class Broadcast(Struct, array_like=True, tag=4):
    """A message to everybody present."""

    sender: str
    text: str
    time: float
    said: str


class Offer(Struct, array_like=True, tag=5):
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


class Wanted(Struct, array_like=True, tag=6):
    """Room in a guest's outbox is wanted for a message of such a weight; it is kept under `ref`. `until` is when
    nobody waits for that any more, as in `Offer`.
    """

    ref: int
    until: float
    by: str
    key: str
    weight: int


class Redeemed(Struct, array_like=True, tag=7):
    """The room that was kept under `ref` is free when the message has come, or soon: it may not come."""

    ref: int


class Answered(Struct, array_like=True, tag=8):
    """What became of an `Offer`, or of what was `Wanted`: in how many outboxes, or the word of an error, or `LATE`.

    `at` is when, by the steady clock of whoever answers.
    """

    ref: int
    taken: int
    error: str
    at: float


Frame: TypeAlias = Hints | Changed | Told | Broadcast | Offer | Wanted | Redeemed | Answered
encode: Final = msgpack.Encoder().encode
_decoder: Final = msgpack.Decoder(Frame)


def decode(data: bytes) -> Frame | None:
    """A frame; None for what is none, as a node of another release may send."""
    try:
        frame: Frame = _decoder.decode(data)
    except (MsgspecError, UnicodeDecodeError):
        return None
    return frame
