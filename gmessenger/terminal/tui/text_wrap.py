"""Breaks text into rows: between words where it can, and never within a link."""

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
"""What is not broken if that can be helped: spaces, a link, a character of a script without spaces (with what must not
begin a row after it), a word."""


@dataclass(slots=True)
class ScreenRow:
    """One row of wrapped text. `at_edge` says that it begins at the very edge, whatever the other rows leave free."""

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
    """The rows of a text, each at most `columns` wide.

    A link that is wider than that has rows of its own of up to `edge` columns, so that what is put before the other
    rows does not come into its midst, and the terminal still knows it as a link.
    """
    return [row for line in text.split("\n") for row in _Wrapper(max(columns, 2), max(full_width, 2)).rows(line)]


class _Wrapper:
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
            return  # where a row was broken, it does not begin with what was between the words
        taken = width(piece)
        if self._row.width + taken <= self._columns:
            self._row.append("".join(_texts(piece)), taken, LINK_STYLE if is_link else "")
        elif piece.isspace():
            self._end_row()
        elif taken <= self._columns:
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
        for shown, taken in grapheme_cells(piece):
            if self._row.width + taken > columns:
                self._end_row(at_edge=self._row.at_edge)
            self._row.append(shown, taken, style)

    def _end_row(self, *, at_edge: bool = False) -> None:
        if self._row.fragments:
            self._rows.append(self._row)
        self._row = ScreenRow(at_edge=at_edge)


def _pieces(line: str) -> Iterator[tuple[str, bool]]:
    """What is not broken, and whether it is a link. A mark stays with what it stands on."""
    held, held_is_link = "", False
    for match in UNBREAKABLE.finditer(line):
        piece, is_link = match.group(), match["link"] is not None
        if held and wcwidth(piece[0]) == 0:
            held += piece
            continue
        if held:
            yield held, held_is_link
        held, held_is_link = piece, is_link
    if held:
        yield held, held_is_link


def _texts(piece: str) -> Iterator[str]:
    return (shown for shown, _ in grapheme_cells(piece))
