"""Messages of one commit are delivered together, to rooms and between two names."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent
import pytest

from gmessenger.chat.outbound import CatchUpDone, Message, MessageBatch
from gmessenger.chat.session import Session
from gmessenger.errors import RecipientBusy
from tests.support.messenger import InMemoryChat

TEXTS = [f"m{number}" for number in range(5)]


@pytest.fixture
def chat() -> InMemoryChat:
    return InMemoryChat()


def enter_dev(chat: InMemoryChat, name: str, *, account: bool = True, **login: object) -> Session:
    session = chat.login(name, **login)  # type: ignore[arg-type]
    if account:
        chat.messenger.register(session, "a password")
        chat.messenger.delivery.start_catch_up(session)
    chat.messenger.room_service.join(session, "#dev")
    flush(chat)
    session.outbox.drain()
    return session


def flush(chat: InMemoryChat) -> None:
    chat.store.flush()
    gevent.sleep(0)


def wait_until_live(session: Session) -> None:
    with gevent.Timeout(5):
        while session.sync.catching_up:
            gevent.sleep(0)


def drain_messages(session: Session) -> list[Any]:
    return [event for event in session.outbox.drain() if isinstance(event, Message | MessageBatch)]


def send_texts(chat: InMemoryChat, *sessions: Session) -> None:
    for number, text in enumerate(TEXTS):
        chat.messenger.message_service.send(sessions[number % len(sessions)], "#dev", text)
    flush(chat)


def drain_texts(session: Session) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = []
    for event in drain_messages(session):
        messages = event.messages if isinstance(event, MessageBatch) else [event]
        found += [(message.text, message.seq) for message in messages if isinstance(message, Message)]
    return found


def test_who_has_all_before_it_is_given_one_batch_and_all_share_it(chat: InMemoryChat) -> None:
    hank, dale, gus = (
        enter_dev(chat, "hank"),
        enter_dev(chat, "dale"),
        enter_dev(chat, "gus", account=False),
    )
    send_texts(chat, hank)
    (one,), (other,) = drain_messages(dale), drain_messages(gus)
    assert isinstance(one, MessageBatch) and one is other
    assert [(message.text, message.seq) for message in one.messages] == [
        (text, seq) for seq, text in enumerate(TEXTS, 1)
    ]
    assert dale.sync.delivered("#dev") == gus.sync.delivered("#dev") == 5 and drain_messages(hank) == []
    assert chat.messenger.stats.deliveries == 10


def test_who_speaks_is_not_told_its_own_and_hears_the_others_in_order(chat: InMemoryChat) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale")
    send_texts(chat, hank, dale)
    assert drain_texts(hank) == [("m1", 2), ("m3", 4)]
    assert drain_texts(dale) == [("m0", 1), ("m2", 3), ("m4", 5)]
    assert hank.sync.delivered("#dev") == dale.sync.delivered("#dev") == 5


def test_a_sender_gets_a_batch_too_and_acknowledges_its_own_up_to_a_gap(
    chat: InMemoryChat,
) -> None:
    hank, dale, gus = (
        enter_dev(chat, "hank"),
        enter_dev(chat, "dale"),
        enter_dev(chat, "gus", account=False),
    )
    send_texts(chat, hank, hank, dale, gus)
    (batch,) = drain_messages(hank)
    assert isinstance(batch, MessageBatch) and [message.seq for message in batch.messages] == [3, 4]
    assert drain_texts(gus) == [("m0", 1), ("m1", 2), ("m2", 3), ("m4", 5)]
    # Its fifth is not acknowledged before the third and the fourth.
    assert (hank.sync.delivered("#dev"), hank.sync.acknowledged("#dev")) == (5, 2)
    assert hank.device is not None and chat.store.cursors.uncommitted("#dev")[hank.device.id] == 2
    assert (dale.sync.delivered("#dev"), dale.sync.acknowledged("#dev")) == (5, 0)
    assert chat.messenger.stats.deliveries == 2 + 4 + 4


def test_another_device_of_who_speaks_hears_all_of_it_in_order_and_its_own_with_their_ids(chat: InMemoryChat) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale")
    phone = chat.login("hank", password="a password", device="phone")
    wait_until_live(phone)
    for number, speaker in enumerate((hank, dale, phone, dale)):
        chat.messenger.message_service.send(speaker, "#dev", TEXTS[number], f"i{number}")
    flush(chat)
    ((of_hank,), (of_phone,), (of_dale,)) = drain_messages(hank), drain_messages(phone), drain_messages(dale)
    assert [(message.seq, message.id) for message in of_hank.messages] == [(2, None), (3, "i2"), (4, None)]
    assert [(message.seq, message.id) for message in of_phone.messages] == [(1, "i0"), (2, None), (4, None)]
    assert [(message.seq, message.id) for message in of_dale.messages] == [(1, None), (3, None)]
    assert (hank.sync.delivered("#dev"), phone.sync.delivered("#dev"), phone.sync.acknowledged("#dev")) == (4, 4, 0)


def test_who_hears_itself_is_sent_its_own_in_order_with_their_ids_and_has_acknowledged_them(
    chat: InMemoryChat,
) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale")
    hank.hears_itself = True
    for number, speaker in enumerate((hank, hank, dale, hank)):
        chat.messenger.message_service.send(speaker, "#dev", TEXTS[number], f"i{number}")
    flush(chat)
    (batch,) = drain_messages(hank)
    assert [(each.text, each.id) for each in batch.messages] == [
        ("m0", "i0"),
        ("m1", "i1"),
        ("m2", None),
        ("m3", "i3"),
    ]
    assert batch.size == sum(each.size for each in batch.messages)
    assert (hank.sync.delivered("#dev"), hank.sync.acknowledged("#dev")) == (4, 2)
    hank.sync.acknowledge("#dev", 4)
    chat.messenger.message_service.send(hank, "dale", "alone", "i5")
    flush(chat)
    (alone,) = drain_messages(hank)
    assert (alone.text, alone.seq, alone.id) == ("alone", 1, "i5") and hank.sync.acknowledged("dale hank") == 1


def test_who_hears_itself_while_it_is_behind_catches_up_on_its_own_too_and_only_once(chat: InMemoryChat) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale")
    hank.hears_itself = True
    send_texts(chat, hank)
    assert drain_texts(hank) == [(text, seq) for seq, text in enumerate(TEXTS, 1)]
    hank.sync.start_catch_up()
    send_texts(chat, hank, dale)
    assert drain_messages(hank) == []
    chat.messenger.delivery.start_catch_up(hank)
    wait_until_live(hank)
    assert drain_texts(hank) == [(text, seq) for seq, text in enumerate(TEXTS, 6)]


def test_a_guest_that_hears_itself_is_sent_what_it_says_in_a_room_and_to_an_account(chat: InMemoryChat) -> None:
    enter_dev(chat, "hank")
    gus = enter_dev(chat, "gus", account=False)
    gus.hears_itself = True
    for to in ("#dev", "hank"):
        chat.messenger.message_service.send(gus, to, to, "i1")
        flush(chat)
    assert [(each.text, each.seq, each.id) for each in drain_messages(gus)] == [("#dev", 1, "i1"), ("hank", 1, "i1")]
    chat.login("bill")
    chat.messenger.message_service.send(gus, "bill", "not stored", "i2")
    assert drain_messages(gus) == []


def test_who_speaks_and_misses_something_before_it_catches_up(chat: InMemoryChat) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale")
    send_texts(chat, dale)
    hank.outbox.drain()
    hank.sync.forget("#dev")
    hank.sync.set_start("#dev", 3)  # a gap
    send_texts(chat, hank, dale)
    assert hank.sync.catching_up and drain_texts(hank) == []
    wait_until_live(hank)
    assert drain_texts(hank) == [("m3", 4), ("m4", 5), ("m1", 7), ("m3", 9)]


def test_who_speaks_while_it_is_behind_is_given_nothing_live(chat: InMemoryChat) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale")
    hank.sync.start_catch_up()
    hank.sync.begin_pass()
    send_texts(chat, hank, dale)
    assert not hank.sync.caught_up() and drain_messages(hank) == [] and hank.sync.delivered("#dev") == 0


def test_who_alone_speaks_has_nothing_put_into_its_outbox(chat: InMemoryChat) -> None:
    hank = enter_dev(chat, "hank")
    send_texts(chat, hank)
    assert drain_messages(hank) == [] and hank.sync.delivered("#dev") == hank.sync.acknowledged("#dev") == 5


def test_a_course_client_hears_one_thing_at_a_time(chat: InMemoryChat) -> None:
    hank, course = enter_dev(chat, "hank"), enter_dev(chat, "course", account=False, accepts_push=False)
    send_texts(chat, hank)
    assert [type(event) for event in drain_messages(course)] == [Message] * 5


def test_who_has_no_room_for_it_falls_behind_and_catches_up(chat: InMemoryChat) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale", frames=2)
    dale.outbox.offer(CatchUpDone())
    dale.outbox.offer(CatchUpDone())
    send_texts(chat, hank)
    assert dale.sync.catching_up and drain_texts(dale) == []
    with gevent.Timeout(5):
        got: list[tuple[str, int | None]] = []
        while len(got) < 5:
            gevent.sleep(0)
            got += drain_texts(dale)
    assert got == [(text, seq) for seq, text in enumerate(TEXTS, 1)]


def test_one_message_by_itself_is_no_batch(chat: InMemoryChat) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale")
    chat.messenger.message_service.send(hank, "#dev", "alone")
    flush(chat)
    assert [type(event) for event in drain_messages(dale)] == [Message]


def test_what_two_say_to_each_other_is_brought_together_too(chat: InMemoryChat) -> None:
    hank, dale = enter_dev(chat, "hank"), enter_dev(chat, "dale")
    for number, (speaker, to) in enumerate(((hank, "dale"), (dale, "hank"), (hank, "dale"))):
        chat.messenger.message_service.send(speaker, to, TEXTS[number])
    flush(chat)
    ((of_hank,), (of_dale,)) = drain_messages(hank), drain_messages(dale)
    assert [message.seq for message in of_hank.messages] == [2] and [message.seq for message in of_dale.messages] == [
        1,
        3,
    ]
    assert (hank.sync.delivered("dale hank"), hank.sync.acknowledged("dale hank")) == (3, 1)
    assert (dale.sync.delivered("dale hank"), dale.sync.acknowledged("dale hank")) == (3, 0)


def test_what_one_says_to_oneself_goes_to_ones_other_devices(chat: InMemoryChat) -> None:
    hank = enter_dev(chat, "hank")
    phone = chat.login("hank", password="a password", device="phone")
    wait_until_live(phone)
    for text in TEXTS:
        chat.messenger.message_service.send(hank, "hank", text, f"i{text}")
    flush(chat)
    (batch,) = drain_messages(phone)
    assert [(message.seq, message.id) for message in batch.messages] == [
        (seq, f"i{text}") for seq, text in enumerate(TEXTS, 1)
    ]
    assert drain_messages(hank) == []


def test_a_guest_is_given_all_that_its_outbox_promised_room_for_and_no_more(chat: InMemoryChat) -> None:
    hank, gus = enter_dev(chat, "hank"), chat.login("gus", frames=3)
    gus.outbox.drain()
    taken = 0
    for text in TEXTS:
        with suppress(RecipientBusy):
            chat.messenger.message_service.send(hank, "gus", text)
            taken += 1
    flush(chat)
    assert drain_texts(gus) == [(text, seq) for seq, text in enumerate(TEXTS[:taken], 1)] and 0 < taken < len(TEXTS)


def test_who_cannot_be_told_keeps_nothing_from_others(chat: InMemoryChat) -> None:
    hank, dale, bobby = enter_dev(chat, "hank"), enter_dev(chat, "dale"), enter_dev(chat, "bobby")

    def breaks() -> None:
        raise LookupError("a mistake")

    dale.outbox._on_ready = breaks
    for text in TEXTS[:2]:
        for to in ("dale", "bobby"):
            chat.messenger.message_service.send(hank, to, text)
    flush(chat)
    assert drain_texts(bobby) == [("m0", 1), ("m1", 2)]
