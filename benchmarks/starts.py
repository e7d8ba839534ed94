"""What a start costs: time until the server listens and until a client is connected, resident memory, installed size.

    python -m benchmarks.starts [--times 9] [--write]

Beside each row are those of Python alone and of Python with a patched gevent, below which nothing here can come.
`--write` puts the table into docs/benchmarks.md. Linux only (/proc); loopback only; half a minute.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.process import memory_kb
from benchmarks.report import PAGE, machine
from benchmarks.server_process import HOST, TOP, ServerProcess
from benchmarks.tui import Terminal

BEGIN: Final = "<!-- written by `python -m benchmarks.starts --write` -->"
END: Final = "<!-- end of what `python -m benchmarks.starts` writes -->"
SETTLE_TIME: Final = 1.0  # seconds
GEVENT: Final = "from gevent import monkey; monkey.patch_all(); import gevent.hub; gevent.get_hub()"
Measurement = tuple[float, float]
"""Seconds, and kB of resident memory."""


def start_program(program: str) -> Measurement:
    """Measure Python until it has run a program of one line."""
    code = f"{program}; print(flush=True); input()"
    started = time.monotonic()
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe)  # noqa: S603
    assert process.stdout is not None
    process.stdout.readline()
    taken = time.monotonic() - started
    memory = memory_kb(process.pid)
    process.communicate(b"\n")
    return taken, memory


def start_server(folder: Path) -> Measurement:
    started = time.monotonic()
    with ServerProcess("--store", f"sqlite:///{folder}/messenger.db") as server:
        taken = time.monotonic() - started
        time.sleep(SETTLE_TIME)
        return taken, server.memory_kb()


@contextmanager
def ready_server() -> Iterator[int]:
    with ServerProcess("--store", "memory:") as server:
        yield server.port


def start_plain_client(folder: Path) -> Measurement:
    with ready_server() as port:
        command = [sys.executable, "-m", "gmessenger", "client", "--plain", "--host", HOST, "--port", str(port)]
        started = time.monotonic()
        pipe = subprocess.PIPE
        process = subprocess.Popen(  # noqa: S603
            [*command, "--name", "hank", "--log-file", str(folder / "log")], stdin=pipe, stdout=pipe, cwd=TOP
        )
        assert process.stdout is not None
        while b"Connected" not in process.stdout.readline():
            assert process.poll() is None, "the client ended"
        taken, memory = time.monotonic() - started, memory_kb(process.pid)
        process.communicate(b"/exit\n", timeout=30)
        return taken, memory


def start_full_screen(folder: Path) -> Measurement:
    with ready_server() as port:
        terminal = Terminal(port, folder, 80, 24)
        taken = terminal.wait_for("● connected") - terminal.started
        memory = memory_kb(terminal.process.pid)
        terminal.process.terminate()
        terminal.process.wait(30)
        return taken, memory


ROWS: Final[tuple[tuple[str, str, Callable[[Path], Measurement]], ...]] = (
    ("Python alone", "", lambda _: start_program("pass")),
    ("Python and gevent, patched", "", lambda _: start_program(GEVENT)),
    ("server, until it listens; at rest", "0.35 s, 32 MB", start_server),
    ("client, `--plain`, connected", "0.12 s", start_plain_client),
    ("client, full screen, connected", "0.22 s", start_full_screen),
)


def installed_size() -> int:
    """Return the bytes of what `pip install gmessenger` installs: itself and the libraries, bytecode included."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "-qq", "--target", folder, "-r", "requirements.txt"]
        subprocess.run(command, check=True, cwd=TOP)  # noqa: S603
        libraries = _size(Path(folder))
    found = importlib.util.find_spec("gmessenger")
    assert found is not None
    assert found.origin is not None
    return libraries + _size(Path(found.origin).parent)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def table(times: int) -> Iterator[str]:
    yield "| | target | seconds, median (least to most) | resident MB |"
    yield "|---|--:|--:|--:|"
    for title, target, start in ROWS:
        runs = []
        for _ in range(times):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(start(Path(folder)))
        seconds = sorted(taken for taken, _ in runs)
        memory = statistics.median(memory for _, memory in runs) / 1024
        spread = f"{statistics.median(seconds):.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f})"
        yield f"| {title} | {target} | {spread} | {memory:.0f} |"
    yield f"| installed, with libraries and bytecode | 50 MB | | {installed_size() / 1e6:.0f} (on disk) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    lines = [f"Medians of {options.times} starts. {machine()}.", "", *table(options.times)]
    if not options.write:
        print("\n".join(lines))
        return
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text("\n".join([f"{head}{BEGIN}\n", *lines, f"\n{END}"]) + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
