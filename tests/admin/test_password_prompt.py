"""Passwords at a terminal: typed twice, and not echoed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests import ROOT
from tests.support.admin_cli import PASSWORD, StoreDirectory


def typed_at_a_terminal(store_dir: StoreDirectory, *lines: str) -> tuple[int, str]:
    """Return the exit code of `user add hank`, and what the terminal showed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gmessenger", "admin", "--store", store_dir.url, "user", "add", "hank"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown = b""
        for line in lines:
            while not shown.endswith(b": "):
                shown += os.read(ours, 1024)
            os.write(ours, line.encode() + b"\n")
            shown += b"|"
        code = process.wait(20)
    while True:
        try:
            shown += os.read(ours, 1024)
        except OSError:  # the terminal was closed
            break
    os.close(ours)
    return code, shown.decode()


def test_a_password_is_asked_for_twice_without_echo(tmp_path: Path) -> None:
    store_dir = StoreDirectory(tmp_path)
    store_dir.create_store()
    code, shown = typed_at_a_terminal(store_dir, PASSWORD, PASSWORD)
    assert code == 0 and "New password: " in shown and "Again: " in shown and "hank is an account" in shown
    assert PASSWORD not in shown


def test_two_that_differ_change_nothing(tmp_path: Path) -> None:
    store_dir = StoreDirectory(tmp_path)
    code, shown = typed_at_a_terminal(store_dir, PASSWORD, "something else")
    assert code == 77 and "differ" in shown and not store_dir.file.exists()


def test_the_end_of_the_input_is_no_password(tmp_path: Path) -> None:
    code, shown = typed_at_a_terminal(StoreDirectory(tmp_path), "\x04")
    assert code == 2 and "No password was entered." in shown and "Traceback" not in shown
