"""The listener: receives published frames, and asks nodes whose frames were lost for their presence.

That what is sent is heard is seen by our own: the speaker publishes something at each pulse, and here it has to come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gmessenger.bus.authentication import PacketAuthenticator
from gmessenger.bus.connection import ConnectionPair, RedisConnection
from gmessenger.bus.peers import PeerTable
from gmessenger.bus.presence import PresenceRequests, ReplyQueue
from gmessenger.bus.protocol import LAST_PAGE, UNCHANGED, ChannelNames, Intervals
from gmessenger.cluster.interfaces import BusStats
from gmessenger.timeslice import TimeSlice

NO_ECHO: Final = "its own messages do not come back"
MESSAGE_TYPE: Final = b"message"


class Subscriber:
    """The greenlet's work of a link: `listen`.

    `echoed` is called when what we say comes back, `resumed` when a link is well, before the others are told, and
    `look` at each pulse.
    """

    def __init__(
        self,
        channels: ChannelNames,
        intervals: Intervals,
        stats: BusStats,
        monotonic: Callable[[], float],
        peers: PeerTable,
        authenticator: PacketAuthenticator,
        replies: ReplyQueue,
        requests: PresenceRequests,
        on_echo: Callable[[], None],
        on_connected: Callable[[], None],
        on_interval: Callable[[], None],
    ) -> None:
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

    def subscribe(self, link: ConnectionPair) -> None:
        """What is published from now on is heard. Raises `ConnectionError`."""
        line = link.subscribing
        line.send(("SUBSCRIBE", *self._names_by_channel.values()))
        for _ in self._names_by_channel:
            if line.read(self._intervals.reply_timeout) is None:
                raise ConnectionError("it does not answer")
        self._is_ready = self._echoed = False

    def run(self, link: ConnectionPair) -> None:
        """For as long as the link is well. Raises `ConnectionError`."""
        line, turn = link.subscribing, TimeSlice()
        self._requests.clear()
        self._peers.on_reconnect()
        self._echo_at = self._peers.now
        looked = self._connected_at = self._monotonic()
        while not link.failure:
            self._read(line)
            turn.yield_if_expired()
            now = self._monotonic()
            self._requests.send_due(now)
            if not self._is_ready and self._has_synced(link, now):
                self._is_ready = True
                self._on_connected()
                self._peers.notify_connected()
            if now - looked >= self._intervals.echo:
                self._check_timeouts(link, now - looked)
                looked = now

    def _read(self, line: RedisConnection) -> None:
        said = line.read(self._intervals.echo if self._is_ready else self._intervals.startup_delay)
        if isinstance(said, list) and len(said) == 3 and said[0] == MESSAGE_TYPE and isinstance(said[2], bytes):
            channel = self._names_by_channel.get(said[1]) if isinstance(said[1], bytes) else None
            if channel is not None:
                self._handle(channel, said[2])

    def _has_synced(self, link: ConnectionPair, now: float) -> bool:
        """Whether our own frames come back, and the presence of every other node that answers is known."""
        waited = now - self._connected_at
        are_all_known = bool(link.subscriber_count) and len(self._peers.nodes) >= link.subscriber_count - 1
        is_known = not self._requests and (are_all_known or waited >= self._intervals.startup_delay)
        return self._echoed and (is_known or waited >= self._intervals.reply_timeout)

    def _check_timeouts(self, link: ConnectionPair, seconds: float) -> None:
        """Who has not been heard of for too long? Maybe the link itself."""
        # While this process stood still, nobody else was silent: what they said has only not been read yet.
        self._peers.advance_clock(min(seconds, 2 * self._intervals.echo))
        if self._peers.now - self._echo_at > self._intervals.reply_timeout + self._intervals.echo:
            link.fail(NO_ECHO)
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
        taken = self._authenticator.authenticate(channel, envelope)
        if taken is None:
            return
        node, parcel = taken
        self._stats.received += len(parcel.payloads)
        self._peers.receive(
            node, parcel, to_all=channel == self._channel_names.broadcast, is_requested=node.name in self._requests
        )
        if parcel.page & (LAST_PAGE | UNCHANGED):
            self._requests.complete(node.name)
        if parcel.requested_from is not None:
            self._replies.send_presence(node.name, parcel.requested_from)
