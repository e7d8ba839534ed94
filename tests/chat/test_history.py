"""From which message on a conversation is read that is asked for by a time."""

from __future__ import annotations

import gevent
import pytest

from gmessenger.chat.session import Session
from gmessenger.errors import AccountsOnly, NoSuchRoom, NotFound, NotMember
from tests.support.messenger import NOW, InMemoryChat


@pytest.fixture
def chat() -> InMemoryChat:
    return InMemoryChat()


def register(chat: InMemoryChat, name: str) -> Session:
    session = chat.login(name)
    chat.messenger.register(session, "a password")
    return session


def say(chat: InMemoryChat, session: Session, to: str, count: int) -> None:
    for _ in range(count):
        chat.messenger.message_service.send(session, to, "hi")
    chat.store.flush()
    gevent.sleep(0)


def test_the_seq_of_a_time_is_that_of_the_first_message_that_may_be_read(chat: InMemoryChat) -> None:
    hank, dale, seq_at = register(chat, "hank"), register(chat, "dale"), chat.messenger.history_service.seq_at
    assert seq_at(hank, "dale", NOW) == 1
    say(chat, dale, "Hank", 2)
    assert (seq_at(hank, "DALE", NOW), seq_at(hank, "dale", NOW + 1)) == (1, 3)
    chat.messenger.room_service.join(dale, "#dev")
    say(chat, dale, "#dev", 3)
    chat.messenger.room_service.join(hank, "#dev")
    say(chat, dale, "#dev", 1)
    assert (seq_at(dale, "#dev", NOW), seq_at(hank, "#Dev", NOW), seq_at(hank, "#dev", NOW + 1)) == (1, 4, 5)


def test_a_conversation_that_may_not_be_read_has_no_times(chat: InMemoryChat) -> None:
    hank, dale, gus = register(chat, "hank"), register(chat, "dale"), chat.login("gus")
    chat.messenger.room_service.join(dale, "#dev")
    seq_at = chat.messenger.history_service.seq_at
    for session, target, error in (
        (gus, "#dev", NotMember),
        (gus, "hank", AccountsOnly),
        (hank, "#dev", NotMember),
        (hank, "#ops", NoSuchRoom),
        (hank, "nobody", NotFound),
    ):
        with pytest.raises(error):
            seq_at(session, target, NOW)


def test_a_guest_reads_what_was_said_in_a_room_since_it_has_joined(chat: InMemoryChat) -> None:
    dale, gus = register(chat, "dale"), chat.login("gus")
    history, rooms = chat.messenger.history_service, chat.messenger.room_service
    rooms.join(dale, "#dev")
    say(chat, dale, "#dev", 2)
    rooms.join(gus, "#dev")
    say(chat, gus, "#dev", 2)
    assert [message.seq for message in history.page(gus, "#dev", None, None, 10).messages] == [3, 4]
    assert (history.seq_at(gus, "#dev", NOW), history.seq_at(gus, "#dev", NOW + 1)) == (3, 5)
    with pytest.raises(AccountsOnly):
        history.history(gus, "#dev", None, None, 10)
    rooms.leave(gus, "#dev")
    with pytest.raises(NotMember):
        history.page(gus, "#dev", None, None, 10)
    rooms.join(gus, "#dev")
    assert history.page(gus, "#dev", None, None, 10).messages == []


def test_a_guest_that_has_resumed_its_session_reads_nothing_of_before(chat: InMemoryChat) -> None:
    dale, gus = register(chat, "dale"), chat.login("gus")
    chat.messenger.room_service.join(dale, "#dev")
    chat.messenger.room_service.join(gus, "#dev")
    say(chat, dale, "#dev", 1)
    resumed = chat.login("gus", token=gus.token)
    with pytest.raises((AccountsOnly, NotMember)):
        chat.messenger.history_service.page(resumed, "#dev", None, None, 10)
