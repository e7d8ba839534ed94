"""What nodes show each other, and that it goes with them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from redis import Redis as Client

from gmessenger.bus.keys import Keys
from gmessenger.bus.parcels import FORM, Parcel, packed
from tests.bus.conftest import SHORT, Party
from tests.bus.ears import CLUSTER, Child
from tests.services import Redis

KEYS = Keys(CLUSTER, "hank")


@pytest.fixture
def child(party: Party, redis_server: Redis) -> Iterator[Child]:
    """Node `dale`, who shows `dale` as `here`."""
    child = Child(redis_server.url, "dale", SHORT, "dale", "here")
    yield child
    child.end()


def publish(client: Client, parcel: Parcel) -> None:
    client.publish(KEYS.all, packed(parcel))


def test_who_is_there_is_told(party: Party) -> None:
    (hank, _), (_, ear) = map(party.join, ("hank", "dale"))
    hank.show("hank", b"here")
    hank.show("peggy", b"here")
    ear.wait(lambda: len(ear.told) == 2)
    hank.show("hank", b"away")
    hank.show("peggy", None)
    ear.wait(lambda: len(ear.told) == 4)
    assert ear.cards == {"hank": {"hank": b"away"}}


def test_what_was_shown_is_known_to_those_who_come_later(party: Party) -> None:
    hank = party.open("hank")
    hank.show("hank", b"here")
    hank.show("peggy", b"here")
    _, first = party.join("dale")
    hank.start(first)  # whoever listens
    hank.show("peggy", None)
    first.wait(lambda: hank.connected)
    _, ear = party.join("bill")
    assert ear.cards == {"hank": {"hank": b"here"}} and ear.resumes == 1


def test_names_are_shown_as_they_are(party: Party) -> None:
    (hank, _), (_, ear) = map(party.join, ("hank", "dale"))
    names = ("number", "left", ":x", "ж", "")
    for name in names:
        hank.show(name, b"\x00\xff")
    ear.wait(lambda: len(ear.told) == len(names))
    _, late = party.join("bill")
    assert late.cards == ear.cards == {"hank": dict.fromkeys(names, b"\x00\xff")}


def test_the_same_card_is_told_once(party: Party, client: Client) -> None:
    (hank, _), (_, ear) = map(party.join, ("hank", "dale"))
    hank.show("hank", b"here")
    ear.wait(lambda: ear.told)
    hank.show("hank", b"here")
    hank.show("nobody", None)
    hank.send(b"then")
    ear.wait_for(b"then")
    assert len(ear.told) == 1 and client.hget(KEYS.shown("hank"), "number") == b"1"


def test_a_goodbye_is_heard_at_once_and_remembered(party: Party, client: Client) -> None:
    (hank, _), (_, ear) = map(party.join, ("hank", "dale"))
    hank.show("hank", b"here")
    hank.send(b"last words")
    hank.close()
    hank.close()
    ear.wait_for(b"last words")
    ear.wait(lambda: ("hank",) in ear.told)
    bill, late = party.join("bill")
    assert (ear.cards, late.cards, list(bill.nodes)) == ({}, {}, ["dale"])
    assert client.pttl(KEYS.shown("hank")) > 0


def test_a_node_that_dies_is_gone_after_a_while(party: Party, child: Child) -> None:
    hank, ear = party.join("hank", timeout=SHORT)
    assert ear.cards == {"dale": {"dale": b"here"}}
    child.signal(signal.SIGKILL)
    ear.wait(lambda: not hank.nodes)
    assert ear.told == [("dale", "dale", b"here"), ("dale",)]
    _, late = party.join("bill")
    assert late.told == []


def test_a_node_that_stood_still_shows_itself_again(party: Party, child: Child, client: Client) -> None:
    _, ear = party.join("hank", timeout=SHORT)
    child.signal(signal.SIGSTOP)
    ear.wait(lambda: ear.told[-1] == ("dale",))
    ear.wait(lambda: not client.exists(KEYS.shown("dale")))
    child.signal(signal.SIGCONT)
    ear.wait(lambda: ear.cards)
    assert ear.told == [("dale", "dale", b"here"), ("dale",), ("dale", "dale", b"here")]


def test_who_has_missed_something_reads_it(party: Party, client: Client) -> None:
    _, ear = party.join("hank")
    publish(client, Parcel(FORM, "dale", 1, cards={"a": b"1"}))
    ear.wait(lambda: ear.told == [("dale", "a", b"1")])
    client.hset(KEYS.shown("dale"), mapping={"number": 3, ":b": b"2", ":c": b"3"})
    publish(client, Parcel(FORM, "dale", 3, cards={"c": b"3"}))
    ear.wait(lambda: ear.cards == {"dale": {"b": b"2", "c": b"3"}})
    client.hset(KEYS.shown("dale"), mapping={"number": 4, ":c": b"4"})
    publish(client, Parcel(FORM, "dale", 4))  # a beat after one that was lost
    ear.wait(lambda: ear.cards == {"dale": {"b": b"2", "c": b"4"}})


def test_what_is_old_or_comes_twice_changes_nothing(party: Party, client: Client) -> None:
    _, ear = party.join("hank")
    parcels = [Parcel(FORM, "dale", 1, cards={"a": b"1"}), Parcel(FORM, "dale", 2, cards={"a": None})]
    for parcel in (*parcels, *parcels, *parcels):
        publish(client, parcel)
    publish(client, Parcel(FORM, "dale", 2, [b"done"]))
    ear.wait_for(b"done")
    assert ear.told == [("dale", "a", b"1"), ("dale", "a", None)]


def test_what_a_node_shows_is_written_again_where_it_is_not_found(party: Party, client: Client) -> None:
    hank, ear = party.join("hank")
    for name in ("hank", "peggy"):
        hank.show(name, b"here")
    ear.wait(lambda: client.hlen(KEYS.shown("hank")) == 3)
    client.flushall()
    ear.wait(lambda: client.hlen(KEYS.shown("hank")) == 3)
    client.delete(KEYS.shown("hank"))
    hank.show("bobby", b"here")  # on what is not there any more
    ear.wait(lambda: client.hlen(KEYS.shown("hank")) == 4)
    assert client.pttl(KEYS.shown("hank")) > 0
    _, late = party.join("dale")
    assert set(late.cards["hank"]) == {"hank", "peggy", "bobby"}


def test_traces_of_the_dead_are_removed(party: Party, client: Client) -> None:
    client.hset(KEYS.nodes, "ghost", "")
    hank, ear = party.join("hank")
    ear.wait(lambda: not client.hexists(KEYS.nodes, "ghost"))
    assert list(hank.nodes) == [] and ear.told == []
