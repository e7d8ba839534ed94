"""`--notify-command`: absent accounts are notified of direct messages and mentions, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from tests.support.accounts import ChatServer
from tests.support.timeouts import TEST_TIMEOUT


def wait_for_lines(file: Path, count: int) -> list[dict[str, Any]]:
    with gevent.Timeout(TEST_TIMEOUT):
        while not file.exists() or file.read_text("utf-8").count("\n") < count:
            gevent.sleep(0.01)
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_absent_accounts_are_notified_of_what_is_for_them(
    start_chat_server: Callable[..., ChatServer], tmp_path: Path
) -> None:
    file = tmp_path / "notified"
    chat_server = start_chat_server(notify_command=f"sh -c 'cat >> {file}'")
    hank, dale, bobby = (chat_server.log_in(name) for name in ("hank", "dale", "bobby"))
    for client in (hank, dale, bobby):
        client.request("join", room="#dev")
    assert bobby.request("settings", set={"notify": {"#dev": {"level": "none"}}, "highlights": ["deploy"]})
    for client in (dale, bobby):
        client.send({"action": "quit"})
        client.receive_until_closed()
    for to, text in (
        ("#dev", "nobody in particular"),
        ("#dev", "bobby: not today"),
        ("#dev", "ask Dale."),
        ("#dev", "dale: once a minute is enough"),
        ("bobby", "just for you"),
    ):
        assert hank.request("msg", to=to, message=text)["response"] == 200
    lines = wait_for_lines(file, 2)
    assert sorted((line["user"], line["conversation"], line["sender"], line["text"]) for line in lines) == [
        ("bobby", "hank", "hank", "just for you"),
        ("dale", "#dev", "hank", "ask Dale."),
    ]


def test_who_is_online_is_not_notified(start_chat_server: Callable[..., ChatServer], tmp_path: Path) -> None:
    file = tmp_path / "notified"
    chat_server = start_chat_server(notify_command=f"sh -c 'cat >> {file}'")
    hank, _dale, peggy = (chat_server.log_in(name) for name in ("hank", "dale", "peggy"))
    peggy.send({"action": "quit"})
    peggy.receive_until_closed()
    hank.send_messages("dale", "you are here")
    hank.send_messages("peggy", "you are not")
    assert [line["user"] for line in wait_for_lines(file, 1)] == ["peggy"]
