"""Challenges: random bytes that prove, when they are sealed and returned, that the envelope is not a replay.

Admission: what comes out of Redis is believed if a node of the cluster has sealed it for us just now, and once.

    header      our form, a key that we have                                    else `unreadable`, `key`
    known       the number is higher than that of the last one                  else `replayed`
    opens       with the key of that process, for the channel on which it came  else `forged`
    unknown     it returns the challenge that we have sent to it                else it is challenged, and not heard

Whoever listens to Redis may have kept what was said on any other day. A process that we do not know is therefore heard
once it has proved that it lives: it is asked with a challenge and answers with it. Two nodes need three parcels to know
each other, and whoever is known first knows the other by then, so nothing that is meant for somebody is lost to that.
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

CHALLENGE_BYTES: Final = 16
MAX_CHALLENGED: Final = 1000


class Challenges:
    """Those of this process: one for all peers, changed every `lifetime` seconds; the one before it counts, too.

    `now` is given by the caller, from a clock that only goes forward.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._made_at = float("-inf")
        self._current = self._previous = secrets.token_bytes(CHALLENGE_BYTES)
        self._challenged_at: dict[bytes, tuple[float, float]] = {}

    def make(self, now: float) -> bytes:
        """Return the bytes that a peer has to return."""
        if now - self._made_at >= self._lifetime:
            self._previous, self._current = self._current, secrets.token_bytes(CHALLENGE_BYTES)
            self._made_at = now
        return self._current

    def is_met(self, proof: bytes) -> bool:
        """Whether these are the bytes, compared in constant time."""
        return hmac.compare_digest(proof, self._current) or hmac.compare_digest(proof, self._previous)

    def is_due(self, boot: bytes, now: float, delay: float) -> bool:
        """Whether a process that has proved nothing is to be asked, or again after a `pause`; that counts as asking."""
        first, last = self._challenged_at.get(boot, (now, float("-inf")))
        if now - last < delay:
            return False
        if boot not in self._challenged_at and len(self._challenged_at) >= MAX_CHALLENGED:
            del self._challenged_at[next(iter(self._challenged_at))]
        self._challenged_at[boot] = first, now
        return True

    def seconds_unanswered(self, boot: bytes, now: float) -> float:
        """Return for how many seconds a process has owed us an answer."""
        return now - self._challenged_at.get(boot, (now, now))[0]

    def forget(self, boot: bytes) -> None:
        """It has answered."""
        self._challenged_at.pop(boot, None)


UNREADABLE: Final = "unreadable"
UNKNOWN_KEY: Final = "key"
FORGED: Final = "forged"
REPLAYED: Final = "replayed"
STALE: Final = "stale"
TOO_MANY_NODES: Final = "full"
REJECT_REASONS: Final = (UNREADABLE, UNKNOWN_KEY, FORGED, REPLAYED, STALE, TOO_MANY_NODES)
"""Why something was rejected. `key`: sealed with a key that is not, or not yet, known here; `stale`: a node's, but one
that does not answer; `full`: there are too many nodes."""


class PacketAuthenticator:
    """Turns published messages into parcels of nodes. Nothing here blocks or raises, whatever the input."""

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
            return False  # our own broadcasts come back to us, too
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
        """Parse a published message; None, and a rejection is counted, where it is no envelope."""
        envelope = read_envelope(data)
        if envelope is None:
            self._on_reject(UNREADABLE)
        elif not self._keyring.has(envelope.key_id):
            self._on_reject(UNKNOWN_KEY)
        else:
            return envelope
        return None

    def authenticate(self, channel: str, envelope: Envelope) -> tuple[PeerState, Packet] | None:
        """Return who has said what; None where it is not to be heard."""
        node = self._peers.find(envelope.node)
        if node is not None and node.boot == envelope.boot:
            return self._from_known(channel, envelope, node)
        return self._from_unknown(channel, envelope)

    def _from_known(self, channel: str, envelope: Envelope, node: PeerState) -> tuple[PeerState, Packet] | None:
        if envelope.counter <= node.counter:
            self._on_reject(REPLAYED)
            return None
        parcel = self._open(channel, envelope, node)
        if parcel is None:
            return None
        node.counter = envelope.counter
        if parcel.challenge and channel == self._own_channel:
            self._replies.send_proof(node.name, parcel.challenge)
        return node, parcel

    def _from_unknown(self, channel: str, envelope: Envelope) -> tuple[PeerState, Packet] | None:
        if envelope.counter <= self._peers.last_counter(envelope.boot):
            self._on_reject(REPLAYED)
            return None
        node = PeerState(envelope.node, envelope.boot, envelope.counter, self._peers.now)
        parcel = self._open(channel, envelope, node)
        if parcel is None:
            return None
        if parcel.challenge:
            self._replies.send_proof(node.name, parcel.challenge)
        if parcel.proof and channel == self._own_channel and self.challenges.is_met(parcel.proof):
            return self._add_peer(node, parcel)
        now = self._peers.now
        if self.challenges.seconds_unanswered(node.boot, now) > self._intervals.reply_timeout:
            self._on_reject(STALE)
        if self.challenges.is_due(node.boot, now, self._intervals.echo):
            self._replies.send_challenge(node.name, self.challenges.make(now))
        return None

    def _add_peer(self, node: PeerState, packet: Packet) -> tuple[PeerState, Packet] | None:
        if self._peers.is_full and self._peers.find(node.name) is None:
            self._on_reject(TOO_MANY_NODES)
            return None
        self.challenges.forget(node.boot)
        self._peers.add(node, packet)
        return node, packet

    def _open(self, channel: str, envelope: Envelope, node: PeerState) -> Packet | None:
        cipher = node.ciphers.get(envelope.key_id)
        if cipher is None:
            cipher = self._keyring.make_cipher(envelope.key_id, envelope.node, envelope.boot)
            if cipher is None:
                self._on_reject(UNKNOWN_KEY)
                return None
        body = open_envelope(cipher, envelope, channel)
        if body is None:
            self._on_reject(FORGED)
            return None
        if envelope.key_id not in node.ciphers:
            known = {id: each for id, each in node.ciphers.items() if self._keyring.has(id)}
            node.ciphers = known | {envelope.key_id: cipher}
        parcel = decode_packet(body)
        if parcel is None:
            self._on_reject(UNREADABLE)
        return parcel
