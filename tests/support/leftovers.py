"""Search the files of a store for content that should be erased."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# In a process of its own: one that has the store open and closes another descriptor of its files loses SQLite's locks.
SEARCH_SCRIPT = """
import pathlib, sys
needles = [bytes.fromhex(line) for line in sys.stdin]
for file in sorted(pathlib.Path(sys.argv[1]).rglob("*")):
    if file.is_file():
        data = file.read_bytes().lower()
        for needle in needles:
            if needle in data:
                print(file.name, repr(needle))
"""

MATCH_SCRIPT = """
import pathlib, re, sys
for file in sorted(pathlib.Path(sys.argv[1]).rglob("*")):
    if file.is_file():
        for found in set(re.findall(sys.argv[2].encode(), file.read_bytes())):
            print(found.decode())
"""


def find_traces(folder: Path, needles: Iterable[str | bytes]) -> list[str]:
    """List which files below a folder contain which needles, ignoring case."""
    coded = [needle.encode() if isinstance(needle, str) else needle for needle in needles]
    lines = "".join(f"{needle.lower().hex()}\n" for needle in coded)  # a digest may have any byte, also a NUL
    completed = subprocess.run(
        [sys.executable, "-c", SEARCH_SCRIPT, str(folder)], input=lines, capture_output=True, check=True, text=True
    )
    return completed.stdout.splitlines()


def find_matches(folder: Path, pattern: str) -> set[str]:
    """Return all matches of a pattern in the files below a folder."""
    completed = subprocess.run(
        [sys.executable, "-c", MATCH_SCRIPT, str(folder), pattern], capture_output=True, check=True
    )
    return set(completed.stdout.decode().splitlines())
