"""Clients by WebSocket: over the server's web endpoint with TLS and without, and to servers that do it wrong."""

from __future__ import annotations

import email.utils
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.utils import accept_key

from gmessenger.client import Accepted, Client, Connected, Disconnected, MessageReceived, Timeouts, TlsConfig
from gmessenger.client.connection import MAX_FRAME, ForeignServer, ServerBusy
from gmessenger.client.websocket import WebSocketConnection
from gmessenger.errors import CertificateNotTrusted, Unreachable, UsageError
from gmessenger.wire.http import MAX_HEAD
from tests import ROOT
from tests.client.conftest import SHORT_TIMEOUTS, Reader
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tls import CertificateAuthority, pin_in
from tests.support.web import read_head

StartServer = Callable[..., RunningServer]
StartClient = Callable[..., Reader]
PASSWORD = "correct horse"


@pytest.fixture
def open_client() -> Iterator[StartClient]:
    """Start clients of a URL."""
    clients: list[Client] = []

    def started(url: str, name: str, **options: Any) -> Reader:
        clients.append(client := Client(url, name=name, **{"timeouts": SHORT_TIMEOUTS} | options))
        client.start()
        return Reader(client)

    yield started
    for client in clients:
        client.close()


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A listener whose clients want a WebSocket, and get what a test sends them."""
    with FakeServer() as server:
        yield server


def url_of(server: Any, scheme: str = "ws", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{server.app.web_port if isinstance(server, RunningServer) else server.port}"


# Over the server's web endpoint.


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def test_what_is_sent_arrives_whatever_its_length(start_server: StartServer, open_client: StartClient) -> None:
    url = url_of(start_server(wire="web"))
    dale, hank = (open_client(url, name) for name in ("dale", "hank"))
    texts = ["привет", "x" * 100, "x" * 130, "two\nlines", "ж" * 16_000]
    for text in texts:
        hank.client.send("dale", text)
    assert [dale.next(MessageReceived).delivery.message for _ in texts] == texts
    assert hank.client.flush(TIMEOUT) == 0
    assert hank.client.can_send_password, "it is this machine"


def test_a_link_of_the_site_will_do(start_server: StartServer, open_client: StartClient) -> None:
    server = start_server(wire="web")
    assert open_client(f"http://localhost:{server.app.web_port}/#invite=abc", "hank").client.connected


@pytest.mark.parametrize("trust", ["authority", "pin"])
def test_over_tls_the_server_is_verified(
    start_server: StartServer, open_client: StartClient, authority: CertificateAuthority, trust: str
) -> None:
    certificate = authority.issue()
    server = start_server(web="0.0.0.0:0", tls_certificate=str(certificate), tls_port=0)
    url = url_of(server, "wss", "localhost")
    tls = TlsConfig(ca=authority.file) if trust == "authority" else TlsConfig(pin=pin_in(certificate))
    hank = open_client(url, "hank", tls=tls)
    hank.client.register(PASSWORD)
    hank.client.send("hank", "to myself")
    assert hank.next(Accepted).response.response == 200
    for wrong in (None, TlsConfig(pin="sha256:" + "0" * 64)):
        with pytest.raises(CertificateNotTrusted, match="Cannot trust localhost"):
            open_client(url, "dale", tls=wrong)


def test_a_killed_connection_loses_nothing_and_doubles_nothing(
    start_server: StartServer, open_client: StartClient
) -> None:
    server = start_server(wire="web")
    url = url_of(server)
    dale = open_client(url, "dale")
    dale.client.register(PASSWORD)
    hank = open_client(url, "hank")
    hank.client.register(PASSWORD)
    texts = [f"{number} {'x' * 5000}" for number in range(60)]
    for number, text in enumerate(texts):
        hank.client.send("dale", text)
        if number % 20 == 10:
            gevent.sleep(0)
            for reader in (dale, hank):
                if (connection := reader.client._reconnector._connection) is not None:
                    connection.fail(ConnectionError("a cable was pulled"))
    assert [dale.next(MessageReceived).delivery.message for _ in texts] == texts
    assert hank.client.flush(TIMEOUT) == 0
    assert any(isinstance(event, Disconnected) for event in dale.seen)


def test_a_server_that_stops_says_when_to_come_back(start_server: StartServer, open_client: StartClient) -> None:
    server = start_server(wire="web")
    hank = open_client(url_of(server), "hank")
    server.stop()
    assert hank.next(Disconnected).reason == "the server has announced that it is stopping"


def test_one_too_many_is_told_so(start_server: StartServer, open_client: StartClient) -> None:
    url = url_of(start_server(wire="web", max_connections=1))
    open_client(url, "hank")
    with pytest.raises(Unreachable) as caught:
        open_client(url, "dale")
    assert isinstance(caught.value.__cause__, ServerBusy)


@pytest.mark.parametrize(
    ("target", "host", "reason"),
    [
        ("/chat", "127.0.0.1", "has nothing at this path (HTTP 404)"),
        ("/jim", "127.0.0.2", "does not know this host name"),
    ],
)
def test_what_the_server_refuses_is_told(
    start_server: StartServer, open_client: StartClient, target: str, host: str, reason: str, monkeypatch: Any
) -> None:
    from gmessenger.server_urls import ServerUrl

    server = start_server(wire="web")
    if host != "127.0.0.1":
        monkeypatch.setattr(ServerUrl, "host_header", "chat.example.net")
    with pytest.raises(Unreachable) as caught:
        open_client(url_of(server) + target, "hank")
    assert reason in str(caught.value) and isinstance(caught.value.__cause__, ForeignServer)


@pytest.mark.parametrize(
    ("is_web", "scheme", "reason"),
    [
        (False, "ws", "that port does not take this request (HTTP 400)"),
        (False, "wss", "that port does not use TLS"),
        (True, "wss", "that port does not use TLS"),
    ],
    ids=["JIM's port", "JIM's port with TLS", "the web port with TLS"],
)
def test_another_port_is_told(
    start_server: StartServer, open_client: StartClient, is_web: bool, scheme: str, reason: str
) -> None:
    server = start_server(wire="web")
    with pytest.raises(Unreachable, match=re.escape(reason)):
        open_client(f"{scheme}://127.0.0.1:{server.app.web_port if is_web else server.app.port}", "hank")


def test_a_port_that_expects_tls_is_told(
    start_server: StartServer, open_client: StartClient, authority: CertificateAuthority
) -> None:
    server = start_server(web="0.0.0.0:0", tls_certificate=str(authority.issue()), tls_port=0)
    with pytest.raises(Unreachable, match="whether the URL begins with wss://"):
        open_client(url_of(server), "hank")


# What is given to a client.


@pytest.mark.parametrize(
    ("url", "options", "sentence"),
    [
        ("wss://", {}, "is not the URL of a server"),
        ("wss://hank:secret@chat.example.org", {}, "is not the URL of a server"),
        ("wss://chat.example.org", {"port": 7778}, "has its port in itself"),
        ("ws://chat.example.org", {"tls": TlsConfig()}, "is not encrypted"),
    ],
)
def test_a_url_that_cannot_be(url: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Client(url, name="hank", **options)


@pytest.mark.parametrize(
    ("host", "options", "place"),
    [
        ("no-such-host.invalid", {}, "no-such-host.invalid:7777"),
        ("no-such-host.invalid", {"tls": TlsConfig()}, "no-such-host.invalid:7778"),
        ("wss://no-such-host.invalid", {}, "wss://no-such-host.invalid/jim"),
        ("https://no-such-host.invalid:8443/", {"port": 8443}, "wss://no-such-host.invalid:8443/jim"),
    ],
)
def test_the_place_that_is_named(host: str, options: dict[str, Any], place: str) -> None:
    with pytest.raises(Unreachable, match=f"Cannot reach {re.escape(place)}: "):
        Client(host, name="hank", timeouts=Timeouts(connect=2), **options).start()


def test_without_a_url_nothing_of_it_is_imported() -> None:
    program = (
        "import sys, gmessenger.client, gmessenger.terminal.app, gmessenger.terminal.main\n"
        "gmessenger.client.Client('127.0.0.1', 7777, 'hank')\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('websockets', 'h11')])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=TEST_TIMEOUT
    )
    assert found.stdout.strip() == "[]"


# Servers that open no WebSocket.


def accepting(key: str) -> bytes:
    """Return the head that opens a WebSocket."""
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept_key(key)}", "", ""]).encode()


def refused(fake: FakeServer, answer: bytes, **timeouts: float) -> Unreachable:
    """Return why a client does not start that is answered so."""
    client = Client(url_of(fake), name="hank", timeouts=Timeouts(connect=timeouts.get("connect", 2.0)))
    starting = gevent.spawn(client.start)
    connection = fake.accept()
    read_head(connection.sock)
    writing = gevent.spawn(connection.sock.sendall, answer)
    with pytest.raises(Unreachable) as caught:
        starting.get(timeout=TIMEOUT)
    writing.kill()
    return caught.value


ANSWERS: dict[str, tuple[str, type[OSError], str]] = {
    "403": ("403 Forbidden", ForeignServer, "does not let this client in (HTTP 403)"),
    "404": ("404 Not Found", ForeignServer, "has nothing at this path (HTTP 404)"),
    "421": ("421 Misdirected Request", ForeignServer, "does not know this host name as its own (HTTP 421)"),
    "426": ("426 Upgrade Required\r\nSec-WebSocket-Version: 13", ForeignServer, "passes no WebSockets on (HTTP 426)"),
    "200": ("200 OK", ForeignServer, "opened no WebSocket (HTTP 200 OK)"),
    "418": ("418 " + "x" * 1000, ForeignServer, "x" * 100 + ")"),
    "absolute": ("301 Moved\r\nLocation: https://b.example/chat/", ForeignServer, "moved to wss://b.example/chat/jim"),
    "relative": ("308 Moved\r\nLocation: /b/jim", ForeignServer, "/b/jim"),
    "elsewhere": ("302 Found\r\nLocation: mailto:hank@example.org", ForeignServer, "moved to mailto:hank@example.org"),
    "nowhere": ("302 Found", ForeignServer, "opened no WebSocket (HTTP 302 Found)"),
    "502": ("502 Bad Gateway", ServerBusy, "not available just now (HTTP 502)"),
    "503": ("503 Service Unavailable\r\nRetry-After: 7", ServerBusy, "not available just now (HTTP 503)"),
}


@pytest.mark.parametrize(("answer", "kind", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_without_a_websocket_is_told(fake: FakeServer, answer: str, kind: type[OSError], reason: str) -> None:
    error = refused(fake, f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
    assert reason in str(error)
    assert type(error.__cause__) is kind


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7.0, 7.0),
        ("0", 0.0, 0.0),
        ("9" * 400, 1e8, 1e9),
        ("in an hour", 0.0, 3600.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0, 0.0),
        ("soon", 0.0, 0.0),
        ("-5", 0.0, 0.0),
    ],
)
def test_when_to_come_back_is_a_number_or_a_date(fake: FakeServer, value: str, least: float, most: float) -> None:
    if value == "in an hour":
        value, least = email.utils.formatdate(time.time() + 3600, usegmt=True), 1.0
    cause = refused(fake, f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\n\r\n".encode()).__cause__
    assert isinstance(cause, ServerBusy) and least <= cause.retry_after <= most


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (accepting("AAAAAAAAAAAAAAAAAAAAAA=="), "no valid WebSocket (a wrong Sec-WebSocket-Accept)"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "that port expects TLS: the URL has to begin with wss://"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "does not speak JIM 2; it answered SSH-2.0-OpenSSH_9.2"),
        (b'{"response":200,"jim":2}\n', 'does not speak JIM 2; it answered {"response":200'),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD * 100, "does not speak JIM 2; it answered HTTP/1.1 200 OK"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100_000, "has not opened a WebSocket"),
        (b"HTTP/1.1 101 Switching Proto", "has not opened a WebSocket"),
        (b"", "has not opened a WebSocket"),
    ],
    ids=["no accept", "tls", "ssh", "jim", "a head without an end", "hints without an end", "half a head", "silence"],
)
def test_what_is_no_answer_is_told_in_time(fake: FakeServer, answer: bytes, reason: str) -> None:
    assert reason in str(refused(fake, answer, connect=0.5))


def test_a_server_that_closes_is_told(fake: FakeServer) -> None:
    starting = gevent.spawn(Client(url_of(fake), name="hank").start)
    read_head((connection := fake.accept()).sock)
    connection.close()
    with pytest.raises(Unreachable, match="the server closed the connection"):
        starting.get(timeout=TIMEOUT)


def test_a_head_that_comes_a_byte_at_a_time_is_not_waited_for(fake: FakeServer) -> None:
    starting = gevent.spawn(Client(url_of(fake), name="hank", timeouts=Timeouts(connect=0.3)).start)
    connection = fake.accept()

    def drip() -> None:
        while not starting.ready():
            connection.sock.sendall(b"H" if starting.ready() else b"HTTP/1.1 200 OK\r\nX: "[:1])
            gevent.sleep(0.02)

    dripping = gevent.spawn(lambda: (connection.sock.sendall(b"HTTP/1.1 200 O"), drip()))
    with pytest.raises(Unreachable, match="has not opened a WebSocket"):
        starting.get(timeout=TIMEOUT)
    dripping.kill()


# Servers that open one.


class Opened:
    """A client that wants to log in, and the server's end of its WebSocket."""

    def __init__(self, fake: FakeServer, behind: bytes = b"", **timeouts: float) -> None:
        """`behind`: what is sent with the answer."""
        self.reader = Reader(Client(url_of(fake), name="hank", timeouts=Timeouts(**timeouts)))
        self.starting = gevent.spawn(self.reader.client.start)
        self.connection = fake.accept()
        self.sock: Any = self.connection.sock
        head, _ = read_head(self.sock)
        key = re.search(r"(?i)sec-websocket-key: (\S+)", head.decode())
        assert key is not None
        self.sock.sendall(accepting(key[1]) + behind)

    def failure(self) -> str:
        with pytest.raises(Unreachable) as caught:
            self.starting.get(timeout=TIMEOUT)
        return str(caught.value)


def text(data: bytes, *, fin: bool = True) -> bytes:
    return Frame(Opcode.TEXT, data, fin).serialize(mask=False)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (Frame(Opcode.BINARY, b"{}").serialize(mask=False), "broke the WebSocket protocol (a binary message)"),
        (Frame(Opcode.TEXT, b"{}").serialize(mask=True), "broke the WebSocket protocol ("),
        (b"\xff" * 1000, "broke the WebSocket protocol ("),
        (b"\x81\x7f" + (MAX_FRAME + 1).to_bytes(8, "big"), "The server sent a frame that is too long"),
        (text(b"x" * 65_536, fin=False) + b"\x00\x7f" + MAX_FRAME.to_bytes(8, "big"), "a frame that is too long"),
        (text(b"<html>"), "does not speak JIM 2; it answered <html>"),
        (text(b'{"response":200,"jim":1}'), "does not speak JIM 2"),
        (Frame(Opcode.CLOSE, b"").serialize(mask=False), "the server closed the connection."),
        (Frame(Opcode.CLOSE, b"\x03\xe9").serialize(mask=False), "the server closed the connection."),
        (Frame(Opcode.CLOSE, b"\x03\xf5full").serialize(mask=False), "the server closed the connection (1013 full)."),
    ],
    ids=["binary", "masked", "reserved", "long", "long in pieces", "page", "jim 1", "close", "going", "try later"],
)
def test_what_a_server_does_wrong_before_the_login_is_told(fake: FakeServer, sent: bytes, reason: str) -> None:
    opened = Opened(fake)
    opened.sock.sendall(sent)
    assert reason in opened.failure()


@pytest.mark.parametrize(
    "sent",
    [Frame(Opcode.PING, b"?").serialize(mask=False), Frame(Opcode.PONG, b"").serialize(mask=False), b"\x01\x01x", b""],
    ids=["pings", "pongs", "two beginnings", "nothing"],
)
def test_a_server_that_never_answers_the_login_is_given_up(fake: FakeServer, sent: bytes) -> None:
    """Whatever it does meanwhile; two fragments that both begin a message break the protocol."""
    opened = Opened(fake, connect=0.3)

    def say() -> None:
        while not opened.starting.ready():
            opened.sock.sendall(sent)
            gevent.sleep(0.02)

    saying = gevent.spawn(say)
    assert "no answer within 0.3 s" in (failure := opened.failure()) or "broke the WebSocket protocol" in failure
    saying.kill()


def test_what_comes_with_the_handshake_is_read(fake: FakeServer) -> None:
    refusal = text(b'{"response":503,"code":"server_full","error":"The server is full.","retry_after":9}')
    opened = Opened(fake, refusal)
    assert "The server is full" in opened.failure()
    cause = opened.starting.exception.__cause__
    assert isinstance(cause, ServerBusy) and cause.retry_after == 9


# A client that is logged in, over the server of `websockets`.


@pytest.fixture
def begun() -> Iterator[tuple[Reader, ClientConnection, FakeServer]]:
    with FakeServer(wire="web") as fake:
        reader = Reader(Client(fake.host, name="hank", timeouts=SHORT_TIMEOUTS))
        starting = gevent.spawn(reader.client.start)
        connection = fake.accept_and_log_in()
        starting.get(timeout=TIMEOUT)
        yield reader, connection, fake
        reader.client.close()


def ping(connection: ClientConnection, data: bytes) -> None:
    websocket: Any = connection.sock
    websocket._protocol.send_ping(data)
    websocket._flush()


def receive_pong(connection: ClientConnection) -> bytes:
    """Return the payload of the next pong; every other frame that came before is a message."""
    websocket: Any = connection.sock
    while not websocket.pongs:
        websocket._feed(websocket._sock.recv(65536))
    return bytes(websocket.pongs.pop(0))


def test_pings_are_answered_while_nothing_is_sent(begun: tuple[Reader, ClientConnection, FakeServer]) -> None:
    _, connection, _ = begun
    for number in range(3):
        ping(connection, b"%d" % number)
        assert receive_pong(connection) == b"%d" % number


class NarrowSocket:
    """A socket that takes `room` bytes, and more after `widen`; `received` is what its peer sends."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sent = b""
        self.received: Queue[bytes] = Queue()
        self.timeout: float | None = None
        self._widened = Event()

    def widen(self, room: int) -> None:
        self.room = room
        self._widened.set()

    def send(self, data: memoryview | bytes) -> int:
        while not self.room:
            if self.timeout == 0.0:
                raise BlockingIOError
            self._widened.clear()
            self._widened.wait()
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def recv(self, size: int) -> bytes:
        return self.received.get()

    def settimeout(self, seconds: float | None) -> None:
        self.timeout = seconds

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 7780

    def setsockopt(self, *option: int) -> None:
        pass

    def receive_ping(self, connection: WebSocketConnection, data: bytes) -> None:
        """Have the connection read a ping, and then nothing."""
        self.received.put(Frame(Opcode.PING, data).serialize(mask=False))
        assert connection.read(0.01) is None

    def frames(self) -> list[tuple[Opcode, bytes]]:
        """Return what the peer has received; it MUST be a WebSocket."""
        server = Protocol(Side.SERVER, state=State.OPEN, max_size=None)
        server.receive_data(self.sent)
        assert server.parser_exc is None
        return [(frame.opcode, bytes(frame.data)) for frame in server.events_received()]  # type: ignore[union-attr]


def test_a_ping_is_answered_after_the_frame_that_is_half_sent() -> None:
    sock: Any = NarrowSocket(room=10)
    connection = WebSocketConnection(sock)
    sending = gevent.spawn(connection.send, b"x" * 100 + b"\n", SHORT_TIMEOUTS)
    gevent.sleep(0)
    sock.room = 1000  # the reader is the first to find it
    sock.receive_ping(connection, b"first")
    sock.receive_ping(connection, b"last")
    assert len(sock.sent) == 10
    sock.widen(1000)
    sending.get(timeout=TIMEOUT)
    assert sock.frames() == [(Opcode.TEXT, b"x" * 100), (Opcode.PONG, b"last")]


def test_half_a_pong_is_completed_before_the_next_frame() -> None:
    sock: Any = NarrowSocket(room=3)
    connection = WebSocketConnection(sock)
    sock.receive_ping(connection, b"?")
    assert len(sock.sent) == 3 and sock.timeout is None
    sock.room = 1000
    connection.send(b"x\n", SHORT_TIMEOUTS)
    assert sock.frames() == [(Opcode.PONG, b"?"), (Opcode.TEXT, b"x")]


def test_half_a_pong_is_completed_by_the_next_read_where_nothing_is_sent() -> None:
    sock: Any = NarrowSocket(room=3)
    connection = WebSocketConnection(sock)
    sock.receive_ping(connection, b"1")
    sock.receive_ping(connection, b"2")
    sock.room = 1000
    sock.receive_ping(connection, b"3")
    assert sock.frames() == [(Opcode.PONG, b"1"), (Opcode.PONG, b"3")]


def test_what_had_not_left_is_sent_again_with_its_ids(begun: tuple[Reader, ClientConnection, FakeServer]) -> None:
    reader, connection, fake = begun
    sent = [reader.client.send("dale", f"{number} {'x' * 15_000}") for number in range(30)]
    connection.respond(connection.expect("msg"))
    half: Any = connection.sock
    half._sock.recv(10_000)  # within a frame
    connection.close()
    connection = fake.accept_and_log_in()
    for message in sent[1:]:
        request = connection.expect("msg")
        assert (request["id"], request["message"]) == (message.id, message.text)
        connection.respond(request)
    assert reader.client.flush(TIMEOUT) == 0


def test_a_server_that_reads_nothing_is_given_up() -> None:
    with FakeServer(wire="web") as fake:
        timeouts = Timeouts(connect=2, response=0.3, initial_backoff=0.02)
        reader = Reader(Client(fake.host, name="hank", timeouts=timeouts))
        starting = gevent.spawn(reader.client.start)
        fake.accept().accept_login(limits={"frame": 1_000_000, "text": 1_000_000})
        starting.get(timeout=TIMEOUT)
        for number in range(100):
            reader.client.send("dale", f"{number} {'x' * 200_000}")
        assert "0.3 s" in reader.next(Disconnected).reason
        reader.client.abort()


def test_pings_do_not_make_a_dead_server_alive() -> None:
    with FakeServer(wire="web") as fake:
        timeouts = Timeouts(connect=2, response=0.4, probe_after=0.2, initial_backoff=0.02)
        reader = Reader(Client(fake.host, name="hank", timeouts=timeouts))
        starting = gevent.spawn(reader.client.start)
        connection = fake.accept_and_log_in()
        starting.get(timeout=TIMEOUT)

        def keep_pinging() -> None:
            while True:
                ping(connection, b"?")
                gevent.sleep(0.02)

        pinging = gevent.spawn(keep_pinging)
        assert reader.next(Disconnected).reason == "the server did not answer within 0.4 s"
        pinging.kill()
        reader.client.abort()


def test_a_large_message_that_takes_long_keeps_a_server_alive() -> None:
    with FakeServer(wire="web") as fake:
        timeouts = Timeouts(connect=2, response=0.4, probe_after=0.2, initial_backoff=0.02)
        reader = Reader(Client(fake.host, name="hank", timeouts=timeouts))
        starting = gevent.spawn(reader.client.start)
        connection = fake.accept_and_log_in()
        starting.get(timeout=TIMEOUT)
        frame = b'{"action":"msg","from":"dale","to":"hank","time":1.0,"message":"' + b"x" * 300 + b'"}'
        sent = text(frame)
        raw: Any = connection.sock
        for start in range(0, len(sent), 4):
            raw._sock.sendall(sent[start : start + 4])
            gevent.sleep(0.01)  # for longer than probe_after and response together
        assert len(reader.next(MessageReceived).delivery.message) == 300
        assert not any(isinstance(event, Disconnected) for event in reader.seen)
        reader.client.abort()


def test_closing_says_goodbye_and_closes_the_websocket(begun: tuple[Reader, ClientConnection, FakeServer]) -> None:
    reader, connection, _ = begun
    reader.client.close()
    connection.expect("quit")
    with pytest.raises(EOFError):
        connection.receive()
    websocket: Any = connection.sock
    assert websocket._protocol.close_rcvd.code == 1000


def test_a_proxy_that_is_up_before_its_server_is_waited_for(
    begun: tuple[Reader, ClientConnection, FakeServer],
) -> None:
    """After the login no answer of HTTP is final: a message waits."""
    reader, connection, fake = begun
    message = reader.client.send("dale", "hi")
    connection.close()
    fake.wire = "plain"
    for status in ("502 Bad Gateway", "404 Not Found", "403 Forbidden", "301 Moved\r\nLocation: /"):
        proxy = fake.accept()
        read_head(proxy.sock)  # type: ignore[arg-type]
        proxy.send_bytes(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        proxy.close()
    fake.wire = "web"
    connection = fake.accept_and_log_in()
    assert connection.expect("msg")["id"] == message.id
    assert reader.next(Connected) and reader.next(Connected).reconnected
    reasons = [event.reason for event in reader.seen if isinstance(event, Disconnected)]
    assert any("HTTP 404" in reason for reason in reasons) and any("HTTP 502" in reason for reason in reasons)


def test_the_socket_is_closed_when_no_websocket_is_opened(fake: FakeServer) -> None:
    starting = gevent.spawn(Client(url_of(fake), name="hank").start)
    connection = fake.accept()
    read_head(connection.sock)  # type: ignore[arg-type]
    connection.send_bytes(b"HTTP/1.1 404 Not Found\r\n\r\n")
    with pytest.raises(Unreachable):
        starting.get(timeout=TIMEOUT)
    assert isinstance(connection.sock, socket.socket) and connection.sock.recv(100) == b""
