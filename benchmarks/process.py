"""Processes: a server that is measured, and the load generator that drives it. Linux only (/proc)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from benchmarks.servers import Peer
from benchmarks.setup_steps import TOP
from benchmarks.workloads import Work

TICKS: Final = os.sysconf("SC_CLK_TCK")
SOURCES: Final = ("load.c", "hearing.c")
PATIENCE: Final = 30.0


class Failed(Exception):
    """A server or a load did not do what it should; says what was last heard of it."""


def compile_load(folder: Path) -> Path:
    """The generator, compiled on the spot."""
    program = folder / "load"
    sources = [str(TOP / "benchmarks" / source) for source in SOURCES]
    subprocess.run(["cc", "-O2", "-std=gnu11", "-o", str(program), *sources], check=True)  # noqa: S603, S607
    return program


class Server:
    """A peer that runs, in a folder of its own."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        """Raises `Failed` if it does not listen in time."""
        self.peer = peer
        self.folder = Path(tempfile.mkdtemp(prefix=f"{peer.name}.", dir=folder))
        self.port = free_port()
        if peer.before:
            peer.before(self.folder)
        self._output = (self.folder / "output").open("wb")
        command = peer.command(self.folder, self.port)
        self._process = subprocess.Popen(  # noqa: S603
            command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT
        )
        self._until_it_listens()
        if peer.after:
            peer.after(self.port)

    def cpu(self) -> float:
        """Seconds used so far, by it and by its children."""
        return sum(times(pid) for pid in self._pids())

    def memory(self) -> int:
        """kB resident, of it and its children."""
        return sum(resident(pid) for pid in self._pids())

    def kept(self) -> int:
        """Bytes in its files, its log aside."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".log")
        return sum(path.stat().st_size for path in files if path.name not in ("plan", "output"))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        shutil.rmtree(self.folder)

    def _until_it_listens(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        said = (self.folder / "output").read_text(errors="replace")[-300:]
        self.stop()
        raise Failed(f"{self.peer.name} does not listen: {said}")

    def _pids(self) -> list[int]:
        pids = [self._process.pid]
        for pid in pids:
            with suppress(OSError):
                children = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
                pids += [int(child) for line in children for child in line.split()]
        return pids


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def times(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@dataclass(frozen=True)
class Result:
    """One run of one kind of work through one server. Times in seconds but for the percentiles, in milliseconds."""

    deliveries: int
    seconds: float
    server: float
    generator: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.deliveries / self.seconds

    @property
    def cost(self) -> float:
        """Seconds of the server's processor for a million deliveries."""
        return self.server * 1e6 / self.deliveries

    @property
    def generator_cost(self) -> float:
        return self.generator * 1e6 / self.deliveries


class Driven(Protocol):
    """What a load is for: a server, or several."""

    folder: Path
    port: int

    def cpu(self) -> float: ...


class Load:
    """The generator with everybody logged in. `run` again and again."""

    def __init__(self, program: Path, server: Driven, work: Work, plan: str) -> None:
        """Raises `Failed` if somebody cannot log in."""
        file = server.folder / "plan"
        file.write_text(plan)
        self._server = server
        command = [str(program), str(server.port), str(work.window), str(work.rate), str(file)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)  # noqa: S603
        self._hear()

    def run(self, seconds: float) -> Result:
        """Raises `Failed` if anything is refused, lost, or late by 30 seconds."""
        used = self._server.cpu()
        pipe_of(self._process.stdin).write(f"{seconds}\n")
        pipe_of(self._process.stdin).flush()
        told = json.loads(self._hear())
        used = self._server.cpu() - used
        return Result(told["deliveries"], told["seconds"], used, told["cpu"], told["p50"], told["p99"])

    def close(self) -> None:
        self._process.communicate()

    def _hear(self) -> str:
        line = pipe_of(self._process.stdout).readline()
        if not line:
            raise Failed(self._process.communicate()[1].strip()[-400:] or "the generator ended")
        return line


def pipe_of(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def load(program: Path, server: Driven, work: Work, plan: str) -> Iterator[Load]:
    driver = Load(program, server, work, plan)
    try:
        yield driver
    finally:
        driver.close()
