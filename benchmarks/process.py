"""Processes: a measured server and the load generator. Linux only (/proc)."""

from __future__ import annotations

import json
import math
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

from benchmarks.servers import TUNNEL, Peer, program
from benchmarks.setup_steps import TOP
from benchmarks.workloads import Workload

SOURCES: Final = ("load.c", "receive.c", "connection.c")
TIMEOUT: Final = 30.0
IDLE_WINDOW: Final = 0.7
"""Seconds in which an idle server does next to nothing; longer than gmessenger lets messages wait for the index."""
MAX_IDLE_CPU: Final = 0.05
"""The share of one processor that an idle server takes."""
TUNNEL_CONFIG: Final = """\
foreground = yes
pid =
syslog = no
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[tunnel]
client = yes
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{server_port}
"""


class BenchmarkError(Exception):
    """A server or the generator failed; the message ends with its last output."""


def compile_generator(folder: Path) -> Path:
    """Compile the load generator; return its path."""
    program = folder / "load"
    sources = [str(TOP / "benchmarks" / source) for source in SOURCES]
    subprocess.run(["cc", "-O2", "-std=gnu11", "-o", str(program), *sources], check=True)  # noqa: S603, S607
    return program


class Tunnel:
    """A process that takes connections in plain text and goes on with a server in TLS, for a generator without TLS."""

    def __init__(self, folder: Path, server_port: int) -> None:
        """Start it; `wait_until_listening` comes next. Raises `BenchmarkError` where it is not installed."""
        self.port = free_port()
        path = program(TUNNEL)
        if path is None:
            raise BenchmarkError(f"{TUNNEL} is not installed")
        file = folder / "tunnel.conf"
        file.write_text(TUNNEL_CONFIG.format(port=self.port, server_port=server_port))
        self.process = subprocess.Popen([path, str(file)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(TIMEOUT)


class PeerServer:
    """A running peer, in a directory of its own; with `tls`, behind a tunnel, which costs the server nothing."""

    def __init__(self, peer: Peer, folder: Path, *, tls: bool = False) -> None:
        """Start it and wait until it listens. Raises `BenchmarkError`."""
        self.peer = peer
        self.folder = Path(tempfile.mkdtemp(prefix=f"{peer.name}.", dir=folder))
        self.port = free_port()
        self._tunnel: Tunnel | None = None
        if peer.prepare:
            peer.prepare(self.folder)
        self._output = (self.folder / "output").open("wb")
        make_command = peer.tls_command if tls and peer.tls_command else peer.command
        self._process = subprocess.Popen(  # noqa: S603
            make_command(self.folder, self.port),
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self._wait_until_listening()
        if tls:
            self._tunnel = Tunnel(self.folder, self.port)
            self.port = self._tunnel.port
            self._wait_until_listening()
        if peer.after_start:
            peer.after_start(self.port)

    def cpu(self) -> float:
        """Return the CPU seconds of the process and its children so far."""
        return sum(cpu_times(pid) for pid in self._pids())

    def memory(self) -> int:
        """Return the resident memory of the process and its children, in kB."""
        return sum(memory_kb(pid) for pid in self._pids())

    def stored_bytes(self) -> int:
        """Return the size of its files, without its log."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".log")
        return sum(path.stat().st_size for path in files if path.name not in ("plan", "output"))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        if self._tunnel is not None:
            self._tunnel.stop()
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        shutil.rmtree(self.folder)

    def _wait_until_listening(self) -> None:
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        output = (self.folder / "output").read_text(errors="replace")[-300:]
        self.stop()
        raise BenchmarkError(f"{self.peer.name} does not listen: {output}")

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


def cpu_times(pid: int) -> float:
    """Return the CPU seconds of the threads that a process has now. (`stat` counts them in ticks of 10 ms.)"""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@dataclass(frozen=True)
class Result:
    """A run of a workload on a server. Times in seconds, percentiles in milliseconds."""

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
        """CPU seconds of the server per million deliveries."""
        return self.server * 1e6 / self.deliveries

    @property
    def generator_cost(self) -> float:
        return self.generator * 1e6 / self.deliveries


class Target(Protocol):
    """What the generator connects to: a server, or the nodes of a cluster."""

    folder: Path

    @property
    def port(self) -> int: ...

    def cpu(self) -> float: ...


class LoadGenerator:
    """The load generator, with all connections logged in; can be run several times."""

    def __init__(self, program: Path, server: Target, work: Workload, plan: str) -> None:
        """Start the generator and wait for all logins. Raises `BenchmarkError`."""
        file = server.folder / "plan"
        file.write_text(plan)
        self._server = server
        self._is_stored = work.stored
        command = [str(program), str(server.port), str(work.window), str(work.rate), str(file)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)  # noqa: S603
        self._read_line()

    def run(self, seconds: float) -> Result:
        """Run the workload. Raises `BenchmarkError` if a message is refused or lost, or 30 seconds late.

        Where messages are stored, what the server does with them afterwards, such as indexing them, is part of the
        run: its processor time would otherwise be counted in the next one.
        """
        used = self._server.cpu()
        pipe_of(self._process.stdin).write(f"{seconds}\n")
        pipe_of(self._process.stdin).flush()
        report = json.loads(self._read_line())
        if self._is_stored:
            self._wait_until_idle()
        used = self._server.cpu() - used
        return Result(report["deliveries"], report["seconds"], used, report["cpu"], report["p50"], report["p99"])

    def close(self) -> None:
        self._process.communicate()

    def _wait_until_idle(self) -> None:
        """Wait until the server has finished its background work, such as indexing; for at most `TIMEOUT` seconds."""
        end = time.monotonic() + TIMEOUT
        used = -math.inf
        while (now := self._server.cpu()) - used > MAX_IDLE_CPU * IDLE_WINDOW and time.monotonic() < end:
            used = now
            time.sleep(IDLE_WINDOW)

    def _read_line(self) -> str:
        line = pipe_of(self._process.stdout).readline()
        if not line:
            raise BenchmarkError(self._process.communicate()[1].strip()[-400:] or "the generator ended")
        return line


def pipe_of(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def load(program: Path, server: Target, work: Workload, plan: str) -> Iterator[LoadGenerator]:
    generator_process = LoadGenerator(program, server, work, plan)
    try:
        yield generator_process
    finally:
        generator_process.close()
