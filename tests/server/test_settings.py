"""Timeouts and limits of connections, each against a real socket."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from tests.conftest import RunningServer
from tests.support.server import TEST_TIMEOUT, open_connection

NATIVE = b'{"action":"presence","jim":2,"user":{"account_name":"%s"}}\n'
Start = Callable[..., RunningServer]
Login = Callable[..., "Line"]


class Line(contextlib.ExitStack):
    """Open a native connection and log in."""

    def __init__(self, server: RunningServer, name: bytes) -> None:
        super().__init__()
        self.socket = self.enter_context(open_connection(server.port))
        self._lines = self.enter_context(self.socket.makefile("rb"))
        self.send(NATIVE % name)
        assert [json.loads(self.read()).get("response") for _ in range(2)] == [200, None]

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> bytes:
        return self._lines.readline()

    def frame(self) -> Any:
        return json.loads(self.read())


@pytest.fixture
def login() -> Iterator[Callable[..., Line]]:
    with contextlib.ExitStack() as lines:
        yield lambda server, name: lines.enter_context(Line(server, name))


def test_who_does_not_log_in_is_closed(start_server: Start) -> None:
    server = start_server(login_timeout=0.05)
    with open_connection(server.port) as silent, open_connection(server.port) as slow:
        slow.sendall(b'{"action":"pres')
        assert (silent.recv(100), slow.recv(100)) == (b"", b"")


def test_the_silent_are_probed_and_any_frame_will_do(start_server: Start, login: Login) -> None:
    hank = login(start_server(probe_after=0.05, probe_timeout=5.0), b"hank")
    for answer in (b'{"response":200}\n', b'{"action":"probe"}\n', b'{"action":"users"}\n'):
        frame = hank.frame()
        while "response" in frame:
            frame = hank.frame()
        assert frame == {"action": "probe"}
        hank.send(answer)


def test_who_does_not_answer_a_probe_is_closed(start_server: Start, login: Login) -> None:
    hank = login(start_server(probe_after=0.05, probe_timeout=0.05), b"hank")
    assert hank.read() == b'{"action":"probe"}\n'
    with contextlib.suppress(ConnectionResetError):
        assert hank.read() == b""


def test_course_clients_are_not_probed(start_server: Start) -> None:
    server = start_server(probe_after=0.02, probe_timeout=0.02)
    with open_connection(server.port) as dale:
        dale.sendall(b'{"action":"presence","user":{"account_name":"dale"}}')
        dale.recv(1024)
        dale.settimeout(0.3)
        with pytest.raises(TimeoutError):
            dale.recv(1024)


def test_one_connection_more_is_answered_503(start_server: Start, login: Login) -> None:
    server = start_server(max_connections=2)
    kept = [login(server, b"hank"), login(server, b"dale")]
    with open_connection(server.port) as surplus:
        answer = json.loads(surplus.makefile("rb").readline())
        assert (answer["response"], answer["code"]) == (503, "server_full")
        assert surplus.recv(100) == b""
    kept[0].close()
    with gevent.Timeout(TEST_TIMEOUT):
        while server.app.connection_count > 1:
            gevent.sleep(0.01)
    login(server, b"bill")


def fill(hank: Line, to: str) -> str:
    """Send messages to a client that reads nothing until one is refused; return the code."""
    message = f'{{"action":"msg","to":"{to}","message":"{"x" * 16_000}"}}\n{{"action":"probe"}}\n'.encode()
    for _ in range(5000):
        hank.send(message)
        if code := hank.frame().get("code"):
            return str(code)
    raise AssertionError("80 MB were accepted for a client that reads nothing")


def test_the_queue_of_a_reader_that_stalls_is_bounded(start_server: Start, login: Login) -> None:
    server = start_server(outbox_frames=100)
    hank, _stalled = login(server, b"hank"), login(server, b"dale")
    assert fill(hank, "dale") == "recipient_busy"


def test_a_reader_that_stalls_is_ended(start_server: Start, login: Login) -> None:
    server = start_server(write_timeout=0.2, outbox_frames=1_000_000, outbox_bytes=2**30)
    hank, _stalled = login(server, b"hank"), login(server, b"dale")
    assert fill(hank, "dale") == "not_here"


def test_requests_of_one_who_reads_no_answers_are_not_read(start_server: Start, login: Login) -> None:
    server = start_server(outbox_frames=10, write_timeout=30.0)
    hank = login(server, b"hank")
    hank.socket.settimeout(1.0)
    users = (b'{"action":"users","id":"' + b"x" * 60 + b'"}\n') * 500_000
    with pytest.raises(TimeoutError):  # the kernel takes a few megabytes, the server must not take the rest
        hank.send(users)
    (session,) = server.app.messenger.router
    assert session.outbox.qsize() < 100


def test_two_listeners_share_one_house(start_server: Start) -> None:
    server = start_server(ip="localhost")
    families = {family for family, *_ in socket.getaddrinfo("localhost", server.port, type=socket.SOCK_STREAM)}
    assert len(server.app._listeners) == len(families)


def test_mistakes_of_ours_are_answered_500_logged_and_counted(
    server: RunningServer, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    hank = login(server, b"hank")
    monkeypatch.setattr(server.app.messenger.listings, "users", broken)
    hank.send(b'{"action":"users","id":"u"}\n{"action":"probe","id":"p"}\n')
    answers = [hank.frame() for _ in range(2)]
    assert [(answer["response"], answer["id"]) for answer in answers] == [(500, "u"), (200, "p")]
    assert server.app.supervisor.failure_count == 1
    server.app.supervisor.failure_count = 0
