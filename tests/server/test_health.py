"""The health server: its pages, and clients that are slow or broken."""

from __future__ import annotations

import http.client
import resource
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import gevent
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gmessenger.errors import ListenError, StoreUnavailable
from gmessenger.server import health, snapshot
from tests.chaos.disks import FrozenFiles
from tests.conftest import RunningServer
from tests.support.server import ServerProcess

TIMEOUT = 10.0
Start = Callable[..., RunningServer]


def dial(address: str) -> socket.socket:
    if "/" not in address:
        host, _, port = address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=TIMEOUT)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(TIMEOUT)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def get_page(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Request a page; return status and content, without the newline at its end."""
    with closing(http.client.HTTPConnection("health")) as asked:
        asked.sock = dial(address)
        asked.request(method, path, headers=headers)
        answer = asked.getresponse()
        return answer.status, answer.read().decode().rstrip("\n")


@pytest.fixture(params=["tcp", "unix"])
def watched(request: pytest.FixtureRequest, start_server: Start, tmp_path: Path) -> RunningServer:
    address = "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/health"
    return start_server(health=address, health_timeout=5.0)


def health_address(server: RunningServer) -> str:
    assert server.app.health is not None
    return server.app.health.address


def test_it_says_that_it_is_well(watched: RunningServer) -> None:
    address = health_address(watched)
    assert get_page(address, "/healthz") == (200, "The server is alive.")
    assert get_page(address, "/readyz") == (200, "The server is ready.")
    assert get_page(address, "/readyz", "HEAD") == (200, "")
    assert get_page(address, "/metrics")[0] == 200
    assert get_page(address, "/") == (404, "The pages are /metrics, /healthz, /readyz.")
    assert get_page(address, "/metrics", "POST") == (405, "Only GET and HEAD are allowed.")
    watched.stop()
    with pytest.raises(OSError):
        dial(address)


def test_it_is_off_unless_it_is_wanted(server: RunningServer) -> None:
    assert server.app.health is None


def test_it_is_not_ready_while_the_store_cannot_store(watched: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise StoreUnavailable("The disk is gone.")

    with monkeypatch.context() as broken:
        broken.setattr(watched.app.store, "check_writable", refuse)
        assert get_page(health_address(watched), "/readyz") == (503, "The disk is gone.")
        assert get_page(health_address(watched), "/healthz")[0] == 200
    assert get_page(health_address(watched), "/readyz")[0] == 200


def test_a_store_that_does_not_answer_is_asked_once_however_many_want_to_know(
    start_server: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = [], Event()

    def hang() -> None:
        asked.append(1)
        answered.wait()

    server = start_server(health="127.0.0.1:0", health_timeout=0.05)
    monkeypatch.setattr(server.app.store, "check_writable", hang)
    jobs = [gevent.spawn(get_page, health_address(server), "/readyz") for _ in range(5)]
    answers = {job.get(timeout=TIMEOUT) for job in jobs}
    assert (answers, asked) == ({(503, "The store has not answered for 0.05 s.")}, [1])
    answered.set()
    gevent.sleep(0)
    assert get_page(health_address(server), "/readyz")[0] == 200


def test_files_that_turned_read_only_are_noticed(tmp_path: Path) -> None:
    address, disk = f"{tmp_path}/health", FrozenFiles(tmp_path)
    with ServerProcess("--store", f"sqlite:///{tmp_path}/m.db", "--health", f"unix:{address}") as server:
        server.wait_for_port()
        assert get_page(address, "/readyz")[0] == 200
        disk.fill(server)  # type: ignore[arg-type]
        assert resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)[0] == 0
        code, sentence = get_page(address, "/readyz")
        assert code == 503 and sentence.startswith("The server cannot store anything now")
        disk.drain(server)  # type: ignore[arg-type]
        assert get_page(address, "/readyz")[0] == 200


def test_a_stopping_server_is_alive_and_not_ready(watched: RunningServer) -> None:
    with socket.create_connection((watched.host, watched.port), timeout=TIMEOUT) as guest:
        guest.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n')
        assert guest.recv(65536)
        stopping = gevent.spawn(watched.stop)
        while b"moving" not in guest.recv(65536):
            pass
        assert get_page(health_address(watched), "/readyz") == (503, "The server is stopping.")
        assert get_page(health_address(watched), "/healthz")[0] == 200
    stopping.get(timeout=TIMEOUT)


@contextmanager
def silence(server: RunningServer) -> Iterator[None]:
    """Open as many connections as there may be, on which nothing is sent."""
    with ExitStack() as stack:
        for _ in range(health.MAX_IDLE_CONNECTIONS):
            stack.enter_context(dial(health_address(server)))
        yield


def test_a_stopping_server_does_not_wait_for_who_asks_nothing(watched: RunningServer) -> None:
    with silence(watched):
        gevent.spawn(watched.stop).get(timeout=health.REQUEST_TIMEOUT)


def test_who_asks_nothing_keeps_others_from_asking_for_a_while_only(
    start_server: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "REQUEST_TIMEOUT", 0.1)
    server = start_server(health="127.0.0.1:0", health_timeout=0.1)
    with silence(server):
        assert get_page(health_address(server), "/healthz")[0] == 200


def test_rubbish_is_refused_without_a_word(watched: RunningServer, capfd: pytest.CaptureFixture[str]) -> None:
    for rubbish in (b"\x16\x03\x01\x00\n\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n"):
        with dial(health_address(watched)) as sock:
            sock.sendall(rubbish)
            assert b" 400 " in sock.makefile("rb").readline()
    with dial(health_address(watched)) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert get_page(health_address(watched), "/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_mistake_of_ours_is_counted_and_told(watched: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "take_snapshot", lambda server: 1 / 0)
    assert get_page(health_address(watched), "/metrics") == (
        500,
        "The server had an internal error, which it has logged.",
    )
    assert watched.app.supervisor.failure_count == 1
    watched.app.supervisor.failure_count = 0  # or it would fail the test


def test_a_socket_is_for_owner_and_group_and_goes_with_the_server(start_server: Start, tmp_path: Path) -> None:
    path = tmp_path / "health"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))  # what a server that was killed leaves behind
    server = start_server(health=f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    server.stop()
    assert not path.exists()


def test_a_place_that_cannot_be_had_is_said_and_nothing_else_is_held(start_server: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("unrelated")
    with socket.create_server(("127.0.0.1", 0)) as other, socket.socket(socket.AF_UNIX) as living:
        living.bind(str(tmp_path / "living"))
        living.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        for address in (f"unix:{tmp_path}/file", f"unix:{tmp_path}/living", "unix:/nowhere/at/all", taken):
            with pytest.raises(ListenError, match=address.removeprefix("unix:").rpartition(":")[2]):
                start_server(health=address)
    assert (tmp_path / "file").read_text() == "unrelated"
    assert health_address(start_server(health="127.0.0.1:0")).startswith("127.0.0.1:")


WAYS_TO_BE_SLOW = {
    "says nothing": b"",
    "begins a request": b"GET /heal",
    "does not end its headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
    "announces a body": b"POST /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\nx",
    "does not read": b"GET /metrics HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", WAYS_TO_BE_SLOW.values(), ids=WAYS_TO_BE_SLOW.keys())
def test_nobody_is_kept_from_asking_by_who_is_slow(
    sent: bytes, start_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "REQUEST_TIMEOUT", 10 * TIMEOUT)  # longer than a client of this test waits
    monkeypatch.setattr(health, "MAX_IDLE_CONNECTIONS", 4)
    server = start_server(health=f"unix:{tmp_path}/health")
    with ExitStack() as slow:
        for _ in range(20):
            sock = slow.enter_context(dial(health_address(server)))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            sock.sendall(sent)
        assert get_page(health_address(server), "/healthz")[0] == 200
        assert get_page(health_address(server), "/readyz")[0] == 200


def test_who_is_being_answered_is_not_closed_for_others(start_server: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = Event(), Event()

    def hang() -> None:
        asked.set()
        answer.wait()

    monkeypatch.setattr(health, "MAX_IDLE_CONNECTIONS", 2)
    server = start_server(health="127.0.0.1:0", health_timeout=TIMEOUT)
    monkeypatch.setattr(server.app.store, "check_writable", hang)
    patient = gevent.spawn(get_page, health_address(server), "/readyz")
    asked.wait(TIMEOUT)
    with ExitStack() as slow:
        for _ in range(10):
            slow.enter_context(dial(health_address(server)))
        assert get_page(health_address(server), "/healthz")[0] == 200
        answer.set()
        assert patient.get(timeout=TIMEOUT) == (200, "The server is ready.")


ODD_ACCEPTS = (
    "application/openmetrics-text; version=abc",
    "application/openmetrics-text; version=",
    "application/openmetrics-text;version=1.0.0.0.0;q=x",
    "text/plain; version",
    "application/openmetrics-text; version=1.0.0; escaping=no-such",
    "text/plain;version=0.0.4;escaping=",
    ";;;,,,===",
    "*/*;q=nan",
    "",
)


@pytest.mark.parametrize("accept", ODD_ACCEPTS)
def test_whatever_is_accepted_metrics_are_shown(accept: str, watched: RunningServer) -> None:
    status, content = get_page(health_address(watched), "/metrics", Accept=accept)
    assert (status, "gmessenger_info" in content, watched.failures) == (200, True, 0)


@given(st.text('application/openmetrics-text; version=1.0.0,qescaping*"\\ é', max_size=60))
def test_no_accept_header_is_a_failure(accept: str) -> None:
    encode, kind = health._encoder(accept)
    assert isinstance(encode(CollectorRegistry()), bytes) and kind
