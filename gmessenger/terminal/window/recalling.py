"""The history of the input line, which outlives the program: a bounded file that only its owner can read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from prompt_toolkit.history import History

MOST: Final = 1000
"""Lines that are kept. Twice as many may be in the file before it is written anew."""
LONGEST: Final = 4000
"""Characters; what is longer is remembered as long as the program runs."""


class Remembered(History):
    """What was typed, also in earlier runs. Where the file cannot be read or written, only in this one."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        lines = self._lines()
        if len(lines) > 2 * MOST:
            self._rewrite(lines[-MOST:])
        return [_unescaped(line) for line in reversed(lines[-MOST:])]

    def store_string(self, string: str) -> None:
        if len(string) <= LONGEST:
            self._write([_escaped(string)], os.O_APPEND)

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text("utf-8", errors="replace").split("\n")[:-1]
        except OSError:
            return []

    def _rewrite(self, lines: list[str]) -> None:
        new = self._file.with_suffix(".new")
        with suppress(OSError):
            new.unlink(missing_ok=True)
            self._write(lines, os.O_EXCL, new)
            new.replace(self._file)

    def _write(self, lines: list[str], how: int, file: Path | None = None) -> None:
        text = "".join(f"{line}\n" for line in lines)
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(file or self._file, os.O_WRONLY | os.O_CREAT | how, 0o600)
            with os.fdopen(descriptor, "wb") as written:
                written.write(text.encode("utf-8", errors="replace"))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescaped(line: str) -> str:
    return "\\".join(part.replace("\\n", "\n") for part in line.split("\\\\"))
