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
        (gus, "#dev", AccountsOnly),
        (hank, "#dev", NotMember),
        (hank, "#ops", NoSuchRoom),
        (hank, "nobody", NotFound),
    ):
        with pytest.raises(error):
            seq_at(session, target, NOW)
