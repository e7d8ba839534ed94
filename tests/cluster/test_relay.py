"""Guests on other nodes are asked for what is not kept anywhere else: it is given once, in time, or refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from gmessenger.chat.outbox import Message
from gmessenger.chat.peers import PeerPresence
from gmessenger.chat.records import NewMessage
from gmessenger.chat.sending import PENDING_MESSAGE_OVERHEAD
from gmessenger.chat.session import Session
from gmessenger.cluster import relay
from gmessenger.cluster.frames import NodeFrame, RelayReply, RelayRequest, ReleaseNotice, ReserveRequest, decode
from gmessenger.cluster.relay import RelayClient, RelayServer
from gmessenger.cluster.sequencing import committed_from
from gmessenger.errors import Blocked, RecipientBusy, RecipientGone, StoreUnavailable
from tests.chat.test_messenger import NOW, House, told

CLOCKS = [0.0, 1e6, -1e6]
"""How far a node's clock is ahead."""


class Place:
    """A node, at the same time its bus, which loses what it is told to lose."""

    connected = True

    def __init__(self, name: str, places: dict[str, Place], ahead: float = 0.0) -> None:
        self.name, self.places, self.ahead = name, places, ahead
        places[name] = self
        self.house = House()
        messenger, bus = self.house.messenger, self
        self.loses: Callable[[NodeFrame], object] = lambda frame: False
        self.lost: list[tuple[Collection[str], NodeFrame]] = []
        self.sent: list[NodeFrame] = []
        self.elsewhere = messenger.router.peers
        self.asking = RelayClient(bus, self.elsewhere, messenger.policy, self.steady)  # type: ignore[arg-type]
        self.asked = RelayServer(
            bus,  # type: ignore[arg-type]  # it has all that is asked of it here
            messenger.router,
            messenger.blocks,
            messenger.presence,
            lambda _, call: self.house.due.append(call),
            self.steady,
            lambda: 60.0,
        )
        messenger.fan_out.on_deliver = self.asked.on_deliver

    def steady(self) -> float:
        return time.monotonic() + self.ahead

    def send(self, data: bytes, nodes: Collection[str]) -> None:
        frame = decode(data)
        assert frame is not None
        self.sent.append(frame)
        if self.loses(frame):
            self.lost.append((nodes, frame))
            return
        self.bring(nodes, frame)

    def bring(self, nodes: Collection[str], frame: NodeFrame) -> None:
        for node in nodes:
            self.places[node].hears(self.name, frame)

    def hears(self, node: str, frame: NodeFrame) -> None:
        if isinstance(frame, RelayRequest):
            self.asked.on_relay_request(node, frame)
        elif isinstance(frame, ReserveRequest):
            self.asked.on_reserve_request(node, frame)
        elif isinstance(frame, ReleaseNotice):
            self.asked.on_release(node, frame.ref)
        elif isinstance(frame, RelayReply):
            self.asking.on_reply(node, frame)

    def shows(self, node: str, since: float = 1.0) -> None:
        self.elsewhere.presences.setdefault("gus", {})[node] = PeerPresence("gus", "", since, True, 1)

    def says(self, sender: Session, text: str = "hello", id: str | None = "m1") -> int:
        return self.asking.relay(sender, "gus", Message(sender.name, "gus", text, NOW), id)


class Places:
    """Joe is on one node, and gus on another, which is shown there."""

    def __init__(self, ahead: float) -> None:
        self.all: dict[str, Place] = {}
        self.near, self.far = Place("near", self.all), Place("far", self.all, ahead)
        self.joe, self.gus = self.near.house.login("joe"), self.far.house.login("gus")
        self.near.shows("far")

    @property
    def heard(self) -> list[str]:
        return [each.text for each in told(self.gus) if isinstance(each, Message)]


@pytest.fixture(params=CLOCKS)
def places(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    monkeypatch.setattr(relay, "RELAY_TIMEOUT", 0.05)
    yield from made(request.param)


@pytest.fixture
def these(monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    monkeypatch.setattr(relay, "RELAY_TIMEOUT", 0.05)
    yield from made(0.0)


def made(ahead: float) -> Iterator[Places]:
    places = Places(ahead)
    yield places
    for place in places.all.values():
        place.house.store.close()


def test_it_is_given_and_the_clocks_are_compared_once(places: Places) -> None:
    assert [places.near.says(places.joe, text) for text in ("one", "two")] == [1, 1]
    assert places.heard == ["one", "two"]
    assert [type(each) for each in places.near.sent] == [RelayRequest] * 3
    assert places.near.asking._pending == {}


def test_what_was_given_though_the_answer_was_lost_is_given_once(places: Places) -> None:
    places.far.loses = lambda frame: isinstance(frame, RelayReply) and frame.taken
    with pytest.raises(StoreUnavailable):
        places.near.says(places.joe)
    places.far.loses = lambda frame: False
    assert places.near.says(places.joe) == 1
    assert places.heard == ["hello"]


def test_another_text_another_id_none_and_another_session_are_another_message(these: Places) -> None:
    for text, id in (("hello", "m1"), ("hello", "m2"), ("hi", "m1"), ("hello", None), ("hello", None)):
        these.near.says(these.joe, text, id)
    these.near.house.messenger.logout(these.joe)
    these.near.says(these.near.house.login("joe"))
    assert these.heard == ["hello", "hello", "hi", "hello", "hello", "hello"]


def test_what_was_given_long_ago_is_forgotten(these: Places) -> None:
    these.near.says(these.joe)
    these.far.ahead += 60.0
    these.near.says(these.joe, id="m2")
    assert len(these.far.asked._relayed) == 1


def test_what_arrives_when_nobody_waits_for_it_any_more_is_not_given(places: Places) -> None:
    places.near.says(places.joe, "in time")
    places.near.loses = lambda frame: isinstance(frame, RelayRequest)
    with pytest.raises(StoreUnavailable):
        places.near.says(places.joe, "late", "m2")
    for lost in places.near.lost:
        places.near.bring(*lost)
    assert places.heard == ["in time"]


def test_a_clock_that_was_put_back_is_compared_again(these: Places) -> None:
    these.near.says(these.joe)
    these.far.ahead += 10.0  # we were asleep for so long
    assert these.near.says(these.joe, "awake", "m2") == 1
    assert these.heard == ["hello", "awake"]


def test_the_node_where_it_came_last_is_asked_first(these: Places) -> None:
    old = Place("old", these.all)
    dead = old.house.login("gus")
    these.near.shows("old", since=0.5)
    assert these.near.says(these.joe) == 1
    assert (these.heard, told(dead)) == (["hello"], [])


@pytest.mark.parametrize("silent", [True, False])
def test_the_other_node_that_shows_it_is_asked_where_the_first_has_not_got_it(these: Places, silent: bool) -> None:
    new = Place("new", these.all)
    new.loses = lambda frame: silent
    these.near.shows("new", since=2.0)
    assert these.near.says(these.joe) == 1
    assert these.heard == ["hello"]


def test_who_may_be_where_nobody_answers_is_not_said_to_have_left(these: Places) -> None:
    these.far.house.messenger.logout(these.gus)
    with pytest.raises(RecipientGone):
        these.near.says(these.joe)
    Place("new", these.all).loses = lambda frame: True
    these.near.shows("new", since=2.0)
    with pytest.raises(StoreUnavailable):
        these.near.says(these.joe)


def test_refusals_cross(these: Places) -> None:
    these.far.house.messenger.blocks.load("gus", {"joe": "joe"})
    with pytest.raises(Blocked):
        these.near.says(these.joe)
    assert these.far.sent[-1] == RelayReply(these.near.sent[-1].ref, 0, "blocked", these.far.sent[-1].at)  # type: ignore[union-attr]
    these.near.connected = False
    with pytest.raises(StoreUnavailable):
        these.near.says(these.joe)


class Full:
    """Gus's outbox has room for one more frame, which is kept for a message of dale's."""

    def __init__(self, places: Places) -> None:
        self.places, self.outbox = places, places.gus.outbox
        told(places.gus)
        self.outbox._max_frames = 1
        (self.promise,) = places.near.asking.reserve("dale", "gus", self.weight("for gus"))

    def weight(self, text: str) -> int:
        return len(text) + PENDING_MESSAGE_OVERHEAD

    def joe_tries(self) -> None:
        with pytest.raises(RecipientBusy):
            self.places.near.says(self.places.joe, "me first", None)

    def comes(self, text: str = "for gus") -> None:
        messenger = self.places.far.house.messenger
        post = NewMessage("dale gus", "Dale", "gus", text, NOW, None, None, None)
        messenger.fan_out.deliver([committed_from(post, 1, "", messenger.rooms)])


@pytest.fixture
def full(these: Places) -> Full:
    return Full(these)


def test_room_is_kept_until_the_message_is_given(full: Full) -> None:
    full.joe_tries()
    full.promise.release(full.weight("for gus"))
    full.joe_tries()
    full.comes()
    assert full.places.heard == ["for gus"]
    full.places.far.house.a_second_passes()
    assert (full.outbox._reserved, full.places.far.asked._reservations_by_owner) == ((0, 0), {})


def test_a_message_that_comes_before_its_promise_is_redeemed_has_its_room(full: Full) -> None:
    full.comes()
    full.promise.release(full.weight("for gus"))
    full.places.far.house.a_second_passes()
    assert (full.places.heard, full.outbox._reserved) == (["for gus"], (0, 0))


def test_room_for_what_does_not_come_is_free_a_second_later(full: Full) -> None:
    full.promise.release(full.weight("for gus"))
    full.places.far.house.a_second_passes()
    full.places.near.says(full.places.joe, "me first")
    assert full.places.heard == ["me first"]


def test_room_of_which_nobody_was_told_is_free_again(these: Places) -> None:
    these.near.says(these.joe)
    these.far.loses = lambda frame: isinstance(frame, RelayReply)
    with pytest.raises(StoreUnavailable):
        these.near.asking.reserve("dale", "gus", 300)
    assert these.gus.outbox._reserved == (1, 300) and isinstance(these.near.sent[-1], ReleaseNotice)
    due, these.far.house.due = these.far.house.due[-1:], []
    due[0]()
    assert these.gus.outbox._reserved == (0, 0)
