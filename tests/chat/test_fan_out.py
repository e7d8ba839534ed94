"""What is kept together is brought together, in rooms and between two, to everybody as is due to them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent
import pytest

from gmessenger.chat.outbox import CatchUpDone, Message, MessageBatch
from gmessenger.chat.session import Session
from gmessenger.errors import RecipientBusy
from tests.chat.test_messenger import House

SAID = [f"m{number}" for number in range(5)]


@pytest.fixture
def house() -> House:
    return House()


def enter(house: House, name: str, *, account: bool = True, **login: object) -> Session:
    session = house.login(name, **login)  # type: ignore[arg-type]
    if account:
        house.messenger.register(session, "a password")
        house.messenger.delivery.start_catch_up(session)
    house.messenger.room_service.join(session, "#dev")
    settle(house)
    session.outbox.drain()
    return session


def settle(house: House) -> None:
    house.store.flush()
    gevent.sleep(0)


def until_live(session: Session) -> None:
    with gevent.Timeout(5):
        while session.sync.catching_up:
            gevent.sleep(0)


def told(session: Session) -> list[Any]:
    return [parcel for parcel in session.outbox.drain() if isinstance(parcel, Message | MessageBatch)]


def says(house: House, *sessions: Session) -> None:
    for number, text in enumerate(SAID):
        house.messenger.message_service.send(sessions[number % len(sessions)], "#dev", text)
    settle(house)


def heard(session: Session) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = []
    for parcel in told(session):
        messages = parcel.messages if isinstance(parcel, MessageBatch) else [parcel]
        found += [(message.text, message.seq) for message in messages if isinstance(message, Message)]
    return found


def test_who_has_all_before_it_is_given_one_bundle_and_all_share_it(house: House) -> None:
    hank, dale, gus = enter(house, "hank"), enter(house, "dale"), enter(house, "gus", account=False)
    says(house, hank)
    (one,), (other,) = told(dale), told(gus)
    assert isinstance(one, MessageBatch) and one is other
    assert [(each.text, each.seq) for each in one.messages] == [(text, seq) for seq, text in enumerate(SAID, 1)]
    assert dale.sync.delivered("#dev") == gus.sync.delivered("#dev") == 5 and told(hank) == []
    assert house.messenger.stats.deliveries == 10


def test_who_speaks_is_not_told_its_own_and_hears_the_others_in_order(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale")
    says(house, hank, dale)
    assert heard(hank) == [("m1", 2), ("m3", 4)]
    assert heard(dale) == [("m0", 1), ("m2", 3), ("m4", 5)]
    assert hank.sync.delivered("#dev") == dale.sync.delivered("#dev") == 5


def test_who_speaks_is_given_one_bundle_too_and_acknowledges_its_own_as_far_as_it_owes_nothing(house: House) -> None:
    hank, dale, gus = enter(house, "hank"), enter(house, "dale"), enter(house, "gus", account=False)
    says(house, hank, hank, dale, gus)
    (bundle,) = told(hank)
    assert isinstance(bundle, MessageBatch) and [each.seq for each in bundle.messages] == [3, 4]
    assert heard(gus) == [("m0", 1), ("m1", 2), ("m2", 3), ("m4", 5)]
    # Its fifth is not acknowledged before the third and the fourth.
    assert (hank.sync.delivered("#dev"), hank.sync.acknowledged("#dev")) == (5, 2)
    assert hank.device is not None and house.store.cursors.uncommitted("#dev")[hank.device.id] == 2
    assert (dale.sync.delivered("#dev"), dale.sync.acknowledged("#dev")) == (5, 0)
    assert house.messenger.stats.deliveries == 2 + 4 + 4


def test_another_device_of_who_speaks_hears_all_of_it_in_order_and_its_own_with_their_ids(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale")
    phone = house.login("hank", password="a password", device="phone")
    until_live(phone)
    for number, speaker in enumerate((hank, dale, phone, dale)):
        house.messenger.message_service.send(speaker, "#dev", SAID[number], f"i{number}")
    settle(house)
    ((hanks,), (phones,), (dales,)) = told(hank), told(phone), told(dale)
    assert [(each.seq, each.id) for each in hanks.messages] == [(2, None), (3, "i2"), (4, None)]
    assert [(each.seq, each.id) for each in phones.messages] == [(1, "i0"), (2, None), (4, None)]
    assert [(each.seq, each.id) for each in dales.messages] == [(1, None), (3, None)]
    assert (hank.sync.delivered("#dev"), phone.sync.delivered("#dev"), phone.sync.acknowledged("#dev")) == (4, 4, 0)


def test_who_speaks_and_misses_something_before_it_catches_up(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale")
    says(house, dale)
    hank.outbox.drain()
    hank.sync.forget("#dev")
    hank.sync.set_start("#dev", 3)  # a gap
    says(house, hank, dale)
    assert hank.sync.catching_up and heard(hank) == []
    until_live(hank)
    assert heard(hank) == [("m3", 4), ("m4", 5), ("m1", 7), ("m3", 9)]


def test_who_speaks_while_it_is_behind_is_given_nothing_live(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale")
    hank.sync.start_catch_up()
    hank.sync.begin_pass()
    says(house, hank, dale)
    assert not hank.sync.caught_up() and told(hank) == [] and hank.sync.delivered("#dev") == 0


def test_who_alone_speaks_has_nothing_put_into_its_outbox(house: House) -> None:
    hank = enter(house, "hank")
    says(house, hank)
    assert told(hank) == [] and hank.sync.delivered("#dev") == hank.sync.acknowledged("#dev") == 5


def test_a_course_client_hears_one_thing_at_a_time(house: House) -> None:
    hank, course = enter(house, "hank"), enter(house, "course", account=False, told=False)
    says(house, hank)
    assert [type(parcel) for parcel in told(course)] == [Message] * 5


def test_who_has_no_room_for_it_falls_behind_and_catches_up(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale", frames=2)
    dale.outbox.offer(CatchUpDone())
    dale.outbox.offer(CatchUpDone())
    says(house, hank)
    assert dale.sync.catching_up and heard(dale) == []
    with gevent.Timeout(5):
        got: list[tuple[str, int | None]] = []
        while len(got) < 5:
            gevent.sleep(0)
            got += heard(dale)
    assert got == [(text, seq) for seq, text in enumerate(SAID, 1)]


def test_one_message_by_itself_is_no_bundle(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale")
    house.messenger.message_service.send(hank, "#dev", "alone")
    settle(house)
    assert [type(parcel) for parcel in told(dale)] == [Message]


def test_what_two_say_to_each_other_is_brought_together_too(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale")
    for number, (speaker, to) in enumerate(((hank, "dale"), (dale, "hank"), (hank, "dale"))):
        house.messenger.message_service.send(speaker, to, SAID[number])
    settle(house)
    ((hanks,), (dales,)) = told(hank), told(dale)
    assert [each.seq for each in hanks.messages] == [2] and [each.seq for each in dales.messages] == [1, 3]
    assert (hank.sync.delivered("dale hank"), hank.sync.acknowledged("dale hank")) == (3, 1)
    assert (dale.sync.delivered("dale hank"), dale.sync.acknowledged("dale hank")) == (3, 0)


def test_what_one_says_to_oneself_goes_to_ones_other_devices(house: House) -> None:
    hank = enter(house, "hank")
    phone = house.login("hank", password="a password", device="phone")
    until_live(phone)
    for text in SAID:
        house.messenger.message_service.send(hank, "hank", text, f"i{text}")
    settle(house)
    (bundle,) = told(phone)
    assert [(each.seq, each.id) for each in bundle.messages] == [(seq, f"i{text}") for seq, text in enumerate(SAID, 1)]
    assert told(hank) == []


def test_a_guest_is_given_all_that_its_outbox_promised_room_for_and_no_more(house: House) -> None:
    hank, gus = enter(house, "hank"), house.login("gus", frames=3)
    gus.outbox.drain()
    taken = 0
    for text in SAID:
        with suppress(RecipientBusy):
            house.messenger.message_service.send(hank, "gus", text)
            taken += 1
    settle(house)
    assert heard(gus) == [(text, seq) for seq, text in enumerate(SAID[:taken], 1)] and 0 < taken < len(SAID)


def test_who_cannot_be_told_keeps_nothing_from_others(house: House) -> None:
    hank, dale, bobby = enter(house, "hank"), enter(house, "dale"), enter(house, "bobby")

    def breaks() -> None:
        raise LookupError("a mistake")

    dale.outbox._on_ready = breaks
    for text in SAID[:2]:
        for to in ("dale", "bobby"):
            house.messenger.message_service.send(hank, to, text)
    settle(house)
    assert heard(bobby) == [("m0", 1), ("m1", 2)]
