"""However a client disconnects, nothing of it is left, and what it still reads is written."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.util import format_run_info

from gmessenger.errors import StoreUnavailable
from gmessenger.server.jim.course import CourseHandler
from gmessenger.server.jim.native import NativeHandler
from tests.conftest import RunningServer
from tests.support.server import TEST_TIMEOUT, open_connection

COURSE = b'{"action":"presence","user":{"account_name":"dale"}}'
MAX_REFERRERS = 200
NATIVE = b'{"action":"presence","jim":2,"user":{"account_name":"%s"}}\n'


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def half_close(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(65_536):
        pass
    sock.close()


def quit_(sock: socket.socket) -> None:
    sock.sendall(b'{"action":"quit"}\n')
    half_close(sock)


WAYS: dict[str, Callable[[socket.socket], object]] = {
    "closes": socket.socket.close,
    "resets": reset,
    "half-closes": half_close,
    "quits": quit_,
}


def until_empty(server: RunningServer, left: int = 0) -> None:
    with gevent.Timeout(TEST_TIMEOUT):
        while server.app.connection_count > left:
            gevent.sleep(0.01)


def logged_in_handlers() -> list[Any]:
    gc.collect()
    handlers = [found for found in gc.get_objects() if isinstance(found, CourseHandler | NativeHandler)]
    return [handler for handler in handlers if handler.session]


def describe(left: list[Any]) -> str:
    """Return what refers to the handlers that are left, and where every greenlet stands: for the failure message."""
    found, seen = [], {id(left)}
    queue: list[Any] = list(left)
    while queue and len(found) < MAX_REFERRERS:
        held = queue.pop(0)
        for holder in gc.get_referrers(held):
            if id(holder) not in seen and holder is not queue:
                seen.add(id(holder))
                queue.append(holder)
                where = f" {holder.f_code.co_qualname}:{holder.f_lineno}" if isinstance(holder, FrameType) else ""
                found.append(f"{type(holder).__qualname__}{where} holds {type(held).__qualname__}")
    return "\n".join([*found, *format_run_info()])


@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("presence", [COURSE, NATIVE % b"dale"], ids=["course", "native"])
def test_nothing_stays_behind_of_one_who_leaves_with_messages_waiting(
    presence: bytes, leave: Callable[[socket.socket], object], server: RunningServer
) -> None:
    before = len(logged_in_handlers())
    with open_connection(server.port) as hank:
        hank.sendall(NATIVE % b"hank")
        dale = open_connection(server.port)
        dale.sendall(presence)
        dale.recv(1024)
        hank.sendall(b'{"action":"msg","to":"dale","message":"hi"}\n' * 200 + b'{"action":"probe","id":"last"}\n')
        while b"last" not in hank.recv(65_536):
            pass
        leave(dale)
    until_empty(server)
    gevent.sleep(0.3)  # a timer left behind would be due by now, and hold on to its connection
    with gevent.Timeout(TEST_TIMEOUT, False):  # the other end's greenlet may still be at its last lines
        while len(logged_in_handlers()) > before:
            gevent.sleep(0.05)
    assert len(left := logged_in_handlers()) <= before, describe(left)


def test_a_sweep_does_not_hold_a_connection_that_has_closed(server: RunningServer) -> None:
    before = len(logged_in_handlers())
    swept, stopped = Event(), Event()
    waits = iter([lambda: False, lambda: swept.set() or stopped.wait()])
    with open_connection(server.port) as hank:
        hank.sendall(NATIVE % b"hank")
        hank.recv(1024)
        sweep = gevent.spawn(server.app.acceptor.sweep, lambda _: next(waits)())
        assert swept.wait(TEST_TIMEOUT)
    until_empty(server)
    with gevent.Timeout(TEST_TIMEOUT, False):
        while len(logged_in_handlers()) > before:
            gevent.sleep(0.05)
    assert len(logged_in_handlers()) <= before
    stopped.set()
    sweep.get(timeout=TEST_TIMEOUT)


@pytest.mark.parametrize("quits", [b"", b'{"action":"quit"}\n'], ids=["", "quit"])
def test_who_asks_and_half_closes_is_answered_whole(quits: bytes, server: RunningServer) -> None:
    with open_connection(server.port) as hank:
        hank.sendall(NATIVE % b"hank")
        hank.sendall(b"".join(b'{"action":"users","id":"%d"}\n' % number for number in range(900)) + quits)
        hank.shutdown(socket.SHUT_WR)
        answers = [json.loads(line) for line in hank.makefile("rb")]
    assert [answer["id"] for answer in answers if "id" in answer] == [str(number) for number in range(900)]


def test_who_half_closes_still_learns_that_its_message_was_stored(server: RunningServer) -> None:
    with open_connection(server.port) as hank:
        hank.sendall(NATIVE % b"hank" + b'{"action":"register","id":"r","password":"12345678"}\n')
        hank.sendall(b'{"action":"msg","id":"m","to":"hank","message":"note"}\n')
        hank.shutdown(socket.SHUT_WR)
        answers = {answer.get("id"): answer for answer in map(json.loads, hank.makefile("rb"))}
    assert (answers["r"]["response"], answers["m"]["response"], answers["m"]["seq"]) == (201, 200, 1)


def test_leaving_while_nothing_can_be_stored_is_no_mistake_of_the_server(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses() -> None:
        raise StoreUnavailable

    with open_connection(server.port) as hank:
        hank.sendall(NATIVE % b"hank" + b'{"action":"register","id":"r","password":"12345678"}\n')
        answers = hank.makefile("rb")
        while b'"id":"r"' not in answers.readline():
            pass
        hank.sendall(b'{"action":"msg","id":"m","to":"hank","message":"note"}\n')
        while b'"id":"m"' not in answers.readline():
            pass
        monkeypatch.setattr(server.app.store, "flush", refuses)
        half_close(hank)
    until_empty(server)
    assert server.app.supervisor.failure_count == 0


def test_a_slow_reader_is_not_asked_whether_it_is_there(start_server: Callable[..., RunningServer]) -> None:
    server = start_server(close_timeout=0.1)
    with open_connection(server.port) as hank, open_connection(server.port) as dale:
        for person, name in ((hank, b"hank"), (dale, b"dale")):
            person.sendall(NATIVE % name)
        message = b'{"action":"msg","to":"dale","message":"' + b"x" * 16_000 + b'"}\n'
        answers = hank.makefile("rb")
        while b"recipient_busy" not in answers.readline():
            hank.sendall(message * 20 + b'{"action":"probe"}\n')
        server.app.apply_options(replace(server.app.options, probe_after=0.1, probe_timeout=0.1))
        until_empty(server, 1)  # hank, who does not answer either, but reads
        assert "dale" in server.app.messenger.router


def test_a_mistake_in_writing_ends_the_connection_and_no_other(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_connection(server.port) as hank, open_connection(server.port) as dale:
        hank.sendall(NATIVE % b"hank")
        dale.sendall(NATIVE % b"dale")
        dale.recv(1024)
        (session,) = server.app.messenger.router.sessions("dale")
        session.outbox.put_nowait(object())  # type: ignore[arg-type]
        answers = hank.makefile("rb")
        hank.sendall(b'{"action":"msg","to":"dale","message":"hi"}\n{"action":"probe","id":"p"}\n')
        while b'"id":"p"' not in answers.readline():
            pass
        server.app.messenger.announce_shutdown(lambda: 2.0)
        server.app.messenger.close()
    until_empty(server)
    server.app.supervisor.failure_count = 0


def test_those_who_were_here_together_are_told_to_come_back_one_by_one(server: RunningServer) -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(open_connection(server.port)) for _ in range(6)]
        lines = [sock.makefile("rb") for sock in sockets]
        for number, (sock, answers) in enumerate(zip(sockets, lines, strict=True)):
            sock.sendall(NATIVE % f"name{number}".encode())
            while b"synced" not in answers.readline():
                pass
        stopping = gevent.spawn(server.stop)
        delays = [json.loads(answers.readline())["retry_in"] for answers in lines]
        for sock in sockets:
            sock.close()
        stopping.get(timeout=TEST_TIMEOUT)
    assert all(2.0 <= delay <= 4.0 for delay in delays) and len(set(delays)) > 1
