"""Text as a terminal shows it: in clusters, of which each takes as many columns as everybody reckons.

Terminals, multiplexers and libraries disagree on what flags, families and some conjuncts take. A cell that is reckoned
wrong shifts the rest of its row, so what they disagree on is shown as something simpler, on which they agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeAlias

from wcwidth import iter_graphemes, wcswidth, wcwidth

Cluster: TypeAlias = tuple[str, int]

MOST_PARTS: Final = 5
"""Characters of one cluster; more of them is zalgo, which would cover the rows above and below."""
CIRCLE: Final = "\u25cc"
"""What carries a mark that has nothing to stand on."""
FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""They show nothing, and everybody gives them another width."""
LEAST_IN_PARTS: Final = 6
"""Columns in which a name is worth being shown without its midst."""
APART: Final = "\u200c"
"""Keeps two letters from being drawn as one."""
FIRST_FLAG: Final = 0x1F1E6
LAST_FLAG: Final = 0x1F1FF


def clusters(text: str) -> Iterator[Cluster]:
    """What is shown of a text that is safe to draw, each piece with the columns it takes."""
    if text.isascii():
        yield from ((char, 1) for char in text)
        return
    for grapheme in iter_graphemes(text):
        yield from _tamed(grapheme)


def width(text: str) -> int:
    """The columns that the text takes."""
    return len(text) if text.isascii() else sum(columns for _, columns in clusters(text))


def cut(text: str, columns: int) -> str:
    """The beginning of the text, as much as there is room for."""
    kept, used = [], 0
    for shown, taken in clusters(text):
        if used + taken > columns:
            break
        kept.append(shown)
        used += taken
    return "".join(kept)


def shortened(text: str, columns: int) -> str:
    """The text if there is room for it; else its beginning, and a sign that there is more."""
    if width(text) <= columns:
        return "".join(shown for shown, _ in clusters(text))
    return cut(text, columns - 1) + "…" if columns > 0 else ""


def fitted(text: str, columns: int) -> str:
    """The text in exactly so many columns."""
    shown = shortened(text, columns)
    return shown + " " * (columns - width(shown))


def named(name: str, columns: int, *, right: bool = False) -> str:
    """A name in exactly so many columns, at their left end or their right.

    What is too long is left out in its midst: names that begin alike often differ at the end.
    """
    shown = shortened(name, columns)
    if width(name) > columns >= LEAST_IN_PARTS:
        end = _end(name, columns // 3)
        shown = shortened(name, columns - width(end)) + end
    rest = " " * (columns - width(shown))
    return rest + shown if right else shown + rest


def _end(text: str, columns: int) -> str:
    kept = ""
    for shown, _taken in reversed(list(clusters(text))):
        if width(shown + kept) > columns:
            break
        kept = shown + kept
    return kept


@lru_cache(maxsize=4096)
def _tamed(grapheme: str) -> tuple[Cluster, ...]:
    if flags := [ord(char) - FIRST_FLAG for char in grapheme if FIRST_FLAG <= ord(char) <= LAST_FLAG]:
        return tuple((chr(ord("A") + letter), 1) for letter in flags)
    if not FILLERS.isdisjoint(grapheme):
        return tuple((sign, 1) for char in grapheme if char in FILLERS for sign in f"<{ord(char):04x}>")
    if len(grapheme) > 1:
        grapheme = _agreed(grapheme)
    columns = _by_character(grapheme)
    if columns == 0:
        return ((CIRCLE + grapheme[:MOST_PARTS], 1),)
    return ((grapheme, columns),)


def _agreed(grapheme: str) -> str:
    if _by_character(grapheme) != wcswidth(grapheme):
        return grapheme[0]
    return _unjoined(grapheme) if sum(wcwidth(char) > 0 for char in grapheme) > 1 else grapheme[:MOST_PARTS]


def _unjoined(conjunct: str) -> str:
    """The letters of a conjunct each in cells of their own, where not every terminal would join them."""
    shown = conjunct[0]
    for char in conjunct[1 : 2 * MOST_PARTS]:
        shown += APART + char if wcwidth(char) > 0 else char
    return shown


def _by_character(text: str) -> int:
    return sum(max(0, wcwidth(char)) for char in text)
