"""What waits to be sent: batches of hints by destination, within a bound.

The speaker: brings out what this node has to say, all that waits in one round trip.

There is no timer for that: while one round is under way, what is sent waits and forms the next. In a round, what goes
to all is published first, so that what single nodes are told about this node's state is not ahead of it.
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
"""Bytes, counted once for each destination."""
PUBLISH_BATCH: Final = 256 * 2**10
"""Bytes from which on the next batch is begun: a large parcel holds up everybody's small ones."""


class PublishBatch:
    """What goes out together: hints to all, and to single nodes."""

    __slots__ = ("by_node", "count", "size", "to_all")

    def __init__(self) -> None:
        self.to_all: list[bytes] = []
        self.by_node: dict[str, list[bytes]] = {}
        self.count = 0
        self.size = 0


class PublishQueue:
    """The batches, oldest first. The bound is one of memory: who sends more than goes out loses what is too much."""

    __slots__ = ("_batches", "_max_size", "size")

    def __init__(self, max_size: int = MAX_QUEUED) -> None:
        self._batches: deque[PublishBatch] = deque()
        self._max_size = max_size
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, data: bytes, nodes: Collection[str] | None) -> bool:
        """Whether there was room for it."""
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
        """The oldest batch, if any."""
        if not self._batches:
            return None
        batch = self._batches.popleft()
        self.size -= batch.size
        return batch

    def clear(self) -> int:
        """Nobody can be sent any of it; how many hints that were."""
        count = sum(batch.count for batch in self._batches)
        self._batches.clear()
        self.size = 0
        return count


NODE_STOPPED: Final = "this node is stopping"
IMMEDIATELY: Final = 0.0


class Publisher:
    """What waits to be said, what this node shows, and the greenlet's work of a link: `speak`.

    `nodes` says which are known, `challenge` makes what the others are asked to say again.
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
        """The seq of what has gone to all, and by node of what has gone to single ones."""
        self._node_seqs: dict[str, int] = {}
        self._closing = False
        self._last_client_id: int | None = None
        self._heartbeat_at = self._echo_at = IMMEDIATELY

    def send(self, data: bytes, nodes: Collection[str] | None) -> bool:
        """Whether there was room for it."""
        taken = self._queue.add(data, nodes)
        self._wakeup.set()
        return taken

    def set_presence(self, key: str, entry: bytes | None) -> None:
        if self._presence.set(key, entry):
            self._wakeup.set()

    def wake(self) -> None:
        """There is something new to see to."""
        self._wakeup.set()

    def close(self) -> None:
        """Say what waits and then goodbye."""
        self._closing = True
        self._wakeup.set()

    def clear(self) -> None:
        """Nobody hears what waits; what is shown stays."""
        self._stats.lost += self._queue.clear()
        self.replies.clear()

    def run(self, pair: ConnectionPair) -> None:
        """For as long as the link is well. Raises `ConnectionError`."""
        line = pair.publishing
        if self._last_client_id is not None:
            line.kill_client(
                self._last_client_id
            )  # what that had not been read of yet would come after what is said now
        self._last_client_id = line.client_id
        self._heartbeat_at = IMMEDIATELY
        while not pair.failure:
            self._wakeup.clear()
            self._publish_pending(pair, line)
            if self._queue or self._presence.has_changes or self.replies:
                continue
            if self._closing:
                pair.fail(NODE_STOPPED)
                line.execute(self._broadcast_command(Packet(self._presence.version, is_leaving=True)))
            else:
                self._wakeup.wait(max(0.0, min(self._echo_at, self._heartbeat_at) - self._monotonic()))

    def _publish_pending(self, pair: ConnectionPair, connection: RedisConnection) -> None:
        """Say all there is."""
        now = self._monotonic()
        batch = self._queue.pop() or PublishBatch()
        commands: list[RedisCommand] = []
        if beats := now >= self._heartbeat_at:
            self._heartbeat_at = now + self._intervals.heartbeat
        commands += self._broadcast_commands(batch, beats)
        commands += self._node_commands(batch)
        if now >= self._echo_at:
            self._echo_at = now + self._intervals.echo
            commands.append(
                self._publish_command(self._channels.of_node(self._channels.own_node), Packet(self._presence.version))
            )
        if not commands:
            return
        try:
            answers = connection.execute(*commands)
        except ConnectionError:
            self._stats.lost += batch.count
            raise
        self._stats.sent += batch.count
        if beats:
            pair.subscriber_count = _subscriber_count(answers[0])

    def _broadcast_commands(self, batch: PublishBatch, with_heartbeat: bool) -> list[RedisCommand]:
        cards = self._presence.take_changes()
        if not (batch.to_all or cards or with_heartbeat):
            return []
        parcel = Packet(self._presence.version, payloads=batch.to_all, presence=cards)
        if with_heartbeat:
            known = self._nodes()
            self._node_seqs = {node: seq for node, seq in self._node_seqs.items() if node in known}
            parcel.challenge, parcel.node_seqs = self._make_challenge(), self._node_seqs
        return [self._broadcast_command(parcel)]

    def _node_commands(self, batch: PublishBatch) -> list[RedisCommand]:
        replies, pages = self.replies.drain(), self.replies.drain_pages()
        said: list[RedisCommand] = []
        for node in batch.by_node.keys() | replies.keys() | pages.keys():
            reply = replies.get(node) or PeerReply()
            cards, page = pages.get(node, ({}, 0))
            parcel = Packet(self._presence.version, payloads=batch.by_node.get(node, ()), presence=cards, page=page)
            parcel.challenge, parcel.proof, parcel.requested_from = reply.challenge, reply.proof, reply.requested_from
            if parcel.proof:
                parcel.broadcast_seq = self._broadcast_seq
            parcel.seq = self._node_seqs[node] = self._node_seqs.get(node, 0) + 1
            said.append(self._publish_command(self._channels.of_node(node), parcel))
        return said

    def _broadcast_command(self, packet: Packet) -> RedisCommand:
        self._broadcast_seq += 1
        packet.seq = self._broadcast_seq
        return self._publish_command(self._channels.broadcast, packet)

    def _publish_command(self, channel: str, packet: Packet) -> RedisCommand:
        return ("PUBLISH", channel, self._sealer.seal(channel, encode_packet(packet)))


def _subscriber_count(reply: Any) -> int:
    return reply if isinstance(reply, int) else 0
