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
    """The rows of a notice; as `wrapping.wrap` does, but rows of tables are continued below what is said.

    A table that is too wide begins at the edge, and one that is too wide even so has what is said below the names.
    """
    lines = [(line, TABLE.fullmatch(line)) for line in text.split("\n")]
    at_edge = any(table is not None and width(line) > columns for line, table in lines)
    room = edge if at_edge else columns
    names = max((width(table["names"]) for _line, table in lines if table is not None), default=0)
    draw = _beside if room - names >= max(NARROWEST, names // 2) else _below
    rows = []
    for line, table in lines:
        if table is None:
            rows += wrap(line, columns, edge)
        else:
            rows += _placed(draw(table["names"], table["what"], room), at_edge=at_edge)
    return rows


def _beside(names: str, what: str, columns: int) -> list[Row]:
    rows = wrap(what, columns - width(names), columns)
    return [_behind(" " * width(names) if number else names, row) for number, row in enumerate(rows)]


def _below(names: str, what: str, columns: int) -> list[Row]:
    rows = wrap(what, columns - len(BELOW), columns)
    return wrap(names.rstrip(), columns, columns) + [_behind(BELOW, row) for row in rows]


def _placed(rows: list[Row], *, at_edge: bool) -> list[Row]:
    for row in rows:
        row.at_edge = row.at_edge or at_edge
    return rows


def _behind(before: str, row: Row) -> Row:
    if not row.at_edge:
        row.fragments.insert(0, ("", before))
        row.used += width(before)
    return row
