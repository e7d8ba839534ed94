"""Terminal input: keys that were pressed before the screen was up; escape sequences that are no keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TextIO

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPress

ESCAPE_SEQUENCE: Final = re.compile(
    r"\x1b(?:\[\[[A-E]"  # a function key of the Linux console
    r"|\[(?!\[)[0-?]*[ -/]*[@-~]"  # CSI
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # what a terminal says of itself: OSC, DCS
    r"|P[^\x1b]*\x1b\\)"
)
UNFINISHED_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*)?\Z")
TERMINAL_REPORT: Final = re.compile(r"\x1b\[(?:<?[0-9;]+[mMR]|M)")
"""Reports of the mouse or the cursor, which prompt_toolkit does not look up in ANSI_SEQUENCES."""
MAX_UNFINISHED: Final = 64  # characters
PASTE_START: Final = "\x1b[200~"
PASTE_END: Final = "\x1b[201~"
COOKED_TO_RAW: Final = str.maketrans({"\n": "\r", "\0": "\x04"})
"""Undoes what the terminal's line discipline makes of Enter and Ctrl-D."""


class KeyParser(Vt100Parser):
    """Parse keys, and drop escape sequences that are no keys; otherwise their characters would be typed."""

    _unfinished = ""

    def feed(self, data: str) -> None:
        data, self._unfinished = self._unfinished + data, ""
        while data:
            data = self._feed_paste(data) if self._in_bracketed_paste else self._feed_keys(data)

    def flush(self) -> None:
        """Take an unfinished sequence as keys, after a pause in the input."""
        unfinished, self._unfinished = self._unfinished, ""
        super().feed(unfinished)
        super().flush()

    def _feed_keys(self, data: str) -> str:
        """Parse up to the start of a paste, and return the rest."""
        keys, paste_start, pasted = data.partition(PASTE_START)
        if not paste_start and (found := UNFINISHED_SEQUENCE.search(keys)) and len(found[0]) <= MAX_UNFINISHED:
            keys, self._unfinished = keys[: found.start()], found[0]
        super().feed("".join(_known_keys(keys)) + paste_start)
        return pasted

    def _feed_paste(self, data: str) -> str:
        """Take pasted text unchanged, and return what follows it."""
        # PASTE_END may be split: prompt_toolkit's buffer has its beginning already.
        buffered = len(self._paste_buffer)
        index = (self._paste_buffer[-len(PASTE_END) :] + data).find(PASTE_END)
        end = index + len(PASTE_END) - min(buffered, len(PASTE_END)) if index >= 0 else len(data)
        super().feed(data[:end])
        return data[end:]


def _known_keys(keys: str) -> Iterator[str]:
    position = 0
    for match in ESCAPE_SEQUENCE.finditer(keys):
        yield keys[position : match.start()]
        if match[0] in ANSI_SEQUENCES or TERMINAL_REPORT.fullmatch(match[0]):
            yield match[0]
        position = match.end()
    yield keys[position:]


class TerminalInput(Vt100Input):
    """The keys of the terminal that is `stdin`."""

    def __init__(self, stdin: TextIO) -> None:
        super().__init__(stdin)
        self.vt100_parser = KeyParser(self._collect)

    def take_typed_ahead(self) -> list[KeyPress]:
        """Return the keys that were pressed while the terminal was in line mode. Call it in raw mode.

        The line discipline has turned Enter into a newline and Ctrl-D into NUL; both become keys again. Does not block.
        """
        typed = "".join(iter(self.stdin_reader.read, ""))
        self.vt100_parser.feed(typed.translate(COOKED_TO_RAW))
        keys, self._buffer = self._buffer, []
        return keys

    def _collect(self, key: KeyPress) -> None:
        self._buffer.append(key)  # prompt_toolkit replaces the list after each read
