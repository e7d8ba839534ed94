"""Whoever can write to the Redis, or listens to it, and has not the cluster's key: what he says is not believed."""

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
    """A stranger who writes down all that is published, and may say it again."""

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

    def replay(self, said: list[tuple[str, bytes]], channel: str = "") -> None:
        for place, data in said:
            self._client.publish(channel or place, data)

    def close(self) -> None:
        self._pubsub.close()


@pytest.fixture
def recorder(party: BusGroup, client: Client) -> Iterator[Recorder]:
    recorder = Recorder(client)
    yield recorder
    recorder.close()


@pytest.fixture
def plays(client: Client) -> Iterator[StartPeer]:
    peers: list[FakePeer] = []

    def play(node: str, **more: Any) -> FakePeer:
        peers.append(FakePeer(client, node, **more))
        return peers[-1]

    yield play
    for peer in peers:
        peer.close()


def check_delivery(ear: RecordingListener, other: Bus) -> None:
    """What a node says is heard, and nothing that a stranger has said before it."""
    ear.received.clear()
    other.send(b"all is well")
    ear.expect_data(b"all is well")


def test_nothing_of_what_is_said_or_shown_can_be_read(party: BusGroup, recorder: Recorder) -> None:
    (hank, _), (_, ear) = map(party.start_bus, ("hank", "dale"))
    hank.set_presence("peggy-the-name", b"the-card")
    hank.send(b"the-hint to all")
    hank.send(b"the-hint to one", ["dale"])
    _, late = party.start_bus("bill")  # is told what is shown
    ear.wait_until(lambda: len(ear.received) == 2 and ear.presences)
    late.wait_until(lambda: late.presences)
    said = recorder.recorded()
    assert len(said) > 5
    for _, data in said:
        assert not any(word in data for word in (b"peggy", b"the-card", b"the-hint", KEY))


def test_another_key_is_no_key(
    party: BusGroup, client: Client, plays: StartPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "KEY_CHECK_INTERVAL", 3600.0)
    (hank, ear), (dale, _) = map(party.start_bus, ("hank", "dale"))
    stranger = plays("dale", key=OTHER_KEY)
    for _ in range(3):
        stranger.publish(7, payloads=[b"forged"], presence={"mallory": b"here"})
        stranger.publish(7, "hank", payloads=[b"forged"], is_leaving=True)
    check_delivery(ear, dale)
    assert ear.presence_events == [] and list(hank.nodes) == ["dale"]
    assert hank.stats.rejected == dict.fromkeys(REJECT_REASONS, 0) | {"key": 6}
    assert ear.gaps == [""]  # the cluster may have another key by now: that is looked up, and not at each


def test_the_id_of_a_key_is_not_the_key(party: BusGroup, client: Client, plays: StartPeer) -> None:
    """Headers are in the clear: whoever copies them still seals with a key that is not theirs."""
    (hank, ear), (dale, _) = map(party.start_bus, ("hank", "dale"))
    ours, theirs = plays("bill"), plays("bill", key=OTHER_KEY)
    for channel in (CHANNEL_NAMES.broadcast, CHANNEL_NAMES.of_node("hank")):
        body = theirs.seal(channel, Packet(1, 1, [b"forged"], proof=b"x" * 16))
        header = ours.seal(channel, Packet(1, 1, [b"forged"], proof=b"x" * 16))
        size = len(read_envelope(header).header)  # type: ignore[union-attr]
        client.publish(channel, header[:size] + body[size:])
    check_delivery(ear, dale)
    assert hank.stats.rejected["forged"] == 2 and list(hank.nodes) == ["dale"]


def test_what_is_changed_on_its_way_does_not_come(party: BusGroup, client: Client, plays: StartPeer) -> None:
    hank, ear = party.start_bus("hank")
    dale = plays("dale").join(ear, hank)
    data = dale.seal(CHANNEL_NAMES.broadcast, Packet(1, 2, [b"hello"]))
    for place in range(len(data)):
        client.publish(CHANNEL_NAMES.broadcast, data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    for end in range(len(data)):
        client.publish(CHANNEL_NAMES.broadcast, data[:end])
    client.publish(CHANNEL_NAMES.broadcast, data + b"x")
    client.publish(CHANNEL_NAMES.broadcast, data)
    ear.expect_data(b"hello")
    assert sum(hank.stats.rejected.values()) >= 2 * len(data) and list(hank.nodes) == ["dale"]


def test_what_was_said_once_is_heard_once_and_where_it_was_said(party: BusGroup, recorder: Recorder) -> None:
    (hank, ear), (dale, to_dale), (bill, to_bill) = map(party.start_bus, ("hank", "dale", "bill"))
    dale.send(b"to all")
    dale.send(b"to hank", ["hank"])
    ear.wait_until(lambda: len(ear.received) == 2)
    dale.set_presence("dale", b"here")
    ear.wait_until(lambda: ear.presences and to_bill.presences)
    dale.set_presence("dale", None)
    ear.wait_until(lambda: ear.presences == to_bill.presences == {"dale": {}})
    for each in (ear, to_dale, to_bill):
        each.received.clear()
    said, told = recorder.recorded(), len(ear.presence_events)
    recorder.replay(said)
    recorder.replay(said[::-1])
    for channel in (CHANNEL_NAMES.broadcast, *map(CHANNEL_NAMES.of_node, ("hank", "dale", "bill"))):
        recorder.replay(said, channel)
    dale.send(b"all is well")
    ear.expect_data(b"all is well")
    to_bill.expect_data(b"all is well")
    assert to_dale.received == []
    check_delivery(to_dale, hank)
    assert len(ear.presence_events) == told and ear.presences == {"dale": {}}
    assert hank.stats.rejected["replayed"] > len(said) and bill.stats.missed == hank.stats.missed == 0


def test_the_dead_do_not_come_back(party: BusGroup, recorder: Recorder, plays: StartPeer) -> None:
    """Whatever a node has said in its life, it is not there when that is said again: neither for those who knew it nor
    for those who did not."""
    hank, ear = party.start_bus("hank")
    ghost, _ = party.start_bus("ghost")
    ghost.set_presence("casper", b"here")
    ghost.send(b"boo")
    ghost.send(b"boo", ["hank"])
    ear.wait_until(lambda: ear.presences == {"ghost": {"casper": b"here"}} and len(ear.received) == 2)
    ghost.close()
    ear.wait_until(lambda: ear.presence_events[-1] == ("ghost",))
    dale, to_dale = party.start_bus("dale")
    ear.received.clear()
    said, told = recorder.recorded(), len(ear.presence_events)
    for channel in ("", CHANNEL_NAMES.broadcast, CHANNEL_NAMES.of_node("hank"), CHANNEL_NAMES.of_node("dale")):
        recorder.replay(said, channel)
    check_delivery(ear, dale)
    check_delivery(to_dale, hank)
    assert (list(hank.nodes), list(dale.nodes)) == (["dale"], ["hank"])
    assert (len(ear.presence_events), to_dale.presence_events) == (told, [])


def test_a_recorded_proof_is_none_and_who_does_not_answer_is_stale(
    plays: StartPeer, party: BusGroup, client: Client
) -> None:
    ear, bus = RecordingListener(), party.open("hank", timeout=SHORT)
    bus.start(ear)
    ear.wait_until(lambda: ear.connect_count)
    ghost = plays("ghost")
    ghost.publish(0, "hank", proof=b"an older question", broadcast_seq=0)
    ghost.publish(0, "hank", proof=b"")

    def is_told() -> bool:
        ghost.publish(1, presence={"casper": b"here"})
        gevent.sleep(0.05)
        return bool(bus.stats.rejected["stale"])

    ear.wait_until(is_told)
    assert list(bus.nodes) == [] and ear.presence_events == [] and not bus.stats.rejected["forged"]
    ghost.join(ear, bus)  # and when it answers, it is there
    assert list(bus.nodes) == ["ghost"]


def test_our_own_voice_cannot_be_feigned(party: BusGroup, recorder: Recorder, client: Client, plays: StartPeer) -> None:
    hank, ear = party.start_bus("hank", timeout=SHORT)
    said = [each for each in recorder.recorded() if each[0] == CHANNEL_NAMES.of_node("hank")]
    assert said
    recorder.replay(said)
    feigned = Sealer(Keyring(KEY, CLUSTER, lambda: 0.0), "hank")
    client.publish(CHANNEL_NAMES.of_node("hank"), feigned.seal(CHANNEL_NAMES.of_node("hank"), encode_packet(Packet(0))))
    forged = said[0][1][:-1] + bytes([said[0][1][-1] ^ 1])
    client.publish(CHANNEL_NAMES.of_node("hank"), forged)
    ear.wait_until(lambda: sum(hank.stats.rejected.values()) == len(said) + 2)
    assert (hank.stats.rejected["stale"], hank.connected, list(hank.nodes)) == (1, True, [])


def test_what_was_suppressed_is_noticed(party: BusGroup, plays: StartPeer) -> None:
    hank, ear = party.start_bus("hank")
    dale = plays("dale").join(ear, hank)
    dale.publish(payloads=[b"one"])
    dale.publish(0, "hank", payloads=[b"two"])
    ear.expect_data(b"one", b"two")
    assert (hank.stats.missed, ear.gaps) == (0, [])
    dale.publish(skip=2)
    ear.wait_until(lambda: ear.gaps)
    dale.publish(0, "hank", skip=3)
    ear.wait_until(lambda: len(ear.gaps) == 2)
    assert hank.stats.missed == 5
    dale.publish(node_seqs={"hank": dale.seqs["hank"]})
    dale.publish(node_seqs={"hank": dale.seqs["hank"] + 1})  # the last one of all did not come
    ear.wait_until(lambda: len(ear.gaps) == 3)
    assert hank.stats.missed == 6 and set(ear.gaps) == {"dale"}
    dale.seqs.clear()  # it had lost sight of us, and counts anew
    dale.publish(node_seqs={})
    dale.publish(0, "hank", payloads=[b"three"])
    ear.expect_data(b"three")
    assert hank.stats.missed == 6


def test_strangers_who_listen_hold_nobody_up(party: BusGroup, recorder: Recorder, client: Client) -> None:
    with client.pubsub() as one, client.pubsub() as other:
        for each in (one, other):
            each.subscribe(CHANNEL_NAMES.broadcast)
            each.get_message(timeout=5)
        (hank, ear), (dale, to_dale) = map(party.start_bus, ("hank", "dale"))
        check_delivery(ear, dale)
        check_delivery(to_dale, hank)


def test_a_beat_tells_of_what_went_to_one_node(party: BusGroup, plays: StartPeer) -> None:
    hank, ear = party.start_bus("hank", timeout=SHORT)
    dale = plays("dale").join(ear, hank)
    for number in range(3):
        hank.send(b"%d" % number, ["dale"])
        ear.wait_until(lambda number=number: hank.stats.sent == number + 1)
    seq = 0

    def is_counted() -> bool:
        nonlocal seq
        seq = max([seq, *(p.seq for _, p in dale.received if p.node_seqs is None and p.payloads)])
        return any(seq and (p.node_seqs or {}).get("dale", -1) >= seq for _, p in dale.received)

    dale.wait_until(ear, is_counted)


def test_nodes_that_start_at_once_know_each_other_and_reject_nothing(party: BusGroup) -> None:
    names = [f"node{number}" for number in range(6)]
    buses, ears = [party.open(name) for name in names], [RecordingListener() for _ in names]
    for bus, ear, name in zip(buses, ears, names, strict=True):
        bus.set_presence(name, b"here")
        bus.start(ear)
    for bus, ear in zip(buses, ears, strict=True):
        ear.wait_until(lambda bus=bus, ear=ear: len(bus.nodes) == 5 and len(ear.presences) == 5 and bus.connected)
    for bus in buses:
        bus.send(b"hello")
    for bus, ear in zip(buses, ears, strict=True):
        ear.wait_until(lambda ear=ear: len(ear.received) == 5)
        assert not any(bus.stats.rejected.values()) and bus.stats.missed == 0 and ear.gaps == []
    assert party.failures == []


def test_nothing_is_rejected_where_redis_loses_everything_or_hangs_up(party: BusGroup, client: Client) -> None:
    (hank, ear), (dale, to_dale) = party.start_bus("hank"), party.start_bus("dale")
    hank.set_presence("hank", b"here")
    to_dale.wait_until(lambda: to_dale.presences)
    for number in range(1, 4):
        client.flushall()
        for kind in ("pubsub", "normal"):
            client.client_kill_filter(_type=kind, skipme=True)
        ear.wait_until(
            lambda number=number: (
                min(ear.connect_count, to_dale.connect_count) > number and hank.connected and dale.connected
            )
        )
        check_delivery(ear, dale)
        check_delivery(to_dale, hank)
    assert not any((hank.stats.rejected | dale.stats.rejected).values())
    assert to_dale.presence_events == [("hank", "hank", b"here")] and ear.presence_events == []


def test_a_node_that_starts_anew_under_its_name_is_another(party: BusGroup) -> None:
    hank, ear = party.start_bus("hank")
    for number in range(3):
        child = NodeProcess(party.url, "dale", SHORT, "dale", str(number))
        ear.wait_until(lambda number=number: ear.presences.get("dale") == {"dale": b"%d" % number})
        child.kill()  # without a goodbye
    assert not any(hank.stats.rejected.values())


def test_a_flood_of_rubbish_is_counted_and_fills_neither_log_nor_memory(
    party: BusGroup, client: Client, plays: StartPeer, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MAX_NODES", 3)
    monkeypatch.setattr(redis, "KEY_CHECK_INTERVAL", 3600.0)  # once, however long the reading takes
    (hank, ear), (dale, to_dale) = map(party.start_bus, ("hank", "dale"))
    pipe = client.pipeline(transaction=False)
    for number in range(2000):
        stranger = Sealer(Keyring(OTHER_KEY if number % 2 else KEY, "shelbyville", lambda: 0.0), f"node{number}")
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
    check_delivery(ear, dale)
    check_delivery(to_dale, hank)
    assert (hank.stats.rejected["key"], hank.stats.rejected["forged"]) == (1001, 1000)
    assert hank.stats.rejected["unreadable"] >= 4 and sum(hank.stats.rejected.values()) == 2006
    assert len(events("bus_rejected")) == 2  # one of each that heard it
    assert list(hank.nodes) == ["dale"] and ear.gaps == [""] and party.failures == []


def test_nodes_beyond_the_bound_are_not_taken(
    party: BusGroup, plays: StartPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MAX_NODES", 2)
    hank, ear = party.start_bus("hank")
    players = [plays(f"node{number}") for number in range(4)]
    for peer in players:
        peer.publish(0, "hank", challenge=b"?" * 16)

    def is_full() -> bool:
        for peer in players:
            peer.receive()
        return hank.stats.rejected["full"] >= 2

    ear.wait_until(is_full)
    assert len(hank.nodes) == 2


def test_what_happens_often_is_told_once_a_minute(events: Events) -> None:
    now = [100.0]
    told = ThrottledEventLog("bus_rejected", lambda: now[0])
    for _ in range(3):
        told.add("forged")
    told.add("replayed", 2)
    for kind in range(100):
        told.add(f"kind{kind}")
    assert events("bus_rejected") == [{"count": 1, "what": "forged=1"}]
    now[0] += redis.EVENT_LOG_INTERVAL
    told.flush()
    told.flush()
    (_, second) = events("bus_rejected")
    assert second["count"] == 4 + redis.MAX_COUNTED_KINDS - 2 and second["what"].startswith("forged=2 kind0=1")


def test_challenges_change_and_what_is_remembered_of_them_is_bounded() -> None:
    asked = Challenges(10.0)
    first = asked.make(0.0)
    assert asked.make(9.0) == first and asked.is_met(first) and not asked.is_met(b"") and not asked.is_met(b"x" * 16)
    second = asked.make(10.0)
    assert second != first and asked.is_met(first) and asked.is_met(second)
    asked.make(20.0)
    assert not asked.is_met(first) and asked.is_met(second)
    for number in range(3 * MAX_CHALLENGED):
        assert asked.is_due(b"%d" % number, 30.0, 1.0)
    assert len(asked._challenged_at) == MAX_CHALLENGED
    assert not asked.is_due(b"%d" % number, 30.5, 1.0) and asked.seconds_unanswered(b"%d" % number, 33.0) == 3.0
    shelf = OwnPresence()
    replies = ReplyQueue(shelf, lambda: None)
    for number in range(3 * MAX_REPLIES):
        replies.send_challenge(f"node{number}", b"?")
        replies.send_presence(f"node{number}", -1)
    assert len(replies.drain()) == len(replies.drain_pages()) == MAX_REPLIES and not replies


def test_a_key_may_be_replaced_while_everybody_talks(party: BusGroup) -> None:
    (hank, ear), (dale, to_dale) = map(party.start_bus, ("hank", "dale"))
    hank.replace_key(OTHER_KEY)
    hank.send(b"who does not know it yet")
    to_dale.wait_until(lambda: to_dale.gaps == [""])  # it is to look whether there is another
    assert dale.stats.rejected["key"] > 0
    check_delivery(ear, dale)  # what is sealed with the one before is taken for a while
    dale.replace_key(OTHER_KEY)
    to_dale.received.clear()
    for each, other in ((to_dale, hank), (ear, dale)):
        check_delivery(each, other)
    _, late = party.start_bus("bill", key=OTHER_KEY)
    late.wait_until(lambda: len(hank.nodes) == 2)
    check_delivery(late, hank)


def test_the_key_before_is_good_for_a_minute() -> None:
    now = [0.0]
    ring = Keyring(KEY, CLUSTER, lambda: now[0])
    first = ring.current
    assert not ring.replace(KEY) and ring.replace(OTHER_KEY)
    assert ring.has(first) and ring.make_cipher(first, "hank", b"x") is not None
    now[0] = OLD_KEY_TTL
    assert not ring.has(first) and ring.make_cipher(first, "hank", b"x") is None and ring.has(ring.current)
    assert ring.replace(b"y" * 32) and not ring.has(first)
    assert ring.replace(KEY) and ring.has(first) and ring.current == first
    with pytest.raises(ValueError):
        ring.replace(b"short")


def test_no_nonce_is_used_twice_and_each_process_has_a_key_of_its_own() -> None:
    ring = Keyring(KEY, CLUSTER, lambda: 0.0)
    sealers = [Sealer(ring, "hank"), Sealer(ring, "hank"), Sealer(Keyring(KEY, "shelbyville", lambda: 0.0), "hank")]
    envelopes = [read_envelope(sealer.seal("all", b"x")) for sealer in sealers for _ in range(50)]
    assert len({(each.boot, each.counter) for each in envelopes if each}) == 150
    assert len({each.ciphertext for each in envelopes if each}) == 150
    for sealer, envelope in zip(sealers, envelopes[::50], strict=True):
        assert envelope is not None
        opened = [open_envelope(each.cipher, envelope, "all") for each in sealers]
        assert opened.count(b"x") == 1 and opened[sealers.index(sealer)] == b"x"
        assert open_envelope(sealer.cipher, envelope, "node:hank") is None


class AuthenticatorHarness:
    """Admission without a Redis."""

    def __init__(self) -> None:
        self.rejected: dict[str, int] = dict.fromkeys(REJECT_REASONS, 0)
        self.failures: list[BaseException] = []
        ring, pace, self.listener = Keyring(KEY, CLUSTER, lambda: 0.0), Intervals(15.0), RecordingListener()
        self.peers = PeerTable(
            self.listener,
            "hank",
            15.0,
            lambda _, failure: self.failures.append(failure),
            lambda *_: None,
            lambda _: None,
        )
        self.replies = ReplyQueue(OwnPresence(), lambda: None)
        sealer = Sealer(ring, "hank")
        self.authenticator = PacketAuthenticator(
            CHANNEL_NAMES, pace, ring, sealer, self.peers, self.replies, self._reject
        )
        self.peer_sealer = Sealer(ring, "dale")

    def _reject(self, reason: str) -> None:
        self.rejected[reason] += 1

    def receive(self, channel: str, data: bytes) -> None:
        envelope = self.authenticator.parse(data)
        if envelope is None:
            return
        if envelope.node == "hank":
            self.authenticator.is_echo(channel, envelope)
        elif (taken := self.authenticator.authenticate(channel, envelope)) is not None:
            self.peers.receive(*taken, to_all=channel == CHANNEL_NAMES.broadcast, is_requested=False)


CHANNELS = some.sampled_from([CHANNEL_NAMES.broadcast, CHANNEL_NAMES.of_node("hank")])


@given(CHANNELS, some.lists(some.binary(max_size=200), max_size=20))
def test_no_bytes_are_believed_or_break_anything(channel: str, said: list[bytes]) -> None:
    house = AuthenticatorHarness()
    for data in said:
        house.receive(channel, data)
        house.receive(channel, bytes([ENVELOPE_VERSION]) + data)
    assert not house.peers.nodes and not house.failures and sum(house.rejected.values()) == 2 * len(said)


@given(CHANNELS, some.binary(max_size=300), some.integers(min_value=0), some.binary(max_size=6))
def test_nothing_that_is_changed_is_believed(channel: str, hint: bytes, place: int, instead: bytes) -> None:
    house = AuthenticatorHarness()
    data = house.peer_sealer.seal(
        channel, encode_packet(Packet(0, 1, [hint], proof=house.authenticator.challenges.make(0.0)))
    )
    place %= len(data)
    changed = data[:place] + instead + data[place + len(instead) :]
    house.receive(channel, changed)
    assert bool(house.listener.received) == (changed == data and channel == CHANNEL_NAMES.of_node("hank"))


@given(some.binary(max_size=200))
def test_what_a_node_seals_may_be_any_rubbish(body: bytes) -> None:
    house = AuthenticatorHarness()
    channel = CHANNEL_NAMES.of_node("hank")
    house.receive(
        channel,
        house.peer_sealer.seal(channel, encode_packet(Packet(0, 1, proof=house.authenticator.challenges.make(0.0)))),
    )
    assert list(house.peers.nodes) == ["dale"]
    house.receive(channel, house.peer_sealer.seal(channel, body))
    assert house.failures == [] and (decode_packet(body) is not None or house.rejected["unreadable"] == 1)


def test_what_has_no_header_is_no_envelope() -> None:
    boot = bytes(BOOT_BYTES)
    whole = bytes([ENVELOPE_VERSION]) + b"keyi" + boot + bytes(8) + b"\x01n" + b"sealed"
    assert read_envelope(whole) == (b"keyi", boot, 0, "n", whole[:-6], b"sealed")
    assert read_envelope(whole[:-6]) is None and read_envelope(b"\x01" + whole[1:]) is None
    assert read_envelope(whole[:29] + b"\x00" + whole[30:]) is None
