"""The requests `export` and `forget`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import RunningServer
from tests.support.admin_cli import AdminTestClient

PASSWORD = "correct horse"
Enter = Callable[..., AdminTestClient]


@pytest.fixture
def enter(server: RunningServer) -> Iterator[Enter]:
    """Log in to an account, which is registered the first time."""
    lines: list[AdminTestClient] = []

    def enter(name: str, *, registering: bool = True, **user: Any) -> AdminTestClient:
        lines.append(line := AdminTestClient(server.port))
        if line.log_in(name, **user)["response"] == 401:
            assert line.log_in(name, password=PASSWORD, **user)["response"] == 200
        elif registering:
            assert line.request(action="register", id="r", password=PASSWORD)["response"] == 201
        return line

    yield enter
    for line in lines:
        line.close()


def says(line: AdminTestClient, to: str, *texts: str) -> None:
    for number, text in enumerate(texts):
        answer = line.request(action="msg", id=f"{to}{number}{text[:20]}", to=to, message=text)
        assert answer["response"] == 200, answer


def exported(line: AdminTestClient) -> list[dict[str, Any]]:
    found, answer = [], {"more": True, "after": 0}
    while answer["more"]:
        answer = line.request(action="export", id="e", after=answer["after"])
        assert answer["response"] == 200, answer
        found += answer["messages"]
    return found


def test_an_export_is_all_that_one_may_read_oldest_first(enter: Enter) -> None:
    hank, dale = enter("hank"), enter("dale")
    says(dale, "dale", "to myself")
    hank.request(action="join", id="j", room="#dev")
    says(hank, "#dev", "in the room")
    says(hank, "dale", "to dale")
    says(dale, "hank", "to hank")
    assert [(message["with"], message["message"]) for message in exported(hank)] == [
        ("#dev", "in the room"),
        ("dale", "to dale"),
        ("dale", "to hank"),
    ]


def test_an_export_in_pages_neither_leaves_out_nor_repeats(enter: Enter) -> None:
    hank = enter("hank")
    texts = [f"{number} " + "ж" * 9000 for number in range(20)]  # three or four to a frame
    says(hank, "hank", *texts)
    assert [message["message"] for message in exported(hank)] == texts


def test_a_guest_has_nothing_to_export_or_forget(enter: Enter) -> None:
    guest = enter("bobby", registering=False)
    for answer in (guest.request(action="export", id="e"), guest.request(action="forget", id="f", password=PASSWORD)):
        assert (answer["response"], answer["code"]) == (403, "accounts_only")


def test_forgetting_erases_what_was_said_and_frees_the_name(enter: Enter, server: RunningServer) -> None:
    hank, phone, dale = enter("hank"), enter("hank", device="phone"), enter("dale")
    says(hank, "dale", "secret")
    says(phone, "dale", "secret too")
    says(dale, "hank", "kept")
    assert hank.request(action="forget", id="f", password="wrong password")["response"] == 402
    assert hank.request(action="forget", id="f", password=PASSWORD)["response"] == 200
    assert hank.receive()["code"] == "account_deleted" and hank.reader.readline() == b""
    assert "account_deleted" in [json.loads(line).get("code") for line in phone.reader]
    history = dale.request(action="history", id="h", **{"with": "hank"})["messages"]
    assert [(message["message"], message.get("erased")) for message in history] == [
        ("", True),
        ("", True),
        ("kept", None),
    ]
    assert dale.request(action="search", id="s", text="secret")["messages"] == []
    fresh = enter("hank")
    assert exported(fresh) == []
    assert server.app.store.backlog(1) == {}
