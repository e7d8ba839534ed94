"""A server that is no Redis, or answers anything: the bus reconnects, and nothing else happens."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer
from hypothesis import given, settings
from hypothesis import strategies as some

from gmessenger.bus import check_bus_url, connection
from gmessenger.errors import Unreachable
from gmessenger.launcher.services import LOOPBACK, Redis
from tests.bus.conftest import SHORT, BusGroup
from tests.support.bus import TEST_TIMEOUT, RecordingListener, forward

StartGroup = Callable[[str], BusGroup]
Events = Callable[[str], list[dict[str, Any]]]
HELLO = b"%3\r\n$2\r\nid\r\n:7\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n"
ANSWERS = [
    *(b"", b"\r\n", b"hello\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\xff" * 100),
    *(b"+OK\r\n", b"-ERR no\r\n", b"-\xff\xfe\r\n", b":1\r\n", b"_\r\n", b"#t\r\n", b",nan\r\n", b"$-1\r\n", b"*0\r\n"),
    *(b"(12345678901234567890\r\n", b"$5\r\nhello\r\n", b"*-1\r\n", b"%0\r\n", b"~1\r\n:1\r\n", b">0\r\n"),
    *(b">1\r\n+message\r\n", b"%1\r\n*1\r\n:1\r\n:1\r\n", b"%1\r\n$2\r\nid\r\n$3\r\nabc\r\n", b"%1\r\n:1\r\n:2\r\n"),
    *(b"%1\r\n$2\r\nid\r\n_\r\n", b"%4000000000\r\n", b"$99999999999999\r\n"),
    *(b"*" * 100, b"*1\r\n" * 100, b">3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n", b">3\r\n_\r\n_\r\n_\r\n"),
    *(b">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\nx\r\n", b"-MOVED 1 1.2.3.4:5\r\n", b"-NOAUTH\r\n", b"-LOADING\r\n"),
    *(b"!5\r\nERR x\r\n", b"=9\r\ntxt:hello\r\n", b"|1\r\n+a\r\n+b\r\n"),
]
BUS_ANSWERS = [
    b"hello\r\n",
    b"%1\r\n$2\r\nid\r\n$3\r\nabc\r\n",
    b"+OK\r\n",
    b">0\r\n",
    b"%4000000000\r\n",
    b"-\xff\xfe\r\n",
]
"""The replies that a whole bus is tested with."""
GREETINGS = [b"", HELLO]
"""Its first reply: a wrong one, or that of a Redis."""


class FakeRedis:
    """A server that answers every request with the same bytes, after a greeting."""

    def __init__(self, greeting: bytes, answer: bytes) -> None:
        self._greeting, self._answer = greeting, answer
        self.connection_count = self.sent = 0
        self._server = StreamServer((LOOPBACK, 0), self._serve)
        self._server.start()
        self.url = f"redis://{LOOPBACK}:{self._server.server_port}"

    def _serve(self, sock: socket.socket, _: object) -> None:
        self.connection_count += 1
        packets = self._greeting or self._answer
        try:
            while sock.recv(65_536):
                sock.sendall(packets)
                self.sent += len(packets)
                packets = self._answer
        except OSError:
            pass  # it was hung up on

    def close(self) -> None:
        self._server.stop()


@pytest.fixture
def start_fake_redis() -> Iterator[Callable[..., FakeRedis]]:
    fakes: list[FakeRedis] = []

    def start(*options: bytes) -> FakeRedis:
        fakes.append(FakeRedis(*options))
        return fakes[-1]

    yield start
    for fake in fakes:
        fake.close()


@pytest.mark.parametrize("greeting", GREETINGS, ids=["stranger", "redis"])
def test_who_is_no_redis_costs_the_link_and_nothing_else(
    greeting: bytes, start_fake_redis: Callable[..., FakeRedis], start_group: StartGroup, events: Events
) -> None:
    bad = [start_fake_redis(greeting, answer) for answer in BUS_ANSWERS]
    group, listener = start_group(bad[0].url), RecordingListener()
    buses = [group.open(f"node{version}", url=each.url, timeout=1.0) for version, each in enumerate(bad)]
    for bus in buses:
        bus.start(listener)
    listener.wait_until(lambda: all(each.connection_count >= 3 for each in bad))
    assert group.failures == [] and not any(bus.connected for bus in buses)
    assert all(not bus._connect_greenlet.ready() for bus in buses)  # type: ignore[attr-defined]
    assert all(len(event["reason"]) <= connection.MAX_REASON for event in events("bus_lost"))
    assert listener.presence_events == [] and listener.received == [] and listener.connect_count == 0
    with pytest.raises(Unreachable):
        check_bus_url(start_fake_redis(b"", b"-ERR no\r\n").url)


@pytest.mark.parametrize("greeting", GREETINGS, ids=["stranger", "redis"])
def test_whatever_it_says_a_line_is_lost_or_goes_on(
    greeting: bytes, start_fake_redis: Callable[..., FakeRedis]
) -> None:
    def converse(answer: bytes) -> str:
        try:
            with closing(connection.RedisEndpoint(start_fake_redis(greeting, answer).url, 0.5).connect()) as redis:
                redis.send(("SUBSCRIBE", "all"))
                redis.read(0.1)
                redis.execute(("PUBLISH", "all", "x"))
        except ConnectionError as error:
            return str(error)
        return "well"

    greenlets = [gevent.spawn(converse, answer) for answer in ANSWERS]
    assert all(each.get(timeout=TEST_TIMEOUT) for each in greenlets)


class InjectingProxy:
    """A proxy between a node and Redis that injects bytes into the replies."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.injected: bytes | None = None
        self._server = StreamServer((LOOPBACK, 0), self._serve)
        self._server.start()
        self.url = f"redis://{LOOPBACK}:{self._server.server_port}"

    def _serve(self, client_socket: socket.socket, _: object) -> None:
        with socket.create_connection((LOOPBACK, self._redis.port)) as server_socket:
            gevent.joinall(
                [
                    gevent.spawn(forward, client_socket, server_socket),
                    gevent.spawn(self._forward_replies, server_socket, client_socket),
                ]
            )

    def _forward_replies(self, server_socket: socket.socket, client_socket: socket.socket) -> None:
        try:
            while data := server_socket.recv(65_536):
                packets, self.injected = self.injected, None
                client_socket.sendall((packets or b"") + data)
            client_socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._server.stop()


def test_whatever_is_slipped_in_the_nodes_find_each_other_again(redis_server: Redis, start_group: StartGroup) -> None:
    proxy = InjectingProxy(redis_server)
    group = start_group(redis_server.url)
    hank, listener = group.start_bus("hank", url=proxy.url, timeout=SHORT)
    dale, _ = group.start_bus("dale", timeout=SHORT)
    for answer in BUS_ANSWERS:
        proxy.injected = answer
        listener.wait_until(lambda: proxy.injected is None)
    listener.received.clear()

    def is_well() -> bool:
        dale.send(b"all is well")
        gevent.sleep(0.05)
        return bool(listener.received)

    listener.wait_until(is_well)
    listener.wait_until(
        lambda: hank.connected
    )  # the busier the machine, the more often its short timeouts end a connection
    assert group.failures == []
    group.close()
    proxy.close()


@pytest.mark.parametrize(
    "answer",
    [b"$999999999\r\n" + b"x" * 60_000, b"*99999999\r\n" + b":1\r\n" * 15_000, b">9999999\r\n" + b"+x\r\n" * 15_000],
    ids=["string", "array", "push"],
)
def test_an_answer_without_an_end_is_not_kept(
    answer: bytes, start_group: StartGroup, monkeypatch: pytest.MonkeyPatch, events: Events
) -> None:
    monkeypatch.setattr(connection, "MAX_REPLY", 2**20)
    _, _, more = answer.partition(b"\r\n")
    sent: list[int] = []

    def send_endless(sock: socket.socket, _: object) -> None:
        sock.recv(65_536)
        sent.append(0)
        try:
            sock.sendall(answer)
            while True:
                sent[-1] += sock.send(more)
        except OSError:
            pass

    server = StreamServer((LOOPBACK, 0), send_endless)
    server.start()
    group, listener = start_group(f"redis://{LOOPBACK}:{server.server_port}"), RecordingListener()
    group.open("hank").start(listener)
    listener.wait_until(lambda: len(sent) >= 2)
    assert sent[0] < 2**24  # what the sockets hold besides
    assert events("bus_lost")[0]["reason"] == "its reply is too long"
    group.close()
    server.stop()


def test_an_answer_that_trickles_is_not_waited_for(start_group: StartGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REPLY_TIMEOUT", 0.5)
    hung_up: list[int] = []

    def send_slowly(sock: socket.socket, _: object) -> None:
        sock.recv(65_536)
        try:
            sock.sendall(b"$999999\r\n")
            while True:
                sock.sendall(b"x")
                gevent.sleep(0.05)
        except OSError:
            hung_up.append(1)

    server = StreamServer((LOOPBACK, 0), send_slowly)
    server.start()
    group, listener = start_group(f"redis://{LOOPBACK}:{server.server_port}"), RecordingListener()
    group.open("hank").start(listener)
    listener.wait_until(lambda: hung_up)
    group.close()
    server.stop()


def test_short_replies_are_not_added_up(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an idle node would lose its connection, and packets under way, every `REPLY_TIMEOUT`."""
    seconds = itertools.count(step=connection.REPLY_TIMEOUT / 4)
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    opened = connection.RedisEndpoint(redis_server.url, TEST_TIMEOUT).connect()
    assert [opened.execute(("PUBLISH", "nobody", "x")) for _ in range(20)] == [[0]] * 20
    opened.close()


class ClosedSocket:
    """A socket with some bytes to read, then closed."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def settimeout(self, _: object) -> None:
        """Do nothing: there is nothing to wait for."""

    def recv_into(self, buffer: bytearray) -> int:
        size = min(len(buffer), len(self._data))
        buffer[:size], self._data = self._data[:size], self._data[size:]
        return size

    def shutdown(self, _: object) -> None:
        """Do nothing."""

    close = lambda self: None  # noqa: E731


@settings(deadline=None)
@given(some.lists(some.sampled_from([*ANSWERS, *b"*%>$:+-_#,(~|!=0123456789\r\n"]) | some.binary(max_size=20)))
def test_what_is_read_is_an_answer_or_a_lost_connection(packets: list[bytes | int]) -> None:
    data = b"".join(each if isinstance(each, bytes) else bytes([each]) for each in packets)
    endpoint = connection.RedisEndpoint("redis://localhost", TEST_TIMEOUT)
    raw = endpoint._connection_class(**endpoint._settings)
    raw._sock = ClosedSocket(data)
    raw._parser.on_connect(raw)
    raw.handshake_metadata = {b"id": 1, b"version": b"7"}
    connected = connection.RedisConnection(raw)
    with pytest.raises(ConnectionError):
        _read_all(connected)


def _read_all(connected: connection.RedisConnection) -> None:
    while True:
        connected.read(0.01)
