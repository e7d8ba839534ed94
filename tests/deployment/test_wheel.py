"""What an installation has that is no Python: the page, the catalogs, the tables."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from tests import ROOT
from tests.support.timeouts import TEST_TIMEOUT

SOURCES = ("gmessenger", "config/completion", "docs/man", "setup.py", "pyproject.toml", "README.md", "LICENSE")
KEPT_OUT = {".po", ".pyc", ".pyo"}


def test_a_wheel_has_all_files_of_the_package(tmp_path: Path) -> None:
    for name in SOURCES:
        source, target = ROOT / name, tmp_path / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [*command, "--disable-pip-version-check", "-w", str(tmp_path), str(tmp_path / "tree")],
        check=True,
        timeout=TEST_TIMEOUT * 10,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("gmessenger/")}
    files = [path for path in (ROOT / "gmessenger").rglob("*") if path.is_file() and path.suffix not in KEPT_OUT]
    assert packed == {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert "gmessenger/web/index.html" in packed and "gmessenger/web/words/ru.json" in packed
