"""What a session is sent: everything it is owed, once, in order; and what it acknowledges was sent."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, cast

import gevent
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gmessenger.chat.delivery import CommittedMessage, DeliveryService, message_from_committed
from gmessenger.chat.outbound import Message, MessageBatch
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.records import Account, Device, MessagePage, NewMessage, StoredMessage
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.chat.sync_state import SyncState
from tests import ROOT

FIELDS = {"ack_pending", "catching_up", "is_pass_stale"}
PRIVATE_FIELDS = {"_acknowledged", "_delivered", "_is_dirty", "_is_gapless", "_starts"}
MODULE = ROOT / "gmessenger" / "chat" / "sync_state.py"
OWN_DEVICE, OTHER_DEVICE = 1, 2
ROOMS = st.sampled_from(("#dev", "#ops"))
MAX_FRAMES = 3


class SlowStore:
    """The rooms of one account. A read sees them as they are when it is called, and returns at `step`."""

    def __init__(self) -> None:
        self.rooms: dict[str, list[StoredMessage]] = {"#dev": [], "#ops": []}
        self.visible_from: dict[str, int] = {}
        self.cursors: dict[str, int] = {}
        self._turn = Event()

    def step(self) -> None:
        self._turn.set()
        gevent.sleep(0)
        gevent.sleep(0)

    def _block(self) -> None:
        self._turn.clear()
        self._turn.wait()

    def backlog(self, account: int) -> dict[str, int]:
        heads = {room: len(self.rooms[room]) for room in self.visible_from}
        self._block()
        return heads

    def page(self, account: int, conversation: str, after: int) -> MessagePage:
        start = max(after + 1, self.visible_from.get(conversation, 1 << 60))
        found = [message for message in self.rooms[conversation] if message.seq >= start]
        self._block()
        return MessagePage(found[:2], len(found) > 2)

    def acknowledge(self, device: int, conversation: str, seq: int) -> None:
        assert seq > self.cursors.get(conversation, 0)
        self.cursors[conversation] = seq


class DeliveryMachine(RuleBasedStateMachine):
    """One session of an account, in rooms that live, while it catches up, leaves, comes back, and reads slowly."""

    hears_itself = False

    def __init__(self) -> None:
        super().__init__()
        self.store = SlowStore()
        self.failures: list[BaseException] = []
        self.delivery = DeliveryService(cast(Any, self.store), self._spawn, MessengerStats())
        outbox = Outbox(MAX_FRAMES, 1 << 20, lambda: None, lambda: None, accepts_batches=True)
        self.session = Session("hank", outbox, protocol="jim", accepts_push=True, address="")
        self.session.bind_account(Account(1, "hank", "hank"))
        self.session.bind_device(Device(OWN_DEVICE, "default", {}))
        self.session.hears_itself = self.hears_itself
        self.delivery.start_catch_up(self.session)
        self.late: dict[str, list[StoredMessage]] = {"#dev": [], "#ops": []}
        self.lives: dict[str, int] = {"#dev": 1, "#ops": 1}
        """How many rooms of a name there have been."""
        self.starts: dict[str, list[int]] = {}
        """From which seqs on the session was a member, by room and life."""
        self.others: dict[str, list[int]] = {}
        """The seqs of what others said while it was one, and of what it said itself if it hears that."""
        self.received: dict[str, list[int]] = {}

    def _spawn(self, what: str, function: Callable[..., object], *args: object) -> None:
        def run() -> None:
            try:
                function(*args)
            except Exception as failure:
                self.failures.append(failure)

        gevent.spawn(run)

    def _life(self, room: str) -> str:
        return f"{room}/{self.lives[room]}"

    def _say(self, room: str, is_own: bool = False) -> StoredMessage:
        messages, device = self.store.rooms[room], OWN_DEVICE if is_own else OTHER_DEVICE
        seq = len(messages) + 1
        sender = "hank" if is_own else "dale"
        messages.append(StoredMessage(room, seq, sender, room, self._life(room), 0.0, device))
        if room in self.store.visible_from and (self.hears_itself or not is_own):
            self.others.setdefault(self._life(room), []).append(seq)
        return messages[-1]

    def _committed(self, message: StoredMessage) -> CommittedMessage:
        new = NewMessage(message.conversation, message.sender, message.to, message.text, 0.0, None, message.device)
        return CommittedMessage(new, message.seq, "", message.sender, None)

    def _deliver(self, message: StoredMessage) -> None:
        if message.conversation in self.store.visible_from:
            self.delivery.deliver(self._committed(message), [self.session])

    @rule(room=ROOMS, is_own=st.booleans(), is_late=st.booleans())
    def say(self, room: str, is_own: bool, is_late: bool) -> None:
        message = self._say(room, is_own and room in self.store.visible_from)
        if is_late:
            self.late[room].append(message)
        else:
            self._deliver(message)

    @rule(room=ROOMS, count=st.integers(2, MAX_FRAMES + 1))
    def say_together(self, room: str, count: int) -> None:
        messages = [self._say(room) for _ in range(count)]
        if room not in self.store.visible_from:
            return
        live = [message_from_committed(self._committed(message)) for message in messages]
        batch = MessageBatch(live, messages[0].seq, messages[-1].seq, sum(message.size for message in live))
        if not self.delivery.deliver_batch(self.session, room, batch):
            for message in messages:
                self._deliver(message)

    @rule(room=ROOMS)
    def deliver_late(self, room: str) -> None:
        if self.late[room]:
            self._deliver(self.late[room].pop(0))

    @rule(room=ROOMS, missed=st.integers(0, 2))
    def join(self, room: str, missed: int) -> None:
        """Become a member; `missed` messages are stored before the server knows that it is one."""
        if room in self.store.visible_from:
            return
        head = len(self.store.rooms[room])
        self.store.visible_from[room] = head + 1
        self.starts.setdefault(self._life(room), []).append(head + 1)
        for _ in range(missed):
            self._say(room)
        self.session.sync.set_start(room, head)
        self.delivery.catch_up_if_behind(self.session, room, head + missed)

    @rule(room=ROOMS)
    def leave(self, room: str) -> None:
        if self.store.visible_from.pop(room, None) is not None:
            self.session.sync.forget(room)

    @rule(room=ROOMS)
    def delete(self, room: str) -> None:
        """Another room of that name may come, whose seqs begin anew."""
        self.leave(room)
        self.store.rooms[room] = []
        self.late[room] = []
        self.lives[room] += 1

    @rule()
    def step(self) -> None:
        self.store.step()

    @precondition(lambda self: self.session.outbox.pending_frames)
    @rule()
    def read(self) -> None:
        for event in self.session.outbox.drain():
            for message in event.messages if isinstance(event, MessageBatch) else [event]:
                if isinstance(message, Message):
                    assert message.seq is not None and (self.hears_itself or message.sender == "dale")
                    self.received.setdefault(message.text, []).append(message.seq)
        gevent.sleep(0)

    @rule(room=ROOMS, seq=st.integers(0, 20))
    def acknowledge(self, room: str, seq: int) -> None:
        sync = self.session.sync
        before, acknowledged = sync.acknowledged(room), sync.acknowledge(room, seq)
        assert acknowledged in (0, seq, sync.delivered(room)) and acknowledged <= sync.delivered(room)
        assert sync.acknowledged(room) == max(before, acknowledged)

    @invariant()
    def acknowledges_only_what_was_sent(self) -> None:
        sync = self.session.sync
        for room in self.store.rooms:
            assert sync.acknowledged(room) <= sync.delivered(room) <= len(self.store.rooms[room])

    @invariant()
    def sends_each_once_and_skips_nothing(self) -> None:
        for life, seqs in self.received.items():
            assert seqs == sorted(set(seqs))
            start = max(start for start in self.starts[life] if start <= seqs[-1])
            owed = [seq for seq in self.others[life] if start <= seq <= seqs[-1]]
            assert owed == [seq for seq in seqs if seq >= start]

    def teardown(self) -> None:
        for room in self.store.visible_from:
            self.delivery.catch_up_if_behind(self.session, room, len(self.store.rooms[room]))
        with gevent.Timeout(10):
            while self.session.sync.catching_up or self.session.outbox.pending_frames:
                self.store.step()
                self.read()
        assert not self.failures
        self.sends_each_once_and_skips_nothing()
        for room, start in self.store.visible_from.items():
            life = self._life(room)
            owed = [seq for seq in self.others.get(life, ()) if seq >= start]
            assert owed == [seq for seq in self.received.get(life, ()) if seq >= start]


TestDelivery = DeliveryMachine.TestCase


class EchoMachine(DeliveryMachine):
    """The same session, which hears itself: its own messages are owed to it like those of others."""

    hears_itself = True


TestEcho = EchoMachine.TestCase


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=12))
def test_a_guest_is_sent_what_fits_once_and_in_order(offers: list[tuple[int, bool]]) -> None:
    sync, sent = SyncState(), []
    for seq, fits in offers:
        if sync.is_next("#dev", seq) and fits:
            sync.advance("#dev", seq)
            sent.append(seq)
        else:
            assert not sync.fall_behind("#dev", seq)
        assert sync.delivered("#dev") >= seq and not sync.catching_up
    assert sent == sorted(set(sent))


def test_what_was_said_oneself_is_acknowledged_up_to_the_first_of_another() -> None:
    sync = SyncState()
    sync.advance("#dev", 4)
    assert sync.acknowledge_own("#dev", (2, 4)) == 0
    assert sync.acknowledge_own("#dev", (1, 2, 4)) == 2
    assert sync.acknowledge("#dev", 9) == 4 and sync.ack_pending
    assert sync.acknowledge("#dev", 4) == 0
    assert sync.acknowledge_own("#dev", (5, 6)) == sync.delivered("#dev") == 6


def written_fields(source: str) -> set[str]:
    """Return the fields of a sync state that a module assigns to or deletes, and the private ones that it names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            fields = PRIVATE_FIELDS if isinstance(node.ctx, ast.Load) else FIELDS | PRIVATE_FIELDS
            found |= {node.attr} & fields
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr"):
            found |= {each.value for each in node.args if isinstance(each, ast.Constant)} & (FIELDS | PRIVATE_FIELDS)
    return found


@pytest.mark.parametrize("source", ["a.sync.catching_up = True", "del s.ack_pending", "x.sync._delivered.pop(1)"])
def test_writes_are_found(source: str) -> None:
    assert written_fields(source)


def test_nothing_but_its_own_module_writes_the_state() -> None:
    for package in ("chat", "cluster", "server"):
        for path in (ROOT / "gmessenger" / package).rglob("*.py"):
            if path != MODULE:
                assert not written_fields(path.read_text("utf-8")), path
    assert set(SyncState.__slots__) == FIELDS | PRIVATE_FIELDS
