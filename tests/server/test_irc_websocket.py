"""IRC over WebSocket: paths, subprotocols and origins, and what messages carry."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import gevent
import pytest
from websockets.frames import Opcode

from gmessenger.wire.websocket_lines import IRC_MAX_MESSAGE
from tests.conftest import RunningServer
from tests.support.irc import LOOPBACK, IrcWebSocket, open_irc_websocket
from tests.support.native_clients import Connector
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tls import CertificateAuthority
from tests.support.web import read_head, request_head

Start = Callable[..., RunningServer]
TEXT, BINARY = "text.ircv3.net", "binary.ircv3.net"
CAP_LS = b"CAP LS 302"


@pytest.fixture
def server(start_server: Start) -> RunningServer:
    return start_server(irc_websocket=f"{LOOPBACK}:0", web_url="https://chat.example.org")


def port(server: RunningServer) -> int:
    """Return the port of IRC over WebSocket, or else of `--web`."""
    bound = server.app.ports.irc_websocket or server.app.ports.web
    assert bound is not None and bound.number
    return bound.number


def ask(number: int, head: bytes) -> tuple[int, bytes]:
    """Send a request; return the status and the head of the answer."""
    with closing(socket.create_connection((LOOPBACK, number), TEST_TIMEOUT)) as sock:
        sock.sendall(head)
        answer, _ = read_head(sock)
        return int(answer.split()[1]), answer


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 101),
        ("/?x=1", 101),
        ("/webirc", 101),
        ("/webirc/", 101),
        ("/webirc/?x=1", 101),
        ("/webirc/websocket", 404),
        ("/webircd", 404),
        ("/jim", 404),
        ("/index.html", 404),
        ("//", 404),
    ],
)
def test_each_path_has_its_answer(server: RunningServer, target: str, status: int) -> None:
    assert ask(port(server), request_head(LOOPBACK, target=target))[0] == status


@pytest.mark.parametrize(
    ("target", "status"), [("/webirc", 101), ("/webirc/", 101), ("/webirc/x", 404), ("/", 200), ("/jim", 101)]
)
@pytest.mark.parametrize("options", [{"irc_port": 0}, {"irc_websocket": "web"}, {"irc_websocket": f"{LOOPBACK}:0"}])
def test_the_web_port_has_it_too(start_server: Start, target: str, status: int, options: dict[str, Any]) -> None:
    server = start_server(web=f"{LOOPBACK}:0", **options)
    assert server.app.web_port is not None
    assert ask(server.app.web_port, request_head(LOOPBACK, target=target))[0] == status


def test_without_irc_the_web_port_has_none(start_server: Start) -> None:
    server = start_server(web=f"{LOOPBACK}:0")
    assert ask(port(server), request_head(LOOPBACK, target="/webirc"))[0] == 404
    assert server.app.irc_websocket_url == ""


def test_both_protocols_are_spoken_on_the_web_port(start_server: Start) -> None:
    server = start_server(wire="web", irc_websocket="web")
    hank = open_irc_websocket(server.app.web_port)
    hank.send(CAP_LS)
    assert b" CAP * LS " in hank.receive_until(b"CAP").data
    with Connector() as connector:
        assert connector.open_native(server, "dale").request("probe")["response"] == 200
    counts = server.app.acceptor.accepted_count
    assert (counts["irc", "web"], counts["jim", "web"]) == (1, 1)
    assert server.app.irc_websocket_url == f"ws://{LOOPBACK}:{server.app.web_port}/webirc"
    hank.sock.close()


@pytest.mark.parametrize(
    ("asked", "chosen", "opcode"),
    [
        ([], "", Opcode.TEXT),
        ([TEXT], TEXT, Opcode.TEXT),
        ([BINARY], BINARY, Opcode.BINARY),
        ([f"{TEXT}, {BINARY}"], TEXT, Opcode.TEXT),
        ([f"{BINARY},{TEXT}"], BINARY, Opcode.BINARY),
        ([BINARY, TEXT], BINARY, Opcode.BINARY),
        ([f"chat, {BINARY}, x"], BINARY, Opcode.BINARY),
    ],
)
@pytest.mark.parametrize("sent", [Opcode.TEXT, Opcode.BINARY])
def test_the_first_subprotocol_of_the_clients_is_spoken(
    server: RunningServer, asked: list[str], chosen: str, opcode: Opcode, sent: Opcode
) -> None:
    hank = open_irc_websocket(port(server), *(f"Sec-WebSocket-Protocol: {each}" for each in asked))
    confirmed = [line for line in hank.head.splitlines() if line.lower().startswith(b"sec-websocket-protocol")]
    assert confirmed == ([f"Sec-WebSocket-Protocol: {chosen}".encode()] if chosen else [])
    hank.send(CAP_LS, sent)
    answer = hank.receive_until(b"CAP")
    assert answer.opcode is opcode and answer.fin and not answer.data.endswith((b"\r", b"\n"))
    hank.sock.close()


@pytest.mark.parametrize("asked", ["jim.2", "chat, TEXT.ircv3.net"])
def test_without_a_common_subprotocol_the_handshake_is_refused(server: RunningServer, asked: str) -> None:
    status, head = ask(port(server), request_head(LOOPBACK, f"Sec-WebSocket-Protocol: {asked}", target="/"))
    assert status == 400 and b"Upgrade" not in head


def test_extensions_are_never_negotiated(server: RunningServer) -> None:
    hank = open_irc_websocket(port(server), "Sec-WebSocket-Extensions: permessage-deflate")
    assert b"xtensions" not in hank.head
    hank.sock.close()


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        (LOOPBACK, "", 101),
        (LOOPBACK, f"http://{LOOPBACK}", 101),
        ("chat.example.org", "https://chat.example.org", 101),
        (LOOPBACK, "https://chat.example.org", 101),
        (LOOPBACK, "https://evil.example", 403),
        (LOOPBACK, "null", 403),
        ("evil.example", "", 421),
        ("evil.example", "http://evil.example", 421),
    ],
)
def test_pages_of_other_sites_may_not_connect(server: RunningServer, host: str, origin: str, status: int) -> None:
    headers = [f"Origin: {origin}"] if origin else []
    assert ask(port(server), request_head(host, *headers, target="/"))[0] == status


@pytest.mark.parametrize("message", [CAP_LS + b"\r\n", CAP_LS + b"\n", b"\r\n" + CAP_LS, b"CAP LS 301\r\n" + CAP_LS])
def test_line_ends_in_a_message_end_a_line(server: RunningServer, message: bytes) -> None:
    hank = open_irc_websocket(port(server))
    for _ in range(2):
        hank.send(message)
        for _ in range(message.count(b"CAP")):
            assert b" CAP * LS " in hank.receive_until(b"CAP").data
    hank.sock.close()


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("length", [600, IRC_MAX_MESSAGE, IRC_MAX_MESSAGE + 1, 100_000, 3_000_000])
def test_a_message_that_is_too_long_is_refused_as_a_line_and_the_next_is_handled(
    server: RunningServer, length: int, opcode: Opcode
) -> None:
    hank = open_irc_websocket(port(server))
    for _ in range(2):
        hank.send(b"NOTICE hank :" + b"x" * (length - 13), opcode)
        assert hank.receive_until(b"417").opcode is Opcode.TEXT
        hank.send(CAP_LS)
        assert hank.receive().data.split()[1] == b"CAP"
    hank.sock.close()


def test_fragments_are_one_line_and_too_many_of_them_too_long(server: RunningServer) -> None:
    hank = open_irc_websocket(port(server))
    hank.send(b"CAP L", fin=False)
    hank.send(b"", Opcode.PING)
    assert hank.receive().opcode is Opcode.PONG
    hank.send(b"S 302", Opcode.CONT)
    assert b" CAP * LS " in hank.receive_until(b"CAP").data
    for number in range(10):
        hank.send(b"x" * 4000, Opcode.CONT if number else Opcode.TEXT, fin=number == 9)
        hank.send(b"%d" % number, Opcode.PING)
        frame = hank.receive_until(b"%d" % number) if number < 9 else hank.receive_until(b"417")
        assert frame.opcode is (Opcode.PONG if number < 9 else Opcode.TEXT)
    hank.send(CAP_LS)
    assert b" CAP * LS " in hank.receive_until(b"CAP").data
    hank.sock.close()


def test_with_a_certificate_it_is_encrypted(start_server: Start, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    shipped = {"tls_certificate": str(authority.issue()), "tls_port": 0}
    server = start_server(irc_websocket="0.0.0.0:0", store="memory:", **shipped)
    plain = socket.create_connection((LOOPBACK, port(server)), TEST_TIMEOUT)
    with closing(authority.context.wrap_socket(plain, server_hostname="localhost")) as sock:
        hank = IrcWebSocket(sock, "localhost", "Origin: https://localhost", target="/")
        hank.send(CAP_LS)
        assert b" CAP * LS " in hank.receive_until(b"CAP").data
        (connection,) = server.app.acceptor.connections
        assert connection.is_encrypted
    assert server.app.irc_websocket_url == f"wss://localhost:{port(server)}"
    for options in ({"irc_websocket": "0.0.0.0:0", "irc_websocket_tls": "no"}, {"irc_websocket": f"{LOOPBACK}:0"}):
        behind = start_server(store="memory:", **shipped, **options)
        assert ask(port(behind), request_head(LOOPBACK, target="/"))[0] == 101


def test_a_trusted_proxy_says_whose_connection_it_is(start_server: Start) -> None:
    server = start_server(irc_websocket=f"{LOOPBACK}:0", web_proxy_from=(ip_network("127.0.0.0/8"),))
    hank = open_irc_websocket(port(server), "X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https")
    (connection,) = server.app.acceptor.connections
    assert (connection.address, connection.is_encrypted) == ("198.51.100.7:0", True)
    hank.sock.close()


def test_a_socket_file_is_for_a_proxy_and_goes_with_the_server(start_server: Start, tmp_path: Path) -> None:
    file = tmp_path / "irc"
    server = start_server(irc_websocket=f"unix:{file}")
    assert server.app.irc_websocket_url == f"unix:{file}"
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.connect(str(file))
        hank = IrcWebSocket(sock, LOOPBACK, "X-Forwarded-For: 198.51.100.7", target="/")
        hank.send(CAP_LS)
        assert b" CAP * LS " in hank.receive_until(b"CAP").data
        (connection,) = server.app.acceptor.connections
        assert connection.address == "198.51.100.7:0"
    server.stop()
    assert not file.exists()


def test_one_too_many_is_told_so_by_http(start_server: Start) -> None:
    server = start_server(irc_websocket=f"{LOOPBACK}:0", max_connections=1)
    hank = open_irc_websocket(port(server))
    assert ask(port(server), request_head(LOOPBACK, target="/"))[0] == 503
    hank.sock.close()


def test_a_stop_says_so(start_server: Start) -> None:
    server = start_server(irc_websocket=f"{LOOPBACK}:0", drain_timeout=TEST_TIMEOUT)
    hank = open_irc_websocket(port(server))
    stopping = gevent.spawn(server.stop)
    while (frame := hank.receive()).opcode is not Opcode.CLOSE:
        pass
    assert frame.data == b"\x03\xe9"
    hank.sock.close()
    stopping.get(timeout=TEST_TIMEOUT)
