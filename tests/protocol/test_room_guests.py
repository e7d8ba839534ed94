"""Guests and course clients in rooms: they speak and hear, make no rooms and get nothing later.
Section 2 of the protocol, "Names and privacy", and section 3."""

import gevent

from tests.protocol.test_rooms import joins, names, rooms, together_in
from tests.support.accounts import Town, is_refusal, seqs
from tests.support.course_clients import CLASSIC, DIALECTS, CourseClient
from tests.support.native_clients import together


def hears_until(client: CourseClient, last: tuple[str, str]) -> None:
    """Everything on the way there was said in the room, by others."""
    while (heard := client.hear()) != last:
        assert heard[0] != client.name and heard[1].startswith("[#dev] "), heard


def test_a_course_client_is_a_member_once_it_has_spoken_to_the_room(town: Town) -> None:
    hank, dale = together_in(town, "hank", "dale")
    clients = town.dial.courses(town, {one.name: one for one in DIALECTS})
    hank.sends("#dev", "nobody of them hears this")
    for number, client in enumerate(clients):
        client.say("#dev", f"{client.name} is here")
        for person in (hank, dale):
            frame = person.event("msg")
            while frame["from"] == "hank":
                frame = person.event("msg")
            expected = (client.name, "#dev", f"{client.name} is here", number + 2)
            assert (frame["from"], frame["to"], frame["message"], frame["seq"]) == expected
    assert names(hank.ask("members", room="#dev")) == {"hank", "dale"} | {client.name for client in clients}
    hank.sends("#dev", "welcome")
    wrong = together({one.name: lambda one=one: hears_until(one, ("hank", "[#dev] welcome")) for one in clients})
    assert wrong == {}


def test_a_course_client_who_left_is_no_member_when_it_returns(town: Town) -> None:
    (hank,) = together_in(town, "hank")
    cathy = town.course(CLASSIC, "cathy")
    cathy.say("#dev", "hello")
    assert hank.event("msg")["from"] == "cathy"
    hank.sends("#dev", "welcome")
    assert cathy.hear() == ("hank", "[#dev] welcome")
    cathy.leave()
    with gevent.Timeout(5):
        while names(hank.ask("members", room="#dev")) != {"hank"}:
            pass
    cathy = town.course(CLASSIC, "cathy")
    hank.sends("#dev", "not for you")
    hank.sends("cathy", "for you")
    assert cathy.hear() == ("hank", "for you")


def test_a_course_client_makes_no_room(town: Town) -> None:
    hank, cathy = town.comes("hank"), town.course(CLASSIC, "cathy")
    cathy.say("#dev", "is there anybody?")
    cathy.say("hank", "hello")
    assert hank.event("msg")["message"] == "hello"
    assert rooms(hank.ask("rooms")) == []


def test_a_guest_joins_a_room_but_makes_none(town: Town) -> None:
    guest, hank = town.guest("guest"), town.comes("hank")
    assert is_refusal(guest.ask("join", room="#dev"))
    assert rooms(hank.ask("rooms")) == []
    joins(hank)
    assert names(joins(guest)) == {"hank", "guest"}
    assert guest.sends("#dev", "hello") == [1] and hank.sends("#dev", "welcome") == [2]
    for person in (guest, hank):
        assert seqs(person.hears(1)) == [2 if person is guest else 1]


def test_a_guest_gets_no_replay_of_a_room(town: Town) -> None:
    (hank,), guest = together_in(town, "hank"), town.guest("guest")
    joins(guest)
    guest.send({"action": "quit"})
    guest.rest()
    hank.sends("#dev", "while you were away")
    guest = town.guest("guest")
    assert guest.unheard() == []
    joins(guest)
    hank.sends("#dev", "now")
    assert [(frame["seq"], frame["message"]) for frame in guest.hears(1)] == [(2, "now")]
