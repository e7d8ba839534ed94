"""Authentication of packets: accept only what a node of the cluster has sealed, now and once.

    header      known format, known key                                     else `unreadable`, `key`
    peer        counter higher than that of the last packet                 else `replayed`
    decrypts    with the key of that process, for the channel it came on    else `forged`
    stranger    returns the challenge that was sent to it                   else it is challenged, the packet dropped

Redis, and others with access to it, may have recorded packets at any time. A process that is not yet known as a
peer is therefore sent a random challenge, and becomes a peer by returning it. After three packets two nodes know each
other. The one that accepts first is already known to the other, so no packet meant for a known peer is dropped.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Final

from gmessenger.bus.envelopes import Envelope, Keyring, Sealer, open_envelope, read_envelope
from gmessenger.bus.peers import PeerState, PeerTable
from gmessenger.bus.presence import ReplyQueue
from gmessenger.bus.protocol import ChannelNames, Intervals, Packet, decode_packet
from gmessenger.lru_map import LruMap

CHALLENGE_BYTES: Final = 16
MAX_CHALLENGED: Final = 1000


class Challenges:
    """The challenge of this process, one for all strangers, and when each of them was sent it.

    It is replaced every `lifetime` seconds; the previous one is still accepted. All times are monotonic seconds.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._made_at = float("-inf")
        self._current = self._previous = secrets.token_bytes(CHALLENGE_BYTES)
        self._challenged_at: LruMap[bytes, tuple[float, float]] = LruMap(MAX_CHALLENGED)

    def make(self, now: float) -> bytes:
        """Return the bytes that a stranger has to return."""
        if now - self._made_at >= self._lifetime:
            self._previous, self._current = self._current, secrets.token_bytes(CHALLENGE_BYTES)
            self._made_at = now
        return self._current

    def is_met(self, proof: bytes) -> bool:
        """Return whether `proof` is a valid challenge, comparing in constant time."""
        return hmac.compare_digest(proof, self._current) or hmac.compare_digest(proof, self._previous)

    def is_due(self, boot: bytes, now: float, delay: float) -> bool:
        """Return whether to challenge a stranger, once per `delay` seconds, and record it if so."""
        first, last = self._challenged_at.peek(boot) or (now, float("-inf"))
        if now - last < delay:
            return False
        self._challenged_at[boot] = first, now
        return True

    def seconds_unanswered(self, boot: bytes, now: float) -> float:
        """Return for how many seconds a stranger has not answered its first challenge."""
        return now - (self._challenged_at.peek(boot) or (now, now))[0]

    def forget(self, boot: bytes) -> None:
        """Forget a stranger that has become a peer."""
        self._challenged_at.pop(boot)


UNREADABLE: Final = "unreadable"
UNKNOWN_KEY: Final = "key"
FORGED: Final = "forged"
REPLAYED: Final = "replayed"
STALE: Final = "stale"
TOO_MANY_NODES: Final = "full"
REJECT_REASONS: Final = (UNREADABLE, UNKNOWN_KEY, FORGED, REPLAYED, STALE, TOO_MANY_NODES)
"""Why a packet was rejected. `key`: sealed with a key that is not (yet) known here; `stale`: of a process that does not
answer challenges; `full`: there are too many peers."""


class PacketAuthenticator:
    """Turns published messages into packets of peers. No method blocks or raises, whatever the input."""

    def __init__(
        self,
        channels: ChannelNames,
        intervals: Intervals,
        keyring: Keyring,
        sealer: Sealer,
        peers: PeerTable,
        replies: ReplyQueue,
        on_reject: Callable[[str], None],
    ) -> None:
        self._channels = channels
        self._intervals = intervals
        self._keyring = keyring
        self._sealer = sealer
        self._peers = peers
        self._replies = replies
        self._on_reject = on_reject
        self._own_channel = channels.of_node(channels.own_node)
        self._last_echo_counter = 0
        self.challenges = Challenges(intervals.node_timeout)

    def is_echo(self, channel: str, envelope: Envelope) -> bool:
        """Return whether this is an envelope of our own to our own channel, seen for the first time."""
        if channel != self._own_channel:
            return False  # own broadcasts come back, too
        if envelope.boot != self._sealer.boot:
            self._on_reject(STALE)
        elif envelope.counter <= self._last_echo_counter:
            self._on_reject(REPLAYED)
        elif open_envelope(self._sealer.cipher, envelope, channel) is None:
            self._on_reject(FORGED)
        else:
            self._last_echo_counter = envelope.counter
            return True
        return False

    def parse(self, data: bytes) -> Envelope | None:
        """Parse a published message; count a rejection and return None if it is not an acceptable envelope."""
        envelope = read_envelope(data)
        if envelope is None:
            self._on_reject(UNREADABLE)
        elif not self._keyring.has(envelope.key_id):
            self._on_reject(UNKNOWN_KEY)
        else:
            return envelope
        return None

    def authenticate(self, channel: str, envelope: Envelope) -> tuple[PeerState, Packet] | None:
        """Return the peer and its packet; None if it is rejected or its sender is not a peer yet."""
        peer = self._peers.find(envelope.node)
        if peer is not None and peer.boot == envelope.boot:
            return self._from_known(channel, envelope, peer)
        return self._from_unknown(channel, envelope)

    def _from_known(self, channel: str, envelope: Envelope, peer: PeerState) -> tuple[PeerState, Packet] | None:
        if envelope.counter <= peer.counter:
            self._on_reject(REPLAYED)
            return None
        packet = self._open(channel, envelope, peer)
        if packet is None:
            return None
        peer.counter = envelope.counter
        if packet.challenge and channel == self._own_channel:
            self._replies.send_proof(peer.name, packet.challenge)
        return peer, packet

    def _from_unknown(self, channel: str, envelope: Envelope) -> tuple[PeerState, Packet] | None:
        if envelope.counter <= self._peers.last_counter(envelope.boot):
            self._on_reject(REPLAYED)
            return None
        peer = PeerState(envelope.node, envelope.boot, envelope.counter, self._peers.now)
        packet = self._open(channel, envelope, peer)
        if packet is None:
            return None
        if packet.challenge:
            self._replies.send_proof(peer.name, packet.challenge)
        if packet.proof and channel == self._own_channel and self.challenges.is_met(packet.proof):
            return self._add_peer(peer, packet)
        now = self._peers.now
        if self.challenges.seconds_unanswered(peer.boot, now) > self._intervals.reply_timeout:
            self._on_reject(STALE)
        if self.challenges.is_due(peer.boot, now, self._intervals.echo):
            self._replies.send_challenge(peer.name, self.challenges.make(now))
        return None

    def _add_peer(self, peer: PeerState, packet: Packet) -> tuple[PeerState, Packet] | None:
        if self._peers.is_full and self._peers.find(peer.name) is None:
            self._on_reject(TOO_MANY_NODES)
            return None
        self.challenges.forget(peer.boot)
        self._peers.add(peer, packet)
        return peer, packet

    def _open(self, channel: str, envelope: Envelope, peer: PeerState) -> Packet | None:
        cipher = peer.ciphers.get(envelope.key_id)
        if cipher is None:
            cipher = self._keyring.make_cipher(envelope.key_id, envelope.node, envelope.boot)
            if cipher is None:
                self._on_reject(UNKNOWN_KEY)
                return None
        body = open_envelope(cipher, envelope, channel)
        if body is None:
            self._on_reject(FORGED)
            return None
        if envelope.key_id not in peer.ciphers:
            known = {id: kept for id, kept in peer.ciphers.items() if self._keyring.has(id)}
            peer.ciphers = known | {envelope.key_id: cipher}
        packet = decode_packet(body)
        if packet is None:
            self._on_reject(UNREADABLE)
        return packet
