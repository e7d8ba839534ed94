"""Messages to guests on other nodes: delivered once and in time, or refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from gmessenger.chat.dispatcher import PENDING_MESSAGE_OVERHEAD
from gmessenger.chat.outbound import Message
from gmessenger.chat.peers import PeerPresence
from gmessenger.chat.records import NewMessage
from gmessenger.chat.session import Session
from gmessenger.cluster import relay
from gmessenger.cluster.frames import NodeFrame, RelayReply, RelayRequest, ReleaseNotice, ReserveRequest, decode
from gmessenger.cluster.relay import RelayClient, RelayServer
from gmessenger.cluster.sequencer import committed_from
from gmessenger.errors import Blocked, RecipientBusy, RecipientGone, StoreUnavailable
from tests.support.messenger import NOW, InMemoryChat, drain_events

CLOCK_OFFSETS = [0.0, 1e6, -1e6]
"""How far a node's clock is ahead."""


class RelayNode:
    """A node that is also its bus, and drops the frames that a test chooses."""

    connected = True

    def __init__(self, name: str, pair: dict[str, RelayNode], offset: float = 0.0) -> None:
        self.name, self.nodes, self.clock_offset = name, pair, offset
        pair[name] = self
        self.chat = InMemoryChat()
        messenger, bus = self.chat.messenger, self
        self.should_drop: Callable[[NodeFrame], object] = lambda frame: False
        self.dropped: list[tuple[Collection[str], NodeFrame]] = []
        self.sent: list[NodeFrame] = []
        self.peers = messenger.router.peers
        self.relay_client = RelayClient(bus, self.peers, messenger.policy, self.monotonic)  # type: ignore[arg-type]
        self.relay_server = RelayServer(
            bus,  # type: ignore[arg-type]  # it has all that is asked of it here
            messenger.router,
            messenger.blocks,
            messenger.presence,
            lambda _, call: self.chat.due.append(call),
            self.monotonic,
            lambda: 60.0,
        )
        messenger.fan_out.attach(messenger.fan_out.deliver, self.relay_server.on_deliver)

    def monotonic(self) -> float:
        return time.monotonic() + self.clock_offset

    def send(self, data: bytes, nodes: Collection[str]) -> None:
        frame = decode(data)
        assert frame is not None
        self.sent.append(frame)
        if self.should_drop(frame):
            self.dropped.append((nodes, frame))
            return
        self.deliver(nodes, frame)

    def deliver(self, nodes: Collection[str], frame: NodeFrame) -> None:
        for node in nodes:
            self.nodes[node].on_frame(self.name, frame)

    def on_frame(self, node: str, frame: NodeFrame) -> None:
        if isinstance(frame, RelayRequest):
            self.relay_server.on_relay_request(node, frame)
        elif isinstance(frame, ReserveRequest):
            self.relay_server.on_reserve_request(node, frame)
        elif isinstance(frame, ReleaseNotice):
            self.relay_server.on_release(node, frame.ref)
        elif isinstance(frame, RelayReply):
            self.relay_client.on_reply(node, frame)

    def show_guest(self, node: str, since: float = 1.0) -> None:
        self.peers.presences.setdefault("gus", {})[node] = PeerPresence("gus", "", since, True, 1)

    def relay(self, sender: Session, text: str = "hello", id: str | None = "m1") -> int:
        return self.relay_client.relay(sender, "gus", Message(sender.name, "gus", text, NOW), id)


class RelayPair:
    """Two nodes: joe is on the local one; gus is on the remote one and shown on the local one."""

    def __init__(self, offset: float) -> None:
        self.nodes: dict[str, RelayNode] = {}
        self.local, self.remote = RelayNode("near", self.nodes), RelayNode("far", self.nodes, offset)
        self.joe, self.gus = self.local.chat.login("joe"), self.remote.chat.login("gus")
        self.local.show_guest("far")

    @property
    def received(self) -> list[str]:
        return [each.text for each in drain_events(self.gus) if isinstance(each, Message)]


@pytest.fixture(params=CLOCK_OFFSETS)
def pair(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayPair]:
    monkeypatch.setattr(relay, "RELAY_TIMEOUT", 0.05)
    yield from make_pair(request.param)


@pytest.fixture
def synced_pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayPair]:
    monkeypatch.setattr(relay, "RELAY_TIMEOUT", 0.05)
    yield from make_pair(0.0)


def make_pair(offset: float) -> Iterator[RelayPair]:
    pair = RelayPair(offset)
    yield pair
    for node in pair.nodes.values():
        node.chat.store.close()


def test_it_is_given_and_the_clocks_are_compared_once(pair: RelayPair) -> None:
    assert [pair.local.relay(pair.joe, text) for text in ("one", "two")] == [1, 1]
    assert pair.received == ["one", "two"]
    assert [type(each) for each in pair.local.sent] == [RelayRequest] * 3
    assert pair.local.relay_client._pending == {}


def test_what_was_given_though_the_answer_was_lost_is_given_once(pair: RelayPair) -> None:
    pair.remote.should_drop = lambda frame: isinstance(frame, RelayReply) and frame.taken
    with pytest.raises(StoreUnavailable):
        pair.local.relay(pair.joe)
    pair.remote.should_drop = lambda frame: False
    assert pair.local.relay(pair.joe) == 1
    assert pair.received == ["hello"]


def test_another_text_another_id_none_and_another_session_are_another_message(synced_pair: RelayPair) -> None:
    for text, id in (("hello", "m1"), ("hello", "m2"), ("hi", "m1"), ("hello", None), ("hello", None)):
        synced_pair.local.relay(synced_pair.joe, text, id)
    synced_pair.local.chat.messenger.logout(synced_pair.joe)
    synced_pair.local.relay(synced_pair.local.chat.login("joe"))
    assert synced_pair.received == ["hello", "hello", "hi", "hello", "hello", "hello"]


def test_what_was_given_long_ago_is_forgotten(synced_pair: RelayPair) -> None:
    synced_pair.local.relay(synced_pair.joe)
    synced_pair.remote.clock_offset += 60.0
    synced_pair.local.relay(synced_pair.joe, id="m2")
    assert len(synced_pair.remote.relay_server._relayed) == 1


def test_what_arrives_when_nobody_waits_for_it_any_more_is_not_given(pair: RelayPair) -> None:
    pair.local.relay(pair.joe, "in time")
    pair.local.should_drop = lambda frame: isinstance(frame, RelayRequest)
    with pytest.raises(StoreUnavailable):
        pair.local.relay(pair.joe, "late", "m2")
    for lost in pair.local.dropped:
        pair.local.deliver(*lost)
    assert pair.received == ["in time"]


def test_a_clock_that_was_put_back_is_compared_again(synced_pair: RelayPair) -> None:
    synced_pair.local.relay(synced_pair.joe)
    synced_pair.remote.clock_offset += 10.0  # we were asleep for so long
    assert synced_pair.local.relay(synced_pair.joe, "awake", "m2") == 1
    assert synced_pair.received == ["hello", "awake"]


def test_the_node_where_it_came_last_is_asked_first(synced_pair: RelayPair) -> None:
    old = RelayNode("old", synced_pair.nodes)
    dead = old.chat.login("gus")
    synced_pair.local.show_guest("old", since=0.5)
    assert synced_pair.local.relay(synced_pair.joe) == 1
    assert (synced_pair.received, drain_events(dead)) == (["hello"], [])


@pytest.mark.parametrize("silent", [True, False])
def test_the_other_node_that_shows_it_is_asked_where_the_first_has_not_got_it(
    synced_pair: RelayPair, silent: bool
) -> None:
    new = RelayNode("new", synced_pair.nodes)
    new.should_drop = lambda frame: silent
    synced_pair.local.show_guest("new", since=2.0)
    assert synced_pair.local.relay(synced_pair.joe) == 1
    assert synced_pair.received == ["hello"]


def test_who_may_be_where_nobody_answers_is_not_said_to_have_left(synced_pair: RelayPair) -> None:
    synced_pair.remote.chat.messenger.logout(synced_pair.gus)
    with pytest.raises(RecipientGone):
        synced_pair.local.relay(synced_pair.joe)
    RelayNode("new", synced_pair.nodes).should_drop = lambda frame: True
    synced_pair.local.show_guest("new", since=2.0)
    with pytest.raises(StoreUnavailable):
        synced_pair.local.relay(synced_pair.joe)


def test_refusals_cross(synced_pair: RelayPair) -> None:
    synced_pair.remote.chat.messenger.blocks.load("gus", {"joe": "joe"})
    with pytest.raises(Blocked):
        synced_pair.local.relay(synced_pair.joe)
    request, reply = synced_pair.local.sent[-1], synced_pair.remote.sent[-1]
    assert isinstance(request, RelayRequest)
    assert isinstance(reply, RelayReply)
    assert reply == RelayReply(request.ref, 0, "blocked", reply.at)
    synced_pair.local.connected = False
    with pytest.raises(StoreUnavailable):
        synced_pair.local.relay(synced_pair.joe)


class FullOutbox:
    """Gus's outbox with space for one more frame, which is reserved for a message of dale's."""

    def __init__(self, pair: RelayPair) -> None:
        self.pair, self.outbox = pair, pair.gus.outbox
        drain_events(pair.gus)
        self.outbox._max_frames = 1
        (self.reservation,) = pair.local.relay_client.reserve("dale", "gus", self.size("for gus"))

    def size(self, text: str) -> int:
        return len(text) + PENDING_MESSAGE_OVERHEAD

    def expect_busy(self) -> None:
        with pytest.raises(RecipientBusy):
            self.pair.local.relay(self.pair.joe, "me first", None)

    def deliver(self, text: str = "for gus") -> None:
        messenger = self.pair.remote.chat.messenger
        message = NewMessage("dale gus", "Dale", "gus", text, NOW, None, None, None)
        messenger.fan_out.deliver([committed_from(message, 1, "", messenger.rooms)])


@pytest.fixture
def full_outbox(synced_pair: RelayPair) -> FullOutbox:
    return FullOutbox(synced_pair)


def test_room_is_kept_until_the_message_is_given(full_outbox: FullOutbox) -> None:
    full_outbox.expect_busy()
    full_outbox.reservation.release(full_outbox.size("for gus"))
    full_outbox.expect_busy()
    full_outbox.deliver()
    assert full_outbox.pair.received == ["for gus"]
    full_outbox.pair.remote.chat.run_timers()
    assert (full_outbox.outbox.reserved, full_outbox.pair.remote.relay_server._reservations_by_shape) == ((0, 0), {})


def test_a_message_that_comes_before_its_promise_is_redeemed_has_its_room(full_outbox: FullOutbox) -> None:
    full_outbox.deliver()
    full_outbox.reservation.release(full_outbox.size("for gus"))
    full_outbox.pair.remote.chat.run_timers()
    assert (full_outbox.pair.received, full_outbox.outbox.reserved) == (["for gus"], (0, 0))


def test_room_for_what_does_not_come_is_free_a_second_later(full_outbox: FullOutbox) -> None:
    full_outbox.reservation.release(full_outbox.size("for gus"))
    full_outbox.pair.remote.chat.run_timers()
    full_outbox.pair.local.relay(full_outbox.pair.joe, "me first")
    assert full_outbox.pair.received == ["me first"]


def test_room_of_which_nobody_was_told_is_free_again(synced_pair: RelayPair) -> None:
    synced_pair.local.relay(synced_pair.joe)
    synced_pair.remote.should_drop = lambda frame: isinstance(frame, RelayReply)
    with pytest.raises(StoreUnavailable):
        synced_pair.local.relay_client.reserve("dale", "gus", 300)
    assert synced_pair.gus.outbox.reserved == (1, 300) and isinstance(synced_pair.local.sent[-1], ReleaseNotice)
    due, synced_pair.remote.chat.due = synced_pair.remote.chat.due[-1:], []
    due[0]()
    assert synced_pair.gus.outbox.reserved == (0, 0)
