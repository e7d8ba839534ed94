"""Events between a request and its commit: other requests, lost connections, failing stores."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from gmessenger.chat.admin import AdminService
from gmessenger.errors import StoreUnavailable
from tests.conftest import FAST, RunningServer
from tests.support.accounts import PASSWORD, UserClient
from tests.support.course_clients import TIMEOUT, settle
from tests.support.native_clients import Connector

LogIn = Callable[..., UserClient]


class Gate:
    """Holds the next call of a method, before or `after` it is made, until `open` is called."""

    def __init__(self, owner: Any, name: str, *, after: bool = False) -> None:
        self.reached, self._opened = Event(), Event()
        self._owner, self._name, self._real, self._after = owner, name, getattr(owner, name), after
        setattr(owner, name, self._call)

    def _call(self, *arguments: Any, **more: Any) -> Any:
        setattr(self._owner, self._name, self._real)
        result = self._real(*arguments, **more) if self._after else None
        self.reached.set()
        assert self._opened.wait(TIMEOUT)
        return result if self._after else self._real(*arguments, **more)

    def wait_until_reached(self) -> None:
        assert self.reached.wait(TIMEOUT)

    def open(self) -> None:
        self._opened.set()


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server()


@pytest.fixture
def log_in(server: RunningServer, connector: Connector) -> LogIn:
    def log_in_client(name: str = "", *, account: bool = False, **login: Any) -> UserClient:
        connector.connections.append(client := UserClient(server))
        if name:
            client.start_session(name, **login)
        if account:
            client.register()
            client.receive_until_synced()
        return client

    return log_in_client


def make_admin_service(server: RunningServer) -> AdminService:
    return AdminService(server.app.messenger, server.app.store, FAST, time.time)


def take_texts(client: UserClient) -> list[str]:
    return [event["message"] for event in client.take_events()]


def test_a_token_opens_no_other_device(server: RunningServer, log_in: LogIn) -> None:
    hank = log_in("hank", account=True)
    token = hank.session
    answer = log_in().try_log_in("hank", session=token, device="phone")
    assert answer["response"] == 401 and answer["code"] == "password_needed"
    answer = log_in().try_log_in("hank", session=token, device="phone", password=PASSWORD)
    assert answer["response"] == 200 and answer["session"] != token
    assert hank.request("probe")["response"] == 200
    assert log_in().try_log_in("hank", session=token)["response"] == 200


def test_a_token_is_good_no_more_once_the_password_is_another(server: RunningServer, log_in: LogIn) -> None:
    token = log_in("hank", account=True).session
    gate = Gate(server.app.store, "begin_session")
    late = log_in()
    login = gevent.spawn(late.try_log_in, "hank", session=token)
    gate.wait_until_reached()
    make_admin_service(server).set_password("hank", "a brand new password")
    gate.open()
    assert login.get(timeout=TIMEOUT)["code"] == "password_needed"
    assert log_in().try_log_in("hank", session=token)["code"] == "password_needed"


def test_who_got_in_on_the_old_password_a_moment_before_is_out_again(server: RunningServer, log_in: LogIn) -> None:
    log_in("hank", account=True)
    gate = Gate(server.app.store, "begin_session", after=True)
    late = log_in()
    login = gevent.spawn(late.try_log_in, "hank", password=PASSWORD, device="late")
    gate.wait_until_reached()
    make_admin_service(server).set_password("hank", "a brand new password")
    gate.open()
    assert login.get(timeout=TIMEOUT)["code"] == "password_needed"


def test_who_logs_in_while_the_owner_changes_the_password_is_out_again(server: RunningServer, log_in: LogIn) -> None:
    hank = log_in("hank", account=True)
    gate = Gate(server.app.store, "begin_session", after=True)
    login = gevent.spawn(log_in().try_log_in, "hank", password=PASSWORD, device="late")
    gate.wait_until_reached()
    assert hank.request("password", old=PASSWORD, new="a brand new password")["response"] == 200
    gate.open()
    assert login.get(timeout=TIMEOUT)["code"] == "password_needed"


def test_who_logs_in_with_the_new_password_before_the_change_is_answered_stays(
    server: RunningServer, log_in: LogIn
) -> None:
    hank, new = log_in("hank", account=True), "a brand new password"
    gate = Gate(server.app.store, "change_password", after=True)
    hank.send({"action": "password", "id": "p", "old": PASSWORD, "new": new})
    gate.wait_until_reached()
    other = log_in("hank", password=new, device="other")
    gate.open()
    assert hank.receive()["response"] == 200
    assert other.request("probe")["response"] == 200


def test_of_two_new_passwords_at_once_the_second_is_refused(server: RunningServer, log_in: LogIn) -> None:
    laptop, new = log_in("hank", account=True), ("the first new one", "the second new one")
    phone = log_in("hank", password=PASSWORD, device="phone")
    gate = Gate(server.app.store, "change_password")
    laptop.send({"action": "password", "id": "p", "old": PASSWORD, "new": new[0]})
    gate.wait_until_reached()
    assert phone.request("password", old=PASSWORD, new=new[1])["response"] == 200
    gate.open()
    assert log_in().try_log_in("hank", password=new[0])["code"] == "wrong_password"
    assert log_in().try_log_in("hank", password=new[1])["response"] == 200


def test_who_logs_in_again_before_the_logout_of_the_device_is_answered_stays(
    server: RunningServer, log_in: LogIn
) -> None:
    hank = log_in("hank", account=True)
    phone = log_in("hank", password=PASSWORD, device="phone")
    gate = Gate(server.app.store, "drop_tokens", after=True)
    dropping = gevent.spawn(hank.request, "drop", device="phone")
    gate.wait_until_reached()
    again = log_in("hank", password=PASSWORD, device="phone")
    gate.open()
    assert dropping.get(timeout=TIMEOUT)["response"] == 200
    assert phone.receive_until_closed()[-1]["code"] == "replaced"
    assert again.request("probe")["response"] == 200
    assert log_in().try_log_in("hank", session=again.session, device="phone")["response"] == 200


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_client_that_connects_again_while_it_changes_the_password_goes_on(
    is_stored: bool, server: RunningServer, log_in: LogIn
) -> None:
    hank, new = log_in("hank", account=True), "a brand new password"
    phone = log_in("hank", password=PASSWORD, device="phone")
    gate = Gate(server.app.store, "change_password", after=is_stored)
    hank.send({"action": "password", "id": "p", "old": PASSWORD, "new": new})
    gate.wait_until_reached()
    again = log_in("hank", session=hank.session)
    resent = gevent.spawn(again.request, "password", old=PASSWORD, new=new)
    if is_stored:
        assert resent.get(timeout=TIMEOUT)["response"] == 200
    gate.open()
    assert resent.get(timeout=TIMEOUT)["response"] == 200
    assert phone.receive_until_closed()[-1]["code"] == "password_needed"
    assert again.request("probe")["response"] == 200
    assert log_in().try_log_in("hank", password=new, device="other")["response"] == 200


def test_a_login_by_the_token_that_changes_the_password_is_let_in(server: RunningServer, log_in: LogIn) -> None:
    hank = log_in("hank", account=True)
    gate = Gate(server.app.store, "begin_session", after=True)
    again = log_in()
    login = gevent.spawn(again.try_log_in, "hank", session=hank.session)
    gate.wait_until_reached()
    assert hank.request("password", old=PASSWORD, new="a brand new password")["response"] == 200
    gate.open()
    assert login.get(timeout=TIMEOUT)["response"] == 200
    again.receive_until_synced()
    assert again.request("probe")["response"] == 200


def test_a_password_that_the_operator_sets_meanwhile_is_the_one(server: RunningServer, log_in: LogIn) -> None:
    hank, last = log_in("hank", account=True), "the operator's password"
    gate = Gate(server.app.store, "change_password", after=True)
    hank.send({"action": "password", "id": "p", "old": PASSWORD, "new": "a brand new password"})
    gate.wait_until_reached()
    make_admin_service(server).set_password("hank", last)
    gate.open()
    assert hank.receive_until_closed()[-1]["code"] == "password_needed"
    settle(server, always=True)
    account = server.app.messenger.authenticator.accounts["hank"]
    assert account.generation == 2
    assert log_in().try_log_in("hank", password=last)["response"] == 200


def test_a_device_that_is_dropped_while_it_logs_in_is_not_let_in(server: RunningServer, log_in: LogIn) -> None:
    hank = log_in("hank", account=True)
    gate = Gate(server.app.store, "begin_session", after=True)
    login = gevent.spawn(log_in().try_log_in, "hank", password=PASSWORD, device="late")
    gate.wait_until_reached()
    assert hank.request("drop", device="late")["response"] == 200
    gate.open()
    assert login.get(timeout=TIMEOUT)["code"] == "password_needed"
    assert [each["device"] for each in hank.request("devices")["devices"]] == ["default"]


def test_registering_is_carried_through_when_the_line_breaks(server: RunningServer, log_in: LogIn) -> None:
    hank = log_in("hank")
    gate = Gate(server.app.store, "register", after=True)
    hank.send({"action": "register", "id": "r", "password": PASSWORD})
    gate.wait_until_reached()
    hank.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    hank.sock.close()
    (connection,) = server.app.acceptor.connections
    connection.abort("the line broke")
    gate.open()
    assert log_in().try_log_in("hank")["code"] == "password_needed"
    assert log_in().try_log_in("hank", password=PASSWORD)["account"] is True


def test_who_resumed_the_guest_meanwhile_is_told_that_it_is_an_account(server: RunningServer, log_in: LogIn) -> None:
    hank = log_in("hank")
    gate = Gate(server.app.store, "register")
    hank.send({"action": "register", "id": "r", "password": PASSWORD})
    gate.wait_until_reached()
    other = log_in()
    assert other.try_log_in("hank", session=hank.session)["account"] is False
    gate.open()
    while "code" not in (frame := other.receive()):
        pass
    assert frame["code"] == "name_taken"
    assert log_in().try_log_in("hank", password=PASSWORD)["account"] is True


def test_a_guest_who_registers_and_is_resumed_meanwhile_stays_in_its_rooms(
    server: RunningServer, log_in: LogIn
) -> None:
    dale, hank = log_in("dale", account=True), log_in("hank")
    for client in (dale, hank):
        assert client.request("join", room="#dev")["response"] == 200
    gate = Gate(server.app.store, "register")
    hank.send({"action": "register", "id": "r", "password": PASSWORD})
    gate.wait_until_reached()
    other = log_in()
    assert other.try_log_in("hank", session=hank.session)["account"] is False
    gate.open()
    other.receive_until_closed()
    again = log_in("hank", password=PASSWORD)
    members = again.request("members", room="#dev")["users"]
    assert {member["account_name"] for member in members} == {"dale", "hank"}


def test_a_guest_who_registers_stays_in_its_rooms(log_in: LogIn) -> None:
    dale, gus = log_in("dale", account=True), log_in("gus")
    for client in (dale, gus):
        assert client.request("join", room="#dev")["response"] == 200
    dale.send_messages("#dev", "one")
    gus.receive_messages(1)
    gus.register()
    gus.receive_until_synced()
    dale.send_messages("#dev", "two")
    assert [event["message"] for event in gus.receive_messages(1)] == ["two"]
    assert gus.send_message("#dev", "three")["seq"] == 3
    gus.close()
    (stored,) = [user for user in dale.request("members", room="#dev")["users"] if user["account_name"] == "gus"]
    assert stored["status"] in ("online", "offline")  # a member, whether it is here or not


def test_what_is_said_to_a_name_while_it_registers_is_kept_for_it(server: RunningServer, log_in: LogIn) -> None:
    dale, hank = log_in("dale", account=True), log_in("hank")
    gate = Gate(server.app.store, "register", after=True)
    registering = gevent.spawn(hank.register)
    gate.wait_until_reached()
    assert dale.send_message("hank", "hello, first words")["seq"] == 1
    gate.open()
    registering.get(timeout=TIMEOUT)
    hank.receive_until_synced()
    assert log_in("hank", password=PASSWORD, device="x").history("dale")[0]["message"] == "hello, first words"


def test_a_login_meanwhile_is_not_sent_the_past_of_a_room(server: RunningServer, log_in: LogIn) -> None:
    dale = log_in("dale", account=True)
    dale.request("join", room="#dev")
    dale.send_messages("#dev", "said before")
    hank = log_in("hank", account=True)
    gate = Gate(server.app.store, "begin_session", after=True)
    phone = log_in()
    login = gevent.spawn(phone.start_session, "hank", password=PASSWORD, device="phone")
    gate.wait_until_reached()
    assert hank.request("join", room="#dev")["response"] == 200
    gate.open()
    login.get(timeout=TIMEOUT)
    dale.send_messages("#dev", "said after")
    assert [event["message"] for event in phone.receive_messages(1)] == ["said after"] and phone.backlog == []


def test_the_other_device_of_who_joins_misses_nothing(server: RunningServer, log_in: LogIn) -> None:
    dale = log_in("dale", account=True)
    dale.request("join", room="#dev")
    hank = log_in("hank", account=True, device="laptop")
    phone = log_in("hank", password=PASSWORD, device="phone")
    gate = Gate(server.app.store, "join", after=True)
    joining = gevent.spawn(hank.request, "join", room="#dev")
    gate.wait_until_reached()
    dale.send_messages("#dev", "said while hank came in")
    gate.open()
    joining.get(timeout=TIMEOUT)
    for device in (hank, phone):
        assert [event["message"] for event in device.receive_messages(1)] == ["said while hank came in"]


def test_nobody_speaks_in_or_enters_a_room_that_is_being_deleted(server: RunningServer, log_in: LogIn) -> None:
    dale, hank = log_in("dale", account=True), log_in("hank", account=True)
    dale.request("join", room="#dev")
    dale.send_messages("#dev", "old")
    gate = Gate(server.app.store, "delete_room")
    deleting = gevent.spawn(make_admin_service(server).delete_room, "#dev")
    gate.wait_until_reached()
    assert (hank.request("join", room="#dev")["code"], dale.send_message("#dev", "x")["code"]) == (
        "no_such_room",
        "no_such_room",
    )
    gate.open()
    deleting.get(timeout=TIMEOUT)
    assert hank.request("join", room="#dev")["seq"] == 0


@pytest.mark.parametrize("action", ["uninvite", "shut_out"])
def test_who_is_not_invited_any_more_while_it_joins_is_told_of_no_private_room(
    action: str, server: RunningServer, log_in: LogIn
) -> None:
    hank, dale = log_in("hank", account=True), log_in("dale", account=True)
    hank.request("join", room="#dev", rules={"invited": True, "hidden": True})
    hank.request("invite", room="#dev", user="dale")
    gate = Gate(server.app.messenger.room_service._membership, "_add_member")
    joining = gevent.spawn(dale.request, "join", room="#dev")
    gate.wait_until_reached()
    assert hank.request(action, room="#dev", user="dale")["response"] == 200
    gate.open()
    assert joining.get(timeout=TIMEOUT)["code"] == "no_such_room"


def test_a_room_made_anew_is_heard_by_those_who_had_left_the_old_one(server: RunningServer, log_in: LogIn) -> None:
    dale, hank = log_in("dale", account=True), log_in("hank", account=True)
    for client in (dale, hank):
        client.request("join", room="#dev")
    dale.send_messages("#dev", "old 1", "old 2", "old 3")
    hank.receive_messages(3)
    hank.request("leave", room="#dev")
    make_admin_service(server).delete_room("#dev")
    for client in (dale, hank):
        client.request("join", room="#dev")
    dale.send_messages("#dev", "new 1", "new 2")
    assert [event["message"] for event in hank.receive_messages(2)] == ["new 1", "new 2"]


@pytest.mark.parametrize("verb", ["remove", "leave"])
def test_leaving_that_could_not_be_stored_can_be_asked_again(
    server: RunningServer, log_in: LogIn, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    dale, hank = log_in("dale", account=True), log_in("hank", account=True)
    for client in (dale, hank):
        client.request("join", room="#dev")

    def no_room(*_: Any) -> None:
        raise StoreUnavailable

    def leave_or_remove() -> dict[str, Any]:
        return (
            dale.request("remove", room="#dev", user="hank") if verb == "remove" else hank.request("leave", room="#dev")
        )

    with monkeypatch.context() as disk:
        disk.setattr(server.app.store, "leave", no_room)
        assert leave_or_remove()["response"] == 503
    dale.send_messages("#dev", "he is still in")
    assert [event["message"] for event in hank.receive_messages(1)] == ["he is still in"]
    assert leave_or_remove()["response"] == 200
    dale.send_messages("#dev", "secret")
    assert hank.request("history", **{"with": "#dev"})["code"] == "not_member"
    assert log_in("hank", password=PASSWORD, device="b").backlog == []


def test_a_guest_who_stays_is_given_all_that_was_answered(
    start_server: Callable[..., RunningServer], connector: Connector
) -> None:
    server = start_server(outbox_frames=100)
    dale, guest = (UserClient(server) for _ in range(2))
    connector.connections += [dale, guest]
    dale.start_session("dale").register()
    dale.receive_until_synced()
    guest.start_session("guest")
    gate = Gate(server.app.store.writer, "_commit")
    for number in range(300):  # more than the guest's outbox holds, all of it on its way to the disk
        dale.send({"action": "msg", "id": str(number), "to": "guest", "message": "text"})
    gate.wait_until_reached()
    gate.open()
    answers: list[int] = []
    while len(answers) < 300:
        answers += [frame["response"]] if "response" in (frame := dale.receive()) else []
    assert set(answers) == {200, 429}
    assert len(guest.receive_messages(answers.count(200))) == answers.count(200)


def test_nothing_is_said_any_more_once_all_is_forgotten(server: RunningServer, log_in: LogIn) -> None:
    dale, hank = log_in("dale", account=True), log_in("hank", account=True)
    phone = log_in("hank", password=PASSWORD, device="phone")
    gate = Gate(server.app.store, "erase_messages", after=True)
    forgetting = gevent.spawn(hank.request, "forget", password=PASSWORD)
    gate.wait_until_reached()
    with pytest.raises((EOFError, OSError, AssertionError)):
        phone.send_message("dale", "too late")
    gate.open()
    assert forgetting.get(timeout=TIMEOUT)["response"] == 200
    assert dale.request("users")["response"] == 200 and take_texts(dale) == []


def test_an_account_that_could_not_be_deleted_is_what_it_was(
    server: RunningServer, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in("hank", account=True)

    def no_room(_: int) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as disk:
        disk.setattr(server.app.store, "delete_account", no_room)
        with pytest.raises(StoreUnavailable):
            make_admin_service(server).delete_account("hank")
    assert log_in().try_log_in("hank")["code"] == "password_needed"
    assert log_in().try_log_in("hank", password=PASSWORD)["response"] == 200
    make_admin_service(server).delete_account("hank")
    assert log_in().try_log_in("hank", password=PASSWORD)["code"] == "wrong_password"
    assert log_in().try_log_in("hank")["account"] is False
