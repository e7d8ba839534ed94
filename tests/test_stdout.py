"""Programs that print into closed pipes and onto full disks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.server import TEST_TIMEOUT

FULL = Path("/dev/full")
PRINTS = [
    *(["server", option] for option in ("--print-config", "--help", "--version", "--check")),
    *(["client", option] for option in ("--print-config", "--help", "--version", "--check")),
    *(["admin", option] for option in ("--print-config", "--help", "--version")),
    *([program, "--print-completion", "bash"] for program in ("server", "client", "admin")),
]


def start(arguments: list[str], output: int, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
    memory = ["--store", "memory:", "--port", "0"] if arguments == ["server", "--check"] else []
    return subprocess.run(
        [sys.executable, "-m", "gmessenger", *arguments, *memory],
        cwd=ROOT,
        env=clean | {"HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TEST_TIMEOUT,
        check=False,
    )


@pytest.mark.parametrize("arguments", PRINTS, ids=" ".join)
def test_a_pipe_that_is_read_no_more_ends_it_quietly(arguments: list[str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        completed = start(arguments, writing, tmp_path)
    finally:
        os.close(writing)
    assert (completed.returncode, completed.stderr) == (0, "")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", PRINTS, ids=" ".join)
def test_a_disk_that_is_full_is_said_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    with FULL.open("w") as full:
        completed = start(arguments, full.fileno(), tmp_path)
    assert (completed.returncode, completed.stderr.count("\n")) == (73, 1)
    assert "No space left on device" in completed.stderr
