"""HTTP on the web endpoint: connections that stay open, clients behind proxies, Unix sockets, refusals, and the end."""

from __future__ import annotations

import gc
import json
import socket
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path

import gevent
import gevent.pool
import pytest
from websockets.frames import Frame, Opcode

from tests.conftest import RunningServer
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tls import CertificateAuthority
from tests.support.web import WebSocketSocket, read_head, read_response, request_head

LOOPBACK = "127.0.0.1"
CLIENT = "198.51.100.7"
StartServer = Callable[..., RunningServer]


def get(path: str = "/nothing", *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", f"Host: {LOOPBACK}", *headers, "", ""]).encode()


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection((LOOPBACK, server.port), TEST_TIMEOUT)


def status_of(sock: socket.socket) -> int:
    return int(read_response(sock)[0].split()[1])


def expect_end(sock: socket.socket) -> None:
    assert sock.recv(65536) == b""


@pytest.fixture
def server(start_server: StartServer) -> RunningServer:
    return start_server(wire="web")


def test_a_connection_takes_one_request_after_the_other(server: RunningServer) -> None:
    with closing(connect(server)) as sock:
        sock.sendall(get())
        assert status_of(sock) == 404
        sock.sendall(get().replace(b"GET", b"DELETE"))
        assert status_of(sock) == 404
        sock.sendall(request_head(LOOPBACK))
        assert read_head(sock)[0].startswith(b"HTTP/1.1 101 ")


def test_requests_need_not_wait_for_the_answers(server: RunningServer) -> None:
    with closing(connect(server)) as sock:
        sock.sendall(get() * 3 + get("/nothing", "Connection: close"))
        received = b""
        while data := sock.recv(65536):
            received += data
        assert received.count(b"HTTP/1.1 404 ") == 4


def test_a_refused_request_leaves_nothing_to_the_collector(server: RunningServer) -> None:
    """In cycles they would wait for each other by the thousand, and be freed in one go, while everything waits."""
    with closing(connect(server)) as sock:
        sock.sendall(get())
        assert status_of(sock) == 404
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                sock.sendall(get())
                assert status_of(sock) == 404
            assert gc.collect() < 50
        finally:
            gc.enable()


def test_a_connection_ends_after_a_hundred_requests(server: RunningServer) -> None:
    with closing(connect(server)) as sock:
        for number in range(100):
            sock.sendall(get())
            head, _ = read_response(sock)
            assert (b"Connection: close" in head) == (number == 99)
        expect_end(sock)


@pytest.mark.parametrize(
    "request_bytes", [get(version="1.0"), get("/nothing", "Connection: close"), b"nonsense\r\n\r\n"]
)
def test_a_connection_ends_with_the_response_where_it_must(server: RunningServer, request_bytes: bytes) -> None:
    with closing(connect(server)) as sock:
        sock.sendall(request_bytes + get())
        assert status_of(sock) in (400, 404)
        expect_end(sock)


def test_a_body_that_nobody_reads_ends_the_connection_with_the_response(server: RunningServer) -> None:
    with closing(connect(server)) as sock:
        sock.sendall(b"POST /jim HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)
        head, _ = read_response(sock)
        assert head.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD" in head
        assert b"Connection: close" in head
        expect_end(sock)


def test_a_connection_without_a_request_is_closed_after_a_while(start_server: StartServer) -> None:
    server = start_server(wire="web", web_timeout=0.1)
    with closing(connect(server)) as silent, closing(connect(server)) as idle:
        idle.sendall(get())
        assert status_of(idle) == 404
        expect_end(silent)
        expect_end(idle)


def test_every_response_keeps_browsers_from_harm(server: RunningServer) -> None:
    with closing(connect(server)) as sock:
        for request in (get(), get("/jim"), get().replace(b"GET", b"POST")):
            sock.sendall(request)
            head = read_response(sock)[0].lower()
            for name in ("x-content-type-options: nosniff", "referrer-policy: no-referrer", "permissions-policy: "):
                assert name.encode() in head
            assert b"strict-transport" not in head and b"set-cookie" not in head and b"access-control" not in head


def test_over_tls_browsers_are_told_to_stay_there(start_server: StartServer, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    server = start_server(web="0.0.0.0:0", tls_certificate=str(authority.issue()), tls_port=0)
    port = server.app.web_port
    plain = socket.create_connection((LOOPBACK, port), TEST_TIMEOUT)
    with closing(authority.context.wrap_socket(plain, server_hostname="localhost")) as sock:
        sock.sendall(get())
        assert b"Strict-Transport-Security: max-age=" in read_response(sock)[0]
    with closing(socket.create_connection((LOOPBACK, port), TEST_TIMEOUT)) as sock:
        sock.sendall(get())
        head, body = read_response(sock)
        assert head.startswith(b"HTTP/1.1 400 ") and b"https" in body
        expect_end(sock)
    assert server.app.acceptor.pool.join(TEST_TIMEOUT)
    assert server.app.acceptor.rejected_count["not_tls"] == 1


# ---- behind a proxy


def log_in(sock: socket.socket, name: str = "hank", *headers: str) -> WebSocketSocket:
    connection = WebSocketSocket(sock, LOOPBACK, *headers)
    frame = {"action": "presence", "jim": 2, "user": {"account_name": name, "password": "swordfish-and-more"}}
    connection.sendall(json.dumps(frame).encode() + b"\n")
    return connection


def answer_of(connection: WebSocketSocket) -> dict[str, object]:
    line = b""
    while not line.endswith(b"\n"):
        line += connection.recv(4096)
    return dict(json.loads(line))


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ([f"X-Forwarded-For: {CLIENT}"], f"{CLIENT}:0"),
        ([f"X-Forwarded-For: 203.0.113.9, {CLIENT}"], f"{CLIENT}:0"),
        (["X-Forwarded-For: 203.0.113.9", f"X-Forwarded-For: {CLIENT}:4711"], f"{CLIENT}:0"),
        (["X-Forwarded-For: 2001:db8::7"], "[2001:db8::7]:0"),
        (["X-Forwarded-For: [2001:db8::7]:443"], "[2001:db8::7]:0"),
        (["X-Forwarded-For: ::ffff:198.51.100.7"], f"{CLIENT}:0"),
        (["X-Forwarded-For: unknown"], None),
        (["X-Forwarded-For: 127.0.0.1"], None),
        (["X-Forwarded-For: 198.51.100.7, "], None),
        ([], None),
    ],
)
def test_a_trusted_proxy_says_whose_request_it_is(
    start_server: StartServer, headers: list[str], address: str | None
) -> None:
    server = start_server(wire="web", web_proxy_from=(ip_network("127.0.0.0/8"),))
    with closing(connect(server)) as sock:
        WebSocketSocket(sock, LOOPBACK, *headers)
        (connection,) = server.app.acceptor.connections
        own = "{}:{}".format(*sock.getsockname())
        assert (connection.address, connection.is_proxied) == (address or own, True)


def test_others_are_not_believed(server: RunningServer) -> None:
    with closing(connect(server)) as sock:
        WebSocketSocket(sock, LOOPBACK, f"X-Forwarded-For: {CLIENT}", "X-Forwarded-Proto: https")
        (connection,) = server.app.acceptor.connections
        assert connection.address.startswith("127.0.0.1:") and not connection.is_encrypted
        assert not connection.is_proxied


@pytest.mark.parametrize(
    ("protocol", "code"), [("http", "password_exposed"), ("https", "wrong_password"), ("http, https", "wrong_password")]
)
def test_a_password_is_taken_where_the_proxy_was_reached_by_https(
    start_server: StartServer, protocol: str, code: str
) -> None:
    server = start_server(wire="web", web_proxy_from=(ip_network("127.0.0.1"),))
    with closing(connect(server)) as sock:
        headers = [f"X-Forwarded-For: {CLIENT}", f"X-Forwarded-Proto: {protocol}"]
        answer = answer_of(log_in(sock, "hank", *headers))
        assert answer["code"] == code


def test_the_origin_is_compared_with_what_the_client_sees(start_server: StartServer) -> None:
    server = start_server(wire="web", web_proxy_from=(ip_network("127.0.0.1"),), web_url="https://chat.example.org")
    for protocol, status in (("https", 101), ("http", 101)):
        with closing(connect(server)) as sock:
            headers = [f"X-Forwarded-Proto: {protocol}", "Origin: https://chat.example.org"]
            sock.sendall(request_head("chat.example.org", *headers))
            assert int(read_head(sock)[0].split()[1]) == status
    with closing(connect(server)) as sock:
        sock.sendall(request_head(LOOPBACK, "X-Forwarded-Proto: https", f"Origin: http://{LOOPBACK}"))
        assert status_of(sock) == 403


def test_limits_are_those_of_the_client_and_not_of_the_proxy(start_server: StartServer) -> None:
    server = start_server(
        wire="web", web_proxy_from=(ip_network("127.0.0.1"),), max_connections_per_ip=1, limit_loopback=True
    )
    with closing(connect(server)) as one, closing(connect(server)) as two, closing(connect(server)) as other:
        WebSocketSocket(one, LOOPBACK, f"X-Forwarded-For: {CLIENT}")
        two.sendall(request_head(LOOPBACK, f"X-Forwarded-For: {CLIENT}"))
        head, _ = read_response(two)
        assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in head
        WebSocketSocket(other, LOOPBACK, "X-Forwarded-For: 203.0.113.9")
        limiter = server.app.acceptor._limiter
        assert len(limiter) == 2
    assert server.app.acceptor.pool.join(TEST_TIMEOUT) and len(limiter) == 0


def test_who_asks_too_fast_is_refused_by_address(start_server: StartServer) -> None:
    server = start_server(
        wire="web", web_proxy_from=(ip_network("127.0.0.1"),), guest_request_rate=1, guest_request_burst=3, patience=0.0
    )
    with closing(connect(server)) as sock:
        statuses = []
        for address in (CLIENT, CLIENT, CLIENT, CLIENT, "203.0.113.9"):
            sock.sendall(get("/nothing", f"X-Forwarded-For: {address}"))
            head, _ = read_response(sock)
            statuses.append(int(head.split()[1]))
            assert (b"\r\nRetry-After: 1\r\n" in head) == (statuses[-1] == 429)
        assert statuses == [404, 404, 404, 429, 404]


def test_a_banned_client_is_refused_behind_a_proxy_too(start_server: StartServer) -> None:
    server = start_server(wire="web", web_proxy_from=(ip_network("127.0.0.1"),))
    server.app.messenger.moderation.ban("operator", None, CLIENT)
    with closing(connect(server)) as sock:
        for address, status in ((CLIENT, 403), ("203.0.113.9", 404)):
            sock.sendall(get("/nothing", f"X-Forwarded-For: {address}"))
            assert status_of(sock) == status


def test_a_proxy_may_come_by_a_unix_socket(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "web"
    server = start_server(web=f"unix:{path}")
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(TEST_TIMEOUT)
        sock.connect(str(path))
        log_in(sock, "hank", f"X-Forwarded-For: {CLIENT}", "X-Forwarded-Proto: https")
        (connection,) = server.app.acceptor.connections
        assert (connection.address, connection.is_encrypted) == (f"{CLIENT}:0", True)
    server.stop()
    assert not path.exists()


# ---- refusals, and the end


def test_a_connection_counts_before_a_byte_of_it_is_read(start_server: StartServer) -> None:
    server = start_server(wire="web", max_connections=2)
    with closing(connect(server)), closing(connect(server)), closing(connect(server)) as refused:
        assert status_of(refused) == 503
        expect_end(refused)
    assert server.app.acceptor.pool.join(TEST_TIMEOUT)
    with closing(connect(server)) as sock:
        sock.sendall(get())
        assert status_of(sock) == 404


def test_a_flood_of_refused_connections_is_not_waited_for(start_server: StartServer) -> None:
    server = start_server(wire="web", max_connections=1)
    sockets = [connect(server) for _ in range(80)]
    try:
        statuses = gevent.pool.Pool().map(status_of, sockets[1:])
        assert set(statuses) == {503}
    finally:
        for sock in sockets:
            sock.close()


def test_requests_are_counted_and_refusals_logged(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gmessenger")
    with closing(connect(server)) as sock:
        for request in (get("/secret-token"), get("/jim"), request_head("evil.example")):
            sock.sendall(request)
            read_response(sock)
        sock.sendall(request_head(LOOPBACK))
        read_head(sock)
    assert server.app.endpoints.web_request_count == {404: 1, 426: 1, 421: 1, 101: 1}
    refusals = [record for record in caplog.records if record.message == "web_request_refused"]
    assert [record.fields["reason"][:3] for record in refusals] == ["426", "421"]  # type: ignore[attr-defined]
    assert "secret-token" not in caplog.text


def test_when_the_server_stops_idle_connections_end_and_websockets_are_told_why(server: RunningServer) -> None:
    with closing(connect(server)) as idle, closing(connect(server)) as sock:
        idle.sendall(get())
        assert status_of(idle) == 404
        connection = log_in(sock)
        assert answer_of(connection)["response"] in (200, 402, 404)
        stopping = gevent.spawn(server.stop)
        expect_end(idle)
        while connection.recv(4096):
            pass
        assert connection.close_code == 1001
        stopping.get(timeout=TEST_TIMEOUT)


def test_who_closes_first_is_told_that_all_is_well(server: RunningServer) -> None:
    with closing(connect(server)) as sock:
        connection = WebSocketSocket(sock, LOOPBACK)
        sock.sendall(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
        assert connection.recv(100) == b"" and connection.close_code == 1000
