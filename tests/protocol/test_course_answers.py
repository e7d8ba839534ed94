"""Course clients that wait for answers: to their messages, to requests for keys, and to what is not supported.

They read once in a second or two, responses and messages in one place. docs/protocol.md, section 3.
"""

import json
import time
from typing import Any

import pytest

from tests.support.accounts import ChatServer
from tests.support.course_clients import (
    AFTER_LISTS,
    CLASSIC,
    GUI,
    MSG,
    TALKATIVE,
    TOLERANCE,
    Address,
    CourseClient,
    CourseVariant,
    Frame,
    presence_form,
)
from tests.support.native_clients import Connector

MAX_WAIT = 5.0
"""Seconds that the published clients wait for an answer."""
CIPHERTEXT = "A" * 343 + "="
PUBLIC_KEY = GUI.presence("x")["user"]["pubkey"]


def request(client: CourseClient, action: str, **fields: Any) -> Frame:
    client.send({"action": action, "time": time.time(), **fields})
    return client.receive_answer()


def log_in(server: Address, connector: Connector, variant: CourseVariant, name: str) -> CourseClient:
    """Log in, and fetch the lists as these clients do."""
    client = connector.log_in_course(server, variant, name)
    for action in ("get_users", "get_contacts"):
        assert request(client, action, account_name=name)["response"] == 202
    return client


@pytest.mark.parametrize("variant", [GUI, CLASSIC], ids=lambda variant: variant.name)
def test_each_message_is_answered_ahead_of_what_waits_and_at_the_clients_pace(
    variant: CourseVariant, server: Address, connector: Connector
) -> None:
    dale, hank = connector.open_native(server, "dale"), log_in(server, connector, variant, "hank")
    dale.send_message("hank", "one")
    assert hank.receive_message() == ("dale", "one")
    dale.send_message("hank", "two")
    hank.send_message("dale", "hello")
    sent_at = time.monotonic()
    assert hank.receive_answer()["response"] == 200
    assert hank.arrivals[-1] - sent_at < MAX_WAIT
    assert hank.receive_message() == ("dale", "two")
    assert dale.receive_message() == ("hank", "hello")
    hank.check_pacing(since=len(hank.arrivals) - 3, pace=AFTER_LISTS)


def test_a_message_that_cannot_be_delivered_is_answered_400_with_the_reason(
    server: Address, connector: Connector
) -> None:
    hank = log_in(server, connector, GUI, "hank")
    hank.send_message("nobody", "hello")
    answer = hank.receive_answer()
    assert answer["response"] == 400 and answer["error"]
    hank.send({"action": "message", "to": "hank", "time": 1})
    answer = hank.receive_answer()
    assert answer["response"] == 400 and "text" in answer["error"]
    assert hank.arrivals[-1] - hank.arrivals[-2] >= AFTER_LISTS - TOLERANCE


def test_a_stored_message_is_answered_when_it_is_stored(chat_server: ChatServer) -> None:
    account, guest = chat_server.log_in("hank"), chat_server.connector.log_in_course(chat_server, GUI, "guest")
    guest.send_message("hank", "kept")
    assert guest.receive_answer()["response"] == 200
    assert account.next_event("msg")["seq"] == 1
    guest.send_message("bobby", "kept for one who is not here")
    assert guest.receive_answer()["response"] == 200
    assert [frame["message"] for frame in chat_server.log_in("bobby").backlog] == ["kept for one who is not here"]


def test_who_does_not_wait_for_answers_hears_messages_in_turn_with_them(server: Address, connector: Connector) -> None:
    dale, hank = connector.open_native(server, "dale"), log_in(server, connector, CLASSIC, "hank")
    for number in range(4):
        hank.send_message("dale", f"text {number}")
    assert [dale.receive_message()[1] for _ in range(4)] == [f"text {number}" for number in range(4)]
    dale.send_message("hank", "one")
    assert hank.receive_answer()["response"] == 200
    assert hank.receive_message() == ("dale", "one")
    assert hank.receive_answer()["response"] == 200


def test_without_lists_nothing_is_answered(server: Address, connector: Connector) -> None:
    dale, hank = connector.open_native(server, "dale"), connector.log_in_course(server, CLASSIC, "hank")
    hank.send_message("nobody", "hello")
    hank.send({"action": "dance", "time": 1})
    hank.send_message("dale", "hello")
    assert dale.receive_message() == ("hank", "hello")
    dale.send_message("hank", "the only frame")
    assert hank.receive_message() == ("dale", "the only frame")
    assert len(hank.arrivals) == 2


@pytest.mark.parametrize("action", ["pubkey_need", "get_pubkey", "pubkey_request", "get_public_key"])
def test_a_public_key_is_fetched_while_its_owner_is_here(action: str, server: Address, connector: Connector) -> None:
    dale, hank = (connector.log_in_course(server, GUI, name) for name in ("dale", "hank"))
    answer = request(hank, action, account_name="Dale")
    assert (answer["response"], answer["bin"], answer["key"]) == (511, PUBLIC_KEY, PUBLIC_KEY)
    dale.quit()
    connector.open_native(server, "dale")
    answer = request(hank, action, account_name="dale")
    assert answer["response"] == 400 and answer["error"]


def test_a_key_that_is_too_long_is_not_kept(server: Address, connector: Connector) -> None:
    presence = presence_form("user.account_name", pubkey="k" * 2049)
    dale = connector.open_raw(server)
    dale.send_bytes(json.dumps(presence("dale")).encode())
    assert dale.receive()["response"] == 200
    hank = connector.log_in_course(server, GUI, "hank")
    assert request(hank, "pubkey_need", account_name="dale")["response"] == 400


@pytest.mark.parametrize("sender", [GUI, MSG], ids=lambda variant: variant.name)
def test_an_encrypted_text_comes_whole_whoever_has_spoken(
    sender: CourseVariant, server: Address, connector: Connector
) -> None:
    dale, hank = connector.log_in_course(server, GUI, "dale"), connector.log_in_course(server, sender, "hank")
    hank.send_message("dale", CIPHERTEXT)
    assert dale.receive_message() == ("hank", CIPHERTEXT)
    hank.send_message("dale", "A" * 8000)
    assert dale.receive_message() == ("hank", "A" * 8000)


def test_users_who_are_here_are_listed_under_their_own_word(server: Address, connector: Connector) -> None:
    left = connector.open_native(server, "left")
    left.send({"action": "quit"})
    left.expect_closed()
    connector.open_native(server, "dale")
    hank = log_in(server, connector, GUI, "hank")
    answer = request(hank, "action_users")
    assert (answer["response"], set(answer["data_list"])) == (202, {"dale", "hank"})
    assert set(request(hank, "get_clients")["data_list"]) == {"dale", "hank", "left"}


def test_what_is_not_supported_is_refused_where_an_answer_is_expected(server: Address, connector: Connector) -> None:
    hank, dale = log_in(server, connector, GUI, "hank"), connector.log_in_course(server, CLASSIC, "dale")
    assert request(hank, "dance")["response"] == 400
    assert request(dale, "get_messages")["response"] == 400


@pytest.mark.parametrize(
    "first", [{"action": "authenticate"}, {"action": "sign up", "login": "hank"}, {"action": "join"}, {"hello": 1}, {}]
)
def test_a_first_request_that_is_no_presence_is_refused_and_the_client_may_go_on(
    first: Frame, server: Address, connector: Connector
) -> None:
    connection = connector.open_raw(server)
    connection.send_bytes(json.dumps(first).encode())
    answer = connection.receive()
    assert answer["response"] == 400 and answer["error"]
    connection.send_bytes(json.dumps(CLASSIC.presence("hank")).encode())
    assert connection.receive()["response"] == 200


def test_rooms_are_joined_and_left_by_request(chat_server: ChatServer) -> None:
    dale, hank = chat_server.log_in("dale"), chat_server.connector.log_in_course(chat_server, CLASSIC, "guest")
    assert request(hank, "join", room="nowhere")["response"] == 400
    assert dale.request("join", room="#dev")["response"] == 200
    assert request(hank, "join", room="dev")["response"] == 200
    dale.send_message("#dev", "hello")
    assert hank.receive_message() == ("dale", "[#dev] hello")
    assert request(hank, "leave", room="#dev")["response"] == 200
    assert request(hank, "leave", room="#dev")["response"] == 400


def test_a_key_of_its_own_for_the_recipient_comes_back(server: Address, connector: Connector) -> None:
    dale, hank = connector.open_native(server, "dale"), connector.log_in_course(server, TALKATIVE, "hank")
    hank.send_message("dale", "hello")
    assert dale.receive_message() == ("hank", "hello")
    dale.send_message("hank", "hello yourself")
    assert hank.receive_message() == ("dale", "hello yourself")
