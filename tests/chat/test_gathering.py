"""Rooms: what is kept together is brought together, to everybody as is due to them."""

from __future__ import annotations

import gevent
import pytest

from gmessenger.chat.model import Bundle, Message, Synced
from gmessenger.chat.session import Session
from tests.chat.test_service import House

SAID = [f"m{number}" for number in range(5)]


@pytest.fixture
def house() -> House:
    return House()


def enter(house: House, name: str, *, account: bool = True, **login: object) -> Session:
    session = house.login(name, **login)  # type: ignore[arg-type]
    if account:
        house.messenger.register(session, None, "a password", None, None)
    house.messenger.room_service.join(session, None, "#dev")
    settle(house)
    session.outbox.take_all()
    return session


def settle(house: House) -> None:
    house.store.flush()
    gevent.sleep(0)


def told(session: Session) -> list[object]:
    return [parcel for parcel in session.outbox.take_all() if isinstance(parcel, Message | Bundle)]


def says(house: House, *sessions: Session) -> None:
    for number, text in enumerate(SAID):
        house.messenger.message(sessions[number % len(sessions)], "#dev", text)
    settle(house)


def heard(session: Session) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = []
    for parcel in told(session):
        messages = parcel.messages if isinstance(parcel, Bundle) else [parcel]
        found += [(message.text, message.seq) for message in messages if isinstance(message, Message)]
    return found


def test_who_has_all_before_it_is_given_one_bundle_and_all_share_it(house: House) -> None:
    hank, dale, gus = enter(house, "hank"), enter(house, "dale"), enter(house, "gus", account=False)
    says(house, hank)
    (one,), (other,) = told(dale), told(gus)
    assert isinstance(one, Bundle) and one is other
    assert [(each.text, each.seq) for each in one.messages] == [(text, seq) for seq, text in enumerate(SAID, 1)]
    assert dale.sent["#dev"] == gus.sent["#dev"] == 5 and told(hank) == []
    assert house.messenger.tally.deliveries == 10


def test_who_speaks_is_not_told_its_own_and_hears_the_others_in_order(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale")
    says(house, hank, dale)
    assert heard(hank) == [("m1", 2), ("m3", 4)]
    assert heard(dale) == [("m0", 1), ("m2", 3), ("m4", 5)]
    assert hank.sent["#dev"] == dale.sent["#dev"] == 5


def test_a_course_client_hears_one_thing_at_a_time(house: House) -> None:
    hank, course = enter(house, "hank"), enter(house, "course", account=False, told=False)
    says(house, hank)
    assert [type(parcel) for parcel in told(course)] == [Message] * 5


def test_who_has_no_room_for_it_falls_behind_and_catches_up(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale", frames=2)
    dale.outbox.offer(Synced())
    dale.outbox.offer(Synced())
    says(house, hank)
    assert dale.behind and heard(dale) == []
    with gevent.Timeout(5):
        got: list[tuple[str, int | None]] = []
        while len(got) < 5:
            gevent.sleep(0)
            got += heard(dale)
    assert got == [(text, seq) for seq, text in enumerate(SAID, 1)]


def test_one_message_by_itself_is_no_bundle(house: House) -> None:
    hank, dale = enter(house, "hank"), enter(house, "dale")
    house.messenger.message(hank, "#dev", "alone")
    settle(house)
    assert [type(parcel) for parcel in told(dale)] == [Message]
