"""The library on a system without Unix locks and terminals; the program says that it needs them."""

import subprocess
import sys
from pathlib import Path

from tests import ROOT
from tests.support.timeouts import TEST_TIMEOUT

ELSEWHERE = (
    "import sys, gevent, gevent.socket, gevent.threadpool, subprocess, getpass, logging.config, configargparse\n"
    "sys.modules['fcntl'] = sys.modules['termios'] = sys.modules['resource'] = None\n"
)


def run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", ELSEWHERE + program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TEST_TIMEOUT)


def test_the_library_is_there_and_keeps_nothing_on_disk(tmp_path: Path) -> None:
    done = run(
        "from pathlib import Path; from gmessenger.client import Client\n"
        "from gmessenger.client.journal import JournalFile\n"
        "try: JournalFile(Path(sys.argv[1])).open()\n"
        "except OSError as error: print(error.strerror)\n",
        str(tmp_path / "unsent"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "this system does not support the file locks it needs\n",
        "",
    )


def test_the_program_says_what_it_needs() -> None:
    done = run(
        "from gmessenger.terminal.main import main; raise SystemExit(main())",
        "--name",
        "bot",
        "--listen",
        "--log-file=-",
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1) and "needs a Unix terminal" in done.stderr
