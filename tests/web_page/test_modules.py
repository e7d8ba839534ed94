"""The modules of the page that know no browser, under `node --test`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from shutil import which

import pytest

from gmessenger.errors import BadName
from gmessenger.names import check_name, fold
from gmessenger.sanitize import sanitize_lines
from tests import ROOT
from tests.support.hostile_text import HOSTILE
from tests.support.timeouts import TEST_TIMEOUT

HERE = Path(__file__).parent
TESTS = sorted(file.name for file in HERE.glob("*.test.js"))
ALL_CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
# What was assigned before the browser's and our tables were made, so that both know it.
KNOWN = [char for char in ALL_CHARACTERS if unicodedata.category(char) != "Cn"]


def is_name(name: str) -> bool:
    try:
        check_name(name)
    except BadName:
        return False
    return True


needs_node = pytest.mark.skipif(which("node") is None, reason="node is not installed")


@pytest.fixture(scope="session")
def text_cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of names and texts, each with what the server and the terminal client make of it."""
    changing = [name for char in KNOWN for name in (char, f"x{char}") if fold(name) != name]
    names = [*filter(is_name, changing), "Straße", "ΝΊΚΟΣ", "#DEV"]
    texts = [HOSTILE, *("".join(KNOWN[start : start + 100]) for start in range(0, len(KNOWN), 100))]
    file = tmp_path_factory.mktemp("texts") / "cases.json"
    cases = {"names": [(name, fold(name)) for name in names], "texts": [(text, sanitize_lines(text)) for text in texts]}
    file.write_text(json.dumps(cases), "utf-8")
    return file


@needs_node
@pytest.mark.parametrize("name", TESTS)
def test_module(name: str, text_cases: Path) -> None:
    finished = subprocess.run(
        ["node", "--test", str(HERE / name)],
        cwd=ROOT,
        env={**os.environ, "TEXT_CASES": str(text_cases)},
        capture_output=True,
        text=True,
        timeout=TEST_TIMEOUT * 4,
    )
    assert finished.returncode == 0, finished.stdout
