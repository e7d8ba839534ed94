"""Native sessions: logins, resumed sessions, and all responses to messages between guests.

docs/protocol.md, section 2.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.course_clients import CLASSIC, VARIANTS, Address
from tests.support.course_forms import Frame
from tests.support.native_clients import Connector, NativeClient

BAD_IDS = ["", "x" * 65, "ж" * 33, 5, 1.5, None, True, [], {}, ["m1"]]
SESSION_PLACES = pytest.mark.parametrize("place", ["in user", "beside user"])
GOOD_IDS = ["1", "x" * 64, "ж" * 32, "a b", '"', "😀" * 16]


def test_a_guest_is_told_who_serves_what_the_limits_are_and_gets_synced_at_once(
    server: Address, connector: Connector
) -> None:
    answer = connector.open_native(server).log_in("hank")
    assert (answer["response"], answer["jim"], answer["account"]) == (200, 2, False)
    assert isinstance(answer["session"], str) and len(answer["session"]) >= 16
    assert answer["server"].startswith("gmessenger/")
    assert answer["limits"]["frame"] == 65536 and answer["limits"]["text"] == 16384
    assert isinstance(answer["alert"], str) and answer["alert"]
    assert answer["features"] == ["about", "kind", "note", "rules"]
    assert abs(answer["time"] - time.time()) < 60


@pytest.mark.parametrize(
    ("options", "readable"),
    [
        ({}, "may read what is said from then on"),
        ({"new_room_rules": "history=all"}, "may read all that is kept of it"),
    ],
)
def test_the_greeting_says_what_a_newcomer_to_a_room_may_read(
    start_server: Callable[..., Any], connector: Connector, options: dict[str, Any], readable: str
) -> None:
    alert = connector.open_native(start_server(**options)).log_in("hank")["alert"]
    assert readable in alert.splitlines()[-1]


def test_the_presence_answer_repeats_the_id(server: Address, connector: Connector) -> None:
    hank = connector.open_native(server)
    hank.send({"action": "presence", "jim": 2, "id": "p1", "user": {"account_name": "hank"}})
    answer = hank.receive()
    assert (answer["response"], answer["id"]) == (200, "p1")


def test_a_newer_jim_is_answered_with_this_one(server: Address, connector: Connector) -> None:
    connection = connector.open_raw(server)
    connection.send({"action": "presence", "jim": 3, "user": {"account_name": "hank"}})
    answer = connection.receive()
    assert (answer["response"], answer["jim"]) == (200, 2)


def test_an_older_jim_is_a_course_client(server: Address, connector: Connector) -> None:
    connection = connector.open_raw(server)
    connection.send({"action": "presence", "jim": 1, "user": {"account_name": "hank"}})
    assert connection.receive()["responce"] == 200


@pytest.mark.parametrize(
    ("user", "response"),
    [
        ({"account_name": "hank"}, 409),
        ({"account_name": "HANK"}, 409),
        ({"account_name": "dale", "password": "correct horse"}, 402),
        ({"account_name": "two words"}, 400),
        ({"account_name": 5}, 400),
        ({"account_name": None}, 400),
        ({}, 400),
    ],
    ids=str,
)
def test_a_refused_presence_may_be_tried_again(user: Any, response: int, server: Address, connector: Connector) -> None:
    connector.open_native(server, "hank")
    dale = connector.open_native(server)
    dale.send({"action": "presence", "jim": 2, "id": "p1", "user": user})
    answer = dale.receive()
    assert (answer["response"], answer["id"]) == (response, "p1")
    assert answer["error"] and answer["code"]
    assert response != 409 or answer["code"] == "name_in_use"
    dale.log_in("dale")


def test_guests_can_be_forbidden(start_server: Callable[..., Address], connector: Connector) -> None:
    hank = connector.open_native(start_server(guests=False))
    answer = hank.try_log_in("hank")
    assert answer["response"] == 403 and answer["error"] and answer["code"]


def test_too_many_wrong_passwords_are_answered_429_with_a_pause(server: Address, connector: Connector) -> None:
    hank = connector.open_native(server)
    for _ in range(100):
        answer = hank.try_log_in("hank", password="correct horse")
        if answer["response"] != 402:
            break
    assert answer["response"] == 429 and answer["retry_after"] > 0


def presence(name: str, session: str, place: str) -> Frame:
    """Make a presence with `session` in `user` or beside it: the protocol leaves that open."""
    user: Frame = {"account_name": name}
    frame = {"action": "presence", "jim": 2, "user": user}
    (user if place == "in user" else frame)["session"] = session
    return frame


def resume_session(native: NativeClient, name: str, session: str, place: str) -> str:
    native.send(presence(name, session, place))
    answer = native.receive()
    assert (answer["response"], answer["account"]) == (200, False)
    assert native.receive()["action"] == "synced"
    return answer["session"]


@SESSION_PLACES
def test_a_session_resumes_its_guest_and_replaces_the_half_dead_connection(
    place: str, server: Address, connector: Connector
) -> None:
    closed, alive, dale = (
        connector.open_native(server),
        connector.open_native(server),
        connector.open_native(server, "dale"),
    )
    resume_session(alive, "hank", closed.log_in("hank")["session"], place)
    assert [frame for frame in closed.receive_until_closed() if frame.get("response") != 409] == []
    assert dale.send_message("hank", "still you?")["response"] == 202
    assert alive.next_event("msg")["message"] == "still you?"


@SESSION_PLACES
def test_a_resumed_session_can_be_resumed_again(place: str, server: Address, connector: Connector) -> None:
    session = connector.open_native(server).log_in("hank")["session"]
    for _ in range(3):
        session = resume_session(connector.open_native(server), "hank", session, place)


@SESSION_PLACES
def test_a_session_resumes_after_its_connection_was_lost(place: str, server: Address, connector: Connector) -> None:
    lost = connector.open_native(server)
    session = lost.log_in("hank")["session"]
    lost.close()
    resume_session(connector.open_native(server), "hank", session, place)


@SESSION_PLACES
@pytest.mark.parametrize("session", ["", "guessed", "x" * 64, "\u00e9"])
def test_a_guessed_session_does_not_take_a_name(
    session: str, place: str, server: Address, connector: Connector
) -> None:
    hank, thief = connector.open_native(server, "hank"), connector.open_native(server)
    thief.send(presence("hank", session, place))
    assert 400 <= thief.receive()["response"] < 500
    hank.expect_no_events()


@SESSION_PLACES
def test_a_session_opens_no_other_name(place: str, server: Address, connector: Connector) -> None:
    connector.open_native(server, "hank")
    session, thief = connector.open_native(server).log_in("dale")["session"], connector.open_native(server)
    thief.send(presence("hank", session, place))
    assert 400 <= thief.receive()["response"] < 500


def test_a_message_between_guests_is_answered_202_and_carries_no_seq(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    answer = hank.request("msg", id="m1", to="dale", message="hi")
    assert (answer["response"], answer["id"]) == (202, "m1")
    assert "seq" not in answer and abs(answer["time"] - time.time()) < 60
    frame = dale.next_event()
    assert isinstance(frame.pop("time"), float)
    assert frame == {"action": "msg", "from": "hank", "to": "dale", "message": "hi"}
    hank.expect_no_events()


@pytest.mark.parametrize("identity", BAD_IDS, ids=repr)
@pytest.mark.parametrize("action", ["msg", "probe", "users"])
def test_a_bad_id_is_answered_400(identity: Any, action: str, server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    hank.send({"action": action, "id": identity, "to": "dale", "message": "hi"})
    hank.expect_error()
    hank.expect_no_events()
    dale.expect_no_events()


@pytest.mark.parametrize("identity", GOOD_IDS, ids=repr)
def test_a_good_id_comes_back(identity: str, server: Address, connector: Connector) -> None:
    assert connector.open_native(server, "hank").request("probe", id=identity)["response"] == 200


def test_the_same_id_again_is_only_echoed_for_guests(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    for text in ("one", "two"):
        assert hank.request("msg", id="same", to="dale", message=text)["response"] == 202
        assert dale.receive_message() == ("hank", text)


def test_a_name_never_seen_is_answered_404_and_a_guest_who_left_410(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    dale.send({"action": "quit"})
    dale.expect_closed()
    for name, response in (("nobody", 404), ("dale", 410), ("DALE", 410)):
        answer = hank.send_message(name, "hi")
        assert answer["response"] == response and answer["error"] and answer["code"]


def test_a_message_without_id_is_answered_only_when_it_is_refused(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    hank.send({"action": "msg", "to": "dale", "message": "hi"})
    assert dale.receive_message() == ("hank", "hi")
    hank.expect_no_events()
    hank.send({"action": "msg", "to": "nobody", "message": "hi"})
    answer = hank.receive()
    assert answer["response"] == 404 and "id" not in answer


@pytest.mark.parametrize("character", ["x", "ж"])
def test_a_text_over_the_limit_is_refused_and_one_within_it_passes_whole(
    character: str, server: Address, connector: Connector
) -> None:
    hank, dale = connector.open_native(server), connector.open_native(server, "dale")
    limit = hank.log_in("hank")["limits"]["text"]
    answer = hank.send_message("dale", character * (limit + 1))
    assert (answer["response"], answer["limit"]) == (413, limit)
    text = character * (limit // len(character.encode()))
    assert hank.send_message("dale", text)["response"] == 202
    assert dale.receive_message() == ("hank", text)


def test_an_empty_text_is_neither_lost_nor_answered_twice(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    if hank.send_message("dale", "")["response"] == 202:
        assert dale.receive_message() == ("hank", "")
    hank.expect_no_events()
    dale.expect_no_events()


@pytest.mark.parametrize(
    "forged",
    [
        b'{"action":"msg","from":"peggy","to":"dale","message":"hi"}',
        b'{"action":"msg","to":"dale","message":"hi","from":"peggy","from":"server"}',
        b'{"from":"peggy","action":"msg","to":"dale","message":"hi","sender":"peggy","user":{"account_name":"peggy"}}',
        b'{"action":"msg","to":"dale","message":"hi","seq":7,"time":1,"fr\\u006fm":"peggy"}',
    ],
)
def test_the_sender_is_the_name_it_logged_in_with(forged: bytes, server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "Hank"), connector.open_native(server, "dale")
    hank.send_bytes(forged + b"\n")
    line = dale.receive_line()
    assert b'"from":"Hank"' in line and b"peggy" not in line and b'"server"' not in line and b"seq" not in line


def test_a_course_client_sends_under_the_name_it_logged_in_with_too(server: Address, connector: Connector) -> None:
    hank, dale = connector.log_in_course(server, CLASSIC, "Hank"), connector.open_native(server, "dale")
    forged = {"from": "peggy", "sender": "peggy", "from_user": "peggy", "user": {"account_name": "peggy"}}
    hank.send({"action": "message", "time": 1, "destination": "dale", "mess_text": "hi", **forged})
    assert dale.receive_message() == ("Hank", "hi")


def test_a_message_to_oneself_is_allowed_and_does_not_come_back_to_the_same_session(
    server: Address, connector: Connector
) -> None:
    hank = connector.open_native(server, "hank")
    assert hank.send_message("hank", "remember the milk")["response"] == 202
    hank.expect_no_events()


def test_native_clients_and_course_clients_of_every_spelling_exchange_messages(
    server: Address, connector: Connector
) -> None:
    hank, clients = (
        connector.open_native(server, "hank"),
        connector.log_in_courses(server, {one.name: one for one in VARIANTS}),
    )
    for client in clients:
        client.send_message("hank", "привет")
        frame = hank.next_event()
        assert isinstance(frame.pop("time"), float)
        assert frame == {"action": "msg", "from": client.name, "to": "hank", "message": "привет"}
        answer = hank.send_message(client.name, "hello")
        assert answer["response"] == 202 and "seq" not in answer
    assert {client.receive_message() for client in clients} == {("hank", "hello")}
    hank.expect_no_events()


def test_a_native_and_a_course_client_cannot_share_a_name(server: Address, connector: Connector) -> None:
    connector.open_native(server, "hank")
    connector.open_course(server, CLASSIC, "HANK").expect_refused()
    connector.log_in_course(server, CLASSIC, "dale")
    assert connector.open_native(server).try_log_in("Dale")["code"] == "name_in_use"


def test_a_burst_arrives_whole_and_in_order(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    texts = [f"burst {number}" for number in range(100)]
    for text in texts:
        assert hank.send_message("dale", text)["response"] == 202
    assert [dale.receive_message()[1] for _ in texts] == texts
