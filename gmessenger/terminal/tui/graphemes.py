"""Text as grapheme cells: what is drawn, and how many columns it takes in every terminal.

Terminals, multiplexers and libraries disagree on the width of flags, emoji families and some conjuncts. One cell of the
wrong width shifts the rest of its row, so such graphemes are replaced by simpler ones whose width all agree on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeAlias

from wcwidth import iter_graphemes, wcswidth, wcwidth

GraphemeCell: TypeAlias = tuple[str, int]

MAX_GRAPHEME_CHARS: Final = 5
"""Characters of one grapheme; more combining marks would cover the rows above and below."""
DOTTED_CIRCLE: Final = "\u25cc"
"""Carries a combining mark that has no base character."""
FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""Characters that show nothing, and whose width differs between terminals."""
MIN_WIDTH_TO_ELIDE: Final = 6
"""Columns from which a name that is too long is shortened in the middle."""
ZERO_WIDTH_NON_JOINER: Final = "\u200c"
"""Keeps two letters from being drawn as one."""
FIRST_FLAG: Final = 0x1F1E6
LAST_FLAG: Final = 0x1F1FF


def grapheme_cells(text: str) -> Iterator[GraphemeCell]:
    """Yield the grapheme cells of a sanitized text, each with its columns."""
    if text.isascii():
        yield from ((char, 1) for char in text)
        return
    for grapheme in iter_graphemes(text):
        yield from _simplify(grapheme)


def width(text: str) -> int:
    """Return the columns of a text."""
    return len(text) if text.isascii() else sum(columns for _, columns in grapheme_cells(text))


def truncate(text: str, columns: int) -> str:
    """Return as much of the beginning of a text as fits into `columns`."""
    kept, used = [], 0
    for shown, taken in grapheme_cells(text):
        if used + taken > columns:
            break
        kept.append(shown)
        used += taken
    return "".join(kept)


def ellipsize(text: str, columns: int) -> str:
    """Return the text if it fits into `columns`, otherwise its beginning and an ellipsis."""
    if width(text) <= columns:
        return "".join(shown for shown, _ in grapheme_cells(text))
    return truncate(text, columns - 1) + "…" if columns > 0 else ""


def pad(text: str, columns: int) -> str:
    """Return the text in exactly `columns` columns."""
    shown = ellipsize(text, columns)
    return shown + " " * (columns - width(shown))


def format_name(name: str, columns: int, *, align_right: bool = False) -> str:
    """Return a name in exactly `columns` columns.

    A name that is too long is shortened in the middle, because names that begin alike often differ at the end.
    """
    shown = ellipsize(name, columns)
    if width(name) > columns >= MIN_WIDTH_TO_ELIDE:
        end = _truncate_start(name, columns // 3)
        shown = ellipsize(name, columns - width(end)) + end
    padding = " " * (columns - width(shown))
    return padding + shown if align_right else shown + padding


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
        return tuple((shown, 1) for char in grapheme if char in FILLERS for shown in f"<{ord(char):04x}>")
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
    """Separate the letters of a conjunct, because not every terminal joins them."""
    shown = conjunct[0]
    for char in conjunct[1 : 2 * MAX_GRAPHEME_CHARS]:
        shown += ZERO_WIDTH_NON_JOINER + char if wcwidth(char) > 0 else char
    return shown


def _sum_of_widths(text: str) -> int:
    return sum(max(0, wcwidth(char)) for char in text)
