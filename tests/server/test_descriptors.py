"""Out of descriptors: the server logs it, rejects clients with a reply, and goes on when there are some again."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent.server import StreamServer

from gmessenger.paths import short_socket_path
from gmessenger.server.net import descriptors
from tests.conftest import RunningServer
from tests.support.server import TEST_TIMEOUT, ServerProcess, open_connection

HELLO = b'{"action":"presence","jim":2,"user":{"account_name":"guest%d"}}\n'
COUNT = 60


@contextlib.contextmanager
def short_of_files(tmp_path: Path, left: int) -> Iterator[tuple[ServerProcess, int]]:
    """Start a server that may open so many more files; return it and its port."""
    with ServerProcess("--store", f"sqlite:///{tmp_path}/m.db", "--health", f"unix:{tmp_path}/health") as server:
        port = server.wait_for_port()
        with open_connection(port) as hank:  # the first connection opens files that stay open
            hank.sendall(HELLO % 0)
            hank.makefile("rb").readline()
        may_open(server, left)
        yield server, port


def may_open(server: ServerProcess, left: int) -> None:
    used = max(int(link.name) for link in Path(f"/proc/{server.process.pid}/fd").iterdir()) + 1
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + left, hard))


def wait_for_the_log(server: ServerProcess) -> None:
    """Read the log until it reports that no connection can be accepted."""
    assert server.process.stderr is not None
    while "cannot_accept" not in (line := server.process.stderr.readline()):
        assert line


def answer(sock: socket.socket) -> int:
    line = sock.makefile("rb").readline()
    assert line, "closed without a word"
    return int(json.loads(line)["response"])


def get_all_at_once(server: ServerProcess, stack: contextlib.ExitStack, place: str | int) -> list[socket.socket]:
    """Connect while the server is suspended, so that all connections wait when it goes on."""
    server.process.send_signal(signal.SIGSTOP)
    came = []
    for _ in range(COUNT if isinstance(place, int) else 15):  # of a socket in a file, so many may wait
        if isinstance(place, int):
            came.append(stack.enter_context(open_connection(place)))
        else:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(TEST_TIMEOUT)
            with short_socket_path(Path(place)) as address:
                sock.connect(address)
            came.append(sock)
    server.process.send_signal(signal.SIGCONT)
    return came


@pytest.mark.parametrize("left", [20, 3])
def test_who_comes_beyond_the_descriptors_is_answered_503_and_the_log_says_why(left: int, tmp_path: Path) -> None:
    with short_of_files(tmp_path, left) as (server, port), contextlib.ExitStack() as stack:
        came = get_all_at_once(server, stack, port)
        for number, sock in enumerate(came):
            with contextlib.suppress(OSError):  # it may have been turned away already
                sock.sendall(HELLO % number)
        answers = Counter(map(answer, came))
        assert set(answers) <= {200, 503} and answers[503] >= COUNT - left and answers.total() == COUNT
        stack.close()
        may_open(server, 50)
        with open_connection(port) as hank:
            hank.sendall(HELLO % COUNT)
            assert answer(hank) == 200
        code, log = server.stop(signal.SIGTERM)
    assert code == 0 and "Traceback" not in log
    (shortage,) = [line for line in log.splitlines() if " cannot_accept " in line]
    assert "Too many open files" in shortage


def test_without_any_descriptor_it_waits_and_goes_on(tmp_path: Path) -> None:
    """The limit is below what is open, so that closing the spare descriptor does not help."""
    with short_of_files(tmp_path, 20) as (server, port):
        may_open(server, -15)
        with open_connection(port) as hank:
            hank.sendall(HELLO % 1)
            wait_for_the_log(server)
            may_open(server, 50)
            assert answer(hank) in (200, 503)  # 503 if it is accepted only to be rejected
        with open_connection(port) as hank:
            hank.sendall(HELLO % 1)
            assert answer(hank) == 200
        code, log = server.stop(signal.SIGTERM)
    assert code == 0 and "Traceback" not in log


def test_health_says_so_too(tmp_path: Path) -> None:
    with short_of_files(tmp_path, 3) as (server, _), contextlib.ExitStack() as stack:
        came = get_all_at_once(server, stack, f"{tmp_path}/health")
        wait_for_the_log(server)
        for sock in came:
            with contextlib.suppress(OSError):
                sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        answers = Counter(sock.makefile("rb").readline().split()[1] for sock in came)
        assert set(answers) == {b"200", b"503"} and answers.total() == len(came)
        may_open(server, 50)
        code, log = server.stop(signal.SIGTERM)
    assert code == 0 and "Traceback" not in log


def test_the_last_descriptors_are_not_for_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, first in ((40, 30), (1024, 960), (20_000, 19_936)):
        monkeypatch.setattr(descriptors, "soft_limit", lambda limit=limit: limit)
        assert (descriptors.is_near_limit(first - 1), descriptors.is_near_limit(first)) == (False, True)
    monkeypatch.setattr(descriptors, "soft_limit", lambda: None)
    assert not descriptors.is_near_limit(10**6)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EPERM, errno.ECONNABORTED])
def test_whatever_accepting_fails_with_it_is_tried_again_without_a_traceback(
    code: int, server: RunningServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    failures, accept = [0], StreamServer.do_read

    def fails(listener: StreamServer) -> Any:
        if failures[0] < 5:
            failures[0] += 1
            raise OSError(code, os.strerror(code))
        return accept(listener)

    monkeypatch.setattr(StreamServer, "do_read", fails)
    with open_connection(server.port) as hank:
        hank.sendall(HELLO % 1)
        assert answer(hank) in (200, 503)
    assert failures == [5] and capfd.readouterr() == ("", "")
