"""The control socket: who may connect, what is answered, and that the server's own state stays right."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.chat.administration import VERBS
from gmessenger.chat.records import Post
from gmessenger.errors import CannotListen, StoreInUse
from gmessenger.places import short_address
from gmessenger.server import retention
from gmessenger.store import open_store
from tests.conftest import RunningServer

Ask = Callable[..., Any]


class Operator:
    """A connection to the control socket."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        with short_address(path) as address:
            self.sock.connect(address)
        self.lines = self.sock.makefile("rb")

    def says(self, line: bytes) -> dict[str, Any]:
        self.sock.sendall(line + b"\n")
        return dict(json.loads(self.lines.readline()))

    def asks(self, verb: str, **arguments: Any) -> Any:
        answer = self.says(json.dumps({"verb": verb, "arguments": arguments}).encode())
        return answer.get("answer", answer.get("error"))

    def close(self) -> None:
        self.lines.close()
        self.sock.close()


@pytest.fixture
def operator(server: RunningServer, tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(tmp_path / "messenger.db.socket")
    yield operator
    operator.close()


def test_only_its_owner_may_connect_and_it_goes_with_the_server(server: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "messenger.db.socket"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server.stop()
    assert not path.exists()


def test_what_is_not_understood_is_refused_and_the_next_line_read(operator: Operator) -> None:
    for line in (b"hello", b"[]", b'{"verb":5}', b'{"verb":"fly"}', b'{"verb":"__init__"}', b"\xff", b"{}"):
        assert operator.says(line)["error"] == "BadRequest"
    assert operator.asks("disable", name="hank") == "NeverSeen"
    assert operator.asks("disable") == operator.asks("disable", name="x", more=1) == "BadRequest"
    assert operator.asks("disable", name=5) == "BadRequest"
    assert operator.asks("accounts") == []


def test_every_verb_is_documented_and_public() -> None:
    assert all(verb.__doc__ and not name.startswith("_") for name, verb in VERBS.items())


def test_the_servers_own_accounts_change(operator: Operator, server: RunningServer) -> None:
    accounts = server.app.messenger.entrance.accounts
    assert operator.asks("add_account", name="Hank", password="correct horse") is None
    assert operator.asks("add_account", name="hank", password="correct horse") == "NameTaken"
    assert operator.asks("disable", name="hank") is None and accounts["hank"].disabled
    assert operator.asks("enable", name="hank") is None and not accounts["hank"].disabled
    assert operator.asks("delete_account", name="hank") is None and not accounts
    assert operator.asks("add_account", name="hank", password="correct horse") is None


def test_a_store_too_deep_for_a_sockets_address_has_one_all_the_same(
    start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 6)
    start_server(store=f"sqlite:///{deep}/messenger.db")
    operator = Operator(deep / "messenger.db.socket")
    assert operator.asks("accounts") == []
    operator.close()


def test_a_second_server_is_refused_and_the_first_goes_on(
    start_server: Callable[..., RunningServer], operator: Operator
) -> None:
    with pytest.raises(StoreInUse):
        start_server()
    assert operator.asks("rooms") == []


def test_a_place_where_no_socket_can_be_is_said(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    (tmp_path / "messenger.db.socket").mkdir()
    with pytest.raises(CannotListen, match="control socket"):
        start_server()


def test_what_is_too_old_goes_at_the_start_and_then_regularly(
    start_server: Callable[..., RunningServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "EVERY", 0.05)
    store = open_store(f"sqlite:///{tmp_path}/messenger.db")
    hank = store.create_account("hank", "hank", "hash", 1.0).id
    post = Post("hank hank", "hank", "hank", "old", 5.0, hank)
    store.append(post, lambda *_: None)
    store.flush()
    store.close()
    kept = start_server(retention_days=1.0).app.store
    for _ in range(2):
        with gevent.Timeout(10):
            while kept.everything(0, 9)[0]:
                gevent.sleep(0.02)
        kept.append(post, lambda *_: None)
        kept.flush()


def test_whatever_happens_when_old_messages_are_dropped_it_is_tried_again() -> None:
    failures: list[tuple[str, BaseException]] = []
    ends = iter([False, True])
    retention.prune_regularly(None, 1.0, lambda _: next(ends), lambda *failed: failures.append(failed))  # type: ignore[arg-type]
    assert [(what, type(failure)) for what, failure in failures] == [("prune", AttributeError)] * 2


def test_a_course_guest_whose_name_becomes_an_account_is_closed_without_a_word(
    server: RunningServer, operator: Operator
) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as guest:
        guest.sendall(b'{"action":"presence","user":{"account_name":"hank"}}')
        assert json.loads(guest.recv(1024))["response"] == 200
        assert operator.asks("add_account", name="hank", password="correct horse") is None
        assert guest.recv(1024) == b""
