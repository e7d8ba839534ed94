"""One-time passwords, which an operator gives to who has forgotten the own one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from gmessenger.chat.admin import AdminService
from gmessenger.server.jim.commands import COMMANDS
from gmessenger.wire import events
from tests.conftest import FAST
from tests.protocol.test_malformed_requests import REQUESTS
from tests.support.accounts import PASSWORD, ChatServer, UserClient
from tests.support.course_clients import settle

ONCE, NEW = "once upon a time", "a brand new password"
HOUR = 3600.0
ALLOWED = {"password", "probe", "quit"}


def give_one_time_password(chat_server: ChatServer, hours_ago: float = 0.0) -> None:
    app = chat_server.server.app
    clock = lambda: time.time() - hours_ago * HOUR  # noqa: E731
    AdminService(app.messenger, app.store, FAST, clock).set_password("hank", ONCE, once=True)
    settle(chat_server, always=True)


def log_in(chat_server: ChatServer, password: str = ONCE, **user: Any) -> UserClient:
    return chat_server.connect().start_session("hank", password=password, **user)


def code(answer: dict[str, Any]) -> tuple[int, str]:
    return answer["response"], answer.get("code", "")


def test_nothing_but_a_new_password_is_allowed_until_it_is_changed(chat_server: ChatServer) -> None:
    dale = chat_server.log_in("dale")
    give_one_time_password(chat_server)
    hank = chat_server.connect()
    answer = hank.try_log_in("hank", password=ONCE, device="laptop")
    assert answer["response"] == 200 and 71 * HOUR < answer["password_until"] - time.time() <= 72 * HOUR
    hank.receive_until_synced()
    requests: list[Any] = [request for request in COMMANDS if request is not events.Pong]
    examples: dict[str, dict[str, Any]] = {request.__struct_config__.tag: {} for request in requests}
    for action, fields in (examples | REQUESTS).items():
        if action in ALLOWED:
            continue
        hank.send({"id": "r", "action": action, **fields})
        answer = hank.receive()
        # What lacks a field of its own is refused before.
        assert code(answer) in ((403, "password_change_needed"), (400, "bad_request")), action
        assert answer["code"] == "password_change_needed" or action not in REQUESTS
    assert hank.request("probe")["response"] == 200
    hank.send_bytes(b'{"action":"msg","to":"dale","message":"no"}\n' * 3)
    assert [hank.receive()["code"] for _ in range(3)] == ["password_change_needed"] * 3
    assert code(hank.request("password", old=ONCE, new=ONCE)) == (400, "bad_password")
    assert hank.request("password", old=ONCE, new=NEW)["response"] == 200
    assert hank.send_messages("dale", "here I am") == [1]
    assert dale.next_event("msg")["message"] == "here I am"
    hank.close()
    login = chat_server.connect().try_log_in("hank", device="laptop", password=NEW)
    assert login["response"] == 200 and "password_until" not in login
    assert chat_server.connect().try_log_in("hank", password=ONCE)["response"] == 402


def test_a_session_resumed_by_its_token_is_bound_to_change_it_too(chat_server: ChatServer) -> None:
    give_one_time_password(chat_server)
    hank = log_in(chat_server, device="laptop")
    again = chat_server.connect().start_session("hank", session=hank.session, device="laptop")
    assert code(again.request("users")) == (403, "password_change_needed")
    assert again.request("password", old=ONCE, new=NEW)["response"] == 200
    assert again.request("users")["response"] == 200


def test_it_ends_the_sessions_and_tokens_before_it(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    token = chat_server.populated_store.sessions["hank", "laptop"]
    give_one_time_password(chat_server)
    assert hank.receive_until_closed()[-1]["code"] == "password_needed"
    answer = chat_server.connect().try_log_in("hank", device="laptop", session=token)
    assert answer["code"] == "password_needed"
    assert chat_server.connect().try_log_in("hank", password=PASSWORD)["response"] == 402


def test_after_three_days_it_does_not_log_in(chat_server: ChatServer) -> None:
    give_one_time_password(chat_server, hours_ago=71.9)
    hank = log_in(chat_server, device="laptop")
    give_one_time_password(chat_server, hours_ago=72.1)
    assert code(chat_server.connect().try_log_in("hank", password=ONCE)) == (402, "wrong_password")
    answer = chat_server.connect().try_log_in("hank", device="laptop", session=hank.session)
    assert answer["response"] == 401


@pytest.mark.parametrize("resumes", [False, True])
def test_its_token_expires_with_it(resumes: bool, chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    give_one_time_password(chat_server)
    hank = log_in(chat_server, device="laptop")
    for node in getattr(chat_server.server, "nodes", [chat_server.server]):
        monkeypatch.setattr(node.app.messenger.authenticator, "_clock", lambda: time.time() + 73 * HOUR)
    proof = {"session": hank.session} if resumes else {"password": ONCE}
    assert code(chat_server.connect().try_log_in("hank", device="laptop", **proof)) == (402, "wrong_password")


def test_it_outlives_the_server(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server()
    give_one_time_password(chat_server)
    chat_server.restart()
    assert code(log_in(chat_server).request("users")) == (403, "password_change_needed")
