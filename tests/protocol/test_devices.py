"""Devices of an account: what each has not acknowledged, what the others sent, where a new one begins.
Section 2, "Logging in" and "Requests", of the protocol."""

from typing import Any

import pytest

from tests.support.accounts import PASSWORD, Person, Town, numbered, seqs, texts
from tests.support.course_clients import CLASSIC
from tests.support.native_clients import dumped, together

BAD_MARKS: tuple[dict[str, Any], ...] = (
    {"with": "dale", "seq": "1"},
    {"with": "dale", "seq": 1.5},
    {"with": "dale", "seq": None},
    {"with": 5, "seq": 1},
    {"with": "dale"},
    {"seq": 1},
)


def backlog_of(person: Person, conversation: str) -> list[int]:
    """The seqs of what waited there, sent by either."""
    return seqs(frame for frame in person.backlog if conversation in (frame["from"], frame["to"]))


def leaves(*people: Person) -> None:
    for person in people:
        person.send({"action": "quit"})
        person.rest()


def test_what_was_sent_while_nobody_was_there_comes_oldest_first_and_then_synced(town: Town) -> None:
    dale, bobby = town.comes("dale"), town.comes("bobby")
    for text in numbered(3):
        dale.sends("hank", text)
        bobby.sends("hank", text)
    hank = town.comes("hank")
    assert backlog_of(hank, "dale") == backlog_of(hank, "bobby") == [1, 2, 3]
    assert len(hank.backlog) == 6
    for frame in hank.backlog:
        assert isinstance(frame.pop("time"), float)
    assert {"action": "msg", "from": "dale", "to": "hank", "message": "text 1", "seq": 1} in hank.backlog
    assert not hank.unheard()


def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(town: Town) -> None:
    dale = town.comes("dale")
    dale.sends("hank", *numbered(5))
    for acknowledged, waiting in ((0, [1, 2, 3, 4, 5]), (2, [3, 4, 5]), (4, [5]), (3, [5]), (5, [])):
        hank = town.comes("hank")
        if acknowledged:
            hank.acknowledges("dale", acknowledged)
        hank.close()
        assert seqs(town.comes("hank").backlog) == waiting


def test_what_came_live_comes_again_until_it_is_acknowledged(town: Town) -> None:
    dale, hank = town.comes("dale"), town.comes("hank")
    dale.sends("hank", *numbered(3))
    assert texts(hank.hears(3)) == numbered(3)
    hank.acknowledges("dale", 1)
    leaves(hank)
    assert texts(town.comes("hank").backlog) == ["text 2", "text 3"]


@pytest.mark.parametrize("action", ["ack", "read"])
def test_a_mark_that_makes_no_sense_is_refused_and_marks_nothing(action: str, town: Town) -> None:
    dale, hank = town.comes("dale"), town.comes("hank")
    dale.sends("hank", "hello")
    hank.hears(1)
    for mark in BAD_MARKS:
        hank.send({"action": action, **mark})
        hank.expect_bad()
    hank.close()
    assert seqs(town.comes("hank").backlog) == [1]


def test_each_device_has_its_own_backlog(town: Town) -> None:
    dale, laptop = town.comes("dale"), town.comes("hank", "laptop")
    dale.sends("hank", *numbered(3))
    laptop.acknowledges("dale", 3)
    assert texts(town.comes("hank", "phone").backlog) == numbered(3)


def test_a_device_never_seen_starts_where_the_furthest_one_stands(town: Town) -> None:
    dale, bobby = town.comes("dale"), town.comes("bobby")
    dale.sends("hank", *numbered(5))
    bobby.sends("hank", *numbered(2))
    town.comes("hank", "laptop").acknowledges("dale", 2)
    town.comes("hank", "phone").acknowledges("dale", 4)
    tablet = town.dials().enter("hank", password=PASSWORD, device="tablet")
    assert (backlog_of(tablet, "dale"), backlog_of(tablet, "bobby")) == ([5], [1, 2])
    assert backlog_of(town.comes("hank", "laptop"), "dale") == [3, 4, 5]


def test_devices_see_what_the_others_send_with_its_id_and_nobody_else_sees_the_id(town: Town) -> None:
    laptop, phone, dale = town.comes("hank", "laptop"), town.comes("hank", "phone"), town.comes("dale")
    assert laptop.ask("msg", id="unique", to="dale", message="hello")["seq"] == 1
    frame = phone.event("msg")
    assert isinstance(frame.pop("time"), float)
    expected = {"action": "msg", "from": "hank", "to": "dale", "message": "hello", "seq": 1}
    assert frame == {**expected, "id": "unique"}
    (heard,) = dale.hears(1)
    assert heard == {**expected, "time": heard["time"]}
    assert laptop.unheard() == []


def test_a_device_that_was_away_gets_what_the_others_sent(town: Town) -> None:
    laptop = town.comes("hank", "laptop")
    town.comes("dale")
    laptop.sends("dale", *numbered(3))
    phone = town.comes("hank", "phone")
    assert [(frame["from"], frame["to"]) for frame in phone.backlog] == [("hank", "dale")] * 3
    assert texts(phone.backlog) == numbered(3)


def test_what_a_device_sent_is_not_replayed_to_it(town: Town) -> None:
    laptop, dale = town.comes("hank", "laptop"), town.comes("dale")
    laptop.sends("dale", *numbered(3))
    dale.sends("hank", "four")
    laptop.sends("dale", "five")
    laptop.close()
    assert seqs(town.comes("hank", "laptop").backlog) == [4]


def test_what_a_device_sends_moves_its_cursor_on_when_nothing_before_is_unacknowledged(town: Town) -> None:
    laptop = town.comes("hank", "laptop")
    laptop.sends("dale", *numbered(3))
    assert town.dials().enter("hank", password=PASSWORD, device="first").backlog == []
    dale = town.comes("dale")
    dale.sends("hank", "four")
    laptop.sends("dale", "five")
    assert seqs(town.dials().enter("hank", password=PASSWORD, device="second").backlog) == [4, 5]
    laptop.acknowledges("dale", 4)
    laptop.close()
    assert town.comes("hank", "laptop").backlog == []


def test_a_login_replaces_the_live_session_of_that_device_and_no_other(town: Town) -> None:
    laptop, phone, dale = town.comes("hank", "laptop"), town.comes("hank", "phone"), town.comes("dale")
    dale.sends("hank", "hello")
    assert laptop.event("msg")["seq"] == phone.event("msg")["seq"] == 1
    again = town.dials().enter("hank", password=PASSWORD, device="laptop")
    (told,) = [frame for frame in laptop.rest() if "response" in frame]
    assert (told["response"], told["code"]) == (409, "replaced")
    assert seqs(again.backlog) == [1]
    dale.sends("hank", "again")
    assert again.event("msg")["seq"] == phone.event("msg")["seq"] == 2


def test_no_device_is_the_device_default(town: Town) -> None:
    nameless, laptop = town.dials().enter("hank", password=PASSWORD), town.comes("hank", "laptop")
    town.dials().enter("hank", password=PASSWORD, device="default")
    assert nameless.rest()[-1]["code"] == "replaced"
    town.dials().enter("hank", password=PASSWORD)
    assert laptop.unheard() == []


def test_with_more_than_twenty_devices_the_longest_unused_is_forgotten(town: Town) -> None:
    """Peggy's laptop and phone are known already: eighteen more are allowed."""
    leaves(town.dials().enter("peggy", password=PASSWORD, device="laptop"))  # so that nobody takes her for a guesser
    town.comes("dale").sends("peggy", "hello")
    for device in ("laptop", "phone"):
        person = town.comes("peggy", device)
        assert seqs(person.backlog) == [1]
        leaves(person)
    waiting: dict[str, list[int]] = {}

    def enters(device: str) -> None:
        person = town.dials().enter("peggy", password=PASSWORD, device=device)
        waiting[device] = seqs(person.backlog)
        leaves(person)

    devices = [f"device {number}" for number in range(18)]
    assert together({device: lambda device=device: enters(device) for device in devices}) == {}
    assert waiting == {device: [1] for device in devices}
    laptop = town.comes("peggy", "laptop")
    assert seqs(laptop.backlog) == [1], "twenty devices are not too many"
    laptop.acknowledges("dale", 1)
    leaves(laptop)
    for device in ("one too many", "phone"):
        enters(device)
        assert waiting[device] == [], f"{device} is not known (any more) and starts at the furthest cursor"


def test_the_sender_is_told_what_was_delivered(town: Town) -> None:
    laptop, phone, dale = town.comes("hank", "laptop"), town.comes("hank", "phone"), town.comes("dale")
    laptop.sends("dale", *numbered(5))
    dale.hears(5)
    for seq in (2, 5):
        dale.send({"action": "ack", "with": "hank", "seq": seq})
        for device in (laptop, phone):
            assert device.event("delivered") == {"action": "delivered", "with": "dale", "seq": seq}
    assert dale.unheard("delivered") == []


def test_a_guest_is_told_what_was_delivered_and_a_course_client_is_not(town: Town) -> None:
    dale, guest = town.comes("dale"), town.guest("guest")
    cathy = town.course(CLASSIC, "cathy")
    assert guest.sends("dale", "hello") == [1]
    cathy.say("dale", "hello")
    assert len(dale.hears(2)) == 2
    for name in ("cathy", "guest"):
        dale.acknowledges(name, 1)
    assert guest.event("delivered") == {"action": "delivered", "with": "dale", "seq": 1}
    dale.sends("cathy", "nothing but this")
    assert cathy.hear() == ("dale", "nothing but this")


def test_what_is_acknowledged_in_a_room_is_told_to_nobody(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    for person in (hank, dale):
        assert person.ask("join", room="#dev")["response"] == 200
    hank.sends("#dev", "hello all")
    hank.sends("dale", "hello dale")
    dale.acknowledges("#dev", 1)
    dale.acknowledges("hank", 1)
    assert hank.event("delivered")["with"] == "dale"


def test_a_read_mark_goes_to_the_other_devices_only(town: Town) -> None:
    laptop, phone, dale = town.comes("hank", "laptop"), town.comes("hank", "phone"), town.comes("dale")
    dale.sends("hank", *numbered(3))
    for person in (laptop, phone):
        person.hears(3)
    mark = {"action": "read", "with": "dale", "seq": 2}
    laptop.send(mark)
    assert phone.event() == mark
    assert laptop.unheard("read") == dale.unheard("read") == []
    phone.close()
    assert len(town.comes("hank", "phone").backlog) == 3, "read is not acknowledged"


def test_a_read_mark_counts_though_its_session_is_still_catching_up(town: Town) -> None:
    laptop, dale = town.comes("hank", "laptop"), town.comes("dale")
    dale.sends("hank", *numbered(3))
    laptop.hears(3)
    phone = town.dials()
    user = {"account_name": "hank", "password": PASSWORD, "device": "phone"}
    marks = [dumped(action="read", **{"with": "dale", "seq": seq}) for seq in (2, 99)]
    phone.send_bytes(b"".join([dumped(action="presence", jim=2, user=user), *marks]))
    assert [laptop.event("read") for _ in marks] == [{"action": "read", "with": "dale", "seq": seq} for seq in (2, 3)]
