"""Parcels: what one node publishes at a time, as bytes.

One of them holds all that a node has to say to one destination in one turn: hints, and, where it goes to all, changes
of what the node shows. It is MessagePack, an array whose second element says who speaks, so that what a node has
published itself is known by how it begins.

Whatever a node shows has a number, which goes up by one with each parcel that has `cards`. Every parcel carries it: who
knows an older state than that has missed something. A parcel that holds nothing says that the node lives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder

FORM: Final = 1
"""What the first element is. A node that speaks another form is not understood, and is not there for this one."""


class Parcel(Struct, array_like=True):
    """What a node says. `cards` are the names that it shows in another way than before; None: no more."""

    form: int
    node: str
    number: int
    hints: Sequence[bytes] = ()
    cards: Mapping[str, bytes | None] = {}
    bye: bool = False


_encode: Final = Encoder().encode
_decode: Final = Decoder(Parcel).decode


def packed(parcel: Parcel) -> bytes:
    return _encode(parcel)


def unpacked(data: bytes) -> Parcel | None:
    """What somebody has published; None where it is not a node's of our form."""
    try:
        parcel = _decode(data)
    except MsgspecError:
        return None
    return parcel if parcel.form == FORM and parcel.node else None


def beginning(node: str) -> bytes:
    """How everything begins that this node publishes, and nothing else."""
    return _encode((FORM, node, 0, (), {}, False))[: 2 + len(_encode(node))]
