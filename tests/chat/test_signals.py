"""Signals: who is sent them, and who is not; and the live tags of messages."""

from __future__ import annotations

import gevent
import pytest

from gmessenger.chat.outbound import Message, Signal
from gmessenger.chat.session import Session
from gmessenger.constants import OPERATOR_ROLE, SERVER_OWNER
from gmessenger.errors import Blocked, Muted, NoSuchRoom, NotFound, NotMember, OnlySpeakers, OperatorsOnly
from tests.support.messenger import InMemoryChat, drain_events

TAGS = {"+typing": "active"}


@pytest.fixture
def chat() -> InMemoryChat:
    return InMemoryChat()


def log_in(chat: InMemoryChat, name: str, *, accepts: bool = True, frames: int = 100) -> Session:
    session = chat.login(name, frames=frames)
    session.accepts_signals = accepts
    drain_events(session)
    return session


def signals(session: Session) -> list[tuple[str, str]]:
    return [(event.sender, event.to) for event in drain_events(session) if isinstance(event, Signal)]


def test_a_signal_is_for_sessions_that_accept_it_and_are_online(chat: InMemoryChat) -> None:
    hank, dale, bill = log_in(chat, "Hank"), log_in(chat, "Dale"), log_in(chat, "Bill", accepts=False)
    sent = chat.messenger.signals.send(hank, "DALE", TAGS)
    chat.messenger.signals.send(hank, "bill", TAGS)
    assert (sent.to, sent.tags) == ("Dale", TAGS)
    assert (signals(hank), signals(dale), signals(bill)) == ([], [("Hank", "Dale")], [])


def test_an_account_that_is_offline_misses_it(chat: InMemoryChat) -> None:
    hank, dale = log_in(chat, "hank"), log_in(chat, "dale")
    chat.messenger.register(dale, "a password")
    chat.messenger.logout(dale)
    chat.messenger.signals.send(hank, "dale", TAGS)
    assert signals(chat.login("dale", password="a password")) == []


def test_a_room_is_signalled_but_for_who_has_blocked_the_sender(chat: InMemoryChat) -> None:
    hank, dale, bill = log_in(chat, "hank"), log_in(chat, "dale"), log_in(chat, "bill")
    chat.messenger.register(hank, "a password")
    for session in (hank, dale, bill):
        chat.messenger.room_service.join(session, "#dev")
    chat.messenger.blocks.block(bill, "hank")
    chat.messenger.signals.send(hank, "#DEV", TAGS)
    assert (signals(hank), signals(dale), signals(bill)) == ([], [("hank", "#dev")], [])


def test_who_may_not_write_may_not_signal(chat: InMemoryChat) -> None:
    hank, dale, send = log_in(chat, "hank"), log_in(chat, "dale"), chat.messenger.signals.send
    chat.messenger.register(hank, "a password")
    chat.messenger.room_service.join(hank, "#dev")
    for target, error in (("#dev", NotMember), ("#ops", NoSuchRoom), ("bill", NotFound)):
        with pytest.raises(error):
            send(dale, target, TAGS)
    chat.messenger.blocks.block(hank, "dale")
    with pytest.raises(Blocked):
        send(dale, "hank", TAGS)
    chat.messenger.room_service.join(dale, "#dev")
    chat.messenger.room_service.rules(hank, "#dev", {"moderated": True})
    with pytest.raises(OnlySpeakers):
        send(dale, "#dev", TAGS)
    chat.messenger.moderation.mute("boss", "dale")
    with pytest.raises(Muted):
        send(dale, "hank", TAGS)
    assert signals(hank) == []


def test_a_signal_costs_what_a_message_of_its_size_costs(chat: InMemoryChat) -> None:
    hank, _ = log_in(chat, "hank"), log_in(chat, "dale")
    chat.messenger.signals.send(hank, "dale", {})  # the first charge fills the bucket
    before = hank.buckets.messages.tokens
    chat.messenger.message_service.send(hank, "dale", "x" * 4000)
    cost = before - hank.buckets.messages.tokens
    before = hank.buckets.messages.tokens
    chat.messenger.signals.send(hank, "dale", {"+a": "x" * 3998})
    assert before - hank.buckets.messages.tokens == cost > 1


def test_a_signal_to_those_with_a_role_is_for_no_others(chat: InMemoryChat) -> None:
    hank, dale, bill = log_in(chat, "hank"), log_in(chat, "dale"), log_in(chat, "bill")
    for session in (hank, dale):
        chat.messenger.register(session, "a password")
    for session in (hank, dale, bill):
        chat.messenger.room_service.join(session, "#dev")
    chat.messenger.room_service.change_role(hank, "#dev", "dale", "moderator")
    send = chat.messenger.signals.send
    send(bill, "#dev", {}, "help", least="moderator")
    assert signals(hank) == signals(dale) == [("bill", "#dev")]
    send(bill, "#dev", {}, "help", least="owner")
    assert (signals(hank), signals(dale)) == ([("bill", "#dev")], [])
    send(hank, "#dev", {}, "hush", least="speaker")
    assert (signals(dale), signals(bill)) == ([("hank", "#dev")], [])


def test_an_operator_speaks_to_all_who_accept_signals(chat: InMemoryChat) -> None:
    boss, hank, dale = log_in(chat, "boss"), log_in(chat, "hank"), log_in(chat, "dale", accepts=False)
    with pytest.raises(OperatorsOnly):
        chat.messenger.signals.announce(boss, "hello")
    chat.messenger.register(boss, "a password")
    assert boss.account is not None
    boss.account.role = OPERATOR_ROLE
    chat.messenger.signals.announce(boss, "hello")
    assert (signals(boss), signals(hank), signals(dale)) == ([("boss", "#all")], [("boss", "#all")], [])
    chat.messenger.moderation.mute(SERVER_OWNER, "boss")
    with pytest.raises(Muted):
        chat.messenger.signals.announce(boss, "hello")


def test_an_outbox_that_is_half_full_is_offered_none(chat: InMemoryChat) -> None:
    hank, dale = log_in(chat, "hank"), log_in(chat, "dale", frames=4)
    for _ in range(10):
        chat.messenger.signals.send(hank, "dale", TAGS)
    assert dale.outbox.pending_frames == 3
    assert dale.outbox.offer(Message("hank", "dale", "hi", 0.0))


def test_the_tags_of_a_message_are_for_who_is_online(chat: InMemoryChat) -> None:
    hank, dale = log_in(chat, "hank"), log_in(chat, "dale")
    chat.messenger.register(hank, "a password")
    chat.messenger.message_service.send(hank, "dale", "hi", tags=TAGS)
    chat.store.flush()
    gevent.sleep(0)
    (seen,) = [event for event in drain_events(dale) if isinstance(event, Message)]
    assert seen.tags == TAGS
    (stored,) = chat.messenger.history_service.page(hank, "dale", None, None, 10).messages
    assert not hasattr(stored, "tags")
