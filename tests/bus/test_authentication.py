"""Packets of attackers with access to Redis but without the cluster's key are rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as some
from redis import Redis as Client

from gmessenger.bus import peers, redis
from gmessenger.bus.authentication import MAX_CHALLENGED, REJECT_REASONS, Challenges, PacketAuthenticator
from gmessenger.bus.envelopes import (
    BOOT_BYTES,
    ENVELOPE_VERSION,
    OLD_KEY_TTL,
    Keyring,
    Sealer,
    open_envelope,
    read_envelope,
)
from gmessenger.bus.peers import PeerTable
from gmessenger.bus.presence import MAX_REPLIES, OwnPresence, ReplyQueue
from gmessenger.bus.protocol import ChannelNames, Intervals, Packet, decode_packet, encode_packet
from gmessenger.bus.redis import ThrottledEventLog
from gmessenger.cluster.interfaces import Bus
from tests.bus.conftest import SHORT, BusGroup
from tests.support.bus import CLUSTER, KEY, FakePeer, NodeProcess, RecordingListener

Events = Callable[[str], list[dict[str, Any]]]
StartPeer = Callable[..., FakePeer]
OTHER_KEY = b"x" * 32
CHANNEL_NAMES = ChannelNames(CLUSTER, "hank")


class Recorder:
    """An attacker who records all packets and can replay them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pubsub = client.pubsub()
        self._pubsub.psubscribe("*")
        self._pubsub.get_message(timeout=5)

    def recorded(self) -> list[tuple[str, bytes]]:
        found = []
        while (message := self._pubsub.get_message(timeout=0.05)) is not None:
            found.append((message["channel"].decode(), message["data"]))
        return found

    def replay(self, packets: list[tuple[str, bytes]], channel: str = "") -> None:
        for channel_name, data in packets:
            self._client.publish(channel or channel_name, data)

    def close(self) -> None:
        self._pubsub.close()


@pytest.fixture
def recorder(group: BusGroup, client: Client) -> Iterator[Recorder]:
    recorder = Recorder(client)
    yield recorder
    recorder.close()


@pytest.fixture
def start_peer(client: Client) -> Iterator[StartPeer]:
    peers: list[FakePeer] = []

    def start(node: str, **more: Any) -> FakePeer:
        peers.append(FakePeer(client, node, **more))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


def check_delivery(listener: RecordingListener, other: Bus) -> None:
    """Check that a packet of a node is received, and nothing that an attacker sent before it."""
    listener.received.clear()
    other.send(b"all is well")
    listener.expect_data(b"all is well")


def test_nothing_of_what_is_said_or_shown_can_be_read(group: BusGroup, recorder: Recorder) -> None:
    (hank, _), (_, listener) = map(group.start_bus, ("hank", "dale"))
    hank.set_presence("peggy-the-name", b"the-card")
    hank.send(b"the-hint to all")
    hank.send(b"the-hint to one", ["dale"])
    _, late_listener = group.start_bus("bill")  # receives the presence entries
    listener.wait_until(lambda: len(listener.received) == 2 and listener.presences)
    late_listener.wait_until(lambda: late_listener.presences)
    packets = recorder.recorded()
    assert len(packets) > 5
    for _, data in packets:
        assert not any(word in data for word in (b"peggy", b"the-card", b"the-hint", KEY))


def test_another_key_is_no_key(
    group: BusGroup, client: Client, start_peer: StartPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "KEY_CHECK_INTERVAL", 3600.0)
    (hank, listener), (dale, _) = map(group.start_bus, ("hank", "dale"))
    stranger = start_peer("dale", key=OTHER_KEY)
    for _ in range(3):
        stranger.publish(7, payloads=[b"forged"], presence={"mallory": b"here"})
        stranger.publish(7, "hank", payloads=[b"forged"], is_leaving=True)
    check_delivery(listener, dale)
    assert listener.presence_events == [] and list(hank.nodes) == ["dale"]
    assert hank.stats.rejected == dict.fromkeys(REJECT_REASONS, 0) | {"key": 6}
    assert listener.gaps == [""]  # the cluster may have another key by now: that is looked up, and not at each


def test_the_id_of_a_key_is_not_the_key(group: BusGroup, client: Client, start_peer: StartPeer) -> None:
    """Headers are in the clear, but one that is copied does not open what is sealed with another key."""
    (hank, listener), (dale, _) = map(group.start_bus, ("hank", "dale"))
    ours, theirs = start_peer("bill"), start_peer("bill", key=OTHER_KEY)
    for channel in (CHANNEL_NAMES.broadcast, CHANNEL_NAMES.of_node("hank")):
        body = theirs.seal(channel, Packet(1, 1, [b"forged"], proof=b"x" * 16))
        header = ours.seal(channel, Packet(1, 1, [b"forged"], proof=b"x" * 16))
        size = len(read_envelope(header).header)  # type: ignore[union-attr]
        client.publish(channel, header[:size] + body[size:])
    check_delivery(listener, dale)
    assert hank.stats.rejected["forged"] == 2 and list(hank.nodes) == ["dale"]


def test_what_is_changed_on_its_way_does_not_come(group: BusGroup, client: Client, start_peer: StartPeer) -> None:
    hank, listener = group.start_bus("hank")
    dale = start_peer("dale").join(listener, hank)
    data = dale.seal(CHANNEL_NAMES.broadcast, Packet(1, 2, [b"hello"]))
    for channel_name in range(len(data)):
        client.publish(
            CHANNEL_NAMES.broadcast, data[:channel_name] + bytes([data[channel_name] ^ 1]) + data[channel_name + 1 :]
        )
    for end in range(len(data)):
        client.publish(CHANNEL_NAMES.broadcast, data[:end])
    client.publish(CHANNEL_NAMES.broadcast, data + b"x")
    client.publish(CHANNEL_NAMES.broadcast, data)
    listener.expect_data(b"hello")
    assert sum(hank.stats.rejected.values()) >= 2 * len(data) and list(hank.nodes) == ["dale"]


def test_what_was_said_once_is_heard_once_and_where_it_was_said(group: BusGroup, recorder: Recorder) -> None:
    (hank, listener), (dale, dale_listener), (bill, bill_listener) = map(group.start_bus, ("hank", "dale", "bill"))
    dale.send(b"to all")
    dale.send(b"to hank", ["hank"])
    listener.wait_until(lambda: len(listener.received) == 2)
    dale.set_presence("dale", b"here")
    listener.wait_until(lambda: listener.presences and bill_listener.presences)
    dale.set_presence("dale", None)
    listener.wait_until(lambda: listener.presences == bill_listener.presences == {"dale": {}})
    for each in (listener, dale_listener, bill_listener):
        each.received.clear()
    packets, event_count = recorder.recorded(), len(listener.presence_events)
    recorder.replay(packets)
    recorder.replay(packets[::-1])
    for channel in (CHANNEL_NAMES.broadcast, *map(CHANNEL_NAMES.of_node, ("hank", "dale", "bill"))):
        recorder.replay(packets, channel)
    dale.send(b"all is well")
    listener.expect_data(b"all is well")
    bill_listener.expect_data(b"all is well")
    assert dale_listener.received == []
    check_delivery(dale_listener, hank)
    assert len(listener.presence_events) == event_count and listener.presences == {"dale": {}}
    assert hank.stats.rejected["replayed"] > len(packets) and bill.stats.missed == hank.stats.missed == 0


def test_the_dead_do_not_come_back(group: BusGroup, recorder: Recorder, start_peer: StartPeer) -> None:
    """Replayed packets do not bring a node back, neither for nodes that knew it nor for others."""
    hank, listener = group.start_bus("hank")
    ghost, _ = group.start_bus("ghost")
    ghost.set_presence("casper", b"here")
    ghost.send(b"boo")
    ghost.send(b"boo", ["hank"])
    listener.wait_until(lambda: listener.presences == {"ghost": {"casper": b"here"}} and len(listener.received) == 2)
    ghost.close()
    listener.wait_until(lambda: listener.presence_events[-1] == ("ghost",))
    dale, dale_listener = group.start_bus("dale")
    listener.received.clear()
    packets, event_count = recorder.recorded(), len(listener.presence_events)
    for channel in ("", CHANNEL_NAMES.broadcast, CHANNEL_NAMES.of_node("hank"), CHANNEL_NAMES.of_node("dale")):
        recorder.replay(packets, channel)
    check_delivery(listener, dale)
    check_delivery(dale_listener, hank)
    assert (list(hank.nodes), list(dale.nodes)) == (["dale"], ["hank"])
    assert (len(listener.presence_events), dale_listener.presence_events) == (event_count, [])


def test_a_recorded_proof_is_none_and_who_does_not_answer_is_stale(
    start_peer: StartPeer, group: BusGroup, client: Client
) -> None:
    listener, bus = RecordingListener(), group.open("hank", timeout=SHORT)
    bus.start(listener)
    listener.wait_until(lambda: listener.connect_count)
    ghost = start_peer("ghost")
    ghost.publish(0, "hank", proof=b"an older question", broadcast_seq=0)
    ghost.publish(0, "hank", proof=b"")

    def is_notified() -> bool:
        ghost.publish(1, presence={"casper": b"here"})
        gevent.sleep(0.05)
        return bool(bus.stats.rejected["stale"])

    listener.wait_until(is_notified)
    assert list(bus.nodes) == [] and listener.presence_events == [] and not bus.stats.rejected["forged"]
    ghost.join(listener, bus)  # and when it answers, it is there
    assert list(bus.nodes) == ["ghost"]


def test_our_own_voice_cannot_be_feigned(
    group: BusGroup, recorder: Recorder, client: Client, start_peer: StartPeer
) -> None:
    hank, listener = group.start_bus("hank", timeout=SHORT)
    packets = [each for each in recorder.recorded() if each[0] == CHANNEL_NAMES.of_node("hank")]
    assert packets
    recorder.replay(packets)
    feigned = Sealer(Keyring(KEY, CLUSTER, lambda: 0.0), "hank")
    client.publish(CHANNEL_NAMES.of_node("hank"), feigned.seal(CHANNEL_NAMES.of_node("hank"), encode_packet(Packet(0))))
    forged = packets[0][1][:-1] + bytes([packets[0][1][-1] ^ 1])
    client.publish(CHANNEL_NAMES.of_node("hank"), forged)
    listener.wait_until(lambda: sum(hank.stats.rejected.values()) == len(packets) + 2)
    assert (hank.stats.rejected["stale"], hank.connected, list(hank.nodes)) == (1, True, [])


def test_what_was_suppressed_is_noticed(group: BusGroup, start_peer: StartPeer) -> None:
    hank, listener = group.start_bus("hank")
    dale = start_peer("dale").join(listener, hank)
    dale.publish(payloads=[b"one"])
    dale.publish(0, "hank", payloads=[b"two"])
    listener.expect_data(b"one", b"two")
    assert (hank.stats.missed, listener.gaps) == (0, [])
    dale.publish(skip=2)
    listener.wait_until(lambda: listener.gaps)
    dale.publish(0, "hank", skip=3)
    listener.wait_until(lambda: len(listener.gaps) == 2)
    assert hank.stats.missed == 5
    dale.publish(node_seqs={"hank": dale.seqs["hank"]})
    dale.publish(node_seqs={"hank": dale.seqs["hank"] + 1})  # the last one of all did not come
    listener.wait_until(lambda: len(listener.gaps) == 3)
    assert hank.stats.missed == 6 and set(listener.gaps) == {"dale"}
    dale.seqs.clear()  # it had lost sight of us, and counts anew
    dale.publish(node_seqs={})
    dale.publish(0, "hank", payloads=[b"three"])
    listener.expect_data(b"three")
    assert hank.stats.missed == 6


def test_strangers_who_listen_hold_nobody_up(group: BusGroup, recorder: Recorder, client: Client) -> None:
    with client.pubsub() as one, client.pubsub() as other:
        for each in (one, other):
            each.subscribe(CHANNEL_NAMES.broadcast)
            each.get_message(timeout=5)
        (hank, listener), (dale, dale_listener) = map(group.start_bus, ("hank", "dale"))
        check_delivery(listener, dale)
        check_delivery(dale_listener, hank)


def test_a_beat_tells_of_what_went_to_one_node(group: BusGroup, start_peer: StartPeer) -> None:
    hank, listener = group.start_bus("hank", timeout=SHORT)
    dale = start_peer("dale").join(listener, hank)
    for version in range(3):
        hank.send(b"%d" % version, ["dale"])
        listener.wait_until(lambda version=version: hank.stats.sent == version + 1)
    seq = 0

    def is_counted() -> bool:
        nonlocal seq
        seq = max([seq, *(p.seq for _, p in dale.received if p.node_seqs is None and p.payloads)])
        return any(seq and (p.node_seqs or {}).get("dale", -1) >= seq for _, p in dale.received)

    dale.wait_until(listener, is_counted)


def test_nodes_that_start_at_once_know_each_other_and_reject_nothing(group: BusGroup) -> None:
    names = [f"node{version}" for version in range(6)]
    buses, listeners = [group.open(name) for name in names], [RecordingListener() for _ in names]
    for bus, listener, name in zip(buses, listeners, names, strict=True):
        bus.set_presence(name, b"here")
        bus.start(listener)
    for bus, listener in zip(buses, listeners, strict=True):
        listener.wait_until(
            lambda bus=bus, listener=listener: len(bus.nodes) == 5 and len(listener.presences) == 5 and bus.connected
        )
    for bus in buses:
        bus.send(b"hello")
    for bus, listener in zip(buses, listeners, strict=True):
        listener.wait_until(lambda listener=listener: len(listener.received) == 5)
        assert not any(bus.stats.rejected.values()) and bus.stats.missed == 0 and listener.gaps == []
    assert group.failures == []


def test_nothing_is_rejected_where_redis_loses_everything_or_hangs_up(group: BusGroup, client: Client) -> None:
    (hank, listener), (dale, dale_listener) = group.start_bus("hank"), group.start_bus("dale")
    hank.set_presence("hank", b"here")
    dale_listener.wait_until(lambda: dale_listener.presences)
    for version in range(1, 4):
        client.flushall()
        for kind in ("pubsub", "normal"):
            client.client_kill_filter(_type=kind, skipme=True)
        listener.wait_until(
            lambda version=version: (
                min(listener.connect_count, dale_listener.connect_count) > version and hank.connected and dale.connected
            )
        )
        check_delivery(listener, dale)
        check_delivery(dale_listener, hank)
    assert not any((hank.stats.rejected | dale.stats.rejected).values())
    assert dale_listener.presence_events == [("hank", "hank", b"here")] and listener.presence_events == []


def test_a_node_that_starts_anew_under_its_name_is_another(group: BusGroup) -> None:
    hank, listener = group.start_bus("hank")
    for version in range(3):
        child = NodeProcess(group.url, "dale", SHORT, "dale", str(version))
        listener.wait_until(lambda version=version: listener.presences.get("dale") == {"dale": b"%d" % version})
        child.kill()  # without a goodbye
    assert not any(hank.stats.rejected.values())


def test_a_flood_of_rubbish_is_counted_and_fills_neither_log_nor_memory(
    group: BusGroup, client: Client, start_peer: StartPeer, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MAX_NODES", 3)
    monkeypatch.setattr(redis, "KEY_CHECK_INTERVAL", 3600.0)  # once, however long the reading takes
    (hank, listener), (dale, dale_listener) = map(group.start_bus, ("hank", "dale"))
    pipe = client.pipeline(transaction=False)
    for version in range(2000):
        stranger = Sealer(Keyring(OTHER_KEY if version % 2 else KEY, "shelbyville", lambda: 0.0), f"node{version}")
        pipe.publish(
            CHANNEL_NAMES.broadcast,
            stranger.seal(CHANNEL_NAMES.broadcast, encode_packet(Packet(1, 1, [b"x"], challenge=b"?" * 16))),
        )
    for data in (
        b"",
        b"\xff",
        b"hello",
        bytes([ENVELOPE_VERSION]) * 40,
        b'["json"]',
        b"\x02" + bytes(28) + b"\x02\xff\xff" + b"x",
    ):
        pipe.publish(CHANNEL_NAMES.broadcast, data)
    pipe.execute()
    check_delivery(listener, dale)
    check_delivery(dale_listener, hank)
    assert (hank.stats.rejected["key"], hank.stats.rejected["forged"]) == (1001, 1000)
    assert hank.stats.rejected["unreadable"] >= 4 and sum(hank.stats.rejected.values()) == 2006
    assert len(events("bus_rejected")) == 2  # one of each node
    assert list(hank.nodes) == ["dale"] and listener.gaps == [""] and group.failures == []


def test_nodes_beyond_the_bound_are_not_taken(
    group: BusGroup, start_peer: StartPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MAX_NODES", 2)
    hank, listener = group.start_bus("hank")
    players = [start_peer(f"node{version}") for version in range(4)]
    for peer in players:
        peer.publish(0, "hank", challenge=b"?" * 16)

    def is_full() -> bool:
        for peer in players:
            peer.receive()
        return hank.stats.rejected["full"] >= 2

    listener.wait_until(is_full)
    assert len(hank.nodes) == 2


def test_what_happens_often_is_told_once_a_minute(events: Events) -> None:
    now = [100.0]
    event_count = ThrottledEventLog("bus_rejected", lambda: now[0])
    for _ in range(3):
        event_count.add("forged")
    event_count.add("replayed", 2)
    for kind in range(100):
        event_count.add(f"kind{kind}")
    assert events("bus_rejected") == [{"count": 1, "what": "forged=1"}]
    now[0] += redis.EVENT_LOG_INTERVAL
    event_count.flush()
    event_count.flush()
    (_, second) = events("bus_rejected")
    assert second["count"] == 4 + redis.MAX_COUNTED_KINDS - 2 and second["what"].startswith("forged=2 kind0=1")


def test_challenges_change_and_what_is_remembered_of_them_is_bounded() -> None:
    requested = Challenges(10.0)
    first = requested.make(0.0)
    assert (
        requested.make(9.0) == first
        and requested.is_met(first)
        and not requested.is_met(b"")
        and not requested.is_met(b"x" * 16)
    )
    second = requested.make(10.0)
    assert second != first and requested.is_met(first) and requested.is_met(second)
    requested.make(20.0)
    assert not requested.is_met(first) and requested.is_met(second)
    for version in range(3 * MAX_CHALLENGED):
        assert requested.is_due(b"%d" % version, 30.0, 1.0)
    assert len(requested._challenged_at) == MAX_CHALLENGED
    assert (
        not requested.is_due(b"%d" % version, 30.5, 1.0) and requested.seconds_unanswered(b"%d" % version, 33.0) == 3.0
    )
    shelf = OwnPresence()
    replies = ReplyQueue(shelf, lambda: None)
    for version in range(3 * MAX_REPLIES):
        replies.send_challenge(f"node{version}", b"?")
        replies.send_presence(f"node{version}", -1)
    assert len(replies.drain()) == len(replies.drain_pages()) == MAX_REPLIES and not replies


def test_a_key_may_be_replaced_while_everybody_talks(group: BusGroup) -> None:
    (hank, listener), (dale, dale_listener) = map(group.start_bus, ("hank", "dale"))
    hank.replace_key(OTHER_KEY)
    hank.send(b"who does not know it yet")
    dale_listener.wait_until(lambda: dale_listener.gaps == [""])  # it is to look whether there is another
    assert dale.stats.rejected["key"] > 0
    check_delivery(listener, dale)  # what is sealed with the one before is taken for a while
    dale.replace_key(OTHER_KEY)
    dale_listener.received.clear()
    for each, other in ((dale_listener, hank), (listener, dale)):
        check_delivery(each, other)
    _, late_listener = group.start_bus("bill", key=OTHER_KEY)
    late_listener.wait_until(lambda: len(hank.nodes) == 2)
    check_delivery(late_listener, hank)


def test_the_key_before_is_good_for_a_minute() -> None:
    now = [0.0]
    keyring = Keyring(KEY, CLUSTER, lambda: now[0])
    first = keyring.current
    assert not keyring.replace(KEY) and keyring.replace(OTHER_KEY)
    assert keyring.has(first) and keyring.make_cipher(first, "hank", b"x") is not None
    now[0] = OLD_KEY_TTL
    assert not keyring.has(first) and keyring.make_cipher(first, "hank", b"x") is None and keyring.has(keyring.current)
    assert keyring.replace(b"y" * 32) and not keyring.has(first)
    assert keyring.replace(KEY) and keyring.has(first) and keyring.current == first
    with pytest.raises(ValueError):
        keyring.replace(b"short")


def test_no_nonce_is_used_twice_and_each_process_has_a_key_of_its_own() -> None:
    keyring = Keyring(KEY, CLUSTER, lambda: 0.0)
    sealers = [
        Sealer(keyring, "hank"),
        Sealer(keyring, "hank"),
        Sealer(Keyring(KEY, "shelbyville", lambda: 0.0), "hank"),
    ]
    envelopes = [read_envelope(sealer.seal("all", b"x")) for sealer in sealers for _ in range(50)]
    assert len({(each.boot, each.counter) for each in envelopes if each}) == 150
    assert len({each.ciphertext for each in envelopes if each}) == 150
    for sealer, envelope in zip(sealers, envelopes[::50], strict=True):
        assert envelope is not None
        opened = [open_envelope(each.cipher, envelope, "all") for each in sealers]
        assert opened.count(b"x") == 1 and opened[sealers.index(sealer)] == b"x"
        assert open_envelope(sealer.cipher, envelope, "node:hank") is None


class AuthenticatorHarness:
    """A `PacketAuthenticator` without a Redis."""

    def __init__(self) -> None:
        self.rejected: dict[str, int] = dict.fromkeys(REJECT_REASONS, 0)
        self.failures: list[BaseException] = []
        keyring, intervals, self.listener = Keyring(KEY, CLUSTER, lambda: 0.0), Intervals(15.0), RecordingListener()
        self.peers = PeerTable(
            "hank",
            15.0,
            lambda _, failure: self.failures.append(failure),
            lambda *_: None,
            lambda _: None,
        )
        self.peers.set_listener(self.listener)
        self.replies = ReplyQueue(OwnPresence(), lambda: None)
        sealer = Sealer(keyring, "hank")
        self.authenticator = PacketAuthenticator(
            CHANNEL_NAMES, intervals, keyring, sealer, self.peers, self.replies, self._reject
        )
        self.peer_sealer = Sealer(keyring, "dale")

    def _reject(self, reason: str) -> None:
        self.rejected[reason] += 1

    def receive(self, channel: str, data: bytes) -> None:
        envelope = self.authenticator.parse(data)
        if envelope is None:
            return
        if envelope.node == "hank":
            self.authenticator.is_echo(channel, envelope)
        elif (authenticated := self.authenticator.authenticate(channel, envelope)) is not None:
            self.peers.receive(*authenticated, to_all=channel == CHANNEL_NAMES.broadcast, is_requested=False)


CHANNELS = some.sampled_from([CHANNEL_NAMES.broadcast, CHANNEL_NAMES.of_node("hank")])


@given(CHANNELS, some.lists(some.binary(max_size=200), max_size=20))
def test_no_bytes_are_believed_or_break_anything(channel: str, packets: list[bytes]) -> None:
    harness = AuthenticatorHarness()
    for data in packets:
        harness.receive(channel, data)
        harness.receive(channel, bytes([ENVELOPE_VERSION]) + data)
    assert not harness.peers.nodes and not harness.failures and sum(harness.rejected.values()) == 2 * len(packets)


@given(CHANNELS, some.binary(max_size=300), some.integers(min_value=0), some.binary(max_size=6))
def test_nothing_that_is_changed_is_believed(channel: str, hint: bytes, channel_name: int, instead: bytes) -> None:
    harness = AuthenticatorHarness()
    data = harness.peer_sealer.seal(
        channel, encode_packet(Packet(0, 1, [hint], proof=harness.authenticator.challenges.make(0.0)))
    )
    channel_name %= len(data)
    changed = data[:channel_name] + instead + data[channel_name + len(instead) :]
    harness.receive(channel, changed)
    assert bool(harness.listener.received) == (changed == data and channel == CHANNEL_NAMES.of_node("hank"))


@given(some.binary(max_size=200))
def test_what_a_node_seals_may_be_any_rubbish(body: bytes) -> None:
    harness = AuthenticatorHarness()
    channel = CHANNEL_NAMES.of_node("hank")
    harness.receive(
        channel,
        harness.peer_sealer.seal(
            channel, encode_packet(Packet(0, 1, proof=harness.authenticator.challenges.make(0.0)))
        ),
    )
    assert list(harness.peers.nodes) == ["dale"]
    harness.receive(channel, harness.peer_sealer.seal(channel, body))
    assert harness.failures == [] and (decode_packet(body) is not None or harness.rejected["unreadable"] == 1)


def test_what_has_no_header_is_no_envelope() -> None:
    boot = bytes(BOOT_BYTES)
    whole = bytes([ENVELOPE_VERSION]) + b"keyi" + boot + bytes(8) + b"\x01n" + b"sealed"
    assert read_envelope(whole) == (b"keyi", boot, 0, "n", whole[:-6], b"sealed")
    assert read_envelope(whole[:-6]) is None and read_envelope(b"\x01" + whole[1:]) is None
    assert read_envelope(whole[:29] + b"\x00" + whole[30:]) is None
