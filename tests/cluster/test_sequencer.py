"""Messages stored by several nodes are delivered once and in order, whatever happens to the hints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.chat.records import About, NewMessage
from gmessenger.cluster import sequencer
from gmessenger.cluster.sequencer import Sequencer, committed_from
from tests.chat.test_fan_out import drain_texts, enter_dev, flush
from tests.support.messenger import InMemoryChat, spawn

COUNT = 8
SEQS = st.lists(st.integers(1, COUNT), max_size=2 * COUNT)


class RemoteConversation:
    """A messenger with a conversation in which other nodes store messages in the same store."""

    def __init__(self) -> None:
        self.chat = InMemoryChat()
        messenger = self.chat.messenger
        self.sequencer = Sequencer(
            cast(Any, self.chat.store),  # it has all that is asked of it here
            messenger.fan_out,
            messenger.rooms,
            messenger.delivery,
            spawn,
            lambda _, call: self.chat.due.append(call),
        )
        messenger.fan_out.attach(self.sequencer.accept)
        self.stored: dict[int, NewMessage] = {}

    def store_messages(self, count: int, conversation: str = "#dev", to: str = "#dev") -> None:
        """Store messages as another node."""
        for number in range(1, count + 1):
            message = NewMessage(conversation, "Bill", to, f"far {number}", 2_000_000_000.0 + number)
            self.chat.store.append(message, lambda seq, *_, message=message: self.stored.update({seq: message}))  # type: ignore[misc]
        self.chat.store.flush()

    def deliver_hints(self, *seqs: int) -> None:
        stored = [committed_from(self.stored[seq], seq, "msg", self.chat.messenger.rooms) for seq in seqs]
        self.sequencer.accept(stored)

    def run_due(self) -> None:
        """Run everything scheduled until nothing is left."""
        while self.chat.due:
            due, self.chat.due = self.chat.due, []
            for call in due:
                call()
            flush(self.chat)
            gevent.sleep(0.001)

    def announce_head(self, conversation: str = "#dev") -> None:
        self.sequencer.on_heads([(conversation, max(self.stored))])
        self.run_due()


@pytest.fixture
def remote() -> RemoteConversation:
    return RemoteConversation()


def consecutive_runs(seqs: Sequence[int]) -> Iterator[list[int]]:
    """Split hints in the order of arrival into runs of consecutive seqs, as one node sends them."""
    run: list[int] = []
    for seq in seqs:
        if run and seq != run[-1] + 1:
            yield run
            run = []
        run.append(seq)
    if run:
        yield run


@given(SEQS, st.booleans())
def test_everybody_hears_everything_once_and_in_order(seqs: list[int], together: bool) -> None:
    remote = RemoteConversation()
    hank, gus = enter_dev(remote.chat, "hank"), enter_dev(remote.chat, "gus", account=False)
    remote.store_messages(COUNT)
    for run in consecutive_runs(seqs) if together else ([seq] for seq in seqs):
        remote.deliver_hints(*run)
    remote.run_due()
    remote.announce_head()
    expected = [(f"far {seq}", seq) for seq in range(1, COUNT + 1)]
    assert drain_texts(hank) == expected and not hank.sync.catching_up
    assert drain_texts(gus) == expected


def test_in_turn_nothing_is_asked_of_the_store(remote: RemoteConversation) -> None:
    hank = enter_dev(remote.chat, "hank")
    remote.store_messages(4)
    remote.deliver_hints(1, 2)
    remote.deliver_hints(3)
    remote.deliver_hints(4)
    assert [seq for _, seq in drain_texts(hank)] == [1, 2, 3, 4]
    remote.announce_head()
    assert remote.sequencer.gap_messages == 0 and not hank.sync.catching_up


def test_what_was_held_back_comes_with_what_was_between(remote: RemoteConversation) -> None:
    hank = enter_dev(remote.chat, "hank")
    remote.store_messages(3)
    remote.deliver_hints(2, 3)
    assert drain_texts(hank) == []
    remote.deliver_hints(1)
    assert [seq for _, seq in drain_texts(hank)] == [1, 2, 3]
    remote.run_due()
    assert remote.sequencer.gap_messages == 0


def test_own_posts_wait_for_others_between_them(remote: RemoteConversation) -> None:
    hank, dale = enter_dev(remote.chat, "hank"), enter_dev(remote.chat, "dale")
    remote.store_messages(1)
    remote.chat.messenger.message_service.send(hank, "#dev", "near")
    flush(remote.chat)
    assert drain_texts(dale) == []
    remote.deliver_hints(1)
    assert drain_texts(dale) == [("far 1", 1), ("near", 2)]
    assert drain_texts(hank) == [("far 1", 1)] and hank.sync.delivered("#dev") == 2


def test_what_no_hint_told_of_is_read_from_the_store_once_for_all(remote: RemoteConversation) -> None:
    everybody = [enter_dev(remote.chat, name) for name in ("hank", "dale", "bobby")]
    remote.store_messages(5)
    remote.announce_head()
    for session in everybody:
        assert [seq for _, seq in drain_texts(session)] == [1, 2, 3, 4, 5]
    assert remote.sequencer.gap_messages == 5


def test_more_than_may_wait_is_read_again(remote: RemoteConversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "MAX_BUFFERED", 3)
    hank = enter_dev(remote.chat, "hank")
    remote.store_messages(7)
    remote.deliver_hints(2, 3, 4, 5, 6, 7)
    remote.run_due()
    assert [seq for _, seq in drain_texts(hank)] == [1, 2, 3, 4, 5, 6, 7]


def test_what_was_erased_meanwhile_comes_as_a_tombstone(remote: RemoteConversation) -> None:
    hank = enter_dev(remote.chat, "hank")
    bill = remote.chat.store.create_account("bill", "Bill", "hash", 1.0).id
    message = NewMessage("#dev", "Bill", "#dev", "a secret", 2_000_000_001.0, bill)
    remote.chat.store.append(message, lambda seq, *_: remote.stored.update({seq: message}))
    remote.chat.store.flush()
    remote.chat.store.erase_messages(bill)
    remote.announce_head()
    gevent.sleep(0.01)
    assert drain_texts(hank) == [("", 1)]


def test_a_hint_that_comes_after_the_erase_of_its_message_is_dropped(remote: RemoteConversation) -> None:
    hank = enter_dev(remote.chat, "hank")
    bill = remote.chat.store.create_account("bill", "Bill", "hash", 1.0).id
    secret = NewMessage("#dev", "Bill", "#dev", "a secret", 2_000_000_001.0, bill)
    erase = NewMessage("#dev", "Bill", "#dev", "", 2_000_000_002.0, bill, about=About(1, "erase"))
    for message in (secret, erase):
        remote.chat.store.append(message, lambda seq, *_, message=message: remote.stored.update({seq: message}))  # type: ignore[misc]
        remote.chat.store.flush()
    remote.deliver_hints(2)
    remote.run_due()
    remote.deliver_hints(1)
    remote.run_due()
    assert drain_texts(hank) == [("", 1), ("", 2)]


def test_a_guest_is_given_what_was_said_since_it_came_though_no_hint_told_of_it(remote: RemoteConversation) -> None:
    remote.store_messages(2, "bill gus", "gus")
    gus = remote.chat.login("gus")
    gus.sync.set_heads({"bill gus": 2})  # as in a `LeaseClaim`
    remote.store_messages(2, "bill gus", "gus")
    remote.deliver_hints(4)
    remote.announce_head("bill gus")
    remote.announce_head("bill gus")
    remote.deliver_hints(3), remote.deliver_hints(4)
    assert [seq for _, seq in drain_texts(gus)] == [3, 4]


def test_who_comes_later_under_a_guests_name_is_not_given_what_was_for_that_one(remote: RemoteConversation) -> None:
    first = remote.chat.login("gus")
    remote.store_messages(1, "bill gus", "gus")
    remote.deliver_hints(1)
    assert [seq for _, seq in drain_texts(first)] == [1]
    remote.chat.messenger.logout(first)
    remote.store_messages(1, "bill gus", "gus")  # given elsewhere
    remote.announce_head("bill gus")
    second = remote.chat.login("gus")
    second.sync.set_heads({"bill gus": 2})
    remote.store_messages(1, "bill gus", "gus")
    remote.announce_head("bill gus")
    assert [seq for _, seq in drain_texts(second)] == [3]


def test_lines_that_were_forgotten_begin_where_everybody_is(
    remote: RemoteConversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "MAX_CONVERSATIONS", 1)
    gus, joe = remote.chat.login("gus"), remote.chat.login("joe")
    remote.store_messages(2, "bill gus", "gus")
    remote.deliver_hints(1)
    remote.store_messages(1, "bill joe", "joe")
    remote.sequencer.on_heads([("bill joe", 1)])
    remote.run_due()
    remote.sequencer.on_heads([("bill gus", 2)])
    remote.run_due()
    assert [seq for _, seq in drain_texts(gus)] == [1, 2] and [seq for _, seq in drain_texts(joe)] == [1]


def test_a_hint_of_what_there_is_not_moves_nobody_on(remote: RemoteConversation) -> None:
    hank = enter_dev(remote.chat, "hank")
    remote.store_messages(1)
    remote.stored[500] = remote.stored[1]
    remote.deliver_hints(500)
    remote.run_due()
    remote.deliver_hints(1)
    assert [seq for _, seq in drain_texts(hank)] == [1]


def test_a_guest_hears_not_itself_though_its_own_came_from_the_store(remote: RemoteConversation) -> None:
    enter_dev(remote.chat, "hank")
    gus = enter_dev(remote.chat, "gus", account=False)
    remote.chat.messenger.fan_out.attach(lambda committed: None)  # the callback is late
    remote.chat.messenger.message_service.send(gus, "#dev", "mine")
    remote.chat.store.flush()
    remote.store_messages(1)
    remote.deliver_hints(2)
    remote.run_due()
    assert drain_texts(gus) == [("far 1", 2)]


def test_a_conversation_of_which_nobody_is_here_costs_nothing(remote: RemoteConversation) -> None:
    remote.store_messages(3, "bill joe", "joe")
    remote.deliver_hints(1, 2, 3)
    remote.announce_head("bill joe")
    assert remote.sequencer.gap_messages == 0 and not remote.chat.due
