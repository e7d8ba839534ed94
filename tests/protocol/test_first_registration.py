"""Registering as the first request of a connection, also where guests are refused."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from gmessenger.constants import SERVER_OWNER
from tests.conftest import RunningServer
from tests.protocol.test_concurrency import Gate
from tests.support.accounts import PASSWORD, UserClient
from tests.support.course_clients import TIMEOUT, settle
from tests.support.native_clients import Connector

Connect = Callable[[], UserClient]


@pytest.fixture
def start(start_server: Callable[..., Any], connector: Connector) -> Callable[..., Connect]:
    """Start a server with options by name; returns how to connect to it."""

    def start_and_connect(**options: Any) -> Connect:
        server = start_server(**options)

        def connect() -> UserClient:
            connector.connections.append(client := UserClient(server))
            return client

        return connect

    return start_and_connect


def register(client: UserClient, name: str = "erin", **fields: Any) -> dict[str, Any]:
    """Send the first request; return its response."""
    user = {"account_name": name, "device": "d"}
    client.send({"action": "register", "jim": 2, "user": user, "password": PASSWORD, **fields})
    return client.receive()


@pytest.mark.parametrize("guests", [True, False])
def test_a_stranger_registers_and_is_logged_in(guests: bool, start: Callable[..., Connect]) -> None:
    connect = start(guests=guests)
    erin = connect()
    answer = register(erin, id="r1")
    assert (answer["response"], answer["id"], answer["jim"], answer["account"]) == (201, "r1", 2, True)
    assert "registration" not in answer
    assert erin.receive_until_synced() == []
    other = connect()
    login = other.try_log_in("erin", device="d", session=answer["session"])
    assert login["response"] == 200
    assert set(answer) - {"id"} == set(login) and answer["limits"] == login["limits"]
    assert erin.receive_until_closed()[-1]["code"] == "replaced"
    other.receive_until_synced()
    assert [device["device"] for device in other.request("devices")["devices"]] == ["d"]


def test_what_is_sent_to_the_new_account_arrives(start: Callable[..., Connect]) -> None:
    connect = start(guests=False)
    erin, dale = connect(), connect()
    for client, name in ((erin, "erin"), (dale, "dale")):
        assert register(client, name)["response"] == 201
        client.receive_until_synced()
    assert dale.send_messages("erin", "welcome") == [1]
    assert erin.next_event("msg")["message"] == "welcome"
    assert dale.request("join", room="#dev")["response"] == erin.request("join", room="#dev")["response"] == 200


@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_who_is_refused_as_a_guest_is_told_whether_it_may_register(
    registration: str, start: Callable[..., Connect]
) -> None:
    connect = start(guests=False, registration=registration)
    answer = connect().try_log_in("erin")
    assert (answer["response"], answer["code"], answer["registration"]) == (403, "guests_refused", registration)


def test_a_refused_registration_may_be_tried_again_on_the_same_connection(start: Callable[..., Connect]) -> None:
    connect = start(guests=False)
    assert register(connect(), "dale")["response"] == 201
    erin = connect()
    for fields, response, code in (
        ({"name": "dale"}, 409, "name_taken"),
        ({"name": "d\u0430le"}, 400, "bad_name"),
        ({"name": "dalе"}, 400, "bad_name"),
        ({"name": "all"}, 400, "bad_name"),
        ({"password": "short"}, 400, "bad_password"),
        ({"password": 5}, 400, "bad_request"),
        ({"user": None}, 401, "not_logged_in"),
        ({"user": {}}, 400, "bad_request"),
    ):
        answer = register(erin, **fields)  # type: ignore[arg-type]
        assert (answer["response"], answer["code"]) == (response, code), fields
    assert erin.try_log_in("dale", password="not the password")["response"] == 402
    assert register(erin)["response"] == 201


def test_a_name_that_looks_like_another_is_refused(start: Callable[..., Connect]) -> None:
    connect = start()
    assert register(connect(), "alice")["response"] == 201
    assert register(connect(), "a1ice")["code"] == "name_confusable"


def test_the_name_of_a_guest_who_is_there_is_refused(start: Callable[..., Connect]) -> None:
    connect = start()
    guest = connect().start_session("erin")
    answer = register(connect())
    assert (answer["response"], answer["code"]) == (409, "name_in_use")
    assert guest.request("probe")["response"] == 200


@pytest.mark.parametrize(
    ("registration", "invite", "code"),
    [
        ("closed", None, "registration_closed"),
        ("closed", "guessed", "registration_closed"),
        ("invite", None, "invite_refused"),
        ("invite", "guessed", "invite_refused"),
        ("open", "guessed", "invite_refused"),
    ],
)
def test_who_may_not_register_is_refused(
    registration: str, invite: str | None, code: str, start: Callable[..., Connect]
) -> None:
    connect = start(guests=False, registration=registration)
    answer = register(connect(), **({"invite": invite} if invite else {}))
    assert (answer["response"], answer["code"]) == (403, code)
    assert connect().try_log_in("erin", password=PASSWORD)["response"] == 402


def test_registrations_are_limited_by_address(start: Callable[..., Connect]) -> None:
    connect = start(guests=False, registrations_per_hour=1, limit_loopback=True)
    assert register(connect(), "one")["response"] == 201
    answer = register(connect(), "two")
    assert (answer["response"], answer["code"]) == (429, "too_many_registrations")


def test_a_registration_before_the_login_costs_both(start: Callable[..., Connect]) -> None:
    connect = start(limit_loopback=True, guest_request_rate=0.01, guest_request_burst=22, request_rate=50, patience=0.1)
    client = connect()
    codes = [register(client, password="short")["code"] for _ in range(3)]
    assert codes == ["bad_password", "bad_password", "too_fast"]


def test_a_registration_on_a_connection_that_is_logged_in_is_for_its_own_name(start: Callable[..., Connect]) -> None:
    connect = start()
    erin = connect().start_session("erin")
    user = {"account_name": "dale", "device": "d"}
    assert erin.request("register", password=PASSWORD, user=user)["code"] == "already_logged_in"
    assert erin.request("register", password=PASSWORD, user=user | {"account_name": "ERIN"})["response"] == 201


def test_of_two_who_register_a_name_at_once_one_gets_it(start: Callable[..., Connect]) -> None:
    connect = start(guests=False)
    clients = [connect() for _ in range(4)]
    answers = [gevent.spawn(register, client) for client in clients]
    responses = [answer.get(timeout=TIMEOUT)["response"] for answer in answers]
    assert sorted(responses) == [201, 409, 409, 409]


def test_a_course_client_cannot_register(start: Callable[..., Connect]) -> None:
    connect = start()
    client = connect()
    client.send({"action": "register", "user": {"account_name": "erin"}, "password": PASSWORD})
    assert connect().start_session("erin")


def test_a_guest_who_comes_while_the_name_is_registered_is_closed(
    start_server: Callable[..., RunningServer], connector: Connector, as_cluster: str
) -> None:
    if as_cluster:
        pytest.skip("looks inside the one server")
    server = start_server()
    erin, guest = UserClient(server), UserClient(server)
    connector.connections += [erin, guest]
    gate = Gate(server.app.store, "register")
    answer = gevent.spawn(register, erin)
    gate.wait_until_reached()
    guest.start_session("erin")
    gate.open()
    assert answer.get(timeout=TIMEOUT)["response"] == 201
    assert guest.receive_until_closed()[-1]["code"] == "name_taken"
    erin.receive_until_synced()
    assert erin.request("probe")["response"] == 200


def test_who_is_banned_while_the_name_is_registered_is_not_let_in(
    start_server: Callable[..., RunningServer], connector: Connector, as_cluster: str
) -> None:
    if as_cluster:
        pytest.skip("looks inside the one server")
    server = start_server(guests=False)
    connector.connections.append(erin := UserClient(server))
    gate = Gate(server.app.store, "register")
    answer = gevent.spawn(register, erin)
    gate.wait_until_reached()
    server.app.messenger.moderation.ban(SERVER_OWNER, "erin", None, None, "")
    gate.open()
    assert answer.get(timeout=TIMEOUT)["code"] == "banned"
    assert not server.app.messenger.router.sessions("erin")


def test_an_account_is_made_also_when_the_line_breaks_meanwhile(
    start_server: Callable[..., RunningServer], connector: Connector, as_cluster: str
) -> None:
    if as_cluster:
        pytest.skip("looks inside the one server")
    server = start_server(guests=False)
    connector.connections.append(erin := UserClient(server))
    gate = Gate(server.app.store, "register", after=True)
    erin.send({"action": "register", "jim": 2, "user": {"account_name": "erin"}, "password": PASSWORD})
    gate.wait_until_reached()
    erin.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    erin.sock.close()
    (connection,) = server.app.acceptor.connections
    connection.abort("the line broke")
    gate.open()
    settle(server, always=True)
    connector.connections.append(client := UserClient(server))
    assert client.try_log_in("erin", password=PASSWORD)["account"] is True
    assert server.app.supervisor.failure_count == 0
