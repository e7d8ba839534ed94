"""docs/client.md: its tables are the library's docstrings, and its programs run as printed."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.client import Client, MessageReceived, Timeouts, TlsConfig
from scripts.client_tables import DOCUMENT, with_tables
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT

TOP = DOCUMENT.parent.parent
TEXT = DOCUMENT.read_text("utf-8")
ECHO, REGISTER, ARCHIVIST = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
PAUSED_ARCHIVIST = ARCHIVIST.replace("last = event", "__import__('signal').pause(); last = event")
"""The bot stops after it has stored a message, before it takes the next one."""


def test_the_tables_are_the_librarys_own_words() -> None:
    assert with_tables(TEXT) == TEXT, "run `make config`"
    assert (phrase := "A user has joined a room") in TEXT
    assert with_tables(TEXT.replace(phrase, "")) == TEXT


@pytest.mark.parametrize("page", ["client.md", "scripting.md"])
def test_the_arguments_that_the_text_names_exist(page: str) -> None:
    text = (DOCUMENT.parent / page).read_text("utf-8")
    named = {name for each in re.findall(r"`([^`\n]+)`", text) for name in re.findall(r"\b([a-z]\w*)=", each)}
    classes = (Client, TlsConfig, Timeouts)
    known = {name for each in classes for name in inspect.signature(each).parameters}
    calls = [call for name, call in inspect.getmembers(Client, callable) if not name.startswith("_")]
    known |= {name for call in calls for name in inspect.signature(call).parameters}
    assert named & known and named - known == set()


def run(code: str, server: RunningServer) -> None:
    exec("from gmessenger.client import *\n" + code.replace("7777", str(server.port)), {})


def test_the_echo(server: RunningServer) -> None:
    echoing = gevent.spawn(run, ECHO, server)
    with Client(server.host, server.port, "hank") as hank, gevent.Timeout(TIMEOUT):
        while "echo" not in [user.account_name for user in hank.users()]:
            gevent.sleep(0.01)
        hank.send("echo", "hello")
        assert next(event for event in hank if isinstance(event, MessageReceived)).delivery.message == "hello"
    echoing.kill()


class Archivist:
    """The documented bot as a process, and the messages in its file."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self.file = folder / "kept"
        self.arguments = ["#dev", str(self.file)]
        password = re.findall(r'register\("(.*?)"\)', REGISTER)[0]
        path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TOP)}
        self.environment = path | {"PORT": str(server.port), "PASSWORD": password}

    def begins(self, program: str = ARCHIVIST) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", program, *self.arguments], env=self.environment)

    def killed(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def stored(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text("utf-8").splitlines()] if self.file.exists() else []


def until(met: Callable[[], bool]) -> None:
    with gevent.Timeout(TIMEOUT):
        while not met():
            gevent.sleep(0.01)


def test_the_archivist_keeps_everything_once_though_it_is_killed(server: RunningServer, tmp_path: Path) -> None:
    run(REGISTER, server)
    assert len([line for line in ARCHIVIST.splitlines() if line]) <= 20
    with Client(server.host, server.port, "hank") as hank:
        hank.register("correct horse")
        hank.join("#dev")
        archivist = Archivist(server, tmp_path)
        archivist.begins(PAUSED_ARCHIVIST)
        try:
            until(lambda: any(user.account_name == "archivist" for user in hank.members("#dev")))
            hank.send("#dev", "1")
            until(lambda: len(archivist.stored) == 1)
            archivist.killed()
            for text in ("2", "3"):
                hank.send("#dev", text)
            archivist.begins()
            until(lambda: len(archivist.stored) == 3)
            hank.send("#dev", "4")
            until(lambda: len(archivist.stored) == 4)
        finally:
            archivist.killed()
    assert [(frame["seq"], frame["message"]) for frame in archivist.stored] == [(n, str(n)) for n in (1, 2, 3, 4)]
