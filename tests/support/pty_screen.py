"""The full screen in a process on a pseudo-terminal, with a terminal emulator that shows it."""

from __future__ import annotations

import fcntl
import re
import struct
import termios
import time
from pathlib import Path
from typing import Any, Final

import pyte

from tests.support.pty_client import TIMEOUT, PtyClient

KEYS: Final = {
    "enter": "\r",
    "tab": "\t",
    "shift-tab": "\x1b[Z",
    "backspace": "\x7f",
    "escape": "\x1b",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "page up": "\x1b[5~",
    "page down": "\x1b[6~",
    "alt-up": "\x1b[1;3A",
    "alt-down": "\x1b[1;3B",
    "alt-enter": "\x1b\r",
}
"""Bytes that an xterm sends for keys; those of `ctrl-x` and `alt-x` are computed."""
PASTE: Final = ("\x1b[200~", "\x1b[201~")


def key(name: str) -> str:
    """Return the bytes that a terminal sends for a key."""
    if name in KEYS:
        return KEYS[name]
    modifier, _, letter = name.partition("-")
    return chr(ord(letter.upper()) ^ 0x40) if modifier == "ctrl" else f"\x1b{letter}"


class PtyScreen(PtyClient):
    """A `PtyClient` with an emulated screen."""

    def __init__(self, argv: list[str], log: Path | str, columns: int = 100, rows: int = 30, **env: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        super().__init__(argv, log, columns, rows=rows, **({"TERM": "xterm-256color"} | env))

    def _on_output(self, data: bytes) -> None:
        super()._on_output(data)
        self.raw += data
        self._stream.feed(data)

    @property
    def display(self) -> str:
        """The screen's rows as they are now."""
        return "\n".join(row.rstrip() for row in self.screen.display)

    def wait_until_shown(self, pattern: str, timeout: float = TIMEOUT) -> re.Match[str]:
        """Wait until the screen shows a pattern; `^` and `$` match the ends of rows."""
        deadline = time.monotonic() + timeout
        while (found := re.search(pattern, self.display, re.MULTILINE)) is None:
            assert self._read_more(deadline), f"no {pattern!r} on\n{self.display}"
        return found

    def wait_until_hidden(self, pattern: str, timeout: float = TIMEOUT) -> None:
        """Wait until the screen does not show a pattern."""
        deadline = time.monotonic() + timeout
        while re.search(pattern, self.display, re.MULTILINE) is not None:
            assert self._read_more(deadline), f"still {pattern!r} on\n{self.display}"

    def press(self, *names: str) -> None:
        for name in names:
            self.type(key(name))

    def paste(self, text: str) -> None:
        self.type(text.join(PASTE))

    def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal; the kernel notifies the program."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def modes(self) -> list[Any]:
        """The terminal's modes."""
        return termios.tcgetattr(self.master)[:4]

    @property
    def is_restored(self) -> bool:
        """Whether echo, line mode, cursor, paste mode and mouse are as before the program started."""
        cooked = bool(self.modes[3] & termios.ICANON and self.modes[3] & termios.ECHO)
        last = {mode: max(self.raw.rfind(f"\x1b[?{mode}{end}".encode()) for end in "hl") for mode in (1049, 2004, 25)}
        ends = {mode: self.raw[at + len(f"\x1b[?{mode}") : at + len(f"\x1b[?{mode}") + 1] for mode, at in last.items()}
        return cooked and (ends[1049], ends[2004], ends[25]) == (b"l", b"l", b"h")
