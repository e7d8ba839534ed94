"""A private room does not exist for who is neither in it nor invited.

docs/protocol.md, "Rules and roles of a room".
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.protocol.test_rooms import join, room_names
from tests.support.accounts import ChatServer, UserClient
from tests.support.course_clients import CLASSIC, Frame
from tests.support.moderation import expect_error, expect_ok

PRIVATE = {"invited": True, "hidden": True}
REQUESTS: tuple[tuple[str, Frame], ...] = (
    ("rule", {}),
    ("rule", {"set": {"hidden": False}}),
    ("rule", {"set": {"colour": "red"}}),
    ("role", {"user": "dale", "role": "owner"}),
    ("role", {"user": "hank", "role": "member"}),
    ("role", {"user": "bobby", "role": "member"}),
    ("members", {}),
    ("leave", {}),
    ("remove", {"user": "hank"}),
    ("remove", {"user": "nobody"}),
    ("topic", {"topic": "mine"}),
    ("msg", {"message": "hello"}),
    ("msg", {"message": "x" * 5000}),
    ("history", {}),
    ("search", {"text": "secret"}),
)


def ask(client: UserClient, action: str, room: str, fields: Frame) -> Frame:
    key = {"msg": "to", "history": "with", "search": "with"}.get(action, "room")
    answer = client.request(action, **{key: room}, **fields)
    return {name: value for name, value in answer.items() if name not in ("id", "time")}


@pytest.fixture
def private(chat_server: ChatServer) -> ChatServer:
    """A server with a private room of hank's and dale's, #secret."""
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    expect_ok(hank.request("join", room="#secret", rules={"hidden": True}))
    join(dale, "#secret")
    expect_ok(hank.request("rule", room="#secret", set=PRIVATE))
    hank.send_messages("#secret", "a secret")
    return chat_server


@pytest.mark.parametrize("kind", ["account", "guest"])
def test_every_request_is_answered_as_if_there_were_no_such_room(private: ChatServer, kind: str) -> None:
    client = private.log_in("bobby") if kind == "account" else private.log_in_guest("joe")
    for action, fields in REQUESTS:
        answer, free = (ask(client, action, room, fields) for room in ("#secret", "#nothing"))
        assert answer == free, (action, fields)
        assert answer["code"] in ("no_such_room", "accounts_only"), answer
    expect_error(client.request("join", room="#secret"), "no_such_room", 404)
    expect_error(client.request("join", room="#secret", rules={"hidden": False}), "no_such_room", 404)
    assert room_names(client.request("rooms")) == []
    assert "#secret" not in str(client.request("conversations"))


def test_a_guest_cannot_tell_by_joining_and_a_course_client_gets_no_answer(private: ChatServer) -> None:
    guest, course = private.log_in_guest("joe"), private.log_in_course(CLASSIC, "bill")
    assert ask(guest, "join", "#secret", {}) == ask(guest, "join", "#nothing", {})
    for room in ("#sec ret", "#SECRET\u200b", "#", "##secret"):
        assert ask(guest, "join", room, {})["code"] == "bad_name"
    for room in ("#secret", "#nothing"):
        course.send_message(room, "hello")


def test_a_private_rooms_name_is_in_nobodys_way_until_it_is_private_no_more(chat_server: ChatServer) -> None:
    hank, bobby = chat_server.log_in("hank"), chat_server.log_in("bobby")
    for room in ("#club", "#ball"):
        expect_ok(hank.request("join", room=room, rules=PRIVATE))
    join(bobby, "#c1ub")
    expect_ok(hank.request("rule", room="#ball", set={"hidden": False}))
    expect_error(bobby.request("join", room="#ba11"), "name_confusable", 400)
    expect_ok(hank.request("rule", room="#ball", set={"hidden": True}))
    join(bobby, "#ba11")


def test_the_price_of_a_message_tells_nothing(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(message_rate=1, message_burst=20, patience=0)
    hank = chat_server.log_in("hank")
    expect_ok(hank.request("join", room="#secret", rules=PRIVATE))
    room: Any = chat_server.server.app.messenger.rooms.get("#secret")
    for number in range(300):
        room.remote_guests[f"guest{number}"] = f"guest{number}"
    bobby = chat_server.log_in("bobby")
    for name in ("#secret", "#nothing"):
        answers = bobby.send_pipelined(name, ["hello"] * 8)
        assert [answer["code"] for answer in answers] == ["no_such_room"] * 8


def test_who_is_removed_knows_nothing_more_of_it(private: ChatServer) -> None:
    hank, dale = private.log_in("hank", "phone"), private.log_in("dale", "phone")
    expect_ok(hank.request("remove", room="#secret", user="dale"))
    assert dale.next_event("leave")["by"] == "hank"
    for action, fields in REQUESTS:
        answer, free = (ask(dale, action, room, fields) for room in ("#secret", "#nothing"))
        assert answer == free, (action, fields)
    expect_error(dale.request("join", room="#secret"), "no_such_room", 404)


def test_who_is_in_stays_in_and_a_guest_resumes(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("joe")
    join(hank, "#secret")
    join(guest, "#secret")
    expect_ok(hank.request("rule", room="#secret", set=PRIVATE))
    again = chat_server.connect()
    again.start_session("joe", session=guest.session)
    join(again, "#secret")
    again.send_messages("#secret", "still here")
    expect_ok(again.request("leave", room="#secret"))
    expect_error(again.request("join", room="#secret"), "no_such_room", 404)


def test_a_guest_that_resumes_has_its_place_in_a_full_room(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("joe")
    join(hank, "#secret")
    join(guest, "#secret")
    expect_ok(hank.request("rule", room="#secret", set={"most": 2}))
    again = chat_server.connect().start_session("joe", session=guest.session)
    join(again, "#secret")
    expect_error(chat_server.log_in_guest("kim").request("join", room="#secret"), "room_full")
