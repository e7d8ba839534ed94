"""Breaks text into rows: between words where it can, and never within a link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from wcwidth import wcwidth

from gmessenger.terminal.window.graphemes import clusters, width

Fragments: TypeAlias = list[tuple[str, str]]
"""One row: pieces of text, each with its style before it."""

LINK: Final = "class:link"
PIECE: Final = re.compile(
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
class Row:
    """One row of wrapped text. `at_edge` says that it begins at the very edge, whatever the other rows leave free."""

    fragments: Fragments = field(default_factory=list)
    at_edge: bool = False
    used: int = 0

    def put(self, text: str, columns: int, style: str = "") -> None:
        if self.fragments and self.fragments[-1][0] == style:
            self.fragments[-1] = (style, self.fragments[-1][1] + text)
        else:
            self.fragments.append((style, text))
        self.used += columns


def wrap(text: str, columns: int, edge: int) -> list[Row]:
    """The rows of a text, each at most `columns` wide.

    A link that is wider than that has rows of its own of up to `edge` columns, so that what is put before the other
    rows does not come into its midst, and the terminal still knows it as a link.
    """
    return [row for line in text.split("\n") for row in _Wrapping(max(columns, 2), max(edge, 2)).rows(line)]


class _Wrapping:
    def __init__(self, columns: int, edge: int) -> None:
        self._columns, self._edge = columns, edge
        self._done: list[Row] = []
        self._row = Row()

    def rows(self, line: str) -> list[Row]:
        for piece, is_link in _pieces(line):
            self._take(piece, is_link=is_link)
        if self._row.fragments or not self._done:
            self._done.append(self._row)
        return self._done

    def _take(self, piece: str, *, is_link: bool) -> None:
        if piece.isspace() and self._done and not self._row.fragments:
            return  # where a row was broken, it does not begin with what was between the words
        taken = width(piece)
        if self._row.used + taken <= self._columns:
            self._row.put("".join(_shown(piece)), taken, LINK if is_link else "")
        elif piece.isspace():
            self._break()
        elif taken <= self._columns:
            self._break()
            self._take(piece, is_link=is_link)
        elif is_link:
            self._break()
            self._row.at_edge = True
            self._fill(piece, self._edge, LINK)
            self._break()
        else:
            self._fill(piece, self._columns, "")

    def _fill(self, piece: str, columns: int, style: str) -> None:
        for shown, taken in clusters(piece):
            if self._row.used + taken > columns:
                self._break(at_edge=self._row.at_edge)
            self._row.put(shown, taken, style)

    def _break(self, *, at_edge: bool = False) -> None:
        if self._row.fragments:
            self._done.append(self._row)
        self._row = Row(at_edge=at_edge)


def _pieces(line: str) -> Iterator[tuple[str, bool]]:
    """What is not broken, and whether it is a link. A mark stays with what it stands on."""
    held, held_is_link = "", False
    for match in PIECE.finditer(line):
        piece, is_link = match.group(), match["link"] is not None
        if held and wcwidth(piece[0]) == 0:
            held += piece
            continue
        if held:
            yield held, held_is_link
        held, held_is_link = piece, is_link
    if held:
        yield held, held_is_link


def _shown(piece: str) -> Iterator[str]:
    return (shown for shown, _ in clusters(piece))
