"""The client at a URL: each mode over WebSocket, what is saved, and the invite of a link."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gmessenger.config.options import ClientOptions
from gmessenger.errors import UsageError
from gmessenger.terminal.main import check
from gmessenger.terminal.state_files import unsent_file
from tests import ROOT
from tests.conftest import RunningServer
from tests.support.pty_client import TIMEOUT, PtyClient, environment
from tests.support.pty_screen import PtyScreen
from tests.support.tls import CertificateAuthority
from tests.terminal.conftest import OpenTerminal, StartClient
from tests.terminal.test_line_mode import READY

StartServer = Callable[..., RunningServer]
PASSWORD = "correct horse"


def at_url(server: RunningServer, scheme: str = "ws", host: str = "127.0.0.1") -> Any:
    """Return the server as its web endpoint has it: `host` is a URL."""
    port = server.app.web_port
    return SimpleNamespace(host=f"{scheme}://{host}:{port}/jim", port=port)


@pytest.fixture
def server(start_server: StartServer) -> RunningServer:
    return start_server(wire="web")


def test_people_chat_over_tls_and_over_plain_websockets(
    start_server: StartServer, open_terminal: OpenTerminal, tmp_path: Path
) -> None:
    authority = CertificateAuthority(tmp_path)
    server = start_server(web="0.0.0.0:0", tls_certificate=str(authority.issue()), tls_port=0)
    web, ca = at_url(server, "wss", "localhost"), str(authority.file)
    hank, dale = (open_terminal(web, "--ca", ca, "--name", name) for name in ("hank", "dale"))
    hank.wait_for(READY)
    dale.wait_for(READY)
    hank.type_line("/msg dale привет 👍")
    dale.wait_for(r"hank: привет 👍\r\n> ")
    hank.type_line("/quit")
    assert hank.wait_for_exit() == 0
    stranger = open_terminal(web, "--name", "erin")
    stranger.wait_for("Cannot trust localhost")
    assert stranger.wait_for_exit() == 77


def test_pipes_send_and_listen(server: RunningServer, start_client: StartClient) -> None:
    web = at_url(server)
    listening = start_client(web, "--name", "bot", "--listen")
    assert listening.stderr is not None and b"Connected" in listening.stderr.readline()
    sending = start_client(web, "--name", "cron", "--to", "bot")
    assert sending.communicate("disk full\nпривет\n".encode(), timeout=TIMEOUT)[1] == b""
    assert sending.returncode == 0
    assert listening.stdout is not None
    assert [b"disk full" in listening.stdout.readline(), "привет".encode() in listening.stdout.readline()] == [True] * 2
    listening.send_signal(signal.SIGTERM)
    assert listening.wait(TIMEOUT) == 143


def test_a_command_runs_for_each_message(server: RunningServer, start_client: StartClient, tmp_path: Path) -> None:
    web = at_url(server)
    listening = start_client(web, "--name", "bot", "--listen", "--exec", f"tee {tmp_path / 'heard'}")
    assert listening.stderr is not None and b"Connected" in listening.stderr.readline()
    start_client(web, "--name", "cron", "--to", "bot").communicate(b"disk full\n", timeout=TIMEOUT)
    assert listening.stdout is not None
    listening.stdout.readline()
    assert (tmp_path / "heard").read_text() == "disk full\n"


def test_the_full_screen(server: RunningServer, tmp_path: Path) -> None:
    url = at_url(server).host
    argv = [sys.executable, "-m", "gmessenger", "client", url, "--name"]
    with PtyScreen([*argv, "hank"], tmp_path / "1.log", 100, 30) as hank:
        hank.wait_until_shown("● connected")
        with PtyScreen([*argv, "dale"], tmp_path / "2.log", 100, 30) as dale:
            dale.wait_until_shown("● connected")
            hank.type("/msg dale good morning\r")
            dale.wait_until_shown("@hank +1")
            hank.wait_until_shown("good morning ✓")


def test_what_the_server_refuses_ends_a_program_at_once(server: RunningServer, start_client: StartClient) -> None:
    nowhere = SimpleNamespace(host=at_url(server).host.replace("/jim", "/chat"), port=server.app.web_port)
    process = start_client(nowhere, "--name", "cron", "--to", "bot")
    _, errors = process.communicate(b"x\n", timeout=TIMEOUT)
    assert process.returncode == 69 and b"has nothing at this path (HTTP 404)" in errors


# What is asked, saved and checked.


@pytest.fixture
def open_first_run(tmp_path: Path) -> Iterator[Callable[..., PtyClient]]:
    with ExitStack() as stack:

        def open_client(*words: str) -> PtyClient:
            argv = [sys.executable, "-m", "gmessenger", "client", *words]
            return stack.enter_context(
                PtyClient(argv, tmp_path / "client.log", HOME=str(tmp_path / "home"), TERM="dumb")
            )

        yield open_client


@pytest.mark.parametrize("is_typed", [True, False], ids=["typed", "given"])
def test_a_link_with_an_invite_registers_who_is_new(
    start_server: StartServer, open_first_run: Callable[..., PtyClient], tmp_path: Path, is_typed: bool
) -> None:
    server = start_server(wire="web", guests=False, registration="invite")
    server.app.store.add_invite("let-me-in", 1.0)
    site = f"http://127.0.0.1:{server.app.web_port}"
    link = f"{site}/#invite=let-me-in"
    erin = open_first_run(*([] if is_typed else [link]))
    if is_typed:
        erin.wait_for(r"Server \[127\.0\.0\.1\]: $")
        erin.type_line("wss://")
        erin.wait_for(r"-- a server is HOST, HOST:PORT or\s+a URL")
        erin.type_line(link)
    erin.wait_for("Your name: $")
    erin.type_line("erin")
    erin.wait_for(r"-- New\s+here\?")
    for question in ("A password for erin .*: $", "Repeat the password: $"):
        erin.wait_for(question)
        erin.type_line(PASSWORD)
    erin.wait_for("-- erin is now your account")
    erin.wait_for("-- saved")
    assert "Your invite" not in erin.seen
    saved = (tmp_path / "home/.config/gmessenger/client.ini").read_text()
    url = site.replace("http", "ws")
    assert re.search(rf"^host = {url}/jim$", saved, re.MULTILINE) and "let-me-in" not in saved


def test_an_invite_that_is_refused_is_asked_for(start_server: StartServer, open_terminal: OpenTerminal) -> None:
    server = start_server(wire="web", guests=False, registration="invite")
    server.app.store.add_invite("let-me-in", 1.0)
    erin = open_terminal(at_url(server), "--name", "erin", "--invite", "guessed")
    for question in ("A password for erin .*: $", "Repeat the password: $"):
        erin.wait_for(question)
        erin.type_line(PASSWORD)
    erin.wait_for("Your invite: $")
    erin.type_line("let-me-in")
    erin.wait_for("-- erin is now your account")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"host": "ws://h/jim", "tls": True}, "is not encrypted"),
        ({"host": "ws://h/jim", "ca": "ca.pem"}, "work only with --tls or a wss:// URL"),
        ({"host": "h", "pin": "sha256:00"}, "work only with --tls or a wss:// URL"),
    ],
)
def test_options_that_contradict_a_url(words: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check(ClientOptions(name="hank", **words))
    check(ClientOptions(name="hank", host="wss://h/jim", ca="ca.pem", tls=True))


def test_state_is_kept_by_host_port_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))

    def file(host: str, **more: Any) -> Path:
        return unsent_file(ClientOptions(host=host, device="desk", **more), "hank")

    assert file("wss://chat.example.org/jim") == file("wss://Chat.example.org:443/jim")
    assert file("wss://chat.example.org/jim") == file("chat.example.org", port=443)
    assert file("ws://127.0.0.1:7780/jim") == file("ws://localhost:7780/jim")
    others = ["wss://chat.example.org/b/jim", "wss://chat.example.org:8443/jim", "wss://chat.example.org/c/jim"]
    assert len({file(host) for host in ["wss://chat.example.org/jim", *others]}) == 4


def test_check_shows_no_invite(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "gmessenger", "client", "--check", "https://h.example/#invite=let-me-in"]
    shown = subprocess.run(
        argv, cwd=ROOT, env=environment(tmp_path / "log"), capture_output=True, text=True, timeout=TIMEOUT
    )
    assert "wss://h.example/jim" in shown.stdout and "let-me-in" not in shown.stdout + shown.stderr
