"""Wraps what the program itself tells: lists and tables keep their columns, whatever width the screen has or gets."""

from __future__ import annotations

import re
from typing import Final

from gmessenger.terminal.window.graphemes import width
from gmessenger.terminal.window.wrapping import Row, wrap

TABLE: Final = re.compile(r"(?P<names> *\S.*? {2,})(?P<what>\S.*)")
"""A row of a table: something, two spaces at least, and what is said of it."""
BELOW: Final = "      "
"""What is before that where there is no room for it at the side."""
NARROWEST: Final = 20


def told(text: str, columns: int, edge: int) -> list[Row]:
    """The rows of a notice; as `wrapping.wrap` does, but rows of tables are continued below what is said."""
    return [row for line in text.split("\n") for row in _line(line, columns, edge)]


def _line(line: str, columns: int, edge: int) -> list[Row]:
    table = TABLE.fullmatch(line)
    if table is None or width(line) <= columns:
        return wrap(line, columns, edge)
    names, what = table["names"], table["what"]
    if columns - width(names) >= max(NARROWEST, width(names) // 2):
        first, *further = wrap(what, columns - width(names), edge)
        return [_behind(names, first), *(_behind(" " * width(names), row) for row in further)]
    rows = wrap(names.rstrip(), columns, edge)
    return rows + [_behind(BELOW, row) for row in wrap(what, columns - len(BELOW), edge)]


def _behind(before: str, row: Row) -> Row:
    if not row.at_edge:
        row.fragments.insert(0, ("", before))
        row.used += width(before)
    return row
