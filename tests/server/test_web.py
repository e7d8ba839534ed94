"""The web endpoint: whose requests become WebSockets, what others are answered, and what a WebSocket carries."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gevent
import pytest
from websockets.frames import Frame, Opcode

from tests import ROOT
from tests.conftest import RunningServer
from tests.support.native_clients import Connector, NativeClient
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tls import CertificateAuthority
from tests.support.web import make_key, read_head, read_response, request_head

LOOPBACK = "127.0.0.1"
StartServer = Callable[..., RunningServer]


@pytest.fixture
def server(start_server: StartServer) -> RunningServer:
    return start_server(wire="web", web_url="https://chat.example.org")


@pytest.fixture
def connector() -> Iterator[Connector]:
    with Connector() as connections:
        yield connections


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection((LOOPBACK, server.port), TEST_TIMEOUT)


def ask(server: RunningServer, head: bytes) -> tuple[int, bytes]:
    """Send bytes; return the status of the answer, and all of it."""
    with closing(connect(server)) as sock:
        sock.sendall(head)
        answer, body = read_response(sock) if not head.startswith(b"HEAD") else read_head(sock)
        return int(answer.split()[1]), answer + b"\r\n\r\n" + body


HOST = LOOPBACK
BAD_KEYS = ["", "short", make_key()[:-2], make_key() + "AAAA", "=" * 24]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request_head(HOST), 101),
        (request_head("localhost:7780"), 101),
        (request_head("[::1]:7780"), 101),
        (request_head("chat.example.org"), 101),
        (request_head(HOST, target="/jim?tab=2"), 101),
        (request_head("evil.example"), 421),
        (request_head(""), 421),
        (request_head("[::1"), 421),
        (request_head(HOST, target="/nothing"), 404),
        (request_head(HOST, target="/jim/"), 404),
        (request_head(HOST, target="/../jim"), 404),
        (request_head(HOST, method="POST"), 405),
        (request_head(HOST, method="HEAD"), 426),
        (request_head(HOST).replace(b"Upgrade: websocket\r\n", b""), 426),
        (request_head(HOST).replace(b"Version: 13", b"Version: 8"), 426),
        (request_head(HOST).replace(b"Connection: Upgrade\r\n", b""), 426),
        *[(request_head(HOST, key=key or " "), 400) for key in BAD_KEYS],
        (request_head(HOST) + b"\x81\x80aaaa", 400),
        (b'{"action":"presence","jim":2}\r\n\r\n', 400),
        (b"GET / HTTP/1.1\r\na: " + b"x" * 20_000, 431),
    ],
)
def test_each_request_has_its_answer(head: bytes, status: int, server: RunningServer) -> None:
    found, answer = ask(server, head)
    assert found == status, answer
    if status == 426:
        assert b"Sec-WebSocket-Version: 13" in answer
    if status == 405:
        assert b"Allow: GET" in answer


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1", 101),
        ("http://127.0.0.1:80", 101),
        ("https://chat.example.org", 101),
        ("https://CHAT.example.org:443", 101),
        ("https://127.0.0.1", 403),
        ("http://127.0.0.1:8080", 403),
        ("http://chat.example.org", 403),
        ("https://chat.example.org.evil.example", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("file://", 403),
        ("http://[", 403),
    ],
)
def test_pages_of_other_sites_may_not_connect(origin: str, status: int, server: RunningServer) -> None:
    assert ask(server, request_head(HOST, f"Origin: {origin}"))[0] == status


def test_the_subprotocol_is_confirmed_where_it_is_offered(server: RunningServer) -> None:
    assert b"Sec-WebSocket-Protocol: jim.2" in ask(server, request_head(HOST, "Sec-WebSocket-Protocol: a, jim.2"))[1]
    assert b"Sec-WebSocket-Protocol" not in ask(server, request_head(HOST, "Sec-WebSocket-Protocol: chat"))[1]


def test_extensions_are_never_negotiated(server: RunningServer) -> None:
    status, answer = ask(server, request_head(HOST, "Sec-WebSocket-Extensions: permessage-deflate"))
    assert status == 101 and b"xtensions" not in answer


def test_a_head_that_does_not_end_is_waited_for_only_so_long(start_server: StartServer) -> None:
    server = start_server(wire="web", web_timeout=0.2)
    assert ask(server, request_head(HOST)[:-2])[0] == 408


def test_people_talk_through_it(server: RunningServer, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    hank.send_message("dale", "by the browser: ✓")
    assert dale.receive_message() == ("hank", "by the browser: ✓")
    plain = NativeClient(PlainAddress(server))
    connector.connections.append(plain)
    plain.log_in("bill")
    plain.send_message("hank", "by the terminal")
    assert hank.receive_message() == ("bill", "by the terminal")


class PlainAddress:
    """The plain port of a server that has a web port."""

    host = LOOPBACK

    def __init__(self, server: RunningServer) -> None:
        self.port = server.app.port


def test_several_lines_in_one_message_are_several_requests(server: RunningServer, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    hank.send_bytes(b'{"action":"probe","id":"1"}\n{"action":"probe","id":"2"}\n')
    assert [hank.receive()["id"] for _ in range(2)] == ["1", "2"]


def test_a_message_that_is_too_long_is_answered_before_the_close(server: RunningServer, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    hank.send_bytes(b'{"action":"msg","to":"dale","message":"' + b"x" * server.app.options.max_frame + b'"}\n')
    answer = hank.receive()
    assert (answer["response"], answer["code"]) == (413, "frame_too_long")
    hank.expect_closed()


def test_pings_are_answered_and_a_close_is_echoed(server: RunningServer, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    raw: Any = hank.sock
    sock: socket.socket = raw._sock
    sock.sendall(Frame(Opcode.PING, b"still there?").serialize(mask=True))
    assert sock.recv(1000) == b"\x8a\x0cstill there?"
    sock.sendall(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    received = b""
    while data := sock.recv(1000):
        received += data
    assert received == b"\x88\x02\x03\xe8"


def test_what_was_sent_before_a_close_is_handled(server: RunningServer, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    raw: Any = hank.sock
    message = b'{"action":"msg","to":"dale","message":"and gone"}'
    raw._sock.sendall(Frame(Opcode.TEXT, message).serialize(mask=True) + Frame(Opcode.CLOSE, b"").serialize(mask=True))
    assert dale.receive_message() == ("hank", "and gone")
    assert raw._sock.recv(1000) != b""


def test_who_reads_slowly_gets_all_in_order_once(server: RunningServer, connector: Connector) -> None:
    count = 300
    reader = connector.open_native(server, "dale", receive_buffer=4096)
    writer = connector.open_native(server, "hank")
    for number in range(count):
        writer.send({"action": "msg", "to": "dale", "message": f"{number} {'x' * 2000}"})
    assert writer.request("probe")["response"] == 200
    raw: Any = reader.sock
    raw._sock.sendall(Frame(Opcode.PING, b"in between").serialize(mask=True))
    assert [reader.receive_message()[1].partition(" ")[0] for _ in range(count)] == [str(each) for each in range(count)]
    assert reader.request("probe")["response"] == 200


def test_one_too_many_is_told_so(start_server: StartServer, connector: Connector) -> None:
    server = start_server(wire="web", max_connections=1)
    connector.open_native(server, "hank")
    status, answer = ask(server, request_head(HOST))
    assert status == 503 and b"\r\nRetry-After: 10\r\n" in answer and b"limit of connections" in answer


def test_a_server_that_stops_says_so_and_closes(start_server: StartServer, connector: Connector) -> None:
    server = start_server(wire="web")
    hank = connector.open_native(server, "hank")
    stopping = gevent.spawn(server.stop)
    assert hank.next_event()["action"] == "moving"
    assert hank.sock.recv(100) == b""
    hank.close()
    stopping.get(timeout=TEST_TIMEOUT)


def test_with_a_certificate_other_hosts_than_loopback_are_encrypted(
    start_server: StartServer, tmp_path: Path, connector: Connector
) -> None:
    authority = CertificateAuthority(tmp_path)
    server = start_server(web="0.0.0.0:0", tls_certificate=str(authority.issue()), tls_port=0)
    plain = socket.create_connection((LOOPBACK, server.app.web_port), TEST_TIMEOUT)
    with closing(authority.context.wrap_socket(plain, server_hostname="localhost")) as sock:
        sock.sendall(request_head("localhost", "Origin: https://localhost"))
        assert read_head(sock)[0].startswith(b"HTTP/1.1 101 ")
        frame = json.dumps({"action": "presence", "jim": 2, "user": {"account_name": "hank"}}).encode()
        sock.sendall(Frame(Opcode.TEXT, frame).serialize(mask=True))
        assert b'"response":200' in sock.recv(4096)
        assert server.app.web_url == f"https://localhost:{server.app.web_port}"
        (label,) = [connection.transport_label for connection in server.app.acceptor.connections]
        assert label == "web"


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        (
            "gmessenger.server.server",
            [
                "h11",
                "rjsmin",
                "websockets",
                "gmessenger.server.web.endpoint",
                "gmessenger.wire.http",
                "gmessenger.server.irc",
            ],
        ),
        ("gmessenger.server.web.endpoint", ["websockets", "importlib.metadata"]),
        ("gmessenger.server.web.hooks", ["websockets", "gmessenger.wire.hook_payloads.senders"]),
    ],
)
def test_what_is_not_used_is_not_imported(module: str, unused: list[str]) -> None:
    """Without `--web` nothing of it, and with it nothing of WebSockets and hooks before the first of them."""
    program = (
        f"import sys; from gmessenger.patch import patch_all; patch_all(); import {module};"
        f"print(sorted({set(unused)!r} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


IDLE_FRAMES = {
    "pings": Frame(Opcode.PING, b"x"),
    "pongs": Frame(Opcode.PONG, b""),
    "empty messages": Frame(Opcode.TEXT, b""),
    "fragments": Frame(Opcode.CONT, b"", fin=False),
}


@pytest.mark.parametrize("kind", IDLE_FRAMES)
def test_frames_without_a_message_have_a_limit(server: RunningServer, connector: Connector, kind: str) -> None:
    hank = connector.open_native(server, "hank")
    raw: Any = hank.sock
    frame = IDLE_FRAMES[kind].serialize(mask=True)
    if kind == "fragments":
        raw._sock.sendall(Frame(Opcode.TEXT, b"", fin=False).serialize(mask=True))
    raw._sock.sendall(frame * 1000)
    if kind != "fragments":
        assert hank.request("probe")["response"] == 200
    with contextlib.suppress(OSError):  # the server may have closed before it has read everything
        raw._sock.sendall(frame * 100_000)
    hank.expect_closed()
    assert raw.close_code == 1008


def test_messages_may_be_many_and_in_many_fragments(server: RunningServer, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    for number in range(20):
        line = json.dumps({"action": "msg", "to": "dale", "message": f"{number}"})
        for character in f"{line}\n":
            hank.sock.sendall(character.encode())
        assert dale.receive_message() == ("hank", f"{number}")
