"""Runs `gmessenger-admin` as operators do, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.server.running import PATIENCE, TOP, ServerProcess, dial

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Line:
    """A native connection that reads one frame after the other."""

    def __init__(self, port: int) -> None:
        self.sock = dial(port)
        self.lines = self.sock.makefile("rb")

    def asks(self, **frame: Any) -> dict[str, Any]:
        """The answer to a request; what came before it is forgotten."""
        self.sock.sendall(json.dumps(frame).encode() + b"\n")
        while "response" not in (answer := self.hears()):
            pass
        return answer

    def hears(self) -> dict[str, Any]:
        return dict(json.loads(self.lines.readline()))

    def enters(self, name: str, **user: Any) -> dict[str, Any]:
        return self.asks(action="presence", jim=2, user={"account_name": name, **user})

    def close(self) -> None:
        self.lines.close()
        self.sock.close()


class Place:
    """A directory with a store in it, and the commands that are about this store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "messenger.db"
        self.url = f"sqlite:///{self.file}"
        self.open: list[Line] = []

    def dials(self, port: int) -> Line:
        self.open.append(Line(port))
        return self.open[-1]

    def close(self) -> None:
        for line in self.open:
            line.close()

    def admin(self, *arguments: str, typed: str = "", **environ: str) -> Done:
        """One command; `typed` is what its input holds."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
        done = subprocess.run(
            [sys.executable, "-m", "gmessenger", "admin", *arguments],
            cwd=TOP,
            env=clean | {"MESSENGER_STORE": self.url} | environ,
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def does(self, *arguments: str, typed: str = "") -> str:
        """A command that succeeds; what it printed."""
        done = self.admin(*arguments, typed=typed)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def adds(self, name: str) -> None:
        self.does("user", "add", name, typed=PASSWORD + "\n")

    def serves(self, *arguments: str) -> ServerProcess:
        return ServerProcess("--store", self.url, "--ip", "127.0.0.1", "--close-timeout", "0.3", *arguments)
