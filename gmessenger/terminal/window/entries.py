"""An entry of a conversation as rows: its time, who said it, the text, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gmessenger.terminal.window.colours import name_style
from gmessenger.terminal.window.conversation import Conversation, Entry, State
from gmessenger.terminal.window.days import Calendar
from gmessenger.terminal.window.graphemes import fitted, named, width
from gmessenger.terminal.window.signs import Signs
from gmessenger.terminal.window.telling import told
from gmessenger.terminal.window.wrapping import Fragments, Row, wrap
from gmessenger.terminal.words import _
from gmessenger.terminal_text import visible

NAME_COLUMNS: Final = ((80, 14), (60, 12), (40, 9))
"""From so many columns on, names have a column of their own, at most so wide; below, they have a row of their own."""
FEWEST: Final = 6
"""Columns for names where anybody may come in."""
NOBODY: Final = "--"
LONGEST: Final = 20_000
"""Characters of one entry that are shown; nobody reads more of it here, and it should not cost more."""
MOST_ROWS: Final = 400
MOST_CACHED: Final = 4000


@dataclass(slots=True)
class Sheet:
    """Rows that are shown for one entry at one width."""

    version: int
    width: int
    names: int
    rows: list[Fragments]


class Entries:
    """Draws entries, and remembers how, until they or the width change. `bare` leaves out all that is beside the text,
    so that it can be copied.
    """

    def __init__(self, signs: Signs, calendar: Calendar) -> None:
        self._signs, self._calendar = signs, calendar
        self._sheets: dict[Entry, Sheet] = {}
        self._bare = False

    @property
    def bare(self) -> bool:
        return self._bare

    @bare.setter
    def bare(self, bare: bool) -> None:
        self._bare = bare
        self._sheets.clear()

    def names(self, conversation: Conversation, me: str, columns: int) -> int:
        """How many of the columns names have there; 0 where they have a row of their own."""
        most = 0 if self._bare else next((names for least, names in NAME_COLUMNS if columns >= least), 0)
        if not conversation.name:
            return min(len(NOBODY), most)
        names = conversation.members.values() if conversation.is_room else (visible(conversation.name),)
        return min(max(FEWEST, width(me), *map(width, names)), most)

    def rows(self, entry: Entry, columns: int, names: int) -> list[Fragments]:
        """The entry in so many columns, with so many of them for the name."""
        sheet = self._sheets.get(entry)
        if sheet is None or (sheet.version, sheet.width, sheet.names) != (entry.version, columns, names):
            if len(self._sheets) >= MOST_CACHED:
                self._sheets.clear()  # what is in sight is soon there again
            sheet = self._sheets[entry] = Sheet(entry.version, columns, names, self._draw(entry, columns, names))
        return sheet.rows

    def _draw(self, entry: Entry, columns: int, names: int) -> list[Fragments]:
        return self._beside(entry, columns, names) if names else self._below(entry, columns)

    def _beside(self, entry: Entry, columns: int, names: int) -> list[Fragments]:
        """Time and name in front of the text."""
        time, gutter = self._calendar.columns, f" {self._signs.upright} "
        first = [*self._time(entry), _name(entry, named(entry.sender or NOBODY, names, right=True))]
        further = [("", " " * (time + 1 + names))]
        rows = self._text(entry, columns - (time + 1 + names + width(gutter)), columns)
        drawn = [row.fragments if row.at_edge else [*further, ("class:gutter", gutter), *row.fragments] for row in rows]
        if rows[0].at_edge:
            return [[*first, ("class:gutter", gutter)], *drawn]
        drawn[0][: len(further)] = first
        return drawn

    def _below(self, entry: Entry, columns: int) -> list[Fragments]:
        """Time and name in a row of their own, and the text below, from the edge on."""
        room = max(columns - self._calendar.columns - 1, 1)
        head = [*self._time(entry), _name(entry, named(entry.sender or NOBODY, room).rstrip())]
        return [head, *(row.fragments for row in self._text(entry, columns, columns))]

    def _time(self, entry: Entry) -> Fragments:
        return [("class:time", fitted(self._calendar.clock(entry.at), self._calendar.columns) + " ")]

    def _text(self, entry: Entry, columns: int, edge: int) -> list[Row]:
        rows = (wrap if entry.sender else told)(entry.text[:LONGEST], columns, edge)
        if len(rows) > MOST_ROWS or len(entry.text) > LONGEST:
            rows = rows[:MOST_ROWS] + _said(_("(The rest is too long to be shown here.)"), columns, "class:notice")
        if not entry.sender:
            for row in rows:
                row.fragments = [(style or "class:notice", text) for style, text in row.fragments]
        return self._marked(entry, rows, columns)

    def _marked(self, entry: Entry, rows: list[Row], columns: int) -> list[Row]:
        """What has become of a message of one's own, behind it, and below it why."""
        if entry.state is None:
            return rows
        sign = self._signs.state(entry.state)
        if entry.state is State.REFUSED:
            return rows + _said(
                _("{sign} {reason} (Alt-e edits it)", sign=sign, reason=entry.reason), columns, "class:refused"
            )
        mark = f" {sign} ({entry.reason})" if entry.reason else f" {sign}"
        if rows[-1].at_edge or rows[-1].used + width(mark) > columns:
            return rows + _said(mark.lstrip(), columns, "class:mark")
        rows[-1].put(mark, width(mark), "class:mark")
        return rows


def _said(text: str, columns: int, style: str) -> list[Row]:
    rows = wrap(text, columns, columns)
    for row in rows:
        row.fragments = [(style, part) for _style, part in row.fragments]
    return rows


def _name(entry: Entry, shown: str) -> tuple[str, str]:
    if not entry.sender:
        return ("class:notice", shown)
    style = name_style(entry.sender)
    return (f"{style} class:own" if entry.own else f"{style} class:mention" if entry.mention else style, shown)
