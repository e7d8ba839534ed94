"""Listeners, processes and a hand-driven peer for tests of the bus."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event

from gmessenger.bus.envelopes import Keyring, Sealer, open_envelope, read_envelope
from gmessenger.bus.protocol import FIRST_PAGE, LAST_PAGE, ChannelNames, Packet, decode_packet, encode_packet
from tests import ROOT
from tests.support.timeouts import TEST_TIMEOUT

CLUSTER = "springfield"
KEY = b"d'oh" * 8

NODE_SCRIPT = """
from gevent import monkey; monkey.patch_all()
import sys, gevent
from gmessenger.bus import open_bus
from tests.support.bus import CLUSTER, KEY, RecordingListener
url, node, timeout, key, entry = sys.argv[1:]
bus, listener = open_bus(url, node, CLUSTER, KEY, float(timeout)), RecordingListener()
bus.set_presence(key, entry.encode())
bus.start(listener)
listener.wait_until(lambda: bus.connected)
print("connected", flush=True)
gevent.sleep(60)
"""


def forward(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes from one socket to another until the end of either."""
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class RecordingListener:
    """A bus listener that records its calls, and the current presence entries by node and name."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.presences: dict[str, dict[str, bytes]] = {}
        self.presence_events: list[tuple[Any, ...]] = []
        self.gaps: list[str] = []
        self.connect_count = 0
        self._changed = Event()

    def on_data(self, node: str, data: bytes) -> None:
        self.received.append((node, data))
        self._changed.set()

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        self.presence_events.append((node, key, entry))
        if entry is None:
            del self.presences[node][key]
        else:
            self.presences.setdefault(node, {})[key] = entry
        self._changed.set()

    def on_node_gone(self, node: str) -> None:
        self.presence_events.append((node,))
        self.presences.pop(node, None)
        self._changed.set()

    def on_packets_lost(self, node: str) -> None:
        self.gaps.append(node)
        self._changed.set()

    def on_connected(self) -> None:
        self.connect_count += 1
        self._changed.set()

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds; it is checked after each call, and regularly."""
        with gevent.Timeout(TEST_TIMEOUT):
            while not condition():
                self._changed.wait(0.02)
                self._changed.clear()

    def expect_data(self, *data: bytes) -> None:
        """Wait until exactly these frames were received since the last call, from any node."""
        self.wait_until(lambda: len(self.received) >= len(data))
        assert [each for _, each in self.received] == list(data)
        self.received.clear()


class NodeProcess:
    """A node in another process, with one presence entry. It can be killed or suspended."""

    def __init__(self, url: str, node: str, timeout: float, key: str, entry: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NODE_SCRIPT, url, node, str(timeout), key, entry], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        assert self._stdout.readline() == b"connected\n"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._stdout.close()


class FakePeer:
    """A node driven by the test over a Redis client. It answers challenges, so it becomes a peer."""

    def __init__(self, client: Any, node: str, key: bytes = KEY, cluster: str = CLUSTER) -> None:
        self.node = node
        self.channels = ChannelNames(cluster, node)
        self._client = client
        self._keyring = Keyring(key, cluster, time.monotonic)
        self._sealer = Sealer(self._keyring, node)
        self.version = 0
        self.presence: dict[str, bytes] = {}
        """The entries it sends on request."""
        self.seqs: dict[str, int] = {}
        self.received: list[tuple[str, Packet]] = []
        self._pubsub = client.pubsub()
        self._pubsub.subscribe(self.channels.broadcast, self.channels.of_node(node))

    def seal(self, channel: str, packet: Packet) -> bytes:
        return self._sealer.seal(channel, encode_packet(packet))

    def publish(self, number: int = 0, to: str = "", skip: int = 0, **packet: Any) -> bytes:
        """Publish a packet to all nodes or to one, with `skip` seqs left out as if those packets were lost."""
        channel = self.channels.of_node(to) if to else self.channels.broadcast
        self.seqs[to] = self.seqs.get(to, 0) + 1 + skip
        data = self.seal(channel, Packet(number, self.seqs[to], **packet))
        self._client.publish(channel, data)
        return data

    def receive(self) -> None:
        """Receive what was published; answer challenges and requests for presence entries."""
        while (message := self._pubsub.get_message(ignore_subscribe_messages=True)) is not None:
            channel, envelope = message["channel"].decode(), read_envelope(message["data"])
            if envelope is None or envelope.node == self.node:
                continue
            cipher = self._keyring.make_cipher(envelope.key_id, envelope.node, envelope.boot)
            body = open_envelope(cipher, envelope, channel) if cipher is not None else None
            if body is None:
                continue
            packet = decode_packet(body)
            assert packet is not None
            self.received.append((envelope.node, packet))
            if packet.challenge:
                self.publish(self.version, envelope.node, proof=packet.challenge, broadcast_seq=self.seqs.get("", 0))
            if packet.requested_from is not None:
                self.publish(self.version, envelope.node, presence=self.presence, page=FIRST_PAGE | LAST_PAGE)

    def join(self, listener: RecordingListener, bus: Any) -> FakePeer:
        """Wait until a bus has accepted this peer and requested its presence entries."""
        self.publish()
        self.wait_until(
            listener,
            lambda: self.node in bus.nodes and any(packet.requested_from is not None for _, packet in self.received),
        )
        return self

    def wait_until(self, listener: RecordingListener, condition: Callable[[], object]) -> None:
        """Receive and answer until a condition holds."""

        def look() -> object:
            self.receive()
            return condition()

        listener.wait_until(look)

    def close(self) -> None:
        self._pubsub.close()
