"""One's own account: a new password, and the sessions that end by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import PASSWORD, ChatServer, UserClient

NEW = "a brand new password"


def change_password(client: UserClient, old: Any = PASSWORD, new: Any = NEW) -> dict[str, Any]:
    return client.request("password", old=old, new=new)


def closed_with(client: UserClient) -> tuple[int, str]:
    """Return status and code of the error with which a connection was closed."""
    (error,) = [frame for frame in client.receive_until_closed() if "response" in frame]
    return error["response"], error["code"]


def test_a_new_password_ends_every_other_session_and_this_one_goes_on(chat_server: ChatServer) -> None:
    laptop, phone, dale = chat_server.log_in("hank"), chat_server.log_in("hank", "phone"), chat_server.log_in("dale")
    assert change_password(laptop)["response"] == 200
    assert closed_with(phone) == (401, "password_needed")
    assert dale.send_messages("hank", "still here?") == [1]
    assert laptop.next_event("msg")["message"] == "still here?"


def test_after_a_new_password_only_the_token_of_this_session_is_good(chat_server: ChatServer) -> None:
    tokens = {}
    for device in ("laptop", "phone", "tablet"):
        client = chat_server.connect().start_session("hank", password=PASSWORD, device=device)
        tokens[device] = client.session
        if device == "tablet":
            client.close()
        if device == "laptop":
            laptop = client
    assert change_password(laptop)["response"] == 200
    for device in ("phone", "tablet"):
        answer = chat_server.connect().try_log_in("hank", device=device, session=tokens[device])
        assert (answer["response"], answer["code"]) == (401, "password_needed")
    assert chat_server.connect().try_log_in("hank", device="laptop", session=tokens["laptop"])["response"] == 200
    assert chat_server.connect().try_log_in("hank", device="new", password=PASSWORD)["response"] == 402
    assert chat_server.connect().try_log_in("hank", device="new", password=NEW)["response"] == 200


def test_a_password_is_changed_again_and_back(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    for old, new in ((PASSWORD, NEW), (NEW, PASSWORD), (PASSWORD, NEW)):
        assert change_password(hank, old, new)["response"] == 200
    assert hank.request("probe")["response"] == 200


@pytest.mark.parametrize(
    ("old", "new", "response", "code"),
    [
        ("not the password", NEW, 402, "wrong_password"),
        ("", NEW, 402, "wrong_password"),
        (PASSWORD, "short", 400, "bad_password"),
        (PASSWORD, "", 400, "bad_password"),
        (PASSWORD, "x" * 1025, 400, "bad_password"),
        (PASSWORD, "ж" * 513, 400, "bad_password"),
    ],
)
def test_a_password_that_is_refused_changes_nothing(
    old: str, new: str, response: int, code: str, chat_server: ChatServer
) -> None:
    hank, phone = chat_server.log_in("hank"), chat_server.log_in("hank", "phone")
    answer = change_password(hank, old, new)
    assert (answer["response"], answer["code"]) == (response, code)
    assert phone.request("probe")["response"] == 200
    assert chat_server.connect().try_log_in("hank", device="new", password=PASSWORD)["response"] == 200


def test_a_guest_has_no_password_to_change(chat_server: ChatServer) -> None:
    answer = change_password(chat_server.log_in_guest("gus"))
    assert (answer["response"], answer["code"]) == (403, "accounts_only")


def test_wrong_passwords_are_counted_whatever_they_are_given_for(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    for _ in range(5):
        assert change_password(hank, "not the password")["code"] == "wrong_password"
        assert hank.request("forget", password="not the password")["code"] == "wrong_password"
    for answer in (change_password(hank), hank.request("forget", password=PASSWORD)):
        assert (answer["response"], answer["code"]) == (429, "too_many_failures") and answer["retry_after"] > 0
    assert hank.request("probe")["response"] == 200


def test_strangers_to_an_account_are_limited_by_address_too(start_chat_server: Callable[..., ChatServer]) -> None:
    hank = start_chat_server(limit_loopback=True, failures_per_ip=3).log_in("hank")
    codes = [change_password(hank, "not the password")["code"] for _ in range(4)]
    assert codes == ["wrong_password"] * 3 + ["too_many_failures"]


def test_a_new_password_outlives_the_server(chat_server: ChatServer) -> None:
    assert change_password(chat_server.log_in("hank"))["response"] == 200
    chat_server.restart()
    assert chat_server.connect().try_log_in("hank", password=PASSWORD)["response"] == 402
    assert chat_server.connect().try_log_in("hank", password=NEW)["response"] == 200
