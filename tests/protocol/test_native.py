"""Native sessions: logging in, resuming, and messages with every answer they can have between guests.
Section 2 of the protocol."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.course_clients import CLASSIC, SPELLINGS, Address
from tests.support.course_forms import Frame
from tests.support.native_clients import Dial, Native

BAD_IDS = ["", "x" * 65, "ж" * 33, 5, 1.5, None, True, [], {}, ["m1"]]
PLACES = pytest.mark.parametrize("place", ["in user", "beside user"])
GOOD_IDS = ["1", "x" * 64, "ж" * 32, "a b", '"', "😀" * 16]


def test_a_guest_is_told_who_serves_what_the_limits_are_and_gets_synced_at_once(server: Address, dial: Dial) -> None:
    answer = dial.native(server).login("hank")
    assert (answer["response"], answer["jim"], answer["account"]) == (200, 2, False)
    assert isinstance(answer["session"], str) and len(answer["session"]) >= 16
    assert answer["server"].startswith("gmessenger/")
    assert answer["limits"]["frame"] == 65536 and answer["limits"]["text"] == 16384
    assert isinstance(answer["alert"], str) and answer["alert"]
    assert abs(answer["time"] - time.time()) < 60


def test_the_presence_answer_repeats_the_id(server: Address, dial: Dial) -> None:
    hank = dial.native(server)
    hank.send({"action": "presence", "jim": 2, "id": "p1", "user": {"account_name": "hank"}})
    answer = hank.recv()
    assert (answer["response"], answer["id"]) == (200, "p1")


def test_a_newer_jim_is_answered_with_this_one(server: Address, dial: Dial) -> None:
    wire = dial.wire(server)
    wire.send({"action": "presence", "jim": 3, "user": {"account_name": "hank"}})
    answer = wire.recv()
    assert (answer["response"], answer["jim"]) == (200, 2)


def test_an_older_jim_is_a_course_client(server: Address, dial: Dial) -> None:
    wire = dial.wire(server)
    wire.send({"action": "presence", "jim": 1, "user": {"account_name": "hank"}})
    assert wire.recv()["responce"] == 200


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
def test_a_refused_presence_may_be_tried_again(user: Any, response: int, server: Address, dial: Dial) -> None:
    dial.native(server, "hank")
    dale = dial.native(server)
    dale.send({"action": "presence", "jim": 2, "id": "p1", "user": user})
    answer = dale.recv()
    assert (answer["response"], answer["id"]) == (response, "p1")
    assert answer["error"] and answer["code"]
    assert response != 409 or answer["code"] == "name_in_use"
    dale.login("dale")


def test_guests_can_be_forbidden(start_server: Callable[..., Address], dial: Dial) -> None:
    hank = dial.native(start_server(guests=False))
    answer = hank.present("hank")
    assert answer["response"] == 403 and answer["error"] and answer["code"]


def test_too_many_wrong_passwords_are_answered_429_with_a_pause(server: Address, dial: Dial) -> None:
    hank = dial.native(server)
    for _ in range(100):
        answer = hank.present("hank", password="correct horse")
        if answer["response"] != 402:
            break
    assert answer["response"] == 429 and answer["retry_after"] > 0


def presence(name: str, session: str, place: str) -> Frame:
    """The protocol does not say whether `session` stands beside `user` or in it, where the password would be."""
    user: Frame = {"account_name": name}
    frame = {"action": "presence", "jim": 2, "user": user}
    (user if place == "in user" else frame)["session"] = session
    return frame


def resumed(native: Native, name: str, session: str, place: str) -> str:
    native.send(presence(name, session, place))
    answer = native.recv()
    assert (answer["response"], answer["account"]) == (200, False)
    assert native.recv()["action"] == "synced"
    return answer["session"]


@PLACES
def test_a_session_resumes_its_guest_and_replaces_the_half_dead_connection(
    place: str, server: Address, dial: Dial
) -> None:
    dead, alive, dale = dial.native(server), dial.native(server), dial.native(server, "dale")
    resumed(alive, "hank", dead.login("hank")["session"], place)
    assert [frame for frame in dead.rest() if frame.get("response") != 409] == []
    assert dale.say("hank", "still you?")["response"] == 202
    assert alive.event("msg")["message"] == "still you?"


@PLACES
def test_a_resumed_session_can_be_resumed_again(place: str, server: Address, dial: Dial) -> None:
    session = dial.native(server).login("hank")["session"]
    for _ in range(3):
        session = resumed(dial.native(server), "hank", session, place)


@PLACES
def test_a_session_resumes_after_its_connection_was_lost(place: str, server: Address, dial: Dial) -> None:
    lost = dial.native(server)
    session = lost.login("hank")["session"]
    lost.close()
    resumed(dial.native(server), "hank", session, place)


@PLACES
@pytest.mark.parametrize("session", ["", "guessed", "x" * 64, "\u00e9"])
def test_a_guessed_session_does_not_take_a_name(session: str, place: str, server: Address, dial: Dial) -> None:
    hank, thief = dial.native(server, "hank"), dial.native(server)
    thief.send(presence("hank", session, place))
    assert 400 <= thief.recv()["response"] < 500
    hank.heard_nothing()


@PLACES
def test_a_session_opens_no_other_name(place: str, server: Address, dial: Dial) -> None:
    dial.native(server, "hank")
    session, thief = dial.native(server).login("dale")["session"], dial.native(server)
    thief.send(presence("hank", session, place))
    assert 400 <= thief.recv()["response"] < 500


def test_a_message_between_guests_is_answered_202_and_carries_no_seq(server: Address, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    answer = hank.ask("msg", id="m1", to="dale", message="hi")
    assert (answer["response"], answer["id"]) == (202, "m1")
    assert "seq" not in answer and abs(answer["time"] - time.time()) < 60
    frame = dale.event()
    assert isinstance(frame.pop("time"), float)
    assert frame == {"action": "msg", "from": "hank", "to": "dale", "message": "hi"}
    hank.heard_nothing()


@pytest.mark.parametrize("identity", BAD_IDS, ids=repr)
@pytest.mark.parametrize("action", ["msg", "probe", "users"])
def test_a_bad_id_is_answered_400(identity: Any, action: str, server: Address, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    hank.send({"action": action, "id": identity, "to": "dale", "message": "hi"})
    hank.expect_bad()
    hank.heard_nothing()
    dale.heard_nothing()


@pytest.mark.parametrize("identity", GOOD_IDS, ids=repr)
def test_a_good_id_comes_back(identity: str, server: Address, dial: Dial) -> None:
    assert dial.native(server, "hank").ask("probe", id=identity)["response"] == 200


def test_the_same_id_again_is_only_echoed_for_guests(server: Address, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    for text in ("one", "two"):
        assert hank.ask("msg", id="same", to="dale", message=text)["response"] == 202
        assert dale.hear() == ("hank", text)


def test_a_name_never_seen_is_answered_404_and_a_guest_who_left_410(server: Address, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    dale.send({"action": "quit"})
    dale.expect_closed()
    for name, response in (("nobody", 404), ("dale", 410), ("DALE", 410)):
        answer = hank.say(name, "hi")
        assert answer["response"] == response and answer["error"] and answer["code"]


def test_a_message_without_id_is_answered_only_when_it_is_refused(server: Address, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    hank.send({"action": "msg", "to": "dale", "message": "hi"})
    assert dale.hear() == ("hank", "hi")
    hank.heard_nothing()
    hank.send({"action": "msg", "to": "nobody", "message": "hi"})
    answer = hank.recv()
    assert answer["response"] == 404 and "id" not in answer


@pytest.mark.parametrize("character", ["x", "ж"])
def test_a_text_over_the_limit_is_refused_and_one_within_it_passes_whole(
    character: str, server: Address, dial: Dial
) -> None:
    hank, dale = dial.native(server), dial.native(server, "dale")
    limit = hank.login("hank")["limits"]["text"]
    answer = hank.say("dale", character * (limit + 1))
    assert (answer["response"], answer["limit"]) == (413, limit)
    text = character * (limit // len(character.encode()))
    assert hank.say("dale", text)["response"] == 202
    assert dale.hear() == ("hank", text)


def test_an_empty_text_is_neither_lost_nor_answered_twice(server: Address, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    if hank.say("dale", "")["response"] == 202:
        assert dale.hear() == ("hank", "")
    hank.heard_nothing()
    dale.heard_nothing()


@pytest.mark.parametrize(
    "forged",
    [
        b'{"action":"msg","from":"peggy","to":"dale","message":"hi"}',
        b'{"action":"msg","to":"dale","message":"hi","from":"peggy","from":"server"}',
        b'{"from":"peggy","action":"msg","to":"dale","message":"hi","sender":"peggy","user":{"account_name":"peggy"}}',
        b'{"action":"msg","to":"dale","message":"hi","seq":7,"time":1,"fr\\u006fm":"peggy"}',
    ],
)
def test_the_sender_is_the_name_it_logged_in_with(forged: bytes, server: Address, dial: Dial) -> None:
    hank, dale = dial.native(server, "Hank"), dial.native(server, "dale")
    hank.send_bytes(forged + b"\n")
    line = dale.line()
    assert b'"from":"Hank"' in line and b"peggy" not in line and b'"server"' not in line and b"seq" not in line


def test_a_course_client_sends_under_the_name_it_logged_in_with_too(server: Address, dial: Dial) -> None:
    hank, dale = dial.course(server, CLASSIC, "Hank"), dial.native(server, "dale")
    forged = {"from": "peggy", "sender": "peggy", "from_user": "peggy", "user": {"account_name": "peggy"}}
    hank.send({"action": "message", "time": 1, "destination": "dale", "mess_text": "hi", **forged})
    assert dale.hear() == ("Hank", "hi")


def test_a_message_to_oneself_is_allowed_and_does_not_come_back_to_the_same_session(
    server: Address, dial: Dial
) -> None:
    hank = dial.native(server, "hank")
    assert hank.say("hank", "remember the milk")["response"] == 202
    hank.heard_nothing()


def test_native_clients_and_course_clients_of_every_spelling_exchange_messages(server: Address, dial: Dial) -> None:
    hank, clients = dial.native(server, "hank"), dial.courses(server, {one.name: one for one in SPELLINGS})
    for client in clients:
        client.say("hank", "привет")
        frame = hank.event()
        assert isinstance(frame.pop("time"), float)
        assert frame == {"action": "msg", "from": client.name, "to": "hank", "message": "привет"}
        answer = hank.say(client.name, "hello")
        assert answer["response"] == 202 and "seq" not in answer
    assert {client.hear() for client in clients} == {("hank", "hello")}
    hank.heard_nothing()


def test_a_native_and_a_course_client_cannot_share_a_name(server: Address, dial: Dial) -> None:
    dial.native(server, "hank")
    dial.stranger(server, CLASSIC, "HANK").refused()
    dial.course(server, CLASSIC, "dale")
    assert dial.native(server).present("Dale")["code"] == "name_in_use"


def test_a_burst_arrives_whole_and_in_order(server: Address, dial: Dial) -> None:
    hank, dale = dial.native(server, "hank"), dial.native(server, "dale")
    texts = [f"burst {number}" for number in range(100)]
    for text in texts:
        assert hank.say("dale", text)["response"] == 202
    assert [dale.hear()[1] for _ in texts] == texts
