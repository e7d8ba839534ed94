"""Notes on a status: in presence events and in lists of users and members."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import ChatServer, UserClient
from tests.support.course_clients import settle


def user_entry(client: UserClient, name: str, action: str = "users", **fields: Any) -> dict[str, Any]:
    settle(client.server, always=True)
    return next(user for user in client.request(action, **fields)["users"] if user["account_name"] == name)


def await_presence(client: UserClient, user: dict[str, Any]) -> None:
    """Read presence events up to this one; earlier changes of a second are told together."""
    while client.next_event("presence")["user"] != user:
        pass


def test_a_note_goes_with_its_status(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for client in (hank, dale):
        assert client.request("join", room="#dev")["response"] == 200
        settle(chat_server, always=True)
    note = "back at three" + "😀" * 187
    assert dale.request("status", status="away", note=note)["response"] == 200
    shown = {"account_name": "dale", "status": "away", "note": note}
    await_presence(hank, shown)
    assert user_entry(hank, "dale") == user_entry(hank, "dale", "members", room="#dev") == shown
    assert user_entry(dale, "dale") == shown
    assert dale.request("status", status="away", note="back at four")["response"] == 200
    await_presence(hank, shown | {"note": "back at four"})
    assert dale.request("status", status="away")["response"] == 200
    await_presence(hank, {"account_name": "dale", "status": "away"})
    assert user_entry(hank, "dale") == {"account_name": "dale", "status": "away"}


@pytest.mark.parametrize("note", ["x" * 201, "two\nlines", "\x1b[31m", 5, None, ["x"], "a\0b"])
def test_a_note_that_is_refused_changes_nothing(note: Any, chat_server: ChatServer) -> None:
    dale = chat_server.log_in("dale")
    assert dale.request("status", status="away", note="back at three")["response"] == 200
    assert dale.request("status", status="busy", note=note)["response"] == 400
    assert user_entry(dale, "dale") == {"account_name": "dale", "status": "away", "note": "back at three"}


def test_of_who_has_blocked_somebody_that_one_sees_no_note(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for client in (hank, dale):
        assert client.request("join", room="#dev")["response"] == 200
        settle(chat_server, always=True)
    assert dale.request("status", status="away", note="back at three")["response"] == 200
    assert dale.request("block", user="hank")["response"] == 200
    assert user_entry(hank, "dale", "members", room="#dev") == {"account_name": "dale", "status": "offline"}


def test_pages_of_long_notes_fit_a_frame_and_leave_nobody_out(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(max_frame=4096)
    names = {f"guest{number}" for number in range(12)}
    for name in names:
        assert chat_server.log_in_guest(name).request("status", status="away", note="😀" * 200)["response"] == 200
    settle(chat_server, always=True)
    viewer, seen, more, after = chat_server.log_in_guest("viewer"), [], True, None
    while more:
        page = viewer.request("users", **({"after": after} if after else {}))
        assert len(json.dumps(page, ensure_ascii=False).encode()) <= 4096
        seen += [user["account_name"] for user in page["users"]]
        more, after = page["more"], seen[-1]
    assert sorted(seen) == sorted({*names, "viewer"})
