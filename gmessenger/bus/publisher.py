"""Publisher: frames queued by destination, and the greenlet that publishes all in one round trip.

There is no timer: what is queued while one round is under way forms the next. In a round, broadcasts are published
first, so that packets to single nodes are never ahead of them with the version of the presence entries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Final

from gevent.event import Event

from gmessenger.bus.connection import ConnectionPair, RedisCommand, RedisConnection
from gmessenger.bus.envelopes import Sealer
from gmessenger.bus.presence import OwnPresence, PeerReply, ReplyQueue
from gmessenger.bus.protocol import ChannelNames, Intervals, Packet, encode_packet
from gmessenger.cluster.interfaces import BusStats

MAX_QUEUED: Final = 16 * 2**20
"""Bytes, counted for each destination."""
PUBLISH_BATCH: Final = 256 * 2**10
"""Bytes after which a new batch is started: a large packet delays the small ones of all nodes."""


class PublishBatch:
    """Frames to be published in one round, to all nodes and to single ones."""

    __slots__ = ("by_node", "count", "size", "to_all")

    def __init__(self) -> None:
        self.to_all: list[bytes] = []
        self.by_node: dict[str, list[bytes]] = {}
        self.count = 0
        self.size = 0


class PublishQueue:
    """Batches in order, bounded by memory: frames beyond the bound are dropped."""

    __slots__ = ("_batches", "_max_size", "size")

    def __init__(self, max_size: int = MAX_QUEUED) -> None:
        self._batches: deque[PublishBatch] = deque()
        self._max_size = max_size
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, data: bytes, nodes: Collection[str] | None) -> bool:
        """Append a frame for some nodes, or for all (None); False if the queue is full."""
        size = len(data) if nodes is None else len(data) * len(nodes)
        if self.size + size > self._max_size:
            return False
        batch = self._batches[-1] if self._batches else None
        if batch is None or batch.size >= PUBLISH_BATCH:
            self._batches.append(batch := PublishBatch())
        if nodes is None:
            batch.to_all.append(data)
        else:
            for node in nodes:
                batch.by_node.setdefault(node, []).append(data)
        batch.count += 1
        batch.size += size
        self.size += size
        return True

    def pop(self) -> PublishBatch | None:
        """Remove and return the oldest batch, if any."""
        if not self._batches:
            return None
        batch = self._batches.popleft()
        self.size -= batch.size
        return batch

    def clear(self) -> int:
        """Drop everything; return the number of frames."""
        count = sum(batch.count for batch in self._batches)
        self._batches.clear()
        self.size = 0
        return count


NODE_STOPPED: Final = "this node is stopping"
IMMEDIATELY: Final = 0.0


class Publisher:
    """Queues what this node sends; `run` is the greenlet that publishes it over one connection pair.

    All other methods return at once, and may be called while there is no connection.
    """

    def __init__(
        self,
        channels: ChannelNames,
        intervals: Intervals,
        stats: BusStats,
        monotonic: Callable[[], float],
        sealer: Sealer,
        nodes: Callable[[], Collection[str]],
        make_challenge: Callable[[], bytes],
    ) -> None:
        """Create a publisher.

        Args:
            nodes: returns the known peers.
            make_challenge: returns the challenge for strangers who receive a heartbeat.
        """
        self._channels = channels
        self._intervals = intervals
        self._stats = stats
        self._monotonic = monotonic
        self._sealer = sealer
        self._nodes = nodes
        self._make_challenge = make_challenge
        self._queue = PublishQueue()
        self._presence = OwnPresence()
        self._wakeup = Event()
        self.replies = ReplyQueue(self._presence, self._wakeup.set)
        self._broadcast_seq = 0
        self._node_seqs: dict[str, int] = {}  # seq of the last packet to each node
        self._closing = False
        self._last_client_id: int | None = None
        self._heartbeat_at = self._echo_at = IMMEDIATELY

    def send(self, data: bytes, nodes: Collection[str] | None) -> bool:
        """Queue a frame for some nodes, or for all (None); False if the queue is full."""
        is_queued = self._queue.add(data, nodes)
        self._wakeup.set()
        return is_queued

    def set_presence(self, key: str, entry: bytes | None) -> None:
        """Set or remove (None) a presence entry of this node."""
        if self._presence.set(key, entry):
            self._wakeup.set()

    def wake(self) -> None:
        """Have `run` check for work, or for the failure of the connections."""
        self._wakeup.set()

    def close(self) -> None:
        """Make `run` publish all queued frames, then the departure of this node, and return."""
        self._closing = True
        self._wakeup.set()

    def clear(self) -> None:
        """Drop frames and replies after the connection was lost; presence entries stay."""
        self._stats.lost += self._queue.clear()
        self.replies.clear()

    def run(self, pair: ConnectionPair) -> None:
        """Publish until the connections fail. Raises `ConnectionError`."""
        connection = pair.publishing
        if self._last_client_id is not None:
            # Commands of the lost connection that Redis has not read yet would be executed after those of this one.
            connection.kill_client(self._last_client_id)
        self._last_client_id = connection.client_id
        self._heartbeat_at = IMMEDIATELY
        while not pair.failure:
            self._wakeup.clear()
            self._publish_pending(pair, connection)
            if self._queue or self._presence.has_changes or self.replies:
                continue
            if self._closing:
                pair.fail(NODE_STOPPED)
                connection.execute(self._broadcast_command(Packet(self._presence.version, is_leaving=True)))
            else:
                self._wakeup.wait(max(0.0, min(self._echo_at, self._heartbeat_at) - self._monotonic()))

    def _publish_pending(self, pair: ConnectionPair, connection: RedisConnection) -> None:
        """Publish one batch of frames, all replies, and a heartbeat and an echo if due, in one round trip."""
        now = self._monotonic()
        batch = self._queue.pop() or PublishBatch()
        commands: list[RedisCommand] = []
        if with_heartbeat := now >= self._heartbeat_at:
            self._heartbeat_at = now + self._intervals.heartbeat
        commands += self._broadcast_commands(batch, with_heartbeat)
        commands += self._node_commands(batch)
        if now >= self._echo_at:
            self._echo_at = now + self._intervals.echo
            commands.append(
                self._publish_command(self._channels.of_node(self._channels.own_node), Packet(self._presence.version))
            )
        if not commands:
            return
        try:
            replies = connection.execute(*commands)
        except ConnectionError:
            self._stats.lost += batch.count
            raise
        self._stats.sent += batch.count
        if with_heartbeat:
            pair.subscriber_count = _subscriber_count(replies[0])

    def _broadcast_commands(self, batch: PublishBatch, with_heartbeat: bool) -> list[RedisCommand]:
        changes = self._presence.take_changes()
        if not (batch.to_all or changes or with_heartbeat):
            return []
        packet = Packet(self._presence.version, payloads=batch.to_all, presence=changes)
        if with_heartbeat:
            known = self._nodes()
            self._node_seqs = {node: seq for node, seq in self._node_seqs.items() if node in known}
            packet.challenge, packet.node_seqs = self._make_challenge(), self._node_seqs
        return [self._broadcast_command(packet)]

    def _node_commands(self, batch: PublishBatch) -> list[RedisCommand]:
        replies, pages = self.replies.drain(), self.replies.drain_pages()
        commands: list[RedisCommand] = []
        for node in batch.by_node.keys() | replies.keys() | pages.keys():
            reply = replies.get(node) or PeerReply()
            entries, page = pages.get(node, ({}, 0))
            packet = Packet(self._presence.version, payloads=batch.by_node.get(node, ()), presence=entries, page=page)
            packet.challenge, packet.proof, packet.requested_from = reply.challenge, reply.proof, reply.requested_from
            if packet.proof:
                packet.broadcast_seq = self._broadcast_seq
            packet.seq = self._node_seqs[node] = self._node_seqs.get(node, 0) + 1
            commands.append(self._publish_command(self._channels.of_node(node), packet))
        return commands

    def _broadcast_command(self, packet: Packet) -> RedisCommand:
        self._broadcast_seq += 1
        packet.seq = self._broadcast_seq
        return self._publish_command(self._channels.broadcast, packet)

    def _publish_command(self, channel: str, packet: Packet) -> RedisCommand:
        return ("PUBLISH", channel, self._sealer.seal(channel, encode_packet(packet)))


def _subscriber_count(reply: Any) -> int:
    return reply if isinstance(reply, int) else 0
