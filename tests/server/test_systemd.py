"""Notifications to systemd, from a server process to a real datagram socket."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gmessenger.server.systemd import SystemdNotifier
from tests.support.server import TEST_TIMEOUT, ServerProcess, open_connection

ABSTRACT = "@gmessenger-test-"


@pytest.fixture(params=["path", "abstract"])
def notify(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Listen as systemd does; return the socket and the value of NOTIFY_SOCKET."""
    address = str(tmp_path / "notify") if request.param == "path" else f"{ABSTRACT}{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TEST_TIMEOUT)
        sock.bind(address if address[0] == "/" else f"\0{address[1:]}")
        yield sock, address


def words(sock: socket.socket) -> dict[str, str]:
    """Receive one datagram."""
    return dict(line.split("=", 1) for line in sock.recv(4096).decode().split("\n"))


def until(sock: socket.socket, word: str) -> dict[str, str]:
    while word not in (notification := words(sock)):
        assert set(notification) <= {"WATCHDOG", "STATUS"}, notification
    return notification


def test_a_life_as_systemd_hears_it(notify: tuple[socket.socket, str], tmp_path: Path) -> None:
    sock, address = notify
    ini = tmp_path / "server.ini"
    ini.write_text("[server]\nstore = memory:\n")
    surroundings = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
    with ServerProcess("-c", str(ini), **surroundings) as server:
        assert words(sock) == {"READY": "1", "STATUS": "0 connections"}
        with open_connection(server.wait_for_port()):
            assert until(sock, "WATCHDOG")["WATCHDOG"] == "1"
            while words(sock) != {"WATCHDOG": "1", "STATUS": "1 connections"}:
                pass
        before = time.monotonic_ns() // 1000
        server.process.send_signal(signal.SIGHUP)
        reloading = until(sock, "RELOADING")
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert "refused" not in until(sock, "READY")["STATUS"]
        ini.write_text("[server]\nprot = 1\n")
        server.process.send_signal(signal.SIGHUP)
        until(sock, "RELOADING")
        assert "did you mean port?" in until(sock, "READY")["STATUS"]
        server.process.send_signal(signal.SIGTERM)
        assert "stopping" in until(sock, "STOPPING")["STATUS"]
        assert server.stop()[0] == 0


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nobody/listens/here"])
def test_without_systemd_nothing_is_said_and_nothing_fails(address: str) -> None:
    with ServerProcess("--store", "memory:", NOTIFY_SOCKET=address) as server:
        server.wait_for_port()
        code, log = server.stop(signal.SIGHUP, signal.SIGTERM)
    assert (code, "greenlet_failed" in log) == (0, False)


@pytest.mark.parametrize(
    ("usec", "pid", "pause"), [("4000000", "", 2.0), ("4000000", "1", 10.0), ("", "", 10.0), ("soon", "", 10.0)]
)
def test_the_watchdog_is_fed_at_half_its_patience_if_it_is_ours(usec: str, pid: str, pause: float) -> None:
    asked: list[float] = []

    def stopped(seconds: float) -> bool:
        asked.append(seconds)
        return True

    SystemdNotifier({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}).run_watchdog(
        lambda: 0, stopped
    )
    assert asked == [pause]
