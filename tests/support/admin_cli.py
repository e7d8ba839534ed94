"""Runs of `gmessenger-admin`, in this process where possible: starting processes is slow."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gmessenger.admin.start import run
from gmessenger.store import open_store
from tests import ROOT
from tests.support.server import TEST_TIMEOUT, ServerProcess, open_connection

PASSWORD = "correct horse"


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    exit_code: int
    stdout: str
    stderr: str


class AdminTestClient:
    """A native connection that reads one frame after the other."""

    def __init__(self, port: int) -> None:
        self.sock = open_connection(port)
        self.reader = self.sock.makefile("rb")

    def request(self, **frame: Any) -> dict[str, Any]:
        """Return the response to a request; drop the events before it."""
        self.sock.sendall(json.dumps(frame).encode() + b"\n")
        while "response" not in (answer := self.receive()):
            pass
        return answer

    def receive(self) -> dict[str, Any]:
        return dict(json.loads(self.reader.readline()))

    def log_in(self, name: str, **user: Any) -> dict[str, Any]:
        return self.request(action="presence", jim=2, user={"account_name": name, **user})

    def close(self) -> None:
        self.reader.close()
        self.sock.close()


class StoreDirectory:
    """A directory with a store, and admin commands on this store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "messenger.db"
        self.url = f"sqlite:///{self.file}"
        self.clients: list[AdminTestClient] = []

    def connect(self, port: int) -> AdminTestClient:
        self.clients.append(AdminTestClient(port))
        return self.clients[-1]

    def close(self) -> None:
        for state in self.clients:
            state.close()

    def try_run(self, *arguments: str, typed: str = "") -> CommandResult:
        """Run a command in this process.

        Args:
            typed: content of standard input.
        """
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        before = sys.stdin
        sys.stdin = io.StringIO(typed)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(["--store", self.url, *arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.stdin = before
        out.flush()
        return CommandResult(code, out.buffer.getvalue().decode(), err.getvalue())  # type: ignore[attr-defined]

    def try_run_process(self, *arguments: str, typed: str = "", **environ: str) -> CommandResult:
        """Run a command in a process of its own, as operators do."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
        completed = subprocess.run(
            [sys.executable, "-m", "gmessenger", "admin", *arguments],
            cwd=ROOT,
            env=clean | {"MESSENGER_STORE": self.url} | environ,
            input=typed,
            capture_output=True,
            text=True,
            timeout=TEST_TIMEOUT,
        )
        return CommandResult(completed.returncode, completed.stdout, completed.stderr)

    def run(self, *arguments: str, typed: str = "") -> str:
        """Run a command that succeeds; return its output."""
        completed = self.try_run(*arguments, typed=typed)
        assert (completed.exit_code, completed.stderr) == (0, ""), completed
        return completed.stdout

    def run_process(self, *arguments: str) -> str:
        """Run a command that succeeds in a process of its own; return its output."""
        completed = self.try_run_process(*arguments)
        assert (completed.exit_code, completed.stderr) == (0, ""), completed
        return completed.stdout

    def create_store(self) -> None:
        """Create an empty store, as the first start of a server does."""
        open_store(self.url).close()

    def add_user(self, name: str) -> None:
        if not self.file.exists():
            self.create_store()
        self.run("user", "add", name, typed=PASSWORD + "\n")

    def start_server(self, *arguments: str) -> ServerProcess:
        return ServerProcess("--store", self.url, "--ip", "127.0.0.1", "--close-timeout", "0.3", *arguments)
