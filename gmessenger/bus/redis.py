"""Bus over publish/subscribe of Redis 6 or later (no Redis Cluster, no Sentinel).

    RedisBus._run   greenlet: connects, subscribes, and reconnects when a connection is lost
    Publisher.run   greenlet for each connection pair: publishes frames, presence changes and heartbeats
    Subscriber.run  called by `_run`: receives packets and requests presence entries

Nothing is stored in Redis. Presence entries are in the memory of the node that shows them, and sent to the peers that
ask. Packets are accepted when `PacketAuthenticator` has verified them. The bus counts as connected when all peers have
sent their entries and an echo of this node has come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

import gevent
from gevent import Greenlet
from gevent.event import Event

from gmessenger import log
from gmessenger.backoff import Backoff
from gmessenger.bus.authentication import REJECT_REASONS, UNKNOWN_KEY, PacketAuthenticator
from gmessenger.bus.connection import ConnectionPair, RedisEndpoint
from gmessenger.bus.envelopes import Keyring, Sealer
from gmessenger.bus.peers import PeerTable
from gmessenger.bus.presence import EntryRequests
from gmessenger.bus.protocol import ChannelNames, Intervals
from gmessenger.bus.publisher import NODE_STOPPED, Publisher
from gmessenger.bus.subscriber import Subscriber
from gmessenger.cluster.interfaces import BusListener, BusStats

EVENT_LOG_INTERVAL: Final = 60.0  # seconds
MAX_COUNTED_KINDS: Final = 20  # further kinds are not counted


class ThrottledEventLog:
    """Log of an event that strangers can cause at will: later ones as counts, once a minute."""

    def __init__(self, event: str, monotonic: Callable[[], float]) -> None:
        self._event = event
        self._monotonic = monotonic
        self._counts: Counter[str] = Counter()
        self._logged_at = monotonic() - EVENT_LOG_INTERVAL

    def add(self, kind: str, count: int = 1) -> None:
        """Count an event of a kind, and log it if nothing was logged within the last minute."""
        if kind in self._counts or len(self._counts) < MAX_COUNTED_KINDS:
            self._counts[kind] += count
        self.flush()

    def flush(self) -> None:
        """Log the counts, unless something was logged within the last minute."""
        if not self._counts or self._monotonic() - self._logged_at < EVENT_LOG_INTERVAL:
            return
        kinds = " ".join(f"{kind}={count}" for kind, count in sorted(self._counts.items()))
        log.log_event(self._event, count=self._counts.total(), what=kinds)
        self._counts.clear()
        self._logged_at = self._monotonic()


MIN_RECONNECT_DELAY: Final = 0.05  # seconds
MAX_RECONNECT_DELAY: Final = 1.0  # seconds
KEY_CHECK_INTERVAL: Final = 1.0
"""Seconds between two checks for a new cluster key, however many packets are sealed with unknown ones."""
INTERNAL_ERROR: Final = "an internal error"


class RedisBus:
    """Implements `Bus` over Redis; see `open_bus`.

    Broadcasts arrive in the order of sending, and so do frames to one node; broadcasts and those are not ordered among
    each other.
    """

    def __init__(
        self,
        url: str,
        node: str,
        cluster: str,
        key: bytes,
        timeout: float,
        on_error: Callable[[str, BaseException], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._channels = ChannelNames(cluster, node)
        self._intervals = Intervals(timeout)
        self._endpoint = RedisEndpoint(url, self._intervals.reply_timeout)
        self._on_error = on_error
        self._monotonic = monotonic
        self._keyring = Keyring(key, cluster, monotonic)
        self._sealer = Sealer(self._keyring, node)
        self.stats = BusStats(rejected=dict.fromkeys(REJECT_REASONS, 0))
        self._rejected_log = ThrottledEventLog("bus_rejected", monotonic)
        self._missed_log = ThrottledEventLog("bus_missed", monotonic)
        self._key_checked_at = monotonic() - KEY_CHECK_INTERVAL
        self.connected = False
        self.state_since = monotonic()
        self._logged_lost = self._was_connected = self._has_echo = False
        self._backoff = Backoff(MIN_RECONNECT_DELAY, MAX_RECONNECT_DELAY)
        self._publisher = Publisher(
            self._channels,
            self._intervals,
            self.stats,
            monotonic,
            self._sealer,
            lambda: self.nodes,
            self._make_challenge,
        )
        self._requests = EntryRequests(self._request_presence, self._intervals.reply_timeout)
        self._peers = PeerTable(node, self._intervals.node_timeout, on_error, self._on_packets_lost, self._requests.add)
        self._authenticator = PacketAuthenticator(
            self._channels,
            self._intervals,
            self._keyring,
            self._sealer,
            self._peers,
            self._publisher.replies,
            self._on_reject,
        )
        self._closing = Event()
        self._connect_greenlet: Greenlet[..., object] | None = None

    @property
    def nodes(self) -> Collection[str]:
        return self._peers.nodes

    def start(self, listener: BusListener) -> None:
        self._peers.set_listener(listener)
        subscriber = Subscriber(
            self._channels,
            self._intervals,
            self.stats,
            self._monotonic,
            self._peers,
            self._authenticator,
            self._publisher.replies,
            self._requests,
            self._on_echo,
            self._on_connected,
            self._flush_logs,
        )
        self._connect_greenlet = self._spawn(self._run, subscriber)

    def send(self, data: bytes, nodes: Collection[str] | None = None) -> None:
        if not self._has_echo or not self._publisher.send(data, nodes):
            self.stats.lost += 1

    def replace_key(self, key: bytes) -> None:
        self._keyring.replace(key)

    def set_presence(self, key: str, entry: bytes | None) -> None:
        self._publisher.set_presence(key, entry)

    def close(self) -> None:
        self._closing.set()
        self._publisher.close()
        if self.connected and self._connect_greenlet is not None:
            self._connect_greenlet.join(self._intervals.reply_timeout)
        self._set_connected(connected=False)

    def _run(self, subscriber: Subscriber) -> None:
        while not self._closing.is_set():
            reason = self._connect_and_subscribe(subscriber)
            self._set_connected(connected=False)
            self._publisher.clear()
            if reason != NODE_STOPPED and not self._logged_lost:
                self._logged_lost = True
                log.log_event("bus_lost", address=self._endpoint.address, reason=reason)
            self._closing.wait(self._backoff.next_delay())

    def _connect_and_subscribe(self, subscriber: Subscriber) -> str:
        """Connect and receive until a connection fails; return the reason."""
        try:
            pair = ConnectionPair(self._endpoint, self._on_connection_failed)
        except ConnectionError as error:
            return str(error)
        publishing: Greenlet[..., object] | None = None
        try:
            subscriber.subscribe(pair)
            publishing = self._spawn(self._run_publisher, pair)
            subscriber.run(pair)
        except ConnectionError as error:
            pair.fail(str(error))
        except Exception as failure:
            self._on_error("bus", failure)
            pair.fail(INTERNAL_ERROR)
        finally:
            if publishing is not None:
                publishing.join()
            pair.close()
        return pair.failure

    def _run_publisher(self, pair: ConnectionPair) -> None:
        try:
            self._publisher.run(pair)
        except ConnectionError as error:
            pair.fail(str(error))
        except Exception as failure:
            self._on_error("bus", failure)
            pair.fail(INTERNAL_ERROR)

    def _on_connection_failed(self) -> None:
        self._has_echo = False
        self._set_connected(connected=False)
        self._publisher.wake()

    def _on_echo(self) -> None:
        self._has_echo = True

    def _on_connected(self) -> None:
        self._set_connected(connected=True)
        self.stats.reconnects += self._was_connected
        self._was_connected = True
        self._logged_lost = False
        self._backoff.reset()
        log.log_event("bus_connected", address=self._endpoint.address, nodes=len(self.nodes))

    def _set_connected(self, *, connected: bool) -> None:
        if connected != self.connected:
            self.connected, self.state_since = connected, self._monotonic()

    def _make_challenge(self) -> bytes:
        return self._authenticator.challenges.make(self._peers.now)

    def _request_presence(self, name: str) -> bool:
        node = self._peers.find(name)
        if node is not None:
            self._publisher.replies.request_presence(name, node.version)
        return node is not None

    def _on_reject(self, reason: str) -> None:
        self.stats.rejected[reason] += 1
        self._rejected_log.add(reason)
        if reason == UNKNOWN_KEY and self._monotonic() - self._key_checked_at >= KEY_CHECK_INTERVAL:
            self._key_checked_at = self._monotonic()
            self._peers.notify_unreadable()

    def _on_packets_lost(self, node: str, count: int) -> None:
        self.stats.missed += count
        self._missed_log.add(node, count)

    def _flush_logs(self) -> None:
        self._rejected_log.flush()
        self._missed_log.flush()

    def _spawn(self, function: Callable[..., object], *arguments: object) -> Greenlet[..., object]:
        greenlet = gevent.spawn(function, *arguments)
        greenlet.link_exception(lambda failed: self._on_error("bus", failed.exception or RuntimeError("bus")))
        return greenlet
