"""SIGHUP: options that need no restart change, for open connections too; an invalid file changes nothing."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from gmessenger.certificates import make_self_signed
from gmessenger.config.parser import SERVER
from tests import ROOT
from tests.support.server import TEST_TIMEOUT, ServerProcess, open_connection


class Reloading:
    """A server process with a configuration file, and one native session."""

    def __init__(self, ini: Path, text: str) -> None:
        self._ini = ini
        self.write(text)
        self._open = contextlib.ExitStack()
        self.server = self._open.enter_context(ServerProcess("-c", str(ini), "--log-format", "json"))
        assert self.server.process.stderr is not None
        self._log = self.server.process.stderr
        self.port = self.server.wait_for_port()
        self.hank = self.login("hank")

    def __enter__(self) -> Reloading:
        return self

    def __exit__(self, *_: Any) -> None:
        self._open.close()

    def write(self, text: str) -> None:
        self._ini.write_text(f"[server]\nstore = memory:\n{text}")

    def login(self, name: str) -> Native:
        return Native(self._open.enter_context(open_connection(self.port)), name)

    def reload(self, text: str) -> None:
        self.write(text)
        self.server.process.send_signal(signal.SIGHUP)

    def logged(self, *events: str) -> Any:
        """Return the next of these events in the log."""
        for line in self._log:
            if (entry := json.loads(line))["event"] in events:
                return entry
        raise AssertionError(f"the log has ended without {events}")


class Native:
    """A native connection that sends one request at a time."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._socket = sock
        self._lines = sock.makefile("rb")
        self.welcome = self.request(action="presence", jim=2, user={"account_name": name})

    def request(self, **request: Any) -> Any:
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while "response" not in (frame := json.loads(self._lines.readline())):
            pass
        return frame

    def says(self, text: str) -> Any:
        return self.request(action="msg", id="m", to="hank", message=text).get("code")


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    return tmp_path / "server.ini"


def test_who_is_connected_is_bound_by_the_new_limits_at_once(ini: Path) -> None:
    with Reloading(ini, "max-text = 10\n") as it:
        assert it.hank.says("a long story, this") == "too_long"
        it.reload("max-text = 100\nbroadcast = no\nregistration = closed\nguests = no\ngreeting = Be kind.\\nOr go.\n")
        assert set(it.logged("reloaded", "reload_refused")["changed"].split()) == {
            *("--max-text", "--broadcast", "--registration", "--guests", "--greeting")
        }
        assert it.hank.says("a long story, this") is None
        assert it.hank.request(action="msg", id="m", to="#all", message="x")["code"] == "broadcast_refused"
        assert it.hank.request(action="register", id="r", password="long enough")["code"] == "registration_closed"
        greeting = it.hank.request(action="presence", jim=2, user={"account_name": "hank"})
        assert greeting["alert"].startswith("Be kind.\nOr go.\n") and greeting["limits"]["text"] == 100
        assert it.login("dale").welcome["code"] == "guests_refused"
        assert it.server.stop(signal.SIGTERM)[0] == 0


def test_times_and_numbers_of_connections_too(ini: Path) -> None:
    with Reloading(ini, "") as it, open_connection(it.port) as nameless:
        nameless.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"!"}}\n')
        assert b"bad_name" in nameless.recv(1000)
        it.reload("login-timeout = 0.05\nmax-connections = 1\n")
        it.logged("reloaded")
        assert nameless.recv(100) == b""
        with open_connection(it.port) as surplus:
            assert json.loads(surplus.makefile("rb").readline())["code"] == "server_full"
        assert it.hank.says("still here") is None


BAD = {
    "max-text = 5\nprot = 1\n": "did you mean port?",
    "max-text = 5\nmax-frame = many\n": "max-frame: expected a number of bytes",
    "max-text = 5\n[other]\n": "unknown section [other]",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_configuration_is_refused_and_the_old_one_kept_whole(text: str, ini: Path) -> None:
    with Reloading(ini, "") as it:
        it.reload(text)
        refused = it.logged("reloaded", "reload_refused")
        assert (refused["event"], refused["level"]) == ("reload_refused", "ERROR") and BAD[text] in refused["reason"]
        assert it.hank.says("more than five") is None
        it.reload("max-text = 5\n")
        it.logged("reloaded")
        assert it.hank.says("more than five") == "too_long"


def test_a_file_that_is_gone_is_refused(ini: Path) -> None:
    with Reloading(ini, "") as it:
        ini.unlink()
        it.server.process.send_signal(signal.SIGHUP)
        assert "No such file" in it.logged("reloaded", "reload_refused")["reason"]
        assert it.hank.says("still here") is None


def test_a_certificate_that_cannot_be_used_refuses_it_whole(ini: Path, tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(make_self_signed(["localhost"], 1))
    tls = f"tls-certificate = {pem}\ntls-port = 0\n"
    with Reloading(ini, tls) as it:
        pem.write_text("no certificate")
        it.reload(tls + "max-text = 5\n")
        assert "certificate" in it.logged("reloaded", "reload_refused")["reason"]
        assert it.hank.says("more than five") is None
        pem.write_bytes(make_self_signed(["elsewhere"], 1))
        it.reload(tls + "max-text = 5\n")
        assert it.logged("certificate_loaded")["names"] == "elsewhere"
        assert it.logged("reloaded", "reload_refused")["changed"] == "--max-text"


def test_what_takes_a_restart_is_named(ini: Path) -> None:
    with Reloading(ini, "") as it:
        it.reload("store-timeout = 7\nmax-text = 5\n")
        assert it.logged("reloaded")["changed"] == "--max-text"
        assert it.logged("needs_restart")["option"] == "--store-timeout"
        assert it.login("dale").says("more than five") == "too_long"


def test_of_irc_the_ports_and_the_servers_name_take_a_restart(ini: Path) -> None:
    with Reloading(ini, "irc-port = 0\n") as it:
        it.reload("irc-port = 1\nirc-name = chat.example.org\nirc-network = Chat\nirc-playback = 7\n")
        assert it.logged("reloaded")["changed"] == "--irc-network --irc-playback"
        assert [it.logged("needs_restart")["option"] for _ in range(2)] == ["--irc-port", "--irc-name"]
        it.reload("irc-port = 0\nirc-sts = 60\n")
        assert "--irc-sts needs a port" in it.logged("reloaded", "reload_refused")["reason"]


def test_the_level_of_the_log_follows_and_the_file_is_opened_again(ini: Path, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    ini.write_text("[server]\n")
    with (
        ServerProcess("-c", str(ini), "--log-file", str(log)) as server,
        open_connection(server.wait_for_port()) as hank,
    ):
        native = Native(hank, "hank")
        log.rename(tmp_path / "old.log")
        ini.write_text("[server]\nlog-level = debug\n")
        server.process.send_signal(signal.SIGHUP)
        while not log.exists() or "request_refused" not in log.read_text():
            assert native.request(action="status", status="")["code"] == "bad_request"
        assert server.stop(signal.SIGTERM)[0] == 0
    assert "server_started" in (tmp_path / "old.log").read_text() and "server_stopped" in log.read_text()


def test_a_terminal_that_is_closed_takes_its_server_along() -> None:
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "gmessenger", "server", "--port", "0", "--log-file", "-"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=its,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: (os.setsid(), fcntl.ioctl(its, termios.TIOCSCTTY, 0)),
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "listens" in process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        while "reloaded" not in process.stderr.readline():
            pass
        os.close(its)
        os.close(ours)
        _, log = process.communicate(timeout=TEST_TIMEOUT)
    assert (process.returncode, "reason=SIGHUP" in log) == (0, True)


def test_the_document_lists_what_takes_a_restart() -> None:
    rows = [row.long_name for row in SERVER.rows if row.needs_restart]
    document = (ROOT / "docs" / "operations" / "configuration.md").read_text("utf-8")
    (line,) = [line for line in document.splitlines() if "`needs_restart` at each reload" in line]
    assert sorted(re.findall(r"`(--[\w-]+)`", line)) == sorted(rows)
