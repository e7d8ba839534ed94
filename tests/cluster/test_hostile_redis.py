"""Attackers with access to the Redis of a cluster can forge nothing, and lose no message."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from redis import Redis as Client

from gmessenger.bus.envelopes import Keyring, Sealer
from gmessenger.bus.protocol import Packet, encode_packet
from gmessenger.chat.peers import PeerPresence
from gmessenger.cluster.frames import BroadcastFrame, ChangeNotice, HintBatch, MessageHint, ReceiptFrame, encode
from gmessenger.cluster.presence import _encode as card_of
from gmessenger.launcher.services import Redis
from gmessenger.store.postgres.bus_keys import replace_bus_key
from tests.cluster.conftest import Cluster, wait_until
from tests.support.accounts import texts

LONG_INTERVAL = 60.0
"""Seconds between two polls: whatever arrives sooner arrives for another reason."""
FORGED: list[Any] = [
    BroadcastFrame("alice", "FORGED", 1.0, "msg"),
    HintBatch([MessageHint("alice bob", 2, "alice", "bob", "FORGED", 1.0, "msg", None, None)]),
    ReceiptFrame("bob", "alice", 99, True),
    ChangeNotice(),
]


@pytest.fixture
def client(redis_server: Redis) -> Iterator[Client]:
    with Client.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def fast_cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    """Nodes with short heartbeats that poll the store rarely."""
    return start_cluster(bus_timeout=1.0, cluster_check=LONG_INTERVAL)


def channels(cluster: Cluster) -> list[str]:
    keys = cluster.first.app.node.bus._channels
    return [keys.broadcast, *(keys.of_node(node.app.store.node) for node in cluster.nodes)]


def test_who_writes_to_redis_can_neither_read_nor_speak(cluster: Cluster, client: Client) -> None:
    alice, bob = cluster.register(cluster.first, "alice"), cluster.register(cluster.second, "bob")
    with client.pubsub() as stranger:
        stranger.psubscribe("*")
        stranger.get_message(timeout=5)
        alice.send_message("bob", "PRIVATE WORDS")
        assert texts(bob.receive_messages(1)) == ["PRIVATE WORDS"]
        overheard = []
        while (message := stranger.get_message(timeout=0.1)) is not None:
            overheard.append(message)
    assert overheard and not any(b"PRIVATE" in each["data"] or b"alice" in each["data"] for each in overheard)
    first = cluster.first.app.store
    entry = card_of(PeerPresence("mallory", "", time.time(), True, 1))
    for key in (b"x" * 32, bytes(32)):
        forger = Sealer(Keyring(key, first.cluster, time.monotonic), first.node)
        for channel in channels(cluster):
            client.publish(channel, encode_packet(Packet(9, 9, [encode(each) for each in FORGED])))
            packet = Packet(9, 9, [encode(each) for each in FORGED], {"mallory": entry}, proof=bytes(16))
            client.publish(channel, forger.seal(channel, encode_packet(packet)))
            for each in overheard:
                client.publish(channel, each["data"])
    bus = cluster.second.app.node.bus
    wait_until(lambda: bus.stats.rejected["key"] >= 4 and bus.stats.rejected["replayed"])
    alice.send_message("bob", "the next")
    assert texts(bob.receive_messages(1)) == ["the next"]
    assert [each["seq"] for each in bob.request("history", **{"with": "alice"})["messages"]] == [1, 2]
    assert not any("mallory" in node.app.node.peers.presences for node in cluster.nodes)
    client.flushall()
    assert alice.send_message("bob", "after all is gone")["response"] == 200
    assert texts(bob.receive_messages(1)) == ["after all is gone"]


def drop_published(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, apart: bool) -> list[str]:
    """Drop packets from the first node to the second, or its broadcasts; return their channels."""
    publisher, stored = cluster.first.app.node.bus._publisher, []
    channel = publisher._channels.of_node(cluster.second.app.store.node) if apart else publisher._channels.broadcast
    publish = publisher._publish_command

    def published(channel_name: str, packet: Packet) -> tuple[str, ...]:
        command = publish(channel_name, packet)
        if channel_name == channel and packet.payloads:
            stored.append(channel_name)
            return ("PUBLISH", "elsewhere", "nothing")
        return command

    monkeypatch.setattr(publisher, "_publish_command", published)
    return stored


def test_a_message_whose_hint_is_suppressed_comes_with_the_next_beat(
    fast_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = fast_cluster.register(fast_cluster.first, "alice"), fast_cluster.register(fast_cluster.second, "bob")
    alice.send_message("bob", "one")
    assert texts(bob.receive_messages(1)) == ["one"]
    gevent.sleep(1.1)  # until fast polling has ended
    before = fast_cluster.second.app.node.bus.stats.missed
    stored = drop_published(fast_cluster, monkeypatch, apart=True)
    began = time.monotonic()
    alice.send_message("bob", "two")
    assert texts(bob.receive_messages(1)) == ["two"]
    assert stored and time.monotonic() - began < LONG_INTERVAL / 4
    assert fast_cluster.second.app.node.bus.stats.missed > before


def test_a_change_whose_news_is_suppressed_comes_with_the_next_beat(
    fast_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = fast_cluster.register(fast_cluster.first, "alice"), fast_cluster.register(fast_cluster.second, "bob")
    alice.request("join", room="#x")
    bob.request("join", room="#x")
    gevent.sleep(1.1)
    stored = drop_published(fast_cluster, monkeypatch, apart=False)
    alice.request("topic", room="#x", topic="news")
    assert bob.next_event("topic")["topic"] == "news"
    assert stored


def test_what_guests_say_to_each_other_is_refused_where_it_is_suppressed(
    fast_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    gus, joe = (
        fast_cluster.log_in_guest(fast_cluster.first, "gus"),
        fast_cluster.log_in_guest(fast_cluster.second, "joe"),
    )
    assert gus.send_message("joe", "hello")["response"] == 202
    with monkeypatch.context() as lost:
        drop_published(fast_cluster, lost, apart=True)
        assert gus.request("msg", id="again", to="joe", message="are you there?")["code"] == "store_unavailable"
    assert gus.request("msg", id="again", to="joe", message="are you there?")["response"] == 202
    assert texts(joe.receive_messages(2)) == ["hello", "are you there?"]


def test_all_nodes_follow_another_key(start_cluster: Callable[..., Cluster], postgres: Any) -> None:
    store = postgres.database()
    cluster = start_cluster(store=store, cluster_check=0.5)
    alice, bob = cluster.register(cluster.first, "alice"), cluster.register(cluster.second, "bob")
    before = cluster.first.app.store.bus_key()
    gevent.get_hub().threadpool.apply(replace_bus_key, (store,))
    rings = [node.app.node.bus._keyring for node in cluster.nodes]
    old = rings[0].current
    wait_until(lambda: all(ring.current != old for ring in rings) and rings[0].current == rings[1].current)
    assert cluster.second.app.store.bus_key() != before
    gus, joe = cluster.log_in_guest(cluster.first, "gus"), cluster.log_in_guest(cluster.second, "joe")
    assert gus.send_message("joe", "hello")["response"] == 202
    alice.send_message("bob", "hello")
    assert texts(bob.receive_messages(1)) == texts(joe.receive_messages(1)) == ["hello"]
    assert len(cluster.first.app.node.bus.nodes) == 1
