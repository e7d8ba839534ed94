"""Lists and broadcasts for course clients: who is there, contacts, everybody at once.
Section 3 of the protocol."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.course_clients import AFTER_LISTS, CLASSIC, DIALECTS, STATUS, TOLERANCE, Address, CourseClient, Frame
from tests.support.native_clients import Dial, together

EVERYBODY = (
    ("hash", STATUS, {"action": "msg", "to": "#", "message": "all of you"}),
    ("word", CLASSIC, {"action": "message", "to": "ALL", "mess_text": "all of you"}),
    ("nobody", STATUS, {"action": "msg", "type": "status", "message": "all of you"}),
)


def answer(client: CourseClient, **frame: Any) -> Frame:
    client.send({"time": time.time(), **frame})
    return client.receive()


@pytest.mark.parametrize(
    ("key", "place"),
    [("account_name", "data_list"), ("user_login", "alert")],
    ids=["asked by account_name", "asked by user_login"],
)
def test_get_users_lists_those_present(key: str, place: str, server: Address, dial: Dial) -> None:
    dial.native(server, "dale")
    hank = dial.course(server, CLASSIC, "hank")
    got = answer(hank, action="get_users", **{key: "hank"})
    assert got["response"] == 202
    assert set(got[place]) == {"dale", "hank"}


@pytest.mark.parametrize(("key", "place"), [("user", "data_list"), ("user_login", "alert")])
def test_get_contacts_answers_with_a_list(key: str, place: str, server: Address, dial: Dial) -> None:
    hank = dial.course(server, CLASSIC, "hank")
    got = answer(hank, action="get_contacts", **{key: "hank"})
    assert got["response"] == 202
    assert isinstance(got[place], list)


@pytest.mark.parametrize("action", ["add", "add_contact", "remove", "del_contact"])
def test_changing_contacts_is_answered_200(action: str, server: Address, dial: Dial) -> None:
    hank = dial.course(server, CLASSIC, "hank")
    dial.native(server, "dale")
    assert answer(hank, action=action, user="hank", account_name="dale")["response"] == 200
    assert answer(hank, action=action, user_id="dale", user_login="hank")["response"] == 200


def test_get_users_names_those_present_first_and_then_the_newest(server: Address, dial: Dial) -> None:
    for name in ("gone.first", "gone.second", "gone.third"):
        gone = dial.native(server, name)
        gone.send({"action": "quit"})
        gone.expect_closed()
    dial.native(server, "dale")
    hank = dial.course(server, CLASSIC, "hank")
    names = answer(hank, action="get_users", account_name="hank")["data_list"]
    assert set(names[:2]) == {"dale", "hank"}
    assert names[2:] == ["gone.third", "gone.second", "gone.first"]


def test_a_list_is_cut_to_one_frame(server: Address, dial: Dial) -> None:
    present = {f"somebody-{number:03}" for number in range(150)}
    for name in present:
        dial.native(server, name)
    hank = dial.course(server, CLASSIC, "hank")
    names = answer(hank, action="get_users", account_name="hank")["data_list"]
    assert len(names) > 20
    assert set(names) <= present | {"hank"}


def test_pushes_are_far_apart_after_lists_but_answers_come_at_once(server: Address, dial: Dial) -> None:
    hank, dale = dial.course(server, CLASSIC, "hank"), dial.course(server, CLASSIC, "dale")
    assert answer(hank, action="get_contacts", user="hank")["response"] == 202
    dale.say("hank", "one")
    dale.say("hank", "two")
    assert hank.hear() == ("dale", "one")
    first = hank.arrivals[-1]
    assert answer(hank, action="get_users", account_name="hank")["response"] == 202
    assert hank.hear() == ("dale", "two")
    assert hank.arrivals[-1] - first >= AFTER_LISTS - TOLERANCE


def test_a_broadcast_reaches_everybody_present(server: Address, dial: Dial) -> None:
    listeners = dial.courses(server, {one.name: one for one in DIALECTS})
    senders = dial.courses(server, {name: spelling for name, spelling, _ in EVERYBODY})
    native, expected = dial.native(server, "native"), [(name, "all of you") for name, *_ in EVERYBODY]
    for sender, (_, _, frame) in zip(senders, EVERYBODY, strict=True):
        sender.send({"time": time.time(), **frame})
    assert together({one.name: lambda one=one: one.hear_all(expected) for one in listeners}) == {}
    heard = [native.event("msg") for _ in EVERYBODY]
    assert {(frame["from"], frame["message"]) for frame in heard} == set(expected)


def test_who_comes_after_a_broadcast_does_not_get_it(server: Address, dial: Dial) -> None:
    hank, dale = dial.course(server, CLASSIC, "hank"), dial.native(server, "dale")
    hank.say("ALL", "only for those present")
    assert dale.event("msg")["message"] == "only for those present"
    late = dial.native(server, "late")
    late.heard_nothing()


def test_broadcasts_can_be_refused(start_server: Callable[..., Address], dial: Dial) -> None:
    server = start_server(broadcast=False)
    dale, native = dial.course(server, CLASSIC, "dale"), dial.native(server, "native")
    hank = dial.course(server, CLASSIC, "hank")
    hank.say("ALL", "all of you")
    hank.say("native", "just you")
    hank.say("dale", "just you")
    assert native.hear() == ("hank", "just you")
    assert dale.hear() == ("hank", "just you")
