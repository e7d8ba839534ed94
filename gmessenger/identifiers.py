"""Properties of the characters of names (UTS 39): which are allowed, their scripts, and skeletons of texts.

The table `identifiers.txt` is read for the first name that is not ASCII. It is of a fixed version of Unicode,
independent of the Python version, so that all nodes of a cluster allow the same names.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

TABLE: Final = Path(__file__).with_name("identifiers.txt")
ASCII_CONFUSABLES: Final = (("0", "O"), ("1", "l"), ("I", "l"), ("m", "rn"))
"""The rows of the table for ASCII characters, so that ASCII names do not need the table."""
DOT_ABOVE: Final = "\u0307"


class IdentifierTable(NamedTuple):
    """The table of allowed characters: sorted ranges (`firsts` to `lasts`) with the `scripts` of each.

    `prototypes` maps a code point to the characters that it can be mistaken for.
    """

    firsts: list[int]
    lasts: list[int]
    scripts: list[frozenset[str]]
    soft_dotted: frozenset[str]
    prototypes: dict[int, str]

    def scripts_of(self, char: str) -> frozenset[str] | None:
        """Return the scripts that a character is used in; None for a character that is not allowed in names."""
        index = bisect_right(self.firsts, ord(char)) - 1
        return self.scripts[index] if index >= 0 and ord(char) <= self.lasts[index] else None


@cache
def identifier_table() -> IdentifierTable:
    """Return the table; the first call reads it from its file (blocks)."""
    table = IdentifierTable([], [], [], frozenset(), {})
    for line in TABLE.read_text("ascii").splitlines():
        head, _, rest = line.partition(" ")
        if head == "dots":
            table = table._replace(soft_dotted=frozenset(chr(int(code, 16)) for code in rest.split()))
        elif ">" in head:
            code, _, prototype = line.partition(">")
            table.prototypes[int(code, 16)] = "".join(chr(int(char, 16)) for char in prototype.split())
        elif head != "#":
            first, _, last = head.partition("-")
            table.firsts.append(int(first, 16))
            table.lasts.append(int(last or first, 16))
            table.scripts.append(frozenset(rest.split()))
    return table


def skeleton(text: str) -> str:
    """Return the skeleton of a text (UTS 39, 4): texts with the same one can be mistaken for each other."""
    if text.isascii():
        for char, prototype in ASCII_CONFUSABLES:  # four times as fast as `translate`
            text = text.replace(char, prototype)
        return text
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).translate(identifier_table().prototypes))


def has_hidden_dot(text: str) -> bool:
    """Return whether a text has a combining dot above a letter that has a dot already, such as i (UTS 39, 5.4)."""
    if DOT_ABOVE not in text:
        return False
    hidden = False
    for char in text:
        if hidden and char == DOT_ABOVE:
            return True
        if unicodedata.combining(char) in (0, 230):
            hidden = char in identifier_table().soft_dotted
    return False
