"""Makes text from strangers safe to print: nothing they send may steer the terminal or hide in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import unicodedataplus

TAB: Final = "    "
JOINERS: Final = "\u200c\u200d"  # scripts and emoji are written with them
DIRECTIONS: Final = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def visible(text: str) -> str:
    """The text on one line: controls as `^X`, C1 and directions as `<9b>`, what is no character as its number.

    Tabs and line separators become spaces; format characters that show nothing are dropped, except joiners.
    """
    # Printable in Unicode's sense means that nothing of this is in it.
    return text if text.isprintable() else "".join(map(_visible, text))


def visible_lines(text: str) -> str:
    """The same of each line of a text that may have several."""
    return "\n".join(visible(line) for line in text.replace("\r\n", "\n").split("\n"))


@lru_cache(maxsize=4096)
def _visible(char: str) -> str:
    if char == "\t":
        return TAB
    if char in JOINERS:
        return char
    if char in DIRECTIONS:
        return _number(char)
    show = SHOWN.get(unicodedataplus.category(char))
    return char if show is None else show(char)


def _control(char: str) -> str:
    """C0 and DEL as a terminal echoes them; C1 has no such custom."""
    return "^" + chr(ord(char) ^ 0x40) if ord(char) < 0x80 else _number(char)


def _number(char: str) -> str:
    return f"<{ord(char):02x}>"


SHOWN: Final[dict[str, Callable[[str], str]]] = {
    "Cc": _control,
    "Cf": lambda char: "",
    "Cs": _number,
    "Co": _number,
    "Cn": _number,
    "Zl": lambda char: " ",
    "Zp": lambda char: " ",
}
"""What becomes of the categories that are not shown as they are."""
