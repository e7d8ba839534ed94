"""What our own client costs: processor time of the client a message, sending and receiving, on SQLite with accounts.

    python -m benchmarks.client_cost [--messages 20000] [--rounds 3] [--write]

Each row is a client process as users start it, and a server as shipped without rate limits. The client's time is
counted from its first message to its last, so that its start is left out. `--write` puts the table into
docs/benchmarks.md. Linux only (/proc); loopback only; a minute.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.process import cpu_times
from benchmarks.protocols import PASSWORD, JimAccounts
from benchmarks.report import PAGE, machine
from benchmarks.server_process import HOST, ServerProcess
from benchmarks.setup_steps import TOP, make_accounts

BEGIN: Final = "<!-- written by `python -m benchmarks.client_cost --write` -->"
END: Final = "<!-- end of what `python -m benchmarks.client_cost` writes -->"
TIMEOUT: Final = 60.0
WINDOW: Final = 200
"""Messages in flight."""
FIRST: Final = "first"
LAST: Final = "last"
TEXT: Final = "the quick brown fox jumps over the lazy dog, and does so once more for good measure: {}"
Cost = tuple[float, float]
"""CPU seconds and seconds of a run."""


class RawConnection:
    """A connection of the other end, in bytes."""

    def __init__(self, port: int, name: str) -> None:
        self._socket = socket.create_connection((HOST, port), TIMEOUT)
        self._received = b""
        for sent, awaited in JimAccounts().login(name):
            self._socket.sendall(sent)
            self.read_until(awaited, 1)

    def close(self) -> None:
        self._socket.close()

    def send(self, *texts: str) -> None:
        """Send messages to b0 and wait until all are on disk."""
        for start in range(0, len(texts), WINDOW):
            portion = texts[start : start + WINDOW]
            frames = (JimAccounts().message("b0", "a0", text.encode()).frame for text in portion)
            self._socket.sendall(b"".join(frames))
            self.read_until(b'"response":200', len(portion))

    def read_until(self, wanted: bytes, times: int) -> None:
        """Read until some bytes have come so many times."""
        while (found := self._received.count(wanted)) < times:
            times -= found
            data = self._socket.recv(1 << 16)
            assert data, "the server closed the connection"
            # What may be the beginning of the next one stays.
            self._received = (self._received[-len(wanted) + 1 :] if found == 0 else b"") + data
        self._received = b""

    def receive(self, text: str) -> None:
        """Read until a text has come, and acknowledge all."""
        while text.encode() not in self._received:
            self._received = self._received[-1000:] + self._socket.recv(1 << 16)
            self._socket.sendall(JimAccounts().acknowledgement("a0"))
        self._received = b""


@contextmanager
def client(
    port: int, folder: Path, name: str, *options: str, stdin: int, stdout: int
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gmessenger", "client", "--host", HOST, "--port", str(port), "--name", name]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    env |= {"MESSENGER_PASSWORD": PASSWORD, "STATE_DIRECTORY": str(folder)}
    process = subprocess.Popen(  # noqa: S603
        [*command, "--log-file", str(folder / "client.log"), *options],
        cwd=TOP,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.DEVNULL if stdout == subprocess.PIPE else stdout,
        env=env,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class ClientOutput:
    """What a client writes, of which only the end is kept."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = b""

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while text.encode() not in self._end:
            assert self.read(deadline - time.monotonic()), f"no {text!r} in {self._end!r}"

    def read(self, timeout: float = 0.0) -> bool:
        """Read what there is, or comes in so many seconds; return whether there was anything."""
        if not select.select([self._fd], [], [], timeout)[0]:
            return False
        self._end = self._end[-4096:] + os.read(self._fd, 1 << 20)
        return True


def measure(process: subprocess.Popen[bytes], work: Callable[[], None]) -> Cost:
    used, start = cpu_times(process.pid), time.monotonic()
    work()
    return cpu_times(process.pid) - used, time.monotonic() - start


def send_lines(port: int, folder: Path, texts: list[str]) -> Cost:
    """Measure a client that sends each line of its input."""
    reader = RawConnection(port, "b0")
    with client(port, folder, "a0", "--to", "b0", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None

        def write(*lines: str) -> None:
            assert process.stdin is not None
            process.stdin.write("".join(f"{line}\n" for line in lines).encode())
            process.stdin.flush()
            reader.receive(lines[-1])

        write(FIRST)
        cost = measure(process, lambda: write(*texts, LAST))
    reader.close()
    return cost


def receive(*options: str) -> Callable[[int, Path, list[str]], Cost]:
    """Return how to measure a client that prints messages, with such options."""

    def run(port: int, folder: Path, texts: list[str]) -> Cost:
        sender = RawConnection(port, "a0")
        with client(port, folder, "b0", *options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            output = ClientOutput(process.stdout.fileno())
            cost = measure_arrival(process, sender, output, texts)
            process.stdout.close()
        sender.close()
        return cost

    return run


def receive_on_screen(port: int, folder: Path, texts: list[str]) -> Cost:
    """Measure the full-screen client while messages arrive."""
    sender = RawConnection(port, "a0")
    master, slave = pty.openpty()
    with client(port, folder, "b0", stdin=slave, stdout=slave) as process:
        os.close(slave)
        output = ClientOutput(master)
        output.wait_for("connected")
        os.write(master, b"/msg a0\r")
        cost = measure_arrival(process, sender, output, texts)
    os.close(master)
    sender.close()
    return cost


def measure_arrival(
    process: subprocess.Popen[bytes], sender: RawConnection, output: ClientOutput, texts: list[str]
) -> Cost:
    sender.send(FIRST)
    output.wait_for(FIRST)

    def arrive() -> None:
        for start in range(0, len(texts), WINDOW):
            sender.send(*texts[start : start + WINDOW])
            output.read()
        sender.send(LAST)
        output.wait_for(LAST)

    return measure(process, arrive)


@dataclass(frozen=True)
class ClientUse:
    """A way to use the client, and how to measure it."""

    title: str
    run: Callable[[int, Path, list[str]], Cost]


USES: Final = (
    ClientUse("`--to`: sends each line of a pipe, each acknowledged", send_lines),
    ClientUse("`--listen` into a pipe", receive("--listen")),
    ClientUse("`--listen --json` into a pipe", receive("--listen", "--json")),
    ClientUse("full screen, 80 × 24, drawing", receive_on_screen),
)


def table(rounds: int, messages: int) -> Iterator[str]:
    texts = [TEXT.format(number) for number in range(messages)]
    yield f"Medians of {rounds} rounds of {messages:,} messages. {machine()}.\n"
    yield "| client | CPU µs a message | messages/s |"
    yield "|---|--:|--:|"
    for use in USES:
        costs = [run_once(use, texts) for _ in range(rounds)]
        used, took = (median(each) for each in zip(*costs, strict=True))
        yield f"| {use.title} | {used * 1e6 / messages:.0f} | {messages / took:,.0f} |"


def run_once(use: ClientUse, texts: list[str]) -> Cost:
    with tempfile.TemporaryDirectory(dir=TOP, prefix="compare.") as name:
        folder = Path(name)
        make_accounts(folder)
        limits = ("--message-rate", "0", "--request-rate", "0", "--connect-rate", "0")
        with ServerProcess("--store", f"sqlite:///{folder}/messenger.db", *limits) as server:
            return use.run(server.port, folder, texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    lines = list(table(options.rounds, options.messages))
    if options.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text("\n".join([f"{before}{BEGIN}\n", *lines, f"\n{END}{after}"]), "utf-8")
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
