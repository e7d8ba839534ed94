"""Lists and broadcasts for course clients. docs/protocol.md, section 3."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.course_clients import AFTER_LISTS, CLASSIC, DIALECTS, STATUS, TOLERANCE, Address, CourseClient, Frame
from tests.support.native_clients import Connector, run_together

BROADCAST_FRAMES = (
    ("hash", STATUS, {"action": "msg", "to": "#", "message": "all of you"}),
    ("word", CLASSIC, {"action": "message", "to": "ALL", "mess_text": "all of you"}),
    ("nobody", STATUS, {"action": "msg", "type": "status", "message": "all of you"}),
)


def request(client: CourseClient, **frame: Any) -> Frame:
    client.send({"time": time.time(), **frame})
    return client.receive()


@pytest.mark.parametrize(
    ("key", "place"),
    [("account_name", "data_list"), ("user_login", "alert")],
    ids=["asked by account_name", "asked by user_login"],
)
def test_get_users_lists_those_present(key: str, place: str, server: Address, connector: Connector) -> None:
    connector.open_native(server, "dale")
    hank = connector.log_in_course(server, CLASSIC, "hank")
    got = request(hank, action="get_users", **{key: "hank"})
    assert got["response"] == 202
    assert set(got[place]) == {"dale", "hank"}


@pytest.mark.parametrize(("key", "place"), [("user", "data_list"), ("user_login", "alert")])
def test_get_contacts_answers_with_a_list(key: str, place: str, server: Address, connector: Connector) -> None:
    hank = connector.log_in_course(server, CLASSIC, "hank")
    got = request(hank, action="get_contacts", **{key: "hank"})
    assert got["response"] == 202
    assert isinstance(got[place], list)


@pytest.mark.parametrize("action", ["add", "add_contact", "remove", "del_contact"])
def test_changing_contacts_is_answered_200(action: str, server: Address, connector: Connector) -> None:
    hank = connector.log_in_course(server, CLASSIC, "hank")
    connector.open_native(server, "dale")
    assert request(hank, action=action, user="hank", account_name="dale")["response"] == 200
    assert request(hank, action=action, user_id="dale", user_login="hank")["response"] == 200


def test_get_users_names_those_present_first_and_then_the_newest(server: Address, connector: Connector) -> None:
    for name in ("gone.first", "gone.second", "gone.third"):
        left = connector.open_native(server, name)
        left.send({"action": "quit"})
        left.expect_closed()
    connector.open_native(server, "dale")
    hank = connector.log_in_course(server, CLASSIC, "hank")
    names = request(hank, action="get_users", account_name="hank")["data_list"]
    assert set(names[:2]) == {"dale", "hank"}
    assert names[2:] == ["gone.third", "gone.second", "gone.first"]


def test_a_list_is_cut_to_one_frame(server: Address, connector: Connector) -> None:
    present = {f"somebody-{number:03}" for number in range(150)}
    for name in present:
        connector.open_native(server, name)
    hank = connector.log_in_course(server, CLASSIC, "hank")
    names = request(hank, action="get_users", account_name="hank")["data_list"]
    assert len(names) > 20
    assert set(names) <= present | {"hank"}


def test_pushes_are_far_apart_after_lists_but_answers_come_at_once(server: Address, connector: Connector) -> None:
    hank, dale = connector.log_in_course(server, CLASSIC, "hank"), connector.log_in_course(server, CLASSIC, "dale")
    assert request(hank, action="get_contacts", user="hank")["response"] == 202
    dale.send_message("hank", "one")
    dale.send_message("hank", "two")
    assert hank.receive_message() == ("dale", "one")
    first = hank.arrivals[-1]
    assert request(hank, action="get_users", account_name="hank")["response"] == 202
    assert hank.receive_message() == ("dale", "two")
    assert hank.arrivals[-1] - first >= AFTER_LISTS - TOLERANCE


def test_a_broadcast_reaches_everybody_present(server: Address, connector: Connector) -> None:
    listeners = connector.log_in_courses(server, {one.name: one for one in DIALECTS})
    senders = connector.log_in_courses(server, {name: variant for name, variant, _ in BROADCAST_FRAMES})
    native, expected = connector.open_native(server, "native"), [(name, "all of you") for name, *_ in BROADCAST_FRAMES]
    for sender, (_, _, frame) in zip(senders, BROADCAST_FRAMES, strict=True):
        sender.send({"time": time.time(), **frame})
    assert run_together({one.name: lambda one=one: one.receive_messages(expected) for one in listeners}) == {}
    received = [native.next_event("msg") for _ in BROADCAST_FRAMES]
    assert {(frame["from"], frame["message"]) for frame in received} == set(expected)


def test_who_comes_after_a_broadcast_does_not_get_it(server: Address, connector: Connector) -> None:
    hank, dale = connector.log_in_course(server, CLASSIC, "hank"), connector.open_native(server, "dale")
    hank.send_message("ALL", "only for those present")
    assert dale.next_event("msg")["message"] == "only for those present"
    late = connector.open_native(server, "late")
    late.expect_no_events()


def test_broadcasts_can_be_refused(start_server: Callable[..., Address], connector: Connector) -> None:
    server = start_server(broadcast=False)
    dale, native = connector.log_in_course(server, CLASSIC, "dale"), connector.open_native(server, "native")
    hank = connector.log_in_course(server, CLASSIC, "hank")
    hank.send_message("ALL", "all of you")
    hank.send_message("native", "just you")
    hank.send_message("dale", "just you")
    assert native.receive_message() == ("hank", "just you")
    assert dale.receive_message() == ("hank", "just you")
