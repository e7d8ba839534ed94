"""Terminal input: keys that were pressed before the screen was up, and escape sequences that stand for no key."""

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
"""A mouse or a cursor, which the library knows by more than a table."""
MAX_UNFINISHED: Final = 64  # characters
PASTE_START: Final = "\x1b[200~"
PASTE_END: Final = "\x1b[201~"
COOKED_TO_RAW: Final = str.maketrans({"\n": "\r", "\0": "\x04"})
"""What the terminal's own line discipline makes of Enter and of Ctrl-D, and back."""


class KeyParser(Vt100Parser):
    """Parse keys, and drop escape sequences that stand for no key: taken apart they would be Escape, and then text."""

    _unfinished = ""

    def feed(self, data: str) -> None:
        data, self._unfinished = self._unfinished + data, ""
        while data:
            data = self._feed_paste(data) if self._in_bracketed_paste else self._feed_keys(data)

    def flush(self) -> None:
        """Take an unfinished sequence as it is, after a pause in the input."""
        held, self._unfinished = self._unfinished, ""
        super().feed(held)
        super().flush()

    def _feed_keys(self, data: str) -> str:
        """Parse up to the beginning of a paste; return the rest."""
        keys, mark, pasted = data.partition(PASTE_START)
        if not mark and (found := UNFINISHED_SEQUENCE.search(keys)) and len(found[0]) <= MAX_UNFINISHED:
            keys, self._unfinished = keys[: found.start()], found[0]
        super().feed("".join(_known_keys(keys)) + mark)
        return pasted

    def _feed_paste(self, data: str) -> str:
        """Take pasted text unchanged; return what follows it."""
        # The mark may be in two pieces, of which the library has the first.
        begun = len(self._paste_buffer)
        place = (self._paste_buffer[-len(PASTE_END) :] + data).find(PASTE_END)
        end = place + len(PASTE_END) - min(begun, len(PASTE_END)) if place >= 0 else len(data)
        super().feed(data[:end])
        return data[end:]


def _known_keys(keys: str) -> Iterator[str]:
    place = 0
    for found in ESCAPE_SEQUENCE.finditer(keys):
        yield keys[place : found.start()]
        if found[0] in ANSI_SEQUENCES or TERMINAL_REPORT.fullmatch(found[0]):
            yield found[0]
        place = found.end()
    yield keys[place:]


class TerminalInput(Vt100Input):
    """Read keys from the terminal that is `stdin`."""

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
        self._buffer.append(key)  # which is another list after each reading
