"""Characters of names by UTS 39, Unicode's security mechanisms: which are allowed, their scripts, their skeletons.

The table `identifiers.txt` is read when it is first asked for a name that is not ASCII. It belongs to one version of
Unicode, whatever this Python's own is, so that all nodes of a cluster allow the same names.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

TABLE: Final = Path(__file__).with_name("identifiers.txt")
ASCII_CONFUSABLES: Final = (("0", "O"), ("1", "l"), ("I", "l"), ("m", "rn"))
"""The rows of the table that are about ASCII: where all names are, it is never read."""
DOT_ABOVE: Final = "\u0307"


class IdentifierTable(NamedTuple):
    """The table. Ranges are sorted; `scripts` are those of each range."""

    firsts: list[int]
    lasts: list[int]
    scripts: list[frozenset[str]]
    soft_dotted: frozenset[str]
    prototypes: dict[int, str]

    def scripts_of(self, char: str) -> frozenset[str] | None:
        """The scripts that a character is used in; None for one that is not allowed in a name."""
        place = bisect_right(self.firsts, ord(char)) - 1
        return self.scripts[place] if place >= 0 and ord(char) <= self.lasts[place] else None


@cache
def identifier_table() -> IdentifierTable:
    """Read the table, once."""
    found = IdentifierTable([], [], [], frozenset(), {})
    for line in TABLE.read_text("ascii").splitlines():
        head, _, rest = line.partition(" ")
        if head == "dots":
            found = found._replace(soft_dotted=frozenset(chr(int(code, 16)) for code in rest.split()))
        elif ">" in head:
            code, _, looks = line.partition(">")
            found.prototypes[int(code, 16)] = "".join(chr(int(each, 16)) for each in looks.split())
        elif head != "#":
            first, _, last = head.partition("-")
            found.firsts.append(int(first, 16))
            found.lasts.append(int(last or first, 16))
            found.scripts.append(frozenset(rest.split()))
    return found


def skeleton(text: str) -> str:
    """What a text looks like: two with one skeleton can be mistaken for each other (UTS 39, 4)."""
    if text.isascii():
        for char, look in ASCII_CONFUSABLES:  # four times as fast as `translate`
            text = text.replace(char, look)
        return text
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).translate(identifier_table().prototypes))


def has_hidden_dot(text: str) -> bool:
    """Whether a text has a dot above on a character where it cannot be seen, as on an i (UTS 39, 5.4)."""
    if DOT_ABOVE not in text:
        return False
    hidden = False
    for char in text:
        if hidden and char == DOT_ABOVE:
            return True
        if unicodedata.combining(char) in (0, 230):
            hidden = char in identifier_table().soft_dotted
    return False
