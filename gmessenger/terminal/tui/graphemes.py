"""Text as a terminal shows it: in clusters, of which each takes as many columns as everybody reckons.

Terminals, multiplexers and libraries disagree on what flags, families and some conjuncts take. A cell that is reckoned
wrong shifts the rest of its row, so what they disagree on is shown as something simpler, on which they agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeAlias

from wcwidth import iter_graphemes, wcswidth, wcwidth

GraphemeCell: TypeAlias = tuple[str, int]

MAX_GRAPHEME_CHARS: Final = 5
"""Characters of one cluster; more of them is zalgo, which would cover the rows above and below."""
DOTTED_CIRCLE: Final = "\u25cc"
"""What carries a mark that has nothing to stand on."""
FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""They show nothing, and everybody gives them another width."""
MIN_WIDTH_TO_ELIDE: Final = 6
"""Columns in which a name is worth being shown without its midst."""
ZERO_WIDTH_NON_JOINER: Final = "\u200c"
"""Keeps two letters from being drawn as one."""
FIRST_FLAG: Final = 0x1F1E6
LAST_FLAG: Final = 0x1F1FF


def grapheme_cells(text: str) -> Iterator[GraphemeCell]:
    """What is shown of a text that is safe to draw, each piece with the columns it takes."""
    if text.isascii():
        yield from ((char, 1) for char in text)
        return
    for grapheme in iter_graphemes(text):
        yield from _simplify(grapheme)


def width(text: str) -> int:
    """The columns that the text takes."""
    return len(text) if text.isascii() else sum(columns for _, columns in grapheme_cells(text))


def truncate(text: str, columns: int) -> str:
    """The beginning of the text, as much as there is room for."""
    kept, used = [], 0
    for shown, taken in grapheme_cells(text):
        if used + taken > columns:
            break
        kept.append(shown)
        used += taken
    return "".join(kept)


def ellipsize(text: str, columns: int) -> str:
    """The text if there is room for it; else its beginning, and a sign that there is more."""
    if width(text) <= columns:
        return "".join(shown for shown, _ in grapheme_cells(text))
    return truncate(text, columns - 1) + "…" if columns > 0 else ""


def pad(text: str, columns: int) -> str:
    """The text in exactly so many columns."""
    shown = ellipsize(text, columns)
    return shown + " " * (columns - width(shown))


def format_name(name: str, columns: int, *, align_right: bool = False) -> str:
    """A name in exactly so many columns, at their left end or their right.

    What is too long is left out in its midst: names that begin alike often differ at the end.
    """
    shown = ellipsize(name, columns)
    if width(name) > columns >= MIN_WIDTH_TO_ELIDE:
        end = _truncate_start(name, columns // 3)
        shown = ellipsize(name, columns - width(end)) + end
    rest = " " * (columns - width(shown))
    return rest + shown if align_right else shown + rest


def _truncate_start(text: str, columns: int) -> str:
    kept = ""
    for shown, _taken in reversed(list(grapheme_cells(text))):
        if width(shown + kept) > columns:
            break
        kept = shown + kept
    return kept


@lru_cache(maxsize=4096)
def _simplify(grapheme: str) -> tuple[GraphemeCell, ...]:
    if flags := [ord(char) - FIRST_FLAG for char in grapheme if FIRST_FLAG <= ord(char) <= LAST_FLAG]:
        return tuple((chr(ord("A") + letter), 1) for letter in flags)
    if not FILLERS.isdisjoint(grapheme):
        return tuple((sign, 1) for char in grapheme if char in FILLERS for sign in f"<{ord(char):04x}>")
    if len(grapheme) > 1:
        grapheme = _agreed_form(grapheme)
    columns = _sum_of_widths(grapheme)
    if columns == 0:
        return ((DOTTED_CIRCLE + grapheme[:MAX_GRAPHEME_CHARS], 1),)
    return ((grapheme, columns),)


def _agreed_form(grapheme: str) -> str:
    if _sum_of_widths(grapheme) != wcswidth(grapheme):
        return grapheme[0]
    return (
        _split_conjunct(grapheme) if sum(wcwidth(char) > 0 for char in grapheme) > 1 else grapheme[:MAX_GRAPHEME_CHARS]
    )


def _split_conjunct(conjunct: str) -> str:
    """The letters of a conjunct each in cells of their own, where not every terminal would join them."""
    shown = conjunct[0]
    for char in conjunct[1 : 2 * MAX_GRAPHEME_CHARS]:
        shown += ZERO_WIDTH_NON_JOINER + char if wcwidth(char) > 0 else char
    return shown


def _sum_of_widths(text: str) -> int:
    return sum(max(0, wcwidth(char)) for char in text)
