"""Runs `gmessenger-admin` as operators do, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.server.running import PATIENCE, TOP, ServerProcess

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Place:
    """A directory with a store in it, and the commands that are about this store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "messenger.db"
        self.url = f"sqlite:///{self.file}"

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
