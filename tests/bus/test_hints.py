"""Hints between nodes: to all or to some, in order, together."""

from __future__ import annotations

import sys

import pytest
from redis import Redis as Client

from gmessenger.bus import check_bus_url, open_bus
from gmessenger.bus.protocol import ChannelNames
from gmessenger.bus.publisher import PUBLISH_BATCH, PublishQueue
from gmessenger.errors import ConfigError
from tests.bus.conftest import BusGroup
from tests.support.bus import CLUSTER, KEY, RecordingListener

CHANNEL_NAMES = ChannelNames(CLUSTER, "hank")


def test_what_is_sent_to_all_comes_to_all_others(group: BusGroup) -> None:
    (hank, hank_listener), (_, dale_listener), (_, bill_listener) = map(group.start_bus, ("hank", "dale", "bill"))
    hank.send(b"one")
    hank.send(b"two")
    dale_listener.expect_data(b"one", b"two")
    bill_listener.expect_data(b"one", b"two")
    hank_listener.wait_until(lambda: hank.stats.sent == 2)
    assert hank_listener.received == []


def test_what_is_sent_to_some_comes_to_them(group: BusGroup) -> None:
    (hank, _), (_, dale_listener), (_, bill_listener) = map(group.start_bus, ("hank", "dale", "bill"))
    hank.send(b"both", ["dale", "bill"])
    hank.send(b"dale's", ["dale"])
    hank.send(b"nobody's", [])
    hank.send(b"bill's", {"bill"})
    dale_listener.expect_data(b"both", b"dale's")
    bill_listener.expect_data(b"both", b"bill's")


def test_nodes_are_known_when_they_were_heard_of(group: BusGroup) -> None:
    (hank, listener), (dale, _) = map(group.start_bus, ("hank", "dale"))
    listener.wait_until(lambda: list(hank.nodes) == ["dale"])
    assert list(dale.nodes) == ["hank"]


def test_everything_comes_in_order_however_much_it_is(group: BusGroup) -> None:
    (hank, _), (_, listener) = map(group.start_bus, ("hank", "dale"))
    sent = [b"%d" % version + b"x" * 2000 for version in range(1000)]
    for data in sent:
        hank.send(data)
    listener.expect_data(*sent)
    listener.wait_until(lambda: hank.stats.sent == 1000)  # counted when Redis has answered


def test_what_is_sent_in_one_turn_is_published_together(group: BusGroup, client: Client) -> None:
    (hank, _), (_, listener) = map(group.start_bus, ("hank", "dale"))
    with client.pubsub() as stranger:
        stranger.subscribe(CHANNEL_NAMES.broadcast)
        stranger.get_message(timeout=5)
        for version in range(100):
            hank.send(b"%d" % version * 100)
        listener.wait_until(lambda: len(listener.received) == 100)
        sizes = []
        while (message := stranger.get_message(timeout=0.1)) is not None:
            sizes.append(len(message["data"]))
    assert max(sizes) > sum(len(data) for _, data in listener.received)


def test_clusters_do_not_hear_each_other(group: BusGroup) -> None:
    (hank, _), (_, listener), (_, others) = (
        group.start_bus("hank"),
        group.start_bus("dale"),
        group.start_bus("x", cluster="shelbyville"),
    )
    hank.send(b"ours")
    listener.expect_data(b"ours")
    assert others.received == [] and others.presences == {}


class FailingListener(RecordingListener):
    """A listener whose every method fails."""

    def on_data(self, node: str, data: bytes) -> None:
        super().on_data(node, data)
        raise ValueError(data)

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        raise ValueError(key)

    def on_connected(self) -> None:
        super().on_connected()
        raise ValueError("resumed")


def test_a_listeners_mistakes_are_told_and_it_goes_on(group: BusGroup) -> None:
    (hank, _), bus, failing = group.start_bus("hank"), group.open("dale"), FailingListener()
    bus.start(failing)
    failing.wait_until(lambda: failing.connect_count)
    hank.set_presence("hank", b"here")
    hank.send(b"one")
    hank.send(b"two")
    failing.expect_data(b"one", b"two")
    assert [str(failure) for failure in group.failures] == ["resumed", "hank", "b'one'", "b'two'"]


def test_what_waits_is_bounded_and_comes_in_batches() -> None:
    waiting = PublishQueue(1000)
    assert waiting.add(b"x" * 400, None) and waiting.add(b"y" * 300, ["a", "b"])
    assert not waiting.add(b"z", None) and waiting.size == 1000
    batch = waiting.pop()
    assert batch is not None and (batch.to_all, batch.count) == ([b"x" * 400], 2)
    assert batch.by_node == {"a": [b"y" * 300], "b": [b"y" * 300]}
    assert (waiting.size, waiting.pop(), bool(waiting)) == (0, None, False)
    large = PublishQueue()
    for _ in range(3):
        assert large.add(b"x" * PUBLISH_BATCH, None)
    assert large.pop() is not None and large.clear() == 2 and large.size == 0


def test_a_server_that_is_alone_has_no_bus() -> None:
    bus, listener = open_bus("", "hank", CLUSTER, KEY), RecordingListener()
    bus.start(listener)
    bus.set_presence("hank", b"here")
    bus.send(b"one")
    bus.close()
    assert (bus.connected, list(bus.nodes), listener.connect_count, bus.stats.lost) == (False, [], 0, 0)


@pytest.mark.parametrize(
    "url",
    [
        "redis.example",
        "http://redis.example",
        "redis://:hunter2@redis.example:port",
        "redis://:hunter2@redis.example/database",
        "redis://:hunter/2@redis.example",
        "redis://redis.example?nonsense=1",
        "redis://redis.example?db=x&password=hunter2",
        "rediss://redis.example?ssl_cert_reqs=perhaps",
        "unix://",
        "memory://:hunter2@x",
    ],
)
def test_a_bad_url_is_named_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError):
        check_bus_url(url)
    with pytest.raises(ConfigError) as problem:
        open_bus(url, "hank", CLUSTER, KEY)
    assert "hunter" not in str(problem.value) and problem.value.__cause__ is None
    assert str(problem.value).startswith(f"The bus '{url[:7]}")


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith(("gmessenger.bus.", "redis."))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[cluster\]'"):
        open_bus("redis://:hunter2@redis.example", "hank", CLUSTER, KEY)
