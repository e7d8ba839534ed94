"""Who listens to a bus in the tests, and a node in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from gmessenger.bus.envelopes import Keyring, Sealer, open_envelope, read_envelope
from gmessenger.bus.protocol import FIRST_PAGE, LAST_PAGE, ChannelNames, Packet, decode_packet, encode_packet
from tests import ROOT
from tests.support.timeouts import PATIENCE

CLUSTER = "springfield"
KEY = b"d'oh" * 8

ALONE = """
from gevent import monkey; monkey.patch_all()
import sys, gevent
from gmessenger.bus import open_bus
from tests.support.bus import CLUSTER, KEY, Ear
url, node, timeout, key, card = sys.argv[1:]
bus, ear = open_bus(url, node, CLUSTER, KEY, float(timeout)), Ear()
bus.set_presence(key, card.encode())
bus.start(ear)
ear.wait(lambda: bus.connected)
print("there", flush=True)
gevent.sleep(60)
"""


class Ear:
    """Keeps what it hears, and what is shown by others: cards by node and name."""

    def __init__(self) -> None:
        self.received_: list[tuple[str, bytes]] = []
        self.cards: dict[str, dict[str, bytes]] = {}
        self.told: list[tuple[Any, ...]] = []
        self.misses: list[str] = []
        self.resumes = 0
        self._heard = Event()

    def on_data(self, node: str, data: bytes) -> None:
        self.received_.append((node, data))
        self._heard.set()

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        self.told.append((node, key, entry))
        if entry is None:
            del self.cards[node][key]
        else:
            self.cards.setdefault(node, {})[key] = entry
        self._heard.set()

    def on_node_gone(self, node: str) -> None:
        self.told.append((node,))
        self.cards.pop(node, None)
        self._heard.set()

    def on_gap(self, node: str) -> None:
        self.misses.append(node)
        self._heard.set()

    def on_connected(self) -> None:
        self.resumes += 1
        self._heard.set()

    def wait(self, until: Callable[[], object]) -> None:
        """Wait until something is so, which is looked at whenever anything is heard, and now and then."""
        with gevent.Timeout(PATIENCE):
            while not until():
                self._heard.wait(0.02)
                self._heard.clear()

    def wait_for(self, *data: bytes) -> None:
        """Wait until exactly this was received since the last time, whoever sent it."""
        self.wait(lambda: len(self.received_) >= len(data))
        assert [each for _, each in self.received_] == list(data)
        self.received_.clear()


class Child:
    """A node in another process, which shows one name. It may be killed, and stand still."""

    def __init__(self, url: str, node: str, timeout: float, key: str, card: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ALONE, url, node, str(timeout), key, card], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._said = self._process.stdout
        assert self._said.readline() == b"there\n"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._said.close()


class Peer:
    """A node that is played by hand over a client of Redis: it says what it is told to, and proves that it lives.

    Whoever has the cluster's key can be one; who has another key cannot.
    """

    def __init__(self, client: Any, node: str, key: bytes = KEY, cluster: str = CLUSTER) -> None:
        self.node = node
        self.keys = ChannelNames(cluster, node)
        self._client = client
        self._ring = Keyring(key, cluster, time.monotonic)
        self._sealer = Sealer(self._ring, node)
        self.number = 0
        self.cards: dict[str, bytes] = {}
        """What it shows to whoever asks."""
        self.seqs: dict[str, int] = {}
        self.heard: list[tuple[str, Packet]] = []
        self._listens = client.pubsub()
        self._listens.subscribe(self.keys.broadcast, self.keys.of_node(node))

    def seal(self, channel: str, parcel: Packet) -> bytes:
        return self._sealer.seal(channel, encode_packet(parcel))

    def say(self, number: int = 0, to: str = "", skip: int = 0, **parcel: Any) -> bytes:
        """Publish a parcel to all, or to one node; where it is to `skip` some, as if so many had not come."""
        channel = self.keys.of_node(to) if to else self.keys.broadcast
        self.seqs[to] = self.seqs.get(to, 0) + 1 + skip
        data = self.seal(channel, Packet(number, self.seqs[to], **parcel))
        self._client.publish(channel, data)
        return data

    def hear(self) -> None:
        """Take in what was published, and prove to whoever asks that we live."""
        while (message := self._listens.get_message(ignore_subscribe_messages=True)) is not None:
            channel, envelope = message["channel"].decode(), read_envelope(message["data"])
            if envelope is None or envelope.node == self.node:
                continue
            cipher = self._ring.make_cipher(envelope.key_id, envelope.node, envelope.boot)
            body = open_envelope(cipher, envelope, channel) if cipher is not None else None
            if body is None:
                continue
            parcel = decode_packet(body)
            assert parcel is not None
            self.heard.append((envelope.node, parcel))
            if parcel.challenge:
                self.say(self.number, envelope.node, proof=parcel.challenge, broadcast_seq=self.seqs.get("", 0))
            if parcel.requested_from is not None:
                self.say(self.number, envelope.node, presence=self.cards, page=FIRST_PAGE | LAST_PAGE)

    def join(self, ear: Ear, bus: Any) -> Peer:
        """Be known to a bus, and have told it what there is to be shown."""
        self.say()
        self.wait(
            ear, lambda: self.node in bus.nodes and any(parcel.requested_from is not None for _, parcel in self.heard)
        )
        return self

    def wait(self, ear: Ear, until: Callable[[], object]) -> None:
        """Answer until something is so."""

        def look() -> object:
            self.hear()
            return until()

        ear.wait(look)

    def close(self) -> None:
        self._listens.close()
