"""The client in tmux, started from a shell: keys, and what the pane shows."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.server import StreamServer

from gmessenger.client import Client
from tests import ROOT
from tests.conftest import RunningServer
from tests.support.files import ask, png
from tests.support.native_clients import Connector
from tests.support.pty_client import command, environment
from tests.support.timeouts import TEST_TIMEOUT

PASSWORD = "swordfish-and-more"
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
def open_pane(tmp_path: Path) -> Iterator[Callable[[str], Pane]]:
    with ExitStack() as stack:

        def open_pane(name: str) -> Pane:
            (folder := tmp_path / name).mkdir()
            return stack.enter_context(closing(Pane(folder, 100, 25)))

        yield open_pane


@pytest.fixture
def pane(open_pane: Callable[[str], Pane]) -> Pane:
    return open_pane("pane")


def typed(server: Any, folder: Path, *arguments: str, **more: str) -> str:
    """Return the command line of a client whose environment is separate from the user's."""
    env = environment(folder / "client.log", **more) | {"TERM": "screen-256color"}
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


class SlowLink:
    """Passes connections on to a port; slowly what comes from the client, until it is told to `hurry`."""

    def __init__(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.target = 0
        self.hurry = Event()
        self._server = StreamServer(listener, self._serve)
        self._server.start()
        self.port: int = self._server.server_port

    def _serve(self, client: socket.socket, address: object) -> None:
        with closing(client), closing(socket.create_connection(("127.0.0.1", self.target))) as server:
            answering = gevent.spawn(self._pass_on, server, client)
            while data := client.recv(16_384):
                server.sendall(data)
                self.hurry.wait(0.01)
            answering.kill()

    def _pass_on(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(65_536):
            client.sendall(data)

    def close(self) -> None:
        self._server.stop()


def test_a_picture_is_sent_from_tmux(
    start_server: Callable[..., RunningServer], open_pane: Callable[[str], Pane], tmp_path: Path
) -> None:
    content = png(640, 480) + bytes(12 * 2**20)  # seconds by the slow link, beyond what buffers of sockets hold
    with TemporaryDirectory() as folder, closing(SlowLink()) as link:
        (pictures := Path(folder) / "my pictures").mkdir()  # whose path is short enough for one row of the screen
        (pictures / "graph 1.png").write_bytes(content)
        server = start_server(web="127.0.0.1:0", web_url=f"http://127.0.0.1:{link.port}")
        link.target = server.app.web_port or 0
        with closing(Client(server.host, server.port, "hank")) as client:
            client.start_registered(PASSWORD)
        hank, dale = open_pane("hank"), open_pane("dale")
        dale.line(f"cd {ROOT} && {typed(server, tmp_path / 'dale', '--name', 'dale')}")
        dale.shows("● connected")
        hank.line(f"cd {ROOT} && {typed(server, tmp_path / 'hank', '--name', 'hank', MESSENGER_PASSWORD=PASSWORD)}")
        hank.shows("● connected")
        hank.line("/msg dale a picture follows")
        dale.shows("hank writes to you")
        dale.keys("M-1")
        dale.shows("a picture follows")
        hank.types(f"/file {pictures}/gr")
        hank.shows(r"/gr$")
        hank.keys("Tab")
        hank.shows(r"graph 1\.png$")
        hank.keys("Enter")
        hank.shows(r"uploading graph 1\.png: \d+ % of 12\S* MiB")
        hank.types("still typing")
        hank.shows("still typing$")
        link.hurry.set()
        url = rf"http://127\.0\.0\.1:{link.port}/file/[\w-]+/graph%201\.png"
        hank.shows(rf"hank │ graph 1\.png$\n.*│ {url}")
        dale.shows(rf"hank │ graph 1\.png$\n.*│ {url}")
        dale.shows(r"image/png, 12\S* MiB, 640 × 480")
        found = re.search(url, dale.display)
        assert found is not None
        assert ask(link.port, "GET", "/" + found[0].split("/", 3)[3]).body == content


@pytest.fixture
def connector() -> Iterator[Connector]:
    with Connector() as connections:
        yield connections
