"""Runs `gmessenger-admin`: mostly in this process, as starting a hundred takes a minute; where it matters, alone."""

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
from tests.support.server import PATIENCE, ServerProcess, dial

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

    def admin(self, *arguments: str, typed: str = "") -> Done:
        """One command, run in this process; `typed` is what its input holds."""
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
        return Done(code, out.buffer.getvalue().decode(), err.getvalue())  # type: ignore[attr-defined]

    def admin_process(self, *arguments: str, typed: str = "", **environ: str) -> Done:
        """One command, as operators run it: in a process of its own."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
        done = subprocess.run(
            [sys.executable, "-m", "gmessenger", "admin", *arguments],
            cwd=ROOT,
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

    def does_alone(self, *arguments: str) -> str:
        """The same in a process of its own."""
        done = self.admin_process(*arguments)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def makes(self) -> None:
        """An empty store, as the first start of a server leaves it."""
        open_store(self.url).close()

    def adds(self, name: str) -> None:
        if not self.file.exists():
            self.makes()
        self.does("user", "add", name, typed=PASSWORD + "\n")

    def serves(self, *arguments: str) -> ServerProcess:
        return ServerProcess("--store", self.url, "--ip", "127.0.0.1", "--close-timeout", "0.3", *arguments)
