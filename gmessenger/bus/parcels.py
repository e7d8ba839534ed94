"""Parcels: what one node says at a time to one destination, as MessagePack; an envelope is put around it.

One of them holds all that a node has to say to one destination in one turn: hints, and, where it goes to all, changes
of what the node shows.

Whatever a node shows has a number, which goes up by one with each parcel that has `cards` for all. Every parcel carries
it: who knows an older state than that has missed something. Every parcel has a `seq` besides, by destination and
without holes: who does not get the next one has missed one. A beat says how many have gone to each node, so that the
loss of the last one is noticed, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder

FIRST_PAGE: Final = 1
LAST_PAGE: Final = 2
NOTHING_NEW: Final = 4


class Parcel(Struct, array_like=True):
    """What a node says. `cards` are the names that it shows in another way than before; None: no more.

    | | |
    |---|---|
    | `ask` | random bytes: whoever gets them says them again as `proof` that it lives now |
    | `sent` | in a proof, the seq of what has gone to all up to now |
    | `counts` | in a beat: the seq of what has gone to each node up to now |
    | `wants` | the other is asked for what it shows; the number is that of the state known here, -1 none |
    | `page` | an answer to that: `cards` are a page of all there are, or `NOTHING_NEW` |
    """

    number: int
    seq: int = 0
    hints: Sequence[bytes] = ()
    cards: Mapping[str, bytes | None] = {}
    bye: bool = False
    ask: bytes = b""
    proof: bytes = b""
    sent: int = 0
    counts: Mapping[str, int] | None = None
    wants: int | None = None
    page: int = 0


_encode: Final = Encoder().encode
_decode: Final = Decoder(Parcel).decode


def packed(parcel: Parcel) -> bytes:
    return _encode(parcel)


def unpacked(data: bytes) -> Parcel | None:
    """What somebody has said; None where it is not a parcel."""
    try:
        return _decode(data)
    except (MsgspecError, UnicodeDecodeError):
        return None
