"""Admission: what comes out of Redis is believed if a node of the cluster has sealed it for us just now, and once.

    header      our form, a key that we have                                    else `unreadable`, `key`
    known       the number is higher than that of the last one                  else `replayed`
    opens       with the key of that process, for the channel on which it came  else `forged`
    unknown     it returns the challenge that we have sent to it                else it is challenged, and not heard

Whoever listens to Redis may have kept what was said on any other day. A process that we do not know is therefore heard
once it has proved that it lives: it is asked with a challenge and answers with it. Two nodes need three parcels to know
each other, and whoever is known first knows the other by then, so nothing that is meant for somebody is lost to that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gmessenger.bus.challenges import Challenges
from gmessenger.bus.envelopes import Envelope, Keyring, Sealer, open_envelope, read_envelope
from gmessenger.bus.keys import Keys, Pace
from gmessenger.bus.others import Node, Others
from gmessenger.bus.parcels import Parcel, unpacked
from gmessenger.bus.replies import Replies

UNREADABLE: Final = "unreadable"
KEY: Final = "key"
FORGED: Final = "forged"
REPLAYED: Final = "replayed"
STALE: Final = "stale"
FULL: Final = "full"
REASONS: Final = (UNREADABLE, KEY, FORGED, REPLAYED, STALE, FULL)
"""Why something was rejected. `key`: sealed with a key that is not, or not yet, known here; `stale`: a node's, but one
that does not answer; `full`: there are too many nodes."""


class Admission:
    """Turns published messages into parcels of nodes. Nothing here blocks or raises, whatever the input."""

    def __init__(
        self,
        keys: Keys,
        pace: Pace,
        ring: Keyring,
        sealer: Sealer,
        others: Others,
        replies: Replies,
        reject: Callable[[str], None],
    ) -> None:
        self._keys = keys
        self._pace = pace
        self._ring = ring
        self._sealer = sealer
        self._others = others
        self._replies = replies
        self._reject = reject
        self._own_channel = keys.node(keys.own)
        self._echoed = 0
        self.challenges = Challenges(pace.timeout)

    def is_echo(self, channel: str, envelope: Envelope) -> bool:
        """Return whether this is an envelope of our own to our own channel, seen for the first time."""
        if channel != self._own_channel:
            return False  # our own broadcasts come back to us, too
        if envelope.boot != self._sealer.boot:
            self._reject(STALE)
        elif envelope.counter <= self._echoed:
            self._reject(REPLAYED)
        elif open_envelope(self._sealer.cipher, envelope, channel) is None:
            self._reject(FORGED)
        else:
            self._echoed = envelope.counter
            return True
        return False

    def read(self, data: bytes) -> Envelope | None:
        """Parse a published message; None, and a rejection is counted, where it is no envelope."""
        envelope = read_envelope(data)
        if envelope is None:
            self._reject(UNREADABLE)
        elif not self._ring.has(envelope.key_id):
            self._reject(KEY)
        else:
            return envelope
        return None

    def take(self, channel: str, envelope: Envelope) -> tuple[Node, Parcel] | None:
        """Return who has said what; None where it is not to be heard."""
        node = self._others.find(envelope.node)
        if node is not None and node.boot == envelope.boot:
            return self._from_known(channel, envelope, node)
        return self._from_unknown(channel, envelope)

    def _from_known(self, channel: str, envelope: Envelope, node: Node) -> tuple[Node, Parcel] | None:
        if envelope.counter <= node.counter:
            self._reject(REPLAYED)
            return None
        parcel = self._open(channel, envelope, node)
        if parcel is None:
            return None
        node.counter = envelope.counter
        if parcel.ask and channel == self._own_channel:
            self._replies.prove(node.name, parcel.ask)
        return node, parcel

    def _from_unknown(self, channel: str, envelope: Envelope) -> tuple[Node, Parcel] | None:
        if envelope.counter <= self._others.heard_of(envelope.boot):
            self._reject(REPLAYED)
            return None
        node = Node(envelope.node, envelope.boot, envelope.counter, self._others.now)
        parcel = self._open(channel, envelope, node)
        if parcel is None:
            return None
        if parcel.ask:
            self._replies.prove(node.name, parcel.ask)
        if parcel.proof and channel == self._own_channel and self.challenges.is_met(parcel.proof):
            return self._admit(node, parcel)
        now = self._others.now
        if self.challenges.waited(node.boot, now) > self._pace.answer:
            self._reject(STALE)
        if self.challenges.is_due(node.boot, now, self._pace.pulse):
            self._replies.ask(node.name, self.challenges.make(now))
        return None

    def _admit(self, node: Node, parcel: Parcel) -> tuple[Node, Parcel] | None:
        if self._others.full and self._others.find(node.name) is None:
            self._reject(FULL)
            return None
        self.challenges.forget(node.boot)
        self._others.admit(node, parcel)
        return node, parcel

    def _open(self, channel: str, envelope: Envelope, node: Node) -> Parcel | None:
        cipher = node.ciphers.get(envelope.key_id)
        if cipher is None:
            cipher = self._ring.make_cipher(envelope.key_id, envelope.node, envelope.boot)
            if cipher is None:
                self._reject(KEY)
                return None
        body = open_envelope(cipher, envelope, channel)
        if body is None:
            self._reject(FORGED)
            return None
        if envelope.key_id not in node.ciphers:
            known = {id: each for id, each in node.ciphers.items() if self._ring.has(id)}
            node.ciphers = known | {envelope.key_id: cipher}
        parcel = unpacked(body)
        if parcel is None:
            self._reject(UNREADABLE)
        return parcel
