"""The messenger's services without protocol and sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from gmessenger.chat.outbound import EndOfStream, Message, PresenceUpdate, Response, ServerMoving, SessionReplaced
from gmessenger.errors import (
    BadName,
    BadRequest,
    BroadcastDisabled,
    GuestsDisabled,
    NameInUse,
    NoSuchRoom,
    NotFound,
    RecipientBusy,
    RecipientGone,
    StoreUnavailable,
    TextTooLong,
    WrongPassword,
)
from gmessenger.names import BROADCAST_TARGET
from tests.support.messenger import NOW, InMemoryChat, drain_events
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture
def chat() -> InMemoryChat:
    return InMemoryChat()


def test_a_message_goes_to_its_addressee_only(chat: InMemoryChat) -> None:
    hank, dale, bill = chat.login("Hank"), chat.login("Dale"), chat.login("bill")
    chat.messenger.message_service.send(hank, "DALE", "hi", "m1", "msg")
    assert drain_events(dale) == [Message("Hank", "Dale", "hi", NOW, "msg")]
    assert drain_events(hank) == [Response(202, "m1", NOW)]
    assert drain_events(bill) == []


def test_without_an_id_nothing_is_answered(chat: InMemoryChat) -> None:
    hank, dale = chat.login("hank"), chat.login("dale")
    chat.messenger.message_service.send(hank, "dale", "hi")
    assert drain_events(hank) == []
    assert len(drain_events(dale)) == 1


def test_the_absent_and_the_unknown_are_told_apart(chat: InMemoryChat) -> None:
    hank, dale = chat.login("hank"), chat.login("dale")
    chat.messenger.logout(dale)
    with pytest.raises(RecipientGone, match="Dale has left"):
        chat.messenger.message_service.send(hank, "Dale", "hi")
    with pytest.raises(NotFound):
        chat.messenger.message_service.send(hank, "nobody", "hi")
    with pytest.raises(NoSuchRoom):
        chat.messenger.message_service.send(hank, "#dev", "hi")


def test_past_names_are_forgotten_oldest_first() -> None:
    chat = InMemoryChat(max_recent_names=2)
    for name in ("one", "two", "three"):
        chat.messenger.logout(chat.login(name))
    hank = chat.login("hank")
    with pytest.raises(RecipientGone):
        chat.messenger.message_service.send(hank, "three", "hi")
    with pytest.raises(NotFound):
        chat.messenger.message_service.send(hank, "one", "hi")
    assert list(chat.messenger.known_names()) == ["hank", "three"]


def test_a_text_over_the_limit_is_refused_with_the_limit() -> None:
    chat = InMemoryChat(max_text=5)
    hank, dale = chat.login("hank"), chat.login("dale")
    chat.messenger.message_service.send(hank, "dale", "я" * 5)
    with pytest.raises(TextTooLong) as refused:
        chat.messenger.message_service.send(hank, "dale", "x" * 6)
    assert (refused.value.limit, len(drain_events(dale))) == (5, 1)


def test_a_full_outbox_makes_its_owner_busy_and_answers_still_fit(chat: InMemoryChat) -> None:
    hank, dale = chat.login("hank"), chat.login("dale", frames=3)
    for _ in range(2):
        chat.messenger.message_service.send(hank, "dale", "hi")
    with pytest.raises(RecipientBusy) as refused:
        chat.messenger.message_service.send(hank, "dale", "hi")
    assert refused.value.retry_after == 1.0
    dale.outbox.push(Response(200, "p", NOW))
    assert [type(event) for event in drain_events(dale)] == [Message, Message, Response]


def test_a_message_to_oneself_is_taken_and_comes_not_back(chat: InMemoryChat) -> None:
    hank = chat.login("hank")
    chat.messenger.message_service.send(hank, "hank", "note", "m")
    assert drain_events(hank) == [Response(202, "m", NOW)]


def test_everybody_but_the_sender_gets_a_broadcast(chat: InMemoryChat) -> None:
    hank, dale, bill = chat.login("hank"), chat.login("dale"), chat.login("bill", accepts_push=False)
    chat.messenger.message_service.send(hank, BROADCAST_TARGET, "hi")
    assert (drain_events(hank), drain_events(dale)) == ([], [Message("hank", BROADCAST_TARGET, "hi", NOW)])
    assert len(drain_events(bill)) == 1


def test_broadcasts_can_be_switched_off() -> None:
    chat = InMemoryChat(broadcast=False)
    with pytest.raises(BroadcastDisabled):
        chat.messenger.message_service.send(chat.login("hank"), BROADCAST_TARGET, "hi")


@pytest.mark.parametrize(
    ("login", "refusal"),
    [
        ({"name": "HANK"}, NameInUse),
        ({"name": "two words"}, BadName),
        ({"name": "bill", "password": "12345678"}, WrongPassword),
        ({"name": "hank", "token": "guessed"}, NameInUse),
    ],
)
def test_logins_are_refused(chat: InMemoryChat, login: dict[str, Any], refusal: type[Exception]) -> None:
    chat.login("hank")
    with pytest.raises(refusal):
        chat.login(**login)


def test_guests_can_be_kept_out() -> None:
    with pytest.raises(GuestsDisabled):
        InMemoryChat(guests=False).login("hank")


def test_a_name_is_free_as_soon_as_its_session_is_over(chat: InMemoryChat) -> None:
    hank = chat.login("hank")
    assert chat.messenger.logout(hank)
    assert not chat.messenger.logout(hank)
    chat.login("hank")


def test_a_token_takes_the_place_of_a_half_dead_session_and_what_waited_for_it(chat: InMemoryChat) -> None:
    old, dale = chat.login("hank"), chat.login("dale")
    chat.messenger.message_service.send(dale, "hank", "first")
    new = chat.login("hank", token=old.token)
    assert drain_events(old)[-2:] == [SessionReplaced(NOW), EndOfStream()]
    assert drain_events(new) == [Message("dale", "hank", "first", NOW)]
    chat.messenger.logout(old)
    chat.messenger.message_service.send(dale, "hank", "second")
    assert len(drain_events(new)) == 1
    newest = chat.login("hank", token=old.token)
    chat.messenger.logout(new)
    assert chat.messenger.router.sessions("hank") == [newest]


def test_a_token_opens_its_own_name_only(chat: InMemoryChat) -> None:
    hank = chat.login("hank")
    chat.login("dale", token=hank.token)
    assert chat.messenger.router.sessions("hank") == [hank]


def test_users_are_paged_by_name() -> None:
    chat = InMemoryChat(max_frame=1000)
    names = sorted(f"name{number}" for number in range(7))
    sessions = [chat.login(name) for name in reversed(names)]
    listed: list[str] = []
    after, more = None, True
    while more:
        page = chat.messenger.listings.users(sessions[0].key, after)
        listed += [user.name for user in page.users]
        after, more = listed[-1], page.more
    assert listed == names


@pytest.mark.parametrize("status", ["", "x" * 33, "offline", "a\nb", "\x1b[31m"])
def test_a_status_is_short_and_printable(chat: InMemoryChat, status: str) -> None:
    with pytest.raises(BadRequest):
        chat.messenger.set_status(chat.login("hank"), status)


def test_those_who_have_talked_are_told_of_each_other(chat: InMemoryChat) -> None:
    hank, dale, bill = chat.login("hank"), chat.login("dale"), chat.login("bill")
    chat.messenger.message_service.send(hank, "dale", "hi")
    drain_events(dale)
    chat.messenger.set_status(hank, "away")
    assert (drain_events(hank), drain_events(dale)) == ([], [])
    chat.run_timers()
    assert drain_events(dale) == [PresenceUpdate("hank", "away")]
    chat.messenger.logout(hank)
    chat.run_timers()
    assert drain_events(dale) == [PresenceUpdate("hank", "offline")]
    chat.login("hank")
    chat.run_timers()
    assert drain_events(dale) == [PresenceUpdate("hank", "online")]
    assert drain_events(bill) == []


def test_a_status_is_sent_at_once_to_who_wants_that_and_not_again(chat: InMemoryChat) -> None:
    hank, dale, bill = chat.login("hank"), chat.login("dale"), chat.login("bill")
    dale.wants_status_at_once = True
    for other in (dale, bill):
        chat.messenger.message_service.send(hank, other.name, "hi")
        drain_events(other)
    chat.messenger.set_status(hank, "away", "at lunch")
    chat.messenger.set_status(hank, "away", "at lunch")
    assert (drain_events(dale), drain_events(bill)) == ([PresenceUpdate("hank", "away", "at lunch")], [])
    chat.run_timers()
    assert (drain_events(dale), drain_events(bill)) == ([], [PresenceUpdate("hank", "away", "at lunch")])
    chat.messenger.logout(hank)
    assert drain_events(dale) == []
    chat.run_timers()
    assert drain_events(dale) == drain_events(bill) == [PresenceUpdate("hank", "offline")]


def test_who_was_told_at_once_of_a_status_that_is_over_is_told_that_too(chat: InMemoryChat) -> None:
    hank, dale, bill = chat.login("hank"), chat.login("dale"), chat.login("bill")
    dale.wants_status_at_once = True
    for other in (dale, bill):
        chat.messenger.message_service.send(hank, other.name, "hi")
        drain_events(other)
    chat.messenger.set_status(hank, "away")
    chat.messenger.logout(hank)
    chat.login("hank")
    chat.run_timers()
    assert drain_events(dale) == [PresenceUpdate("hank", "away"), PresenceUpdate("hank", "online")]
    assert drain_events(bill) == []


def test_a_status_is_sent_at_once_neither_to_whom_it_is_hidden_from_nor_to_strangers(chat: InMemoryChat) -> None:
    hank, dale, bill = chat.login("hank"), chat.login("dale"), chat.login("bill")
    dale.wants_status_at_once = bill.wants_status_at_once = True
    chat.messenger.message_service.send(hank, "dale", "hi")
    drain_events(dale)
    chat.messenger.blocks.block(hank, "dale")
    chat.messenger.set_status(hank, "away")
    assert (drain_events(dale), drain_events(bill)) == ([], [])


def test_who_comes_back_within_the_second_was_never_away(chat: InMemoryChat) -> None:
    hank, dale = chat.login("hank"), chat.login("dale")
    chat.messenger.message_service.send(hank, "dale", "hi")
    drain_events(dale)
    chat.messenger.logout(hank)
    chat.login("hank")
    chat.run_timers()
    assert drain_events(dale) == []


def test_course_clients_are_not_told_of_presence(chat: InMemoryChat) -> None:
    hank, dale = chat.login("hank"), chat.login("dale", accepts_push=False)
    chat.messenger.message_service.send(hank, "dale", "hi")
    drain_events(dale)
    chat.messenger.logout(hank)
    chat.run_timers()
    assert drain_events(dale) == []


def test_closing_tells_everybody_who_may_be_told(chat: InMemoryChat) -> None:
    hank, dale = chat.login("hank"), chat.login("dale", accepts_push=False)
    drain_events(hank), drain_events(dale)
    hours = iter((2.0, 3.0))
    chat.messenger.announce_shutdown(lambda: next(hours))
    chat.messenger.close()
    assert (drain_events(hank), drain_events(dale)) == ([ServerMoving(2.0), EndOfStream()], [EndOfStream()])
    assert next(hours) == 3.0


def test_contacts_are_kept_while_connected_and_bounded(chat: InMemoryChat) -> None:
    hank = chat.login("hank")
    for number in range(300):
        hank.add_contact(f"name{number}")
    hank.add_contact("NAME299")
    hank.remove_contact("name298")
    assert (len(hank.contacts), hank.contacts[-1]) == (199, "NAME299")


def test_what_is_on_its_way_to_the_disk_is_bounded_and_holds_back_its_sender() -> None:
    chat = InMemoryChat(max_pending_characters=1000, store_timeout=5.0)
    hank = chat.login("hank")
    chat.messenger.register(hank, "a password")
    waiting: list[Callable[[], None]] = []
    seqs = iter(range(1, 99))
    chat.store.append = lambda post, done: waiting.append(lambda: done(next(seqs), False, None))  # type: ignore[method-assign]
    said: list[int] = []

    def sends() -> None:
        for number in range(20):
            chat.messenger.message_service.send(hank, "hank", "x" * 100, f"m{number}")
            said.append(number)

    saying = gevent.spawn(sends)
    gevent.sleep(0)
    assert len(said) == len(waiting) == 3
    while waiting:
        waiting.pop(0)()
        gevent.sleep(0)
    saying.get(timeout=TEST_TIMEOUT)
    assert len(said) == 20 and hank.pending_characters == 0


def test_a_sender_whose_disk_does_not_answer_is_told_in_the_end() -> None:
    chat = InMemoryChat(max_pending_characters=100)
    hank = chat.login("hank")
    chat.messenger.register(hank, "a password")
    chat.messenger.policy.store_timeout = 0.01  # the registration may take its time
    chat.store.append = lambda post, done: None  # type: ignore[method-assign]
    chat.messenger.message_service.send(hank, "hank", "x", "m1")
    with pytest.raises(StoreUnavailable):
        chat.messenger.message_service.send(hank, "hank", "x", "m2")
