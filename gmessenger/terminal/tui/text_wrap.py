"""Wrap text into rows: between words where possible, and never within a link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from wcwidth import wcwidth

from gmessenger.terminal.tui.graphemes import grapheme_cells, width

Fragments: TypeAlias = list[tuple[str, str]]
"""One row: pieces of text, each with its style before it."""

LINK_STYLE: Final = "class:link"
UNBREAKABLE: Final = re.compile(
    r"""[ ]+
    | (?P<link> [^ ]{0,8}?[a-z]{2,10}://[^ ]+ )
    | [\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U00020000-\U0003fffd]
      [\u3001-\u3003\u3009-\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f]*
    | [^ \u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U00020000-\U0003fffd]+""",
    re.VERBOSE,
)
"""Pieces that are kept together if possible: spaces, links, words, characters of scripts without spaces.

Such a character includes the punctuation after it that must not begin a row.
"""


@dataclass(slots=True)
class ScreenRow:
    """One row of wrapped text.

    at_edge: begins at the edge of the pane, and not in the column of the text.
    """

    fragments: Fragments = field(default_factory=list)
    at_edge: bool = False
    width: int = 0

    def append(self, text: str, columns: int, style: str = "") -> None:
        if self.fragments and self.fragments[-1][0] == style:
            self.fragments[-1] = (style, self.fragments[-1][1] + text)
        else:
            self.fragments.append((style, text))
        self.width += columns


def wrap(text: str, columns: int, full_width: int) -> list[ScreenRow]:
    """Wrap a text into rows of at most `columns` columns.

    A link that is longer has rows of its own of up to `full_width` columns, from the edge on: what stands beside other
    rows does not interrupt it, so the terminal recognises it as one link.
    """
    return [row for line in text.split("\n") for row in _Wrapper(max(columns, 2), max(full_width, 2)).rows(line)]


class _Wrapper:
    """Wraps one line."""

    def __init__(self, columns: int, full_width: int) -> None:
        self._columns, self._full_width = columns, full_width
        self._rows: list[ScreenRow] = []
        self._row = ScreenRow()

    def rows(self, line: str) -> list[ScreenRow]:
        for piece, is_link in _pieces(line):
            self._add_piece(piece, is_link=is_link)
        if self._row.fragments or not self._rows:
            self._rows.append(self._row)
        return self._rows

    def _add_piece(self, piece: str, *, is_link: bool) -> None:
        if piece.isspace() and self._rows and not self._row.fragments:
            return  # a wrapped row does not begin with the spaces between the words
        columns = width(piece)
        if self._row.width + columns <= self._columns:
            self._row.append("".join(_texts(piece)), columns, LINK_STYLE if is_link else "")
        elif piece.isspace():
            self._end_row()
        elif columns <= self._columns:
            self._end_row()
            self._add_piece(piece, is_link=is_link)
        elif is_link:
            self._end_row()
            self._row.at_edge = True
            self._fill(piece, self._full_width, LINK_STYLE)
            self._end_row()
        else:
            self._fill(piece, self._columns, "")

    def _fill(self, piece: str, columns: int, style: str) -> None:
        for shown, cell_width in grapheme_cells(piece):
            if self._row.width + cell_width > columns:
                self._end_row(at_edge=self._row.at_edge)
            self._row.append(shown, cell_width, style)

    def _end_row(self, *, at_edge: bool = False) -> None:
        if self._row.fragments:
            self._rows.append(self._row)
        self._row = ScreenRow(at_edge=at_edge)


def _pieces(line: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces that are kept together, and whether each is a link.

    A combining mark stays with its base.
    """
    previous, previous_is_link = "", False
    for match in UNBREAKABLE.finditer(line):
        piece, is_link = match.group(), match["link"] is not None
        if previous and wcwidth(piece[0]) == 0:
            previous += piece
            continue
        if previous:
            yield previous, previous_is_link
        previous, previous_is_link = piece, is_link
    if previous:
        yield previous, previous_is_link


def _texts(piece: str) -> Iterator[str]:
    return (shown for shown, _ in grapheme_cells(piece))
