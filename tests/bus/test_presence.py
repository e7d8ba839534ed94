"""Presence entries of nodes, which disappear with them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from redis import Redis as Client

from gmessenger.bus import presence
from gmessenger.bus.presence import OwnPresence
from gmessenger.bus.protocol import LAST_PAGE
from gmessenger.launcher.services import Redis
from tests.bus.conftest import SHORT, BusGroup
from tests.support.bus import FakePeer, NodeProcess


@pytest.fixture
def child(group: BusGroup, redis_server: Redis) -> Iterator[NodeProcess]:
    """A process with node `dale`, which shows `dale` as `here`."""
    child = NodeProcess(redis_server.url, "dale", SHORT, "dale", "here")
    yield child
    child.kill()


@pytest.fixture
def dale(client: Client) -> Iterator[FakePeer]:
    peer = FakePeer(client, "dale")
    yield peer
    peer.close()


def test_who_is_there_is_told(group: BusGroup) -> None:
    (hank, _), (_, listener) = map(group.start_bus, ("hank", "dale"))
    hank.set_presence("hank", b"here")
    hank.set_presence("peggy", b"here")
    listener.wait_until(lambda: len(listener.presence_events) == 2)
    hank.set_presence("hank", b"away")
    hank.set_presence("peggy", None)
    listener.wait_until(lambda: len(listener.presence_events) == 4)
    assert listener.presences == {"hank": {"hank": b"away"}}


def test_what_was_shown_is_known_to_those_who_come_later(group: BusGroup) -> None:
    hank = group.open("hank")
    hank.set_presence("hank", b"here")
    hank.set_presence("peggy", b"here")
    _, first = group.start_bus("dale")
    hank.start(first)  # with any listener
    hank.set_presence("peggy", None)
    first.wait_until(lambda: hank.connected)
    _, listener = group.start_bus("bill")
    assert listener.presences == {"hank": {"hank": b"here"}} and listener.connect_count == 1


def test_names_are_shown_as_they_are(group: BusGroup) -> None:
    (hank, _), (_, listener) = map(group.start_bus, ("hank", "dale"))
    names = ("number", "left", ":x", "ж", "")
    for name in names:
        hank.set_presence(name, b"\x00\xff")
    listener.wait_until(lambda: len(listener.presence_events) == len(names))
    _, late_listener = group.start_bus("bill")
    assert late_listener.presences == listener.presences == {"hank": dict.fromkeys(names, b"\x00\xff")}


def test_the_same_card_is_told_once(group: BusGroup) -> None:
    (hank, _), (_, listener) = map(group.start_bus, ("hank", "dale"))
    hank.set_presence("hank", b"here")
    listener.wait_until(lambda: listener.presence_events)
    hank.set_presence("hank", b"here")
    hank.set_presence("nobody", None)
    hank.send(b"then")
    listener.expect_data(b"then")
    assert len(listener.presence_events) == 1


def test_a_goodbye_is_heard_at_once(group: BusGroup) -> None:
    (hank, _), (_, listener) = map(group.start_bus, ("hank", "dale"))
    hank.set_presence("hank", b"here")
    hank.send(b"last words")
    hank.close()
    hank.close()
    listener.expect_data(b"last words")
    listener.wait_until(lambda: ("hank",) in listener.presence_events)
    bill, late_listener = group.start_bus("bill")
    assert (listener.presences, late_listener.presences, list(bill.nodes)) == ({}, {}, ["dale"])


def test_a_node_that_dies_is_gone_after_a_while(group: BusGroup, child: NodeProcess) -> None:
    hank, listener = group.start_bus("hank", timeout=SHORT)
    listener.wait_until(lambda: listener.presences == {"dale": {"dale": b"here"}})
    child.signal(signal.SIGKILL)
    listener.wait_until(lambda: not hank.nodes)
    assert listener.presence_events == [("dale", "dale", b"here"), ("dale",)]
    _, late_listener = group.start_bus("bill")
    assert late_listener.presence_events == []


def test_a_node_that_stood_still_shows_itself_again(group: BusGroup, child: NodeProcess) -> None:
    hank, listener = group.start_bus("hank", timeout=SHORT)
    listener.wait_until(lambda: listener.presences)
    child.signal(signal.SIGSTOP)
    listener.wait_until(lambda: listener.presence_events[-1] == ("dale",))
    child.signal(signal.SIGCONT)
    listener.wait_until(lambda: listener.presences)
    assert listener.presence_events == [("dale", "dale", b"here"), ("dale",), ("dale", "dale", b"here")]
    assert not any(hank.stats.rejected.values())


def test_a_node_that_stood_still_is_not_waited_for(group: BusGroup, child: NodeProcess) -> None:
    child.signal(signal.SIGSTOP)
    hank, _ = group.start_bus("hank", timeout=SHORT)
    assert not hank.nodes and hank.connected
    child.signal(signal.SIGCONT)


def test_who_has_missed_something_asks_for_it(group: BusGroup, dale: FakePeer) -> None:
    hank, listener = group.start_bus("hank")
    dale.join(listener, hank)
    dale.publish(1, presence={"a": b"1"})
    listener.wait_until(lambda: listener.presence_events == [("dale", "a", b"1")])
    dale.version, dale.presence = 3, {"b": b"2", "c": b"3"}
    dale.publish(3, presence={"c": b"3"}, skip=1)
    dale.wait_until(listener, lambda: listener.presences == {"dale": {"b": b"2", "c": b"3"}})
    dale.version, dale.presence = 4, {"b": b"2", "c": b"4"}
    dale.publish(4)  # a beat after one that was lost
    dale.wait_until(listener, lambda: listener.presences == {"dale": {"b": b"2", "c": b"4"}})
    assert hank.stats.missed == 1 and listener.gaps == ["dale"]


def test_what_is_shown_is_read_in_pages_while_it_changes(
    group: BusGroup, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setattr(presence, "MAX_PRESENCE_PAGE", 200)
    hank, _ = group.start_bus("hank")
    for version in range(500):
        hank.set_presence(f"name{version}", b"here")
    dale, listener = group.open("dale"), group.open("x")  # `x` is never started
    late_listener = group.start_bus("bill")[1]
    for version in range(0, 500, 2):
        hank.set_presence(f"name{version}", None)
        hank.set_presence(f"other{version}", b"here")
    del dale, listener
    expected = {f"name{n}": b"here" for n in range(1, 500, 2)} | {f"other{n}": b"here" for n in range(0, 500, 2)}
    late_listener.wait_until(lambda: late_listener.presences == {"hank": expected})
    assert len(late_listener.presence_events) <= 1000


def test_a_page_says_how_each_card_is_when_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MAX_PRESENCE_PAGE", 1)
    cards = OwnPresence()
    for name in ("a", "b", "c"):
        cards.set(name, b"1")
    reading = cards.pages()
    pages = [reading.next_page()]
    cards.set("b", b"2")
    cards.set("c", None)
    cards.set("d", b"1")  # the reader gets it as a change
    while not pages[-1][1] & LAST_PAGE:
        pages.append(reading.next_page())
    assert [page for page, _ in pages] == [{"a": b"1"}, {"b": b"2"}, {}]


def test_an_empty_shelf_is_one_page() -> None:
    assert OwnPresence().pages().next_page() == ({}, 3)


def test_few_are_read_at_a_time_and_those_who_do_not_answer_are_asked_again() -> None:
    requested: list[str] = []
    wishes = presence.EntryRequests(lambda node: requested.append(node) or node != "gone", 5.0)
    for node in ("gone", *"abcdef"):
        wishes.add(node)
    wishes.send_due(0.0)
    assert requested == ["gone", *"abcd"] and "e" in wishes and "gone" not in wishes
    wishes.complete("b")
    wishes.send_due(1.0)
    assert requested[5:] == ["e"]
    wishes.send_due(6.0)  # a, c and d have not answered
    assert requested[6:] == ["f", "a", "c"] and bool(wishes)
    for node in "acdef":
        wishes.complete(node)
    wishes.send_due(7.0)
    wishes.complete("d")
    assert requested[9:] == ["d"] and not wishes


def test_what_is_old_or_comes_twice_changes_nothing(group: BusGroup, client: Client, dale: FakePeer) -> None:
    hank, listener = group.start_bus("hank")
    dale.join(listener, hank)
    packets = [dale.publish(1, presence={"a": b"1"}), dale.publish(2, presence={"a": None})]
    for data in (*packets, *packets):
        client.publish(dale.channels.broadcast, data)
    dale.publish(2, payloads=[b"done"])
    listener.expect_data(b"done")
    assert listener.presence_events == [("dale", "a", b"1"), ("dale", "a", None)]
    assert hank.stats.rejected["replayed"] == 4


def test_redis_is_told_nothing_that_it_keeps(group: BusGroup, client: Client) -> None:
    hank, _ = group.start_bus("hank")
    hank.set_presence("hank", b"here")
    _, late_listener = group.start_bus("dale")
    late_listener.wait_until(lambda: late_listener.presences == {"hank": {"hank": b"here"}})
    assert client.keys("*") == []
