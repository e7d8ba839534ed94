"""Clients in processes of their own, ended with the test."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.support.pty_client import PtyClient, command, environment

Sit = Callable[..., PtyClient]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "client.log"


@pytest.fixture
def sit(log: Path) -> Iterator[Sit]:
    """Sit somebody down at a terminal, in line mode: server, options, and how wide it is."""
    with ExitStack() as people:

        def down(server: Any, *arguments: str, columns: int = 200, **env: str) -> PtyClient:
            return people.enter_context(PtyClient(command(server, "--plain", *arguments), log, columns, **env))

        yield down


@pytest.fixture
def start(log: Path) -> Iterator[Start]:
    """Start a client in pipes: server, options, and what is not a pipe."""
    started: list[subprocess.Popen[bytes]] = []

    def client(server: Any, *arguments: str, password: str = "", **streams: Any) -> "subprocess.Popen[bytes]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        env = environment(log, MESSENGER_PASSWORD=password)
        started.append(subprocess.Popen(command(server, *arguments), cwd=ROOT, env=env, **pipes))
        return started[-1]

    yield client
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
