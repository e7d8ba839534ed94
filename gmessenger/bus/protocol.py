"""Parcels: what one node says at a time to one destination, as MessagePack; an envelope is put around it.

One of them holds all that a node has to say to one destination in one turn: hints, and, where it goes to all, changes
of what the node shows.

Whatever a node shows has a number, which goes up by one with each parcel that has `cards` for all. Every parcel carries
it: who knows an older state than that has missed something. Every parcel has a `seq` besides, by destination and
without holes: who does not get the next one has missed one. A beat says how many have gone to each node, so that the
loss of the last one is noticed, too.

What a cluster's channels in Redis are called, and how often a node speaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder

FIRST_PAGE: Final = 1
LAST_PAGE: Final = 2
UNCHANGED: Final = 4


class Packet(Struct, array_like=True):
    """What a node says. `cards` are the names that it shows in another way than before; None: no more.

    | | |
    |---|---|
    | `ask` | random bytes: whoever gets them says them again as `proof` that it lives now |
    | `sent` | in a proof, the seq of what has gone to all up to now |
    | `counts` | in a beat: the seq of what has gone to each node up to now |
    | `wants` | the other is asked for what it shows; the number is that of the state known here, -1 none |
    | `page` | an answer to that: `cards` are a page of all there are, or `UNCHANGED` |
    """

    version: int
    seq: int = 0
    payloads: Sequence[bytes] = ()
    presence: Mapping[str, bytes | None] = {}
    is_leaving: bool = False
    challenge: bytes = b""
    proof: bytes = b""
    broadcast_seq: int = 0
    node_seqs: Mapping[str, int] | None = None
    requested_from: int | None = None
    page: int = 0


_encode: Final = Encoder().encode
_decode: Final = Decoder(Packet).decode


def encode_packet(packet: Packet) -> bytes:
    return _encode(packet)


def decode_packet(data: bytes) -> Packet | None:
    """What somebody has said; None where it is not a parcel."""
    try:
        return _decode(data)
    except (MsgspecError, UnicodeDecodeError):
        return None


@dataclass(frozen=True, slots=True)
class ChannelNames:
    """| | |
    |---|---|
    | `…:all` | a channel that every node listens to |
    | `…:node:ID` | a channel that one node listens to |

    There is nothing else: no key is ever written, so there is none to forge, to delete or to lose.
    """

    cluster: str
    own_node: str

    def _named(self, name: str) -> str:
        return f"gmessenger:{self.cluster}:{name}"

    @property
    def broadcast(self) -> str:
        return self._named("all")

    def of_node(self, node: str) -> str:
        return self._named(f"node:{node}")


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often a node speaks, in seconds, and how long it waits: `timeout` is when the others give it up."""

    node_timeout: float

    @property
    def heartbeat(self) -> float:
        """Pause between what tells the others that this node lives, and how much it has said."""
        return self.node_timeout / 5

    @property
    def echo(self) -> float:
        """Pause between what a node publishes to itself, to see whether the link is well."""
        return min(1.0, self.node_timeout / 5)

    @property
    def reply_timeout(self) -> float:
        """How long Redis or a node may take to answer, or a pulse to come back. With a pulse before: less than 5 s."""
        return min(2.5, self.node_timeout / 2)

    @property
    def startup_delay(self) -> float:
        """How long a node that has just connected waits for listeners that do not answer it."""
        return self.echo / 2
