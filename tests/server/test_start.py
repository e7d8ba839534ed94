"""Start and stop of a server process: its output, exit codes, and what connected clients are sent."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from gmessenger import __version__
from tests.support.server import TEST_TIMEOUT, ServerProcess, open_connection, run_server

FAULTS = [
    (["--port", "high"], {}, 2, "--port: expected a port from 0 to 65535, not 'high'"),
    (["--bogus"], {}, 2, "--bogus"),
    (["-c", "{tmp}/missing.ini"], {}, 78, "missing.ini: No such file or directory"),
    (["-c", "{tmp}"], {}, 78, "Is a directory"),
    (["-c", "{tmp}/typo.ini"], {}, 78, "typo.ini: unknown key prot; did you mean port?"),
    (["-c", "{tmp}/section.ini"], {}, 78, "section.ini: unknown section [client]"),
    (["-c", "{tmp}/value.ini"], {}, 78, "value.ini: port: expected a port"),
    ([], {"MESSENGER_PORT": "99999"}, 78, "MESSENGER_PORT: expected a port"),
    (["--ip", "192.0.2.1", "--log-file", "-"], {}, 69, "Cannot listen on port 7777 of 192.0.2.1"),
    (["--ip", "no.such.host.invalid", "--log-file", "-"], {}, 69, "no.such.host.invalid"),
    (["--log-file", "/proc/nowhere/server.log"], {}, 73, "Cannot write the log file /proc/nowhere/server.log"),
]


@pytest.mark.parametrize(("arguments", "environ", "code", "sentence"), FAULTS, ids=lambda value: str(value)[:40])
def test_a_fault_is_one_line_and_an_exit_code(
    arguments: list[str], environ: dict[str, str], code: int, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "typo.ini").write_text("[server]\nprot = 1\n")
    (tmp_path / "section.ini").write_text("[client]\nport = 1\n")
    (tmp_path / "value.ini").write_text("[server]\nport = 100%\n")
    returned, out, err = run_server(*[argument.format(tmp=tmp_path) for argument in arguments], **environ)
    assert (returned, out) == (code, "")
    assert sentence in err and err.startswith("gmessenger-server: ") and err.count("\n") == 1


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for ip in ("127.0.0.1", ""):
            code, _, err = run_server("--ip", ip, "--port", str(port), "--log-file", "-")
            assert (code, err.count("\n")) == (69, 1)
            assert f"port {port}" in err and "in use" in err


def test_of_two_servers_started_alike_the_second_hears_of_the_port(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/messenger.db"
    with ServerProcess("--store", store) as first:
        port = first.wait_for_port()
        code, _, err = run_server("--port", str(port), "--store", store, "--log-file", "-")
        assert (code, err.count("\n")) == (69, 1)
        assert f"port {port}" in err and "in use" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_and_clients_are_told(number: signal.Signals) -> None:
    with ServerProcess("--close-timeout", "0.2") as server:
        port = server.wait_for_port()
        with open_connection(port) as hank, open_connection(port) as dale:
            hank.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n')
            dale.sendall(b'{"action":"presence","user":{"account_name":"dale"}}')
            lines = hank.makefile("rb")
            assert (lines.readline()[:15], lines.readline()) == (b'{"response":200', b'{"action":"synced"}\n')
            assert json.loads(dale.recv(1024))["response"] == 200
            hank.sendall(b'{"action":"msg","id":"m","to":"dale","message":"last words"}\n')
            assert json.loads(lines.readline())["response"] == 202
            server.process.send_signal(number)
            moving = json.loads(lines.readline())
            assert (moving["action"], moving["retry_in"] >= 2.0) == ("moving", True)
            assert lines.readline() == b""
            assert json.loads(dale.recv(1024))["message"] == "last words"
            while b"last words" in (frame := dale.recv(1024)):
                pass
            assert frame == b""
        code, log = server.stop()
    assert code == 0
    assert "server_stopped" in log and "undelivered=0" in log and "Traceback" not in log


def test_a_second_signal_ends_it_at_once() -> None:
    with (
        ServerProcess("--close-timeout", "60", "--drain-timeout", "60") as server,
        open_connection(server.wait_for_port()) as hank,
    ):
        hank.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n')
        hank.recv(1024)
        server.process.send_signal(signal.SIGTERM)
        while b"moving" not in hank.recv(1024):
            pass
        server.process.send_signal(signal.SIGHUP)  # a server that stops does not reload any more, and goes on stopping
        hank.sendall(b'{"action":"probe"}\n')
        assert server.process.poll() is None
        assert server.stop(signal.SIGTERM)[0] == 143


def test_it_listens_on_ipv4_and_ipv6_by_default() -> None:
    with ServerProcess() as server:
        port = server.wait_for_port()
        for host in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            with socket.create_connection((host, port), timeout=TEST_TIMEOUT) as hank:
                hank.sendall(b'{"action":"presence","user":{"account_name":"hank"}}')
                assert b"200" in hank.recv(1024)
                hank.sendall(b'{"action":"quit"}')
                assert hank.recv(1024) == b""


def test_a_host_name_may_stand_for_several_addresses() -> None:
    with ServerProcess("--ip", "localhost") as server, open_connection(server.wait_for_port()) as hank:
        hank.sendall(b'{"action":"presence","user":{"account_name":"hank"}}')
        assert b"200" in hank.recv(1024)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "server.ini").write_text("[server]\nport = 1\nmax-text = 5\n")
    code, out, _ = run_server("-c", str(tmp_path / "server.ini"), "--version", MESSENGER_PORT="0")
    assert (code, out) == (0, f"gmessenger {__version__}\n")


def test_the_log_is_json_when_asked() -> None:
    with ServerProcess("--log-format", "json") as server, open_connection(server.wait_for_port()) as hank:
        hank.sendall(b'{"action":"presence","user":{"account_name":"hank"}}')
        hank.recv(1024)
        _, log = server.stop(signal.SIGTERM)
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in lines][:2] == ["server_started", "login"]
    assert lines[1]["name"] == "hank"
