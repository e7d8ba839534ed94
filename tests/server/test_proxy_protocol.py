"""PROXY headers: from which addresses they are read, and what they change for the connection."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from gmessenger.wire.proxy_protocol import V2_SIGNATURE
from tests.conftest import RunningServer
from tests.support.server import open_connection

PRESENCE = b'{"action":"presence","jim":2,"user":{"account_name":"%s"%s}}\n'
LOCAL = V2_SIGNATURE + b"\x20\x00\x00\x00"
UNKNOWN = V2_SIGNATURE + b"\x21\x00\x00\x00"
Start = Callable[..., RunningServer]


def header(client: str) -> bytes:
    packed = ip_address(client).packed
    rest = packed + packed + b"\x30\x39\x1e\x61"
    return V2_SIGNATURE + (b"\x21\x11" if len(packed) == 4 else b"\x21\x21") + len(rest).to_bytes(2, "big") + rest


@pytest.fixture
def behind(start_server: Start) -> RunningServer:
    """A server that trusts PROXY headers from this machine."""
    return start_server(proxy_from=(ip_network("127.0.0.0/8"), ip_network("::1")))


def answer(sock: socket.socket) -> Any:
    return json.loads(sock.makefile("rb").readline())


def addresses(server: RunningServer) -> list[str]:
    return [session.address for session in server.app.messenger.router]


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        (header("192.0.2.7"), "192.0.2.7:12345"),
        (header("2001:db8::7"), "[2001:db8::7]:12345"),
        (header("::ffff:192.0.2.7"), "192.0.2.7:12345"),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 7777\r\n", "192.0.2.7:12345"),
    ],
)
def test_the_clients_address_is_the_one_in_the_header(behind: RunningServer, sent: bytes, address: str) -> None:
    with open_connection(behind.port) as hank:
        hank.sendall(sent + PRESENCE % (b"hank", b""))
        assert answer(hank)["response"] == 200
        assert addresses(behind) == [address]


def test_a_header_may_come_in_pieces(behind: RunningServer) -> None:
    with open_connection(behind.port) as hank:
        hank.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header("192.0.2.7"):
            hank.sendall(bytes((byte,)))
        hank.sendall(PRESENCE % (b"hank", b""))
        assert answer(hank)["response"] == 200
        assert addresses(behind) == ["192.0.2.7:12345"]


@pytest.mark.parametrize("sent", [LOCAL, UNKNOWN, b"PROXY UNKNOWN\r\n", header("127.0.0.9"), header("::1")])
def test_without_a_clients_address_it_is_the_balancers_own(behind: RunningServer, sent: bytes) -> None:
    with open_connection(behind.port) as hank:
        hank.sendall(sent + PRESENCE % (b"hank", b""))
        assert answer(hank)["response"] == 200
        assert addresses(behind) == ["{}:{}".format(*hank.getsockname())]


PASSWORD = b',"password":"long enough"'


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (header("192.0.2.7"), "password_exposed"),
        (header("127.0.0.1"), "password_exposed"),
        (header("::1"), "password_exposed"),
        (UNKNOWN, "password_exposed"),
        (LOCAL, "wrong_password"),
    ],
)
def test_no_header_makes_a_line_one_of_this_machine(behind: RunningServer, sent: bytes, code: str) -> None:
    with open_connection(behind.port) as hank:
        hank.sendall(sent + PRESENCE % (b"hank", PASSWORD))
        assert answer(hank)["code"] == code


REGISTER = b'{"action":"register","jim":2,"user":{"account_name":"hank"},"password":"long enough"}\n'
EXPOSING = {
    "register": b'"password":"long enough"',
    "password": b'"old":"long enough","new":"long enough too"',
    "forget": b'"password":"long enough"',
}
"""Requests with a password, and their fields."""


def test_no_password_is_accepted_on_an_exposed_line(behind: RunningServer) -> None:
    with open_connection(behind.port) as hank, hank.makefile("rb") as lines:
        hank.sendall(header("192.0.2.7") + REGISTER)
        assert json.loads(lines.readline())["code"] == "password_exposed"
        hank.sendall(PRESENCE % (b"hank", b""))
        assert json.loads(lines.readline())["account"] is False
        for action, fields in EXPOSING.items():
            hank.sendall(b'{"id":"x","action":"%s",%s}\n' % (action.encode(), fields))
            while (frame := json.loads(lines.readline())).get("id") != "x":
                pass
            assert (frame["response"], frame["code"]) == (403, "password_exposed"), action
    assert not behind.app.messenger.authenticator.accounts


@pytest.mark.parametrize("sent", [PRESENCE % (b"hank", b""), V2_SIGNATURE + b"\x11\x11\x00\x00", b"\x16\x03\x01"])
def test_from_a_balancer_the_header_is_a_must(behind: RunningServer, sent: bytes) -> None:
    with open_connection(behind.port) as hank:
        hank.sendall(sent)
        with contextlib.suppress(ConnectionResetError):  # it was closed over what was not read
            assert hank.recv(100) == b""


def test_who_begins_a_header_and_does_not_end_it_is_closed(start_server: Start) -> None:
    server = start_server(proxy_from=(ip_network("127.0.0.1"),), proxy_timeout=0.05)
    with open_connection(server.port) as silent, open_connection(server.port) as slow:
        slow.sendall(V2_SIGNATURE)
        assert (silent.recv(100), slow.recv(100)) == (b"", b"")


@pytest.mark.parametrize("believed", [(), (ip_network("192.0.2.0/24"),)])
def test_who_is_not_named_is_not_believed(start_server: Start, believed: Any) -> None:
    server = start_server(proxy_from=believed)
    with open_connection(server.port) as hank:
        hank.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 7777\r\n" + PRESENCE % (b"hank", b""))
        lines = hank.makefile("rb")
        while b'"response":200' not in lines.readline():
            pass
        assert addresses(server) == ["{}:{}".format(*hank.getsockname())]
