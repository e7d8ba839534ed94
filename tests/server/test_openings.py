"""Connections that begin with another protocol than JIM are closed before anything is handled."""

from __future__ import annotations

import json
import logging
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gmessenger import log
from gmessenger.client import Client, TlsConfig
from gmessenger.errors import Refused, TlsRequired, Unreachable
from tests.client.conftest import SHORT_TIMEOUTS
from tests.conftest import RunningServer
from tests.server.test_proxy_protocol import header
from tests.server.test_tls import until
from tests.support.native_clients import Connector
from tests.support.server import open_connection
from tests.support.tls import CertificateAuthority

PRESENCE = b'{"action":"presence","jim":2,"user":{"account_name":"webpage"}}\n'
BODY = PRESENCE + b'{"action":"msg","id":"x","to":"hank","message":"from a page"}\n'
COURSE = b'{"action":"presence","user":{"account_name":"webpage"}}{"action":"msg","to":"hank","text":"from a page"}'
REQUEST = b" /x HTTP/1.1\r\nHost: localhost:7777\r\nContent-Type: text/plain\r\nContent-Length: 500\r\n\r\n"
OPENINGS = {
    "POST": b"POST" + REQUEST,
    "unknown method": b"FROB" + REQUEST,
    "lower case": b"frob" + REQUEST,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "blank lines before": b"\r\n\r\nPOST" + REQUEST,
    "long target": b"FROB /" + b"a" * 30_000 + b"?" + REQUEST[2:],
    "ClientHello": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "SOCKS5": b"\x05\x01\x00",
    "SOCKS4": b"\x04\x01\x1e\x61\x7f\x00\x00\x01\x00\n",
    "TURN": b"\x00\x03\x00\x50\x21\x12\xa4\x42aaaaaaaaaaaa\x00\x06\x00\x40\n",
    "SMB": b"\x00\x00\x00\x45\xffSMBr\n",
}
Start = Callable[..., RunningServer]


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def server(start_server: Start, authority: CertificateAuthority) -> RunningServer:
    return start_server(
        tls_certificate=str(authority.issue()), tls_port=0, proxy_from=(ip_network("127.0.0.0/8"),), login_timeout=5.0
    )


def connect(server: RunningServer, authority: CertificateAuthority, way: str) -> socket.socket:
    """Connect to one of the server's two ports, with a PROXY header if the server expects one."""
    tls = way == "tls"
    sock = open_connection(server.app.tls_port if tls else server.port)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(header("192.0.2.7"))
    return authority.context.wrap_socket(sock, server_hostname="localhost") if tls else sock


def rest(sock: socket.socket) -> bytes:
    came = b""
    try:
        while data := sock.recv(65_536):
            came += data
    except ConnectionResetError:
        pass
    return came


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize("way", ["plain", "tls"])
@pytest.mark.parametrize("opening", OPENINGS)
def test_another_protocol_is_closed_before_anything_of_it_is_acted_upon(
    opening: str, way: str, slowly: bool, server: RunningServer, authority: CertificateAuthority
) -> None:
    sent = OPENINGS[opening]
    pieces = [sent[:40_000][place : place + 1] for place in range(len(sent))] if slowly and len(sent) < 1000 else [sent]
    with connect(server, authority, way) as sock:
        try:
            for piece in [*pieces, BODY, COURSE]:
                sock.sendall(piece)
        except OSError:
            pass  # it was closed before the last of it
        answered = rest(sock)
    assert b'"response":200' not in answered
    assert "webpage" not in server.app.messenger.router.names
    assert "webpage" not in server.app.messenger.recent_names
    assert server.app.messenger.stats.relayed == 0
    assert sum(server.app.acceptor.rejected_count.values()) == 1


def test_http_is_answered_in_http(server: RunningServer, authority: CertificateAuthority) -> None:
    for way in ("plain", "tls"):
        with connect(server, authority, way) as sock:
            sock.sendall(OPENINGS["POST"] + BODY)
            assert rest(sock).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.app.acceptor.rejected_count["http"] == 2


def test_it_is_in_the_log(
    server: RunningServer, authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    log.LOGGER.propagate = True
    caplog.set_level(logging.INFO, "gmessenger")
    with connect(server, authority, "plain") as sock:
        sock.sendall(OPENINGS["SSH"])
        assert rest(sock) == b""
    rejections: list[Any] = [record.fields for record in caplog.records if record.message == "connection_refused"]  # type: ignore[attr-defined]
    assert rejections == [{"address": "192.0.2.7:12345", "reason": "it speaks ssh"}]


@pytest.mark.parametrize(
    "rubbish", [b"hello\n", b"\x00\xff\x16\x03\x01\n", b"POSTAL code\n", b"]\n", b"\xef\xbb\xbf\r\n"]
)
def test_a_clumsy_client_gets_in(rubbish: bytes, server: RunningServer, authority: CertificateAuthority) -> None:
    for way in ("plain", "tls"):
        with connect(server, authority, way) as sock:
            sock.sendall(rubbish + PRESENCE)
            lines = sock.makefile("rb")
            assert json.loads(lines.readline())["code"] == "bad_frame"
            assert json.loads(lines.readline())["response"] == 200


def test_a_plain_client_on_the_tls_port_is_told(start_server: Start, authority: CertificateAuthority) -> None:
    server = start_server(tls_certificate=str(authority.issue()), tls_port=0)
    for sent in (PRESENCE, b" ", b"rubbish", PRESENCE * 1000):
        with open_connection(server.app.tls_port) as sock:
            sock.sendall(sent)
            answer = json.loads(rest(sock))
        assert (answer["response"], answer["code"]) == (400, "tls_needed")
    with open_connection(server.app.tls_port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert rest(sock).startswith(b"HTTP/1.1 400 ")
    until(lambda: not server.app.connection_count)
    assert server.app.acceptor.rejected_count == {"not_tls": 5}


def test_our_client_says_so_in_both_directions(start_server: Start, authority: CertificateAuthority) -> None:
    server = start_server(tls_certificate=str(authority.issue()), tls_port=0)
    with pytest.raises(Refused, match="This port speaks TLS: connect with TLS") as caught:
        Client("127.0.0.1", server.app.tls_port, "hank", timeouts=SHORT_TIMEOUTS).start()
    assert isinstance(caught.value.__cause__, TlsRequired)
    with pytest.raises(Unreachable, match=r"that port does not use TLS .*connect without TLS"):
        Client("127.0.0.1", server.port, "hank", tls=TlsConfig(ca=authority.file), timeouts=SHORT_TIMEOUTS).start()


def test_a_tls_client_on_the_plain_port_gets_an_alert(start_server: Start, authority: CertificateAuthority) -> None:
    server = start_server()
    with open_connection(server.port) as sock, pytest.raises(ssl.SSLError) as caught:
        authority.context.wrap_socket(sock, server_hostname="localhost")
    assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    with Connector() as others:
        assert others.open_native(server).try_log_in("hank")["response"] == 200
