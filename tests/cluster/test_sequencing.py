"""What several nodes keep comes in the order of its seqs, once, whatever becomes of the hints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.chat.records import NewMessage
from gmessenger.cluster import sequencing
from gmessenger.cluster.sequencing import Sequencer, committed_from
from tests.chat.test_fan_out import enter, heard, settle
from tests.chat.test_messenger import House, spawn

COUNT = 8
SEQS = st.lists(st.integers(1, COUNT), max_size=2 * COUNT)


class Far:
    """A house one of whose conversations other nodes speak in; they keep what they say in the same store."""

    def __init__(self) -> None:
        self.house = House()
        messenger = self.house.messenger
        self.ordering = Sequencer(
            cast(Any, self.house.store),  # it has all that is asked of it here
            messenger.fan_out,
            messenger.rooms,
            messenger.delivery,
            spawn,
            lambda _, call: self.house.due.append(call),
        )
        messenger.fan_out.sequencer = self.ordering.accept
        self.kept: dict[int, NewMessage] = {}

    def keep(self, count: int, conversation: str = "#dev", to: str = "#dev") -> None:
        """Another node keeps posts of somebody's."""
        for number in range(1, count + 1):
            post = NewMessage(conversation, "Bill", to, f"far {number}", 2_000_000_000.0 + number)
            self.house.store.append(post, lambda seq, *_, post=post: self.kept.update({seq: post}))  # type: ignore[misc]
        self.house.store.flush()

    def hint(self, *seqs: int) -> None:
        kept = [committed_from(self.kept[seq], seq, "msg", self.house.messenger.rooms) for seq in seqs]
        self.ordering.accept(kept)

    def wait(self) -> None:
        """Until all that is due later has been done."""
        while self.house.due:
            due, self.house.due = self.house.due, []
            for call in due:
                call()
            settle(self.house)
            gevent.sleep(0.001)

    def look(self, conversation: str = "#dev") -> None:
        self.ordering.on_heads([(conversation, max(self.kept))])
        self.wait()


@pytest.fixture
def far() -> Far:
    return Far()


def runs(seqs: Sequence[int]) -> Iterator[list[int]]:
    """Hints in the order in which they come, those that one node says together as one."""
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
    far = Far()
    hank, gus = enter(far.house, "hank"), enter(far.house, "gus", account=False)
    far.keep(COUNT)
    for run in runs(seqs) if together else ([seq] for seq in seqs):
        far.hint(*run)
    far.wait()
    far.look()
    expected = [(f"far {seq}", seq) for seq in range(1, COUNT + 1)]
    assert heard(hank) == expected and not hank.catching_up
    assert heard(gus) == expected


def test_in_turn_nothing_is_asked_of_the_store(far: Far) -> None:
    hank = enter(far.house, "hank")
    far.keep(4)
    far.hint(1, 2)
    far.hint(3)
    far.hint(4)
    assert [seq for _, seq in heard(hank)] == [1, 2, 3, 4]
    far.look()
    assert far.ordering.gap_messages == 0 and not hank.catching_up


def test_what_was_held_back_comes_with_what_was_between(far: Far) -> None:
    hank = enter(far.house, "hank")
    far.keep(3)
    far.hint(2, 3)
    assert heard(hank) == []
    far.hint(1)
    assert [seq for _, seq in heard(hank)] == [1, 2, 3]
    far.wait()
    assert far.ordering.gap_messages == 0


def test_own_posts_wait_for_others_between_them(far: Far) -> None:
    hank, dale = enter(far.house, "hank"), enter(far.house, "dale")
    far.keep(1)
    far.house.messenger.message_service.send(hank, "#dev", "near")
    settle(far.house)
    assert heard(dale) == []
    far.hint(1)
    assert heard(dale) == [("far 1", 1), ("near", 2)]
    assert heard(hank) == [("far 1", 1)] and hank.delivered["#dev"] == 2


def test_what_no_hint_told_of_is_read_from_the_store_once_for_all(far: Far) -> None:
    everybody = [enter(far.house, name) for name in ("hank", "dale", "bobby")]
    far.keep(5)
    far.look()
    for session in everybody:
        assert [seq for _, seq in heard(session)] == [1, 2, 3, 4, 5]
    assert far.ordering.gap_messages == 5


def test_more_than_may_wait_is_read_again(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencing, "MAX_BUFFERED", 3)
    hank = enter(far.house, "hank")
    far.keep(7)
    far.hint(2, 3, 4, 5, 6, 7)
    far.wait()
    assert [seq for _, seq in heard(hank)] == [1, 2, 3, 4, 5, 6, 7]


def test_what_was_erased_meanwhile_comes_as_a_tombstone(far: Far) -> None:
    hank = enter(far.house, "hank")
    bill = far.house.store.create_account("bill", "Bill", "hash", 1.0).id
    post = NewMessage("#dev", "Bill", "#dev", "a secret", 2_000_000_001.0, bill)
    far.house.store.append(post, lambda seq, *_: far.kept.update({seq: post}))
    far.house.store.flush()
    far.house.store.erase_messages(bill)
    far.look()
    gevent.sleep(0.01)
    assert heard(hank) == [("", 1)]


def test_a_guest_is_given_what_was_said_since_it_came_though_no_hint_told_of_it(far: Far) -> None:
    far.keep(2, "bill gus", "gus")
    gus = far.house.login("gus")
    gus.delivered["bill gus"] = 2  # as who claims the name is told
    far.keep(2, "bill gus", "gus")
    far.hint(4)
    far.look("bill gus")
    far.look("bill gus")
    far.hint(3), far.hint(4)
    assert [seq for _, seq in heard(gus)] == [3, 4]


def test_who_comes_later_under_a_guests_name_is_not_given_what_was_for_that_one(far: Far) -> None:
    first = far.house.login("gus")
    far.keep(1, "bill gus", "gus")
    far.hint(1)
    assert [seq for _, seq in heard(first)] == [1]
    far.house.messenger.logout(first)
    far.keep(1, "bill gus", "gus")  # given elsewhere
    far.look("bill gus")
    second = far.house.login("gus")
    second.delivered["bill gus"] = 2
    far.keep(1, "bill gus", "gus")
    far.look("bill gus")
    assert [seq for _, seq in heard(second)] == [3]


def test_lines_that_were_forgotten_begin_where_everybody_is(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencing, "MAX_CONVERSATIONS", 1)
    gus, joe = far.house.login("gus"), far.house.login("joe")
    far.keep(2, "bill gus", "gus")
    far.hint(1)
    far.keep(1, "bill joe", "joe")
    far.ordering.on_heads([("bill joe", 1)])
    far.wait()
    far.ordering.on_heads([("bill gus", 2)])
    far.wait()
    assert [seq for _, seq in heard(gus)] == [1, 2] and [seq for _, seq in heard(joe)] == [1]


def test_a_hint_of_what_there_is_not_moves_nobody_on(far: Far) -> None:
    hank = enter(far.house, "hank")
    far.keep(1)
    far.kept[500] = far.kept[1]
    far.hint(500)
    far.wait()
    far.hint(1)
    assert [seq for _, seq in heard(hank)] == [1]


def test_a_guest_hears_not_itself_though_its_own_came_from_the_store(far: Far) -> None:
    enter(far.house, "hank")
    gus = enter(far.house, "gus", account=False)
    far.house.messenger.fan_out.sequencer = lambda kept: None  # the settling is late
    far.house.messenger.message_service.send(gus, "#dev", "mine")
    far.house.store.flush()
    far.keep(1)
    far.hint(2)
    far.wait()
    assert heard(gus) == [("far 1", 2)]


def test_a_conversation_of_which_nobody_is_here_costs_nothing(far: Far) -> None:
    far.keep(3, "bill joe", "joe")
    far.hint(1, 2, 3)
    far.look("bill joe")
    assert far.ordering.gap_messages == 0 and not far.house.due
