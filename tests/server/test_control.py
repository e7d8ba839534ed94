"""The control socket: permissions, responses, and the state of the server after a request."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator
from inspect import Parameter, signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import gevent
import pytest

from gmessenger import log
from gmessenger.chat.admin import ADMIN_METHODS, AdminMethod, ModerationMethod
from gmessenger.chat.records import NewMessage
from gmessenger.errors import ListenError, StoreLocked
from gmessenger.paths import short_socket_path
from gmessenger.server import control, maintenance
from gmessenger.store import open_store
from gmessenger.store.sqlite.verify import verify_file
from tests.conftest import RunningServer
from tests.support.server import open_connection

Ask = Callable[..., Any]


class Operator:
    """A connection to the control socket."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        with short_socket_path(path) as address:
            self.sock.connect(address)
        self.lines = self.sock.makefile("rb")

    def says(self, line: bytes) -> dict[str, Any]:
        self.sock.sendall(line + b"\n")
        return dict(json.loads(self.lines.readline()))

    def call(self, verb: str, **arguments: Any) -> Any:
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
        assert operator.says(line)["error"] == "bad_request"
    assert operator.call("disable", name="hank") == "never_seen"
    assert operator.call("disable") == operator.call("disable", name="x", more=1) == "bad_request"
    assert operator.call("disable", name=5) == "bad_request"
    assert operator.call("accounts") == []


@pytest.mark.parametrize("name", ADMIN_METHODS)
def test_the_fields_of_a_verb_are_its_methods_parameters_in_their_order(name: str) -> None:
    row = ADMIN_METHODS[name]
    assert row.function.__doc__ and not name.startswith("_")
    is_own = type(row) is AdminMethod and not row.part
    types = get_type_hints(row.function, include_extras=is_own)
    leading = 1 + row.takes_fd + isinstance(row, ModerationMethod)  # self, the file, on whose behalf
    parameters = list(signature(row.function).parameters.values())[leading:]
    assert len(row.fields) == len(parameters)
    for field, parameter in zip(row.fields, parameters, strict=True):
        if is_own:
            assert (field.type, field.name) == (types[parameter.name], parameter.name)
        else:  # the bounds are those of the socket's own types
            assert without_bounds(field.type) == types[parameter.name], (name, field)
        if parameter.default is not Parameter.empty:
            assert field.default == parameter.default


def without_bounds(type_: Any) -> Any:
    """Return a type without its `Annotated` bounds."""
    return get_type_hints(SimpleNamespace(__annotations__={"field": type_}))["field"]


def test_the_words_of_the_control_socket_are_these() -> None:
    fields = {name: " ".join(field.name for field in row.fields) for name, row in ADMIN_METHODS.items()}
    assert fields == {
        "accounts": "",
        "add_account": "name password look_alike",
        "set_password": "name password once",
        "disable": "name",
        "enable": "name",
        "delete_account": "name",
        "add_invite": "uses seconds",
        "invites": "",
        "revoke_invite": "id",
        "rooms": "",
        "delete_room": "name",
        "room": "name",
        "set_rule": "name rule value",
        "set_room_role": "name user role",
        "shut_out": "name user seconds reason",
        "let_in": "name user",
        "silence": "name user seconds reason",
        "unsilence": "name user",
        "invite": "name user",
        "uninvite": "name user",
        "backup": "file part",
        "add_hook": "name room",
        "hooks": "room",
        "revoke_hook": "name",
        "prune": "days",
        "messages": "after limit",
        "grant": "name",
        "revoke": "name",
        "kick": "name reason",
        "mute": "name seconds reason",
        "unmute": "name",
        "ban": "name address seconds reason",
        "unban": "name address",
        "sanctions": "kind after",
        "close_room": "name reason",
        "open_room": "name",
        "erase_message": "name seq other",
        "trace": "name seq other",
        "trace_id": "name id",
        "status": "",
    }


def test_the_servers_own_accounts_change(operator: Operator, server: RunningServer) -> None:
    accounts = server.app.messenger.authenticator.accounts
    assert operator.call("add_account", name="Hank", password="correct horse") is None
    assert operator.call("add_account", name="hank", password="correct horse") == "name_taken"
    assert operator.call("disable", name="hank") is None and accounts["hank"].disabled
    assert operator.call("enable", name="hank") is None and not accounts["hank"].disabled
    assert operator.call("delete_account", name="hank") is None and not accounts
    assert operator.call("add_account", name="hank", password="correct horse") is None


def test_a_store_too_deep_for_a_sockets_address_has_one_all_the_same(
    start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 6)
    start_server(store=f"sqlite:///{deep}/messenger.db")
    operator = Operator(deep / "messenger.db.socket")
    assert operator.call("accounts") == []
    operator.close()


def test_a_second_server_is_refused_and_the_first_goes_on(
    start_server: Callable[..., RunningServer], operator: Operator
) -> None:
    with pytest.raises(StoreLocked):
        start_server()
    assert operator.call("rooms") == []


def test_a_place_where_no_socket_can_be_is_said(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    (tmp_path / "messenger.db.socket").mkdir()
    with pytest.raises(ListenError, match="control socket"):
        start_server()


def test_what_is_too_old_goes_at_the_start_and_then_regularly(
    start_server: Callable[..., RunningServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "PRUNE_INTERVAL", 0.05)
    store = open_store(f"sqlite:///{tmp_path}/messenger.db")
    hank = store.create_account("hank", "hank", "hash", 1.0).id
    post = NewMessage("hank hank", "hank", "hank", "old", 5.0, hank)
    store.append(post, lambda *_: None)
    store.flush()
    store.close()
    kept = start_server(retention_days=1.0).app.store
    for _ in range(2):
        with gevent.Timeout(10):
            while kept.export_page(0, 9)[0]:
                gevent.sleep(0.02)
        kept.append(post, lambda *_: None)
        kept.flush()


def test_whatever_happens_when_old_messages_are_dropped_it_is_tried_again() -> None:
    failures: list[tuple[str, BaseException]] = []
    ends = iter([False, True])
    maintenance.prune_regularly(None, 1.0, lambda _: next(ends), lambda *failed: failures.append(failed))  # type: ignore[arg-type]
    assert [(what, type(failure)) for what, failure in failures] == [("prune", AttributeError)] * 2


def test_a_course_guest_whose_name_becomes_an_account_is_closed_without_a_word(
    server: RunningServer, operator: Operator
) -> None:
    with socket.create_connection((server.host, server.port), timeout=10) as guest:
        guest.sendall(b'{"action":"presence","user":{"account_name":"hank"}}')
        assert json.loads(guest.recv(1024))["response"] == 200
        assert operator.call("add_account", name="hank", password="correct horse") is None
        assert guest.recv(1024) == b""


def handed(operator: Operator, path: Path, **arguments: Any) -> dict[str, Any]:
    """Ask for a backup into an open file."""
    with path.open("w+b") as target:
        line = json.dumps({"verb": "backup", "arguments": {"file": str(path), **arguments}}).encode() + b"\n"
        socket.send_fds(operator.sock, [line], [target.fileno()])
        return dict(json.loads(operator.lines.readline()))


def opened() -> set[str]:
    return {str(link) for link in Path("/proc/self/fd").iterdir()}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files")
def test_a_backup_goes_into_the_file_that_is_handed_over_and_no_file_stays_open(
    operator: Operator, server: RunningServer, tmp_path: Path
) -> None:
    operator.call("add_account", name="Hank", password="correct horse")
    assert handed(operator, tmp_path / "warm")["answer"] > 0
    before = opened()
    answer = handed(operator, tmp_path / "backup.db")
    assert answer["answer"] == (tmp_path / "backup.db").stat().st_size
    assert verify_file(tmp_path / "backup.db").counts["accounts"] == 1
    assert operator.call("accounts")  # the next request closes the file that was passed
    assert opened() <= before


def test_a_file_that_the_server_cannot_reach_by_its_path_is_written_to_all_the_same(
    operator: Operator, tmp_path: Path
) -> None:
    operator.call("add_account", name="Hank", password="correct horse")
    with (tmp_path / "there").open("w+b") as target:
        (tmp_path / "there").rename(tmp_path / "moved")
        line = json.dumps({"verb": "backup", "arguments": {"file": str(tmp_path / "there")}}).encode() + b"\n"
        socket.send_fds(operator.sock, [line], [target.fileno()])
        assert json.loads(operator.lines.readline())["answer"] > 0
    assert verify_file(tmp_path / "moved").counts["accounts"] == 1
    leftovers = {path.name for path in tmp_path.iterdir() if path.name.startswith("messenger.db.")}
    assert leftovers <= {"messenger.db.lock", "messenger.db.socket"} and not (tmp_path / "there").exists()


def test_a_backup_that_cannot_be_written_is_a_sentence(operator: Operator, server: RunningServer) -> None:
    assert "No space left" in handed(operator, Path("/dev/full"))["sentence"]
    assert operator.call("accounts") == []


def test_a_file_is_handed_over_and_never_named_by_its_number(operator: Operator, tmp_path: Path) -> None:
    assert operator.call("backup", file=str(tmp_path / "backup.db")) == "bad_request"
    assert operator.call("backup", file=str(tmp_path / "backup.db"), handle=1) == "bad_request"
    assert handed(operator, tmp_path / "backup.db", handle=1)["error"] == "bad_request"
    assert operator.call("accounts") == []


def test_files_that_nothing_was_asked_with_are_closed(
    operator: Operator, server: RunningServer, tmp_path: Path
) -> None:
    operator.call("accounts")
    before = opened()
    with (tmp_path / "some").open("w+b") as target:
        for _ in range(20):
            socket.send_fds(operator.sock, [b'{"verb":"accounts"}\n'], [target.fileno()] * 3)
            operator.lines.readline()
    assert operator.call("accounts") == []
    assert opened() <= before


def test_a_line_that_comes_in_pieces_and_two_that_come_at_once(operator: Operator) -> None:
    operator.sock.sendall(b'{"verb":"acc')
    operator.sock.sendall(b'ounts"}\n{"verb":"rooms"}\n')
    assert [json.loads(operator.lines.readline()) for _ in range(2)] == [{"answer": []}, {"answer": []}]


def test_an_operator_is_not_kept_out_by_those_who_ask_nothing(server: RunningServer, tmp_path: Path) -> None:
    idle = [Operator(tmp_path / "messenger.db.socket") for _ in range(3 * control.MAX_IDLE_CONNECTIONS)]
    late = Operator(tmp_path / "messenger.db.socket")
    assert late.call("accounts") == []
    assert idle[0].lines.readline() == b""  # it had been idle for longest
    for connection in (*idle, late):
        connection.close()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """Collect log events and their fields."""
    found: list[tuple[str, dict[str, object]]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((record.getMessage(), record.fields))  # type: ignore[attr-defined]

    monkeypatch.setattr(log.LOGGER, "handlers", [Listener()])
    monkeypatch.setattr(log.LOGGER, "level", logging.INFO)
    log.LOGGER.manager._clear_cache()  # type: ignore[attr-defined]
    return found


def test_the_log_says_who_asked_and_what_it_was_done_on(
    operator: Operator, logged: list[tuple[str, dict[str, object]]], tmp_path: Path
) -> None:
    operator.call("add_account", name="hank", password="correct horse")
    operator.call("ban", address="192.0.2.0/24", seconds=60.0, reason="spam")
    operator.call("trace", name="hank", other="dale", seq=7)
    operator.call("prune", days=90.0)
    handed(operator, tmp_path / "backup.db")
    who = {"uid": os.getuid(), "pid": os.getpid()}
    assert [fields for event, fields in logged if event == "control"] == [
        {"method": "add_account", "name": "hank", "on": None, **who},
        {"method": "ban", "name": None, "on": "address=192.0.2.0/24 seconds=60.0", **who},
        {"method": "trace", "name": "hank", "on": "other=dale seq=7", **who},
        {"method": "prune", "name": None, "on": "days=90.0", **who},
        {"method": "backup", "name": None, "on": f"file={tmp_path}/backup.db", **who},
    ]
    assert "correct horse" not in str(logged)


def test_registrations_invites_and_forgetting_are_logged(
    operator: Operator, server: RunningServer, logged: list[tuple[str, dict[str, object]]]
) -> None:
    invite = operator.call("add_invite")
    with open_connection(server.port) as sock, sock.makefile("rb") as lines:
        sock.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n')
        for request in (
            {"action": "register", "id": "r", "password": "correct horse", "invite": invite},
            {"action": "forget", "id": "f", "password": "correct horse"},
        ):
            sock.sendall(json.dumps(request).encode() + b"\n")
            while json.loads(lines.readline()).get("id") != request["id"]:
                pass
        address = "{}:{}".format(*sock.getsockname())
    shown_fields = {event: fields for event, fields in logged if event in ("invite_made", "registered", "forgotten")}
    shown = shown_fields["invite_made"]["invite"]
    assert shown_fields == {
        "invite_made": {"invite": shown},
        "registered": {"name": "hank", "address": address, "invite": shown},
        "forgotten": {"name": "hank", "address": address},
    }
    assert shown and str(shown) not in invite and invite not in str(logged)
