"""The page in a browser, as people use it: real servers, real terminal clients, Chromium driven by node."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from tests import ROOT

HERE = Path(__file__).parent
TESTS = sorted(file.name for file in HERE.glob("*.test.js"))
TIMEOUT = 900  # seconds; each wait within has a shorter one
CHROMIUM = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing() -> str:
    """Return what is not installed; nothing where the tests can run."""
    if CHROMIUM is None:
        return "Chromium is not installed"
    if which("node") is None:
        return "node is not installed"
    if not (ROOT / ".browser" / "node_modules" / "playwright-core").exists():
        return "playwright-core is not installed: make browser"
    return ""


@pytest.mark.skipif(bool(missing()), reason=missing() or "installed")
@pytest.mark.timeout(TIMEOUT + 30)
@pytest.mark.parametrize("name", TESTS)
def test_page(name: str) -> None:
    finished = subprocess.run(
        ["node", "--test", str(HERE / name)],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable, "CHROMIUM": CHROMIUM or ""},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert finished.returncode == 0, finished.stdout
