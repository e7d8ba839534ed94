"""The messenger's verbs, without bytes and without sockets: sessions with outboxes that are looked into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbox import (
    CatchUpDone,
    EndOfStream,
    Message,
    Outbound,
    Outbox,
    PresenceUpdate,
    Response,
    ServerMoving,
    SessionReplaced,
)
from gmessenger.chat.policy import Policy
from gmessenger.chat.session import Session
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
from gmessenger.store import open_store
from tests.conftest import FAST
from tests.support.timeouts import TEST_TIMEOUT

NOW = 1_763_800_000.5


def spawn(_: str, function: Callable[..., object], *args: Any) -> object:
    return gevent.spawn(function, *args)


class House:
    """A messenger whose clock stands still and whose `later` is called when the test says so."""

    def __init__(self, **policy: Any) -> None:
        self.due: list[Callable[[], None]] = []
        self.store = open_store("memory:")
        self.messenger = Messenger(
            Policy(**policy), self.store, lambda: NOW, lambda _, call: self.due.append(call), spawn, FAST
        )

    def login(self, name: str, *, frames: int = 100, told: bool = True, **login: Any) -> Session:
        outbox = Outbox(frames, 10_000, lambda: None, lambda: None, accepts_batches=told)
        session, left_over = self.messenger.login(LoginRequest(name, "test", told, "here:1", **login), outbox)
        self.messenger.welcome(session, left_over)
        return session

    def a_second_passes(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


@pytest.fixture
def house() -> House:
    return House()


def told(session: Session) -> list[Outbound]:
    return [parcel for parcel in session.outbox.drain() if not isinstance(parcel, CatchUpDone)]


def test_a_message_goes_to_its_addressee_only(house: House) -> None:
    hank, dale, bill = house.login("Hank"), house.login("Dale"), house.login("bill")
    house.messenger.message_service.send(hank, "DALE", "hi", "m1", "msg")
    assert told(dale) == [Message("Hank", "Dale", "hi", NOW, "msg")]
    assert told(hank) == [Response(202, "m1", NOW)]
    assert told(bill) == []


def test_without_an_id_nothing_is_answered(house: House) -> None:
    hank, dale = house.login("hank"), house.login("dale")
    house.messenger.message_service.send(hank, "dale", "hi")
    assert told(hank) == []
    assert len(told(dale)) == 1


def test_the_absent_and_the_unknown_are_told_apart(house: House) -> None:
    hank, dale = house.login("hank"), house.login("dale")
    house.messenger.logout(dale)
    with pytest.raises(RecipientGone, match="Dale has left"):
        house.messenger.message_service.send(hank, "Dale", "hi")
    with pytest.raises(NotFound):
        house.messenger.message_service.send(hank, "nobody", "hi")
    with pytest.raises(NoSuchRoom):
        house.messenger.message_service.send(hank, "#dev", "hi")


def test_past_names_are_forgotten_oldest_first() -> None:
    house = House(max_seen_names=2)
    for name in ("one", "two", "three"):
        house.messenger.logout(house.login(name))
    hank = house.login("hank")
    with pytest.raises(RecipientGone):
        house.messenger.message_service.send(hank, "three", "hi")
    with pytest.raises(NotFound):
        house.messenger.message_service.send(hank, "one", "hi")
    assert list(house.messenger.known_names()) == ["hank", "three"]


def test_a_text_over_the_limit_is_refused_with_the_limit() -> None:
    house = House(max_text=5)
    hank, dale = house.login("hank"), house.login("dale")
    house.messenger.message_service.send(hank, "dale", "я" * 5)
    with pytest.raises(TextTooLong) as refused:
        house.messenger.message_service.send(hank, "dale", "x" * 6)
    assert (refused.value.limit, len(told(dale))) == (5, 1)


def test_a_full_outbox_makes_its_owner_busy_and_answers_still_fit(house: House) -> None:
    hank, dale = house.login("hank"), house.login("dale", frames=3)
    for _ in range(2):
        house.messenger.message_service.send(hank, "dale", "hi")
    with pytest.raises(RecipientBusy) as refused:
        house.messenger.message_service.send(hank, "dale", "hi")
    assert refused.value.retry_after == 1.0
    dale.outbox.push(Response(200, "p", NOW))
    assert [type(parcel) for parcel in told(dale)] == [Message, Message, Response]


def test_a_message_to_oneself_is_taken_and_comes_not_back(house: House) -> None:
    hank = house.login("hank")
    house.messenger.message_service.send(hank, "hank", "note", "m")
    assert told(hank) == [Response(202, "m", NOW)]


def test_everybody_but_the_sender_gets_a_broadcast(house: House) -> None:
    hank, dale, bill = house.login("hank"), house.login("dale"), house.login("bill", told=False)
    house.messenger.message_service.send(hank, BROADCAST_TARGET, "hi")
    assert (told(hank), told(dale)) == ([], [Message("hank", BROADCAST_TARGET, "hi", NOW)])
    assert len(told(bill)) == 1


def test_broadcasts_can_be_switched_off() -> None:
    house = House(broadcast=False)
    with pytest.raises(BroadcastDisabled):
        house.messenger.message_service.send(house.login("hank"), BROADCAST_TARGET, "hi")


@pytest.mark.parametrize(
    ("login", "refusal"),
    [
        ({"name": "HANK"}, NameInUse),
        ({"name": "two words"}, BadName),
        ({"name": "bill", "password": "12345678"}, WrongPassword),
        ({"name": "hank", "token": "guessed"}, NameInUse),
    ],
)
def test_logins_are_refused(house: House, login: dict[str, Any], refusal: type[Exception]) -> None:
    house.login("hank")
    with pytest.raises(refusal):
        house.login(**login)


def test_guests_can_be_kept_out() -> None:
    with pytest.raises(GuestsDisabled):
        House(guests=False).login("hank")


def test_a_name_is_free_as_soon_as_its_session_is_over(house: House) -> None:
    hank = house.login("hank")
    assert house.messenger.logout(hank)
    assert not house.messenger.logout(hank)
    house.login("hank")


def test_a_token_takes_the_place_of_a_half_dead_session_and_what_waited_for_it(house: House) -> None:
    old, dale = house.login("hank"), house.login("dale")
    house.messenger.message_service.send(dale, "hank", "first")
    new = house.login("hank", token=old.token)
    assert told(old)[-2:] == [SessionReplaced(NOW), EndOfStream()]
    assert told(new) == [Message("dale", "hank", "first", NOW)]
    house.messenger.logout(old)
    house.messenger.message_service.send(dale, "hank", "second")
    assert len(told(new)) == 1
    newest = house.login("hank", token=old.token)
    house.messenger.logout(new)
    assert house.messenger.router.sessions("hank") == [newest]


def test_a_token_opens_its_own_name_only(house: House) -> None:
    hank = house.login("hank")
    house.login("dale", token=hank.token)
    assert house.messenger.router.sessions("hank") == [hank]


def test_users_are_paged_by_name() -> None:
    house = House(max_frame=1000)
    names = sorted(f"name{number}" for number in range(7))
    sessions = [house.login(name) for name in reversed(names)]
    listed: list[str] = []
    after, more = None, True
    while more:
        page = house.messenger.directory.users(sessions[0].key, after)
        listed += [user.name for user in page.users]
        after, more = listed[-1], page.more
    assert listed == names


@pytest.mark.parametrize("status", ["", "x" * 33, "offline", "a\nb", "\x1b[31m"])
def test_a_status_is_short_and_printable(house: House, status: str) -> None:
    with pytest.raises(BadRequest):
        house.messenger.set_status(house.login("hank"), status)


def test_those_who_have_talked_are_told_of_each_other(house: House) -> None:
    hank, dale, bill = house.login("hank"), house.login("dale"), house.login("bill")
    house.messenger.message_service.send(hank, "dale", "hi")
    told(dale)
    house.messenger.set_status(hank, "away")
    assert (told(hank), told(dale)) == ([], [])
    house.a_second_passes()
    assert told(dale) == [PresenceUpdate("hank", "away")]
    house.messenger.logout(hank)
    house.a_second_passes()
    assert told(dale) == [PresenceUpdate("hank", "offline")]
    house.login("hank")
    house.a_second_passes()
    assert told(dale) == [PresenceUpdate("hank", "online")]
    assert told(bill) == []


def test_who_comes_back_within_the_second_was_never_away(house: House) -> None:
    hank, dale = house.login("hank"), house.login("dale")
    house.messenger.message_service.send(hank, "dale", "hi")
    told(dale)
    house.messenger.logout(hank)
    house.login("hank")
    house.a_second_passes()
    assert told(dale) == []


def test_course_clients_are_not_told_of_presence(house: House) -> None:
    hank, dale = house.login("hank"), house.login("dale", told=False)
    house.messenger.message_service.send(hank, "dale", "hi")
    told(dale)
    house.messenger.logout(hank)
    house.a_second_passes()
    assert told(dale) == []


def test_closing_tells_everybody_who_may_be_told(house: House) -> None:
    hank, dale = house.login("hank"), house.login("dale", told=False)
    told(hank), told(dale)
    hours = iter((2.0, 3.0))
    house.messenger.announce_shutdown(lambda: next(hours))
    house.messenger.close()
    assert (told(hank), told(dale)) == ([ServerMoving(2.0), EndOfStream()], [EndOfStream()])
    assert next(hours) == 3.0


def test_contacts_are_kept_while_connected_and_bounded(house: House) -> None:
    hank = house.login("hank")
    for number in range(300):
        hank.add_contact(f"name{number}")
    hank.add_contact("NAME299")
    hank.remove_contact("name298")
    assert (len(hank.contacts), hank.contacts[-1]) == (199, "NAME299")


def test_what_is_on_its_way_to_the_disk_is_bounded_and_holds_back_its_sender() -> None:
    house = House(max_pending_characters=1000, store_timeout=5.0)
    hank = house.login("hank")
    house.messenger.register(hank, "a password")
    waiting: list[Callable[[], None]] = []
    seqs = iter(range(1, 99))
    house.store.append = lambda post, done: waiting.append(lambda: done(next(seqs), False, None))  # type: ignore[method-assign]
    said: list[int] = []

    def says() -> None:
        for number in range(20):
            house.messenger.message_service.send(hank, "hank", "x" * 100, f"m{number}")
            said.append(number)

    saying = gevent.spawn(says)
    gevent.sleep(0)
    assert len(said) == len(waiting) == 3
    while waiting:
        waiting.pop(0)()
        gevent.sleep(0)
    saying.get(timeout=TEST_TIMEOUT)
    assert len(said) == 20 and hank.pending_characters == 0


def test_a_sender_whose_disk_does_not_answer_is_told_in_the_end() -> None:
    house = House(max_pending_characters=100)
    hank = house.login("hank")
    house.messenger.register(hank, "a password")
    house.messenger.policy.store_timeout = 0.01  # the registration may take its time
    house.store.append = lambda post, done: None  # type: ignore[method-assign]
    house.messenger.message_service.send(hank, "hank", "x", "m1")
    with pytest.raises(StoreUnavailable):
        house.messenger.message_service.send(hank, "hank", "x", "m2")
