"""Clients in processes of their own, which end with the test."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.support.pty_client import PtyClient, command, environment

OpenTerminal = Callable[..., PtyClient]
StartClient = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "client.log"


@pytest.fixture
def open_terminal(log: Path) -> Iterator[OpenTerminal]:
    """Start a client in line mode on a pty: server, options, and the columns of the terminal."""
    with ExitStack() as stack:

        def open_client(server: Any, *arguments: str, columns: int = 200, **env: str) -> PtyClient:
            return stack.enter_context(PtyClient(command(server, "--plain", *arguments), log, columns, **env))

        yield open_client


@pytest.fixture
def start_client(log: Path) -> Iterator[StartClient]:
    """Start a client in pipes: server, options, and the streams that are no pipes."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_process(server: Any, *arguments: str, password: str = "", **streams: Any) -> "subprocess.Popen[bytes]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        env = environment(log, MESSENGER_PASSWORD=password)
        processes.append(subprocess.Popen(command(server, *arguments), cwd=ROOT, env=env, **pipes))
        return processes[-1]

    yield start_process
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
