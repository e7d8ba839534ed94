"""Subscriber: receive published packets, and request the entries of peers after a loss.

Whether packets arrive at all is checked with the node's own: the publisher sends one to this node at each echo
interval, and it has to come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gmessenger.bus.authentication import PacketAuthenticator
from gmessenger.bus.connection import ConnectionPair, RedisConnection
from gmessenger.bus.peers import PeerTable
from gmessenger.bus.presence import EntryRequests, ReplyQueue
from gmessenger.bus.protocol import LAST_PAGE, UNCHANGED, ChannelNames, Intervals
from gmessenger.cluster.interfaces import BusStats
from gmessenger.timeslice import TimeSlice

NO_ECHO: Final = "its own messages do not come back"
MESSAGE_TYPE: Final = b"message"


class Subscriber:
    """Receives on one connection pair after the other: `subscribe`, then `run`. Both block."""

    def __init__(
        self,
        channels: ChannelNames,
        intervals: Intervals,
        stats: BusStats,
        monotonic: Callable[[], float],
        peers: PeerTable,
        authenticator: PacketAuthenticator,
        replies: ReplyQueue,
        requests: EntryRequests,
        on_echo: Callable[[], None],
        on_connected: Callable[[], None],
        on_interval: Callable[[], None],
    ) -> None:
        """Create a subscriber.

        Args:
            on_echo: called when a packet of this node to itself has come back.
            on_connected: called when the bus is connected, before the listener is told.
            on_interval: called at each echo interval.
        """
        self._channel_names = channels
        self._intervals = intervals
        self._stats = stats
        self._monotonic = monotonic
        self._peers = peers
        self._authenticator = authenticator
        self._replies = replies
        self._requests = requests
        self._on_echo = on_echo
        self._on_connected = on_connected
        self._on_interval = on_interval
        self._names_by_channel = {
            name.encode(): name for name in (channels.broadcast, channels.of_node(channels.own_node))
        }
        self._is_ready = self._echoed = False
        self._echo_at = self._connected_at = 0.0

    def subscribe(self, pair: ConnectionPair) -> None:
        """Subscribe to both channels. Raises `ConnectionError`."""
        connection = pair.subscribing
        connection.send(("SUBSCRIBE", *self._names_by_channel.values()))
        for _ in self._names_by_channel:
            if connection.read(self._intervals.reply_timeout) is None:
                raise ConnectionError("it does not answer")
        self._is_ready = self._echoed = False

    def run(self, pair: ConnectionPair) -> None:
        """Receive until the connections fail. Raises `ConnectionError`."""
        connection, time_slice = pair.subscribing, TimeSlice()
        self._requests.clear()
        self._peers.on_reconnect()
        self._echo_at = self._peers.now
        checked_at = self._connected_at = self._monotonic()
        while not pair.failure:
            self._read(connection)
            time_slice.yield_if_expired()
            now = self._monotonic()
            self._requests.send_due(now)
            if not self._is_ready and self._has_synced(pair, now):
                self._is_ready = True
                self._on_connected()
                self._peers.notify_connected()
            if now - checked_at >= self._intervals.echo:
                self._check_timeouts(pair, now - checked_at)
                checked_at = now

    def _read(self, connection: RedisConnection) -> None:
        reply = connection.read(self._intervals.echo if self._is_ready else self._intervals.startup_delay)
        if isinstance(reply, list) and len(reply) == 3 and reply[0] == MESSAGE_TYPE and isinstance(reply[2], bytes):
            channel = self._names_by_channel.get(reply[1]) if isinstance(reply[1], bytes) else None
            if channel is not None:
                self._handle(channel, reply[2])

    def _has_synced(self, pair: ConnectionPair, now: float) -> bool:
        """Return whether echoes come back, and the entries of every peer that answers are known."""
        waited = now - self._connected_at
        are_all_known = bool(pair.subscriber_count) and len(self._peers.nodes) >= pair.subscriber_count - 1
        is_known = not self._requests and (are_all_known or waited >= self._intervals.startup_delay)
        return self._echoed and (is_known or waited >= self._intervals.reply_timeout)

    def _check_timeouts(self, pair: ConnectionPair, seconds: float) -> None:
        """Remove the peers that have timed out, or fail the connections if no echo comes back."""
        # If this process was suspended, its peers were not silent: their packets have only not been read yet.
        self._peers.advance_clock(min(seconds, 2 * self._intervals.echo))
        if self._peers.now - self._echo_at > self._intervals.reply_timeout + self._intervals.echo:
            pair.fail(NO_ECHO)
        self._on_interval()

    def _handle(self, channel: str, data: bytes) -> None:
        envelope = self._authenticator.parse(data)
        if envelope is None:
            return
        if envelope.node == self._channel_names.own_node:
            if self._authenticator.is_echo(channel, envelope):
                self._echo_at, self._echoed = self._peers.now, True
                self._on_echo()
            return
        authenticated = self._authenticator.authenticate(channel, envelope)
        if authenticated is None:
            return
        peer, packet = authenticated
        self._stats.received += len(packet.payloads)
        self._peers.receive(
            peer, packet, to_all=channel == self._channel_names.broadcast, is_requested=peer.name in self._requests
        )
        if packet.page & (LAST_PAGE | UNCHANGED):
            self._requests.complete(peer.name)
        if packet.requested_from is not None:
            self._replies.send_presence(peer.name, packet.requested_from)
