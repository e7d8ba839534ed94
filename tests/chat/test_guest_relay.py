"""Texts from guest to guest: relayed at once where nothing is in the way, and sent to who resumes the session."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmessenger.chat.outbound import Message, RelayedText, Response, TextBatch
from gmessenger.chat.session import Session
from gmessenger.constants import ONLINE
from tests.support.messenger import NOW, InMemoryChat, drain_events


@pytest.fixture
def chat() -> InMemoryChat:
    return InMemoryChat()


def send_first(chat: InMemoryChat, sender: Session, to: str) -> None:
    """Send the first text, for which tokens are drawn: it goes the ordinary way."""
    chat.messenger.message_service.send(sender, to, "first")


def test_a_text_waits_in_the_outbox_of_the_other_guest(chat: InMemoryChat) -> None:
    hank, dale = chat.login("Hank"), chat.login("Dale")
    send_first(chat, hank, "dale")
    drain_events(dale)
    chat.now = NOW + 5
    assert chat.messenger.guest_relay.relay(hank, "DALE", "hi", "m1", True)
    assert drain_events(dale) == [RelayedText("Hank", "Dale", "hi", NOW + 5, True)]
    assert drain_events(hank) == [Response(202, "m1", NOW + 5)]
    assert hank.active_at == NOW + 5 and dale.active_at == NOW
    assert chat.messenger.presence.links["dale"] == {"hank": None}
    assert (chat.messenger.stats.relayed, chat.messenger.stats.deliveries) == (2, 2)


def close_sender(chat: InMemoryChat, hank: Session, dale: Session) -> None:
    hank.outbox.close()


def set_away(chat: InMemoryChat, hank: Session, dale: Session) -> None:
    chat.messenger.set_status(dale, "away")
    assert dale.status != ONLINE


def fill(chat: InMemoryChat, hank: Session, dale: Session) -> None:
    while dale.outbox.reserve(1):
        pass


def mute(chat: InMemoryChat, hank: Session, dale: Session) -> None:
    chat.messenger.moderation.mute("the owner", "bobby")


def block(chat: InMemoryChat, hank: Session, dale: Session) -> None:
    chat.messenger.blocks.block(dale, "bobby")


def spend(chat: InMemoryChat, hank: Session, dale: Session) -> None:
    hank.buckets.messages.tokens = 0.5


@pytest.mark.parametrize("prepare", [close_sender, set_away, fill, mute, block, spend])
def test_nothing_is_done_where_something_may_be_in_the_way(
    chat: InMemoryChat, prepare: Callable[[InMemoryChat, Session, Session], None]
) -> None:
    hank, dale = chat.login("hank"), chat.login("dale")
    send_first(chat, hank, "dale")
    assert chat.messenger.guest_relay.relay(hank, "dale", "hi")
    drain_events(dale)
    prepare(chat, hank, dale)
    drain_events(hank)
    chat.now += 1
    active_at = hank.active_at
    tokens, links = hank.buckets.messages.tokens, dict(chat.messenger.presence.links["hank"])
    assert not chat.messenger.guest_relay.relay(hank, "dale", "hi", "m1")
    assert (drain_events(dale), drain_events(hank)) == ([], [])
    assert (hank.buckets.messages.tokens, chat.messenger.presence.links["hank"]) == (tokens, links)
    assert chat.messenger.stats.relayed == 2 and hank.active_at == active_at


@pytest.mark.parametrize(
    "to", ["hank", "HANK", "unknown", "#dev", ""], ids=["self", "SELF", "unknown", "room", "empty"]
)
def test_only_another_guest_who_is_online_here_is_relayed_to(chat: InMemoryChat, to: str) -> None:
    hank = chat.login("hank")
    chat.login("dale")
    send_first(chat, hank, "dale")
    assert not chat.messenger.guest_relay.relay(hank, to, "hi")


def test_a_guest_who_resumes_is_sent_all_texts_that_waited(chat: InMemoryChat) -> None:
    hank, dale = chat.login("hank"), chat.login("dale")
    service, relay = chat.messenger.message_service, chat.messenger.guest_relay
    drain_events(dale)
    service.send(hank, "dale", "first")
    assert relay.relay(hank, "dale", "second")
    assert service.send_batch(hank, "dale", ["third", "fourth"], [None, None])
    assert dale.outbox.pending_frames == 4
    resumed = chat.login("dale", token=dale.token)
    assert resumed.outbox.pending_frames == 5  # the four texts, after a CatchUpDone
    shown = [
        texts
        for event in drain_events(resumed)
        for texts in (event.texts if isinstance(event, TextBatch) else [event.text])  # type: ignore[union-attr]
    ]
    assert shown == ["first", "second", "third", "fourth"]


def test_what_the_ordinary_way_relays_is_a_message(chat: InMemoryChat) -> None:
    hank, dale = chat.login("hank"), chat.login("dale")
    chat.messenger.message_service.send(hank, "dale", "hi", kind="notice")
    assert drain_events(dale) == [Message("hank", "dale", "hi", NOW, kind="notice")]
