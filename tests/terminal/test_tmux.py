"""The client in tmux, started from a shell: keys, and what the pane shows."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.conftest import RunningServer
from tests.support.native_clients import Connector
from tests.support.pty_client import command, environment
from tests.support.timeouts import TEST_TIMEOUT

PROMPT = "tmux-shell$ "
pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Pane:
    """A shell in a tmux server of its own, which ends with the test."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self._name = f"gmessenger-{uuid.uuid4()}"
        shell = (
            "env - PS1={} TERM=screen-256color LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin bash --norc --noprofile"
        )
        size = ("-x", str(columns), "-y", str(rows))
        self._socket = folder / "tmux"
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "-s", self._name, shell.format(shlex.quote(PROMPT)))
        self.shows(re.escape(PROMPT.strip()))

    def _tmux(self, *arguments: str) -> str:
        argv = ["tmux", "-S", str(self._socket), *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=TEST_TIMEOUT).stdout

    def keys(self, *names: str) -> None:
        """Press keys, named as in tmux: `Enter`, `C-z`, `M-a`."""
        self._tmux("send-keys", "-t", self._name, *names)

    def types(self, text: str) -> None:
        self._tmux("send-keys", "-t", self._name, "-l", "--", text)

    def line(self, text: str) -> None:
        self.types(text)
        self.keys("Enter")

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-t", self._name, "-x", str(columns), "-y", str(rows))

    @property
    def display(self) -> str:
        return self._tmux("capture-pane", "-p", "-t", self._name)

    def shows(self, pattern: str) -> None:
        """Poll until the pane shows the pattern."""
        deadline = time.monotonic() + TEST_TIMEOUT
        while re.search(pattern, display := self.display, re.MULTILINE) is None:
            assert time.monotonic() < deadline, f"no {pattern!r} in\n{display}"
            time.sleep(0.05)

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def pane(tmp_path: Path) -> Iterator[Pane]:
    pane = Pane(tmp_path, 100, 25)
    yield pane
    pane.close()


def typed(server: Any, folder: Path, *arguments: str) -> str:
    """Return the command line of a client whose environment is separate from the user's."""
    env = environment(folder / "client.log") | {"TERM": "screen-256color"}
    return shlex.join(["env", *(f"{key}={value}" for key, value in env.items()), *command(server, *arguments)])


def test_an_evening_in_tmux(server: RunningServer, connector: Connector, pane: Pane, tmp_path: Path) -> None:
    dale = connector.open_native(server, "dale")
    pane.line(f"cd {ROOT} && {typed(server, tmp_path, '--name', 'hank')}")
    pane.shows("● connected")
    pane.line("/msg dale привет, Дейл 👍")
    pane.shows(r"hank │ привет, Дейл 👍 +✓")
    assert dale.next_event("msg")["message"] == "привет, Дейл 👍"
    dale.send_message("hank", "こんにちは")
    pane.shows(r"dale │ こんにちは")
    pane.types("half a thou")
    pane.keys("C-z")
    pane.shows("Stopped")
    pane.line("echo $((20+22))")
    pane.shows("^42$")
    dale.send_message("hank", "while you were away")
    pane.line("fg")
    pane.shows("while you were away")
    pane.shows(r"\] half a thou$")
    pane.resize(60, 12)
    pane.shows(r"\] half a thou$")
    pane.keys("C-c")
    pane.line("3")
    pane.shows(rf"^{re.escape(PROMPT.strip())}$")
    pane.line("stty -a | grep -o ' icanon' && echo $?")
    pane.shows("^ icanon$")


@pytest.fixture
def connector() -> Iterator[Connector]:
    with Connector() as connections:
        yield connections
