"""Bus protocol: packets (MessagePack) and their sequence numbers, channel names, and intervals.

A packet holds all that a node has to say to one destination in one round: frames, and, on the broadcast channel,
changes of its presence entries. An envelope is put around it.

Presence entries have a version, which increases by one with each broadcast that changes them. Every packet carries it:
a receiver that knows an older one has missed changes, and requests all entries. Every packet also has a `seq`,
consecutive per destination: a gap shows that one was lost. A heartbeat says how many packets have gone to each node, so
that the loss of the last one is noticed, too.
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
    """One message of a node to one destination. Fields travel by position.

    Attributes:
        version: version of the sender's presence entries.
        seq: number of the packet among those to its destination.
        payloads: frames for the listener.
        presence: changed presence entries by folded name, None for a removed one; or a page of all entries.
        is_leaving: the sender is stopping.
        challenge: random bytes that the receiver has to return as `proof`.
        proof: a challenge of the receiver, returned to prove that the sender is running now.
        broadcast_seq: in a packet with a proof, seq of the sender's last broadcast.
        node_seqs: in a heartbeat, seq of the last packet to each node.
        requested_from: requests the receiver's entries; the version known to the sender, -1 for none.
        page: in the reply to that, flags `FIRST_PAGE` and `LAST_PAGE`, or `UNCHANGED`; else 0.
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
    """Decode a packet; None if `data` is not one."""
    try:
        return _decode(data)
    except (MsgspecError, UnicodeDecodeError):
        return None


@dataclass(frozen=True, slots=True)
class ChannelNames:
    """Names of a cluster's channels in Redis: one for broadcasts, and one for each node.

    The bus uses nothing else of Redis: no key is ever written, so none can be forged, deleted or lost.
    """

    cluster: str
    own_node: str

    def _named(self, name: str) -> str:
        return f"gmessenger:{self.cluster}:{name}"

    @property
    def broadcast(self) -> str:
        """The channel that every node subscribes to."""
        return self._named("all")

    def of_node(self, node: str) -> str:
        """Return the channel that only `node` subscribes to."""
        return self._named(f"node:{node}")


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals and timeouts in seconds, derived from the silence after which a node is gone."""

    node_timeout: float

    @property
    def heartbeat(self) -> float:
        """Between two heartbeats, which show the others that this node is alive and how much it has sent."""
        return self.node_timeout / 5

    @property
    def echo(self) -> float:
        """Between two packets that a node publishes to itself, to check the connections."""
        return min(1.0, self.node_timeout / 5)

    @property
    def reply_timeout(self) -> float:
        """For a reply of Redis or a peer, or the return of an echo. With one echo interval: less than 5 s."""
        return min(2.5, self.node_timeout / 2)

    @property
    def startup_delay(self) -> float:
        """For subscribers that do not answer a node which has just connected; they may not be nodes."""
        return self.echo / 2
