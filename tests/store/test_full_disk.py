"""A first start on a full disk: one error message, and no file left that hinders the next start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from gmessenger.store.sqlite.schema import VERSION
from tests import ROOT
from tests.support.server import TEST_TIMEOUT

PROGRAM: Final = """
import os, resource, sys, subprocess
from pathlib import Path
from gmessenger.errors import ExitError, FileError
from gmessenger.store import open_store
from gmessenger.store.sqlite.verify import inspect_file
how, kilobytes, folder, kill = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4] == "kill"
file = folder / "messenger.db"
url = f"sqlite:///{file}"

def tmpfs(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)

if how == "tmpfs":
    tmpfs(f"size={kilobytes}k")
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, resource.RLIM_INFINITY))
if kill:
    from gmessenger.store.sqlite import database
    database.Database._abort_open = lambda store, created: store._release()
try:
    open_store(url).close()
    print("opened")
except FileError as error:
    print("refused:", error)
if not kill and not file.exists():
    print("left:", sorted(each.name for each in folder.iterdir()))
if how == "tmpfs":
    tmpfs("remount,size=100m")
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("schema", inspect_file(file).schema)
open_store(url).close()
print("schema", inspect_file(file).schema)
"""
SIZES: Final = (4, 8, 16, 32, 48, 64, 96, 128, 160, 200)


def run(how: str, kilobytes: int, folder: Path, *, kill: bool) -> list[str]:
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])] if how == "tmpfs" else []
    command = [*alone, sys.executable, "-c", PROGRAM, how, str(kilobytes), str(folder), "kill" if kill else "-"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TEST_TIMEOUT)
    if (how == "tmpfs" and done.returncode != 0 and "unshare" in done.stderr) or "CalledProcessError" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr.strip()[-100:]}")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("how", ["tmpfs", "limit"])
@pytest.mark.parametrize("kilobytes", SIZES)
def test_nothing_is_left_that_a_check_refuses(how: str, kilobytes: int, tmp_path: Path) -> None:
    first, *others = run(how, kilobytes, tmp_path, kill=False)
    if first == "opened":
        return
    assert first.startswith("refused: Cannot open the store ")
    assert others == ["left: ['messenger.db.lock']", "schema None", f"schema {VERSION}"]


@pytest.mark.parametrize("kilobytes", SIZES)
def test_nor_where_it_was_killed_over_it(kilobytes: int, tmp_path: Path) -> None:
    first, before, after = run("limit", kilobytes, tmp_path, kill=True)
    assert first == "opened" or first.startswith("refused: ")
    assert before in {f"schema {number}" for number in range(VERSION + 1)} and after == f"schema {VERSION}"
