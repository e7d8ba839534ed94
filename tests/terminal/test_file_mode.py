"""`gmessenger-client --to NAME --file PATH`, and `/file PATH`, against a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gmessenger.client import Client
from gmessenger.terminal.file_handlers import UploadMonitor
from gmessenger.terminal.format_messages import format_size
from gmessenger.terminal.local_paths import unquote_path
from tests import ROOT
from tests.conftest import RunningServer
from tests.support.files import png
from tests.support.pty_client import environment
from tests.support.timeouts import TEST_TIMEOUT
from tests.terminal.conftest import OpenTerminal

PASSWORD = "swordfish-and-more"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server(web="127.0.0.1:0", max_file=2**20)


@pytest.fixture
def hank(server: RunningServer) -> Iterator[Client]:
    client = Client(server.host, server.app.port, "hank")
    client.start_registered(PASSWORD)
    client.join("#ops")
    yield client
    client.abort()


@pytest.fixture
def run(server: RunningServer, tmp_path: Path) -> Run:
    def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        command = [sys.executable, "-m", "gmessenger", "client", server.host, str(server.app.port), "--name", "hank"]
        done = subprocess.run(
            [*command, "--to", "#ops", *arguments],
            cwd=ROOT,
            env=environment(tmp_path / "log", MESSENGER_PASSWORD=PASSWORD),
            input=stdin,
            capture_output=True,
            timeout=TEST_TIMEOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


def sent(hank: Client) -> list[Any]:
    return [(message.message, message.file.name, message.file.size) for message in hank.history("#ops", 10)]


def test_files_are_sent_with_a_text(run: Run, hank: Client, tmp_path: Path) -> None:
    (tmp_path / "graph.png").write_bytes(png())
    (tmp_path / "table.csv").write_bytes(b"a,b\n")
    files = ["--file", str(tmp_path / "graph.png"), "--file", str(tmp_path / "table.csv")]
    assert run(*files, "--message", "the graph") == (0, "", "")
    assert sent(hank) == [("the graph", "graph.png", len(png())), ("table.csv", "table.csv", 4)]


def test_the_input_is_sent_as_a_file(run: Run, hank: Client) -> None:
    assert run("--file", "-", stdin=b"x" * 100_000) == (0, "", "")
    assert sent(hank) == [("stdin", "stdin", 100_000)]


def test_a_file_that_cannot_be_read_ends_the_command_before_it_connects(run: Run, tmp_path: Path) -> None:
    code, _, err = run("--file", str(tmp_path / "nothing"))
    assert code == 73 and "No such file" in err


def test_a_refused_file_is_reported(run: Run, hank: Client, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(2**20 + 1))
    (tmp_path / "small").write_bytes(b"x")
    code, _, err = run("--file", str(tmp_path / "large"), "--file", str(tmp_path / "small"))
    assert code == 75 and "1 of 2 files" in err
    assert "large: The file is too large: this server takes at most 1.0 MiB." in err
    assert [name for _, name, _ in sent(hank)] == ["small"]


def test_files_are_sent_from_line_mode(
    open_terminal: OpenTerminal, server: RunningServer, hank: Client, tmp_path: Path
) -> None:
    """Name and link are shown at once; why a file was not sent is told, whatever was typed."""
    (tmp_path / "my graph.png").write_bytes(png())
    (tmp_path / "large").write_bytes(bytes(2**20 + 1))
    os.mkfifo(tmp_path / "pipe")
    running = SimpleNamespace(host=server.host, port=server.app.port)
    terminal = open_terminal(running, "--name", "hank", MESSENGER_PASSWORD=PASSWORD)
    terminal.wait_for("You are hank")
    terminal.type_line("/msg hank hi")
    terminal.type_line(f"/file {tmp_path}/my graph.png")
    url = rf"http://127\.0\.0\.1:{server.app.web_port}/file/[\w-]+/my%20graph\.png"
    terminal.wait_for(rf"-- my graph\.png: {url} \(image/png")
    for typed, reason in (
        ("large", "The file is too large: this server takes at most 1.0 MiB."),
        ("pipe", "not a regular file"),
        ("nothing", "No such file or directory"),
        ("", "Is a directory"),
    ):
        terminal.type_line(f"/file '{tmp_path}/{typed}'")
        terminal.wait_for(f"was not sent: {reason}")
    terminal.type_line("/file ~nobody-of-that-name/x")
    terminal.wait_for("-- x was not sent: No such file or directory")


@pytest.mark.parametrize("arguments", [["--whole"], ["--file", "-"]])
def test_options_that_contradict_each_other_are_refused(run: Run, arguments: list[str]) -> None:
    assert run("--file", "-", *arguments)[0] == 2


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("graph.png", "graph.png"),
        (" my graph.png ", "my graph.png"),
        ("'my graph.png'", "my graph.png"),
        ('"my graph.png"', "my graph.png"),
        ("my\\ graph.png", "my graph.png"),
        ("it's.png", "it's.png"),
        ("'unfinished", "'unfinished"),
    ],
)
def test_a_path_is_taken_as_it_was_typed_or_pasted(typed: str, path: str) -> None:
    assert unquote_path(typed) == path


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (20 * 2**20, "20 MiB"), (2**50, "1024 TiB")]
)
def test_a_size_is_shown_as_people_read_it(size: int, shown: str) -> None:
    assert format_size(size) == shown


def test_progress_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("gmessenger.terminal.file_handlers.FIRST_PROGRESS", 0.0)
    monitor = UploadMonitor("graph\x1b.png", shown.append)
    monitor.update(0, 100)
    monitor.update(50, 100)
    monitor.update(100, 100)
    assert len(shown) == 2 and "50 %" in shown[1] and "\x1b" not in shown[1]
