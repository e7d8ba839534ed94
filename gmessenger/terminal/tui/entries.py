"""Render entries of a conversation as rows: time, name, text and, for own messages, their state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gmessenger.lru_map import LruMap
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time_of_day, time_of_day_width
from gmessenger.terminal.format_messages import reaction_text
from gmessenger.terminal.i18n import N_, _
from gmessenger.terminal.line_terminal import MIN_TEXT_WIDTH
from gmessenger.terminal.tui.conversation import Conversation, Entry, MessageState
from gmessenger.terminal.tui.graphemes import ellipsize, format_name, pad, width
from gmessenger.terminal.tui.style import Symbols, name_style
from gmessenger.terminal.tui.text_wrap import Fragments, ScreenRow, wrap

TABLE_ROW: Final = re.compile(r"(?P<label> *\S.*? {2,})(?P<description>\S.*)")
"""A row of a table: a label, at least two spaces, and a description."""
STACKED_INDENT: Final = "      "
"""The indent of a description that stands below its label."""


def wrap_notice(text: str, columns: int, full_width: int) -> list[ScreenRow]:
    """Wrap a notice into rows; in tables, descriptions are wrapped in their own column.

    A table that is too wide begins at the edge of the pane; if that is not enough, descriptions stand below their
    labels.
    """
    lines = [(line, TABLE_ROW.fullmatch(line)) for line in text.split("\n")]
    at_edge = any(table is not None and width(line) > columns for line, table in lines)
    available = full_width if at_edge else columns
    label_width = max((width(table["label"]) for _line, table in lines if table is not None), default=0)
    format_row = _side_by_side if available - label_width >= max(MIN_TEXT_WIDTH, label_width // 2) else _stacked
    rows = []
    for line, table in lines:
        if table is None:
            rows += wrap(line, columns, full_width)
        else:
            rows += _set_at_edge(format_row(table["label"], table["description"], available), at_edge=at_edge)
    return rows


def _side_by_side(label: str, description: str, columns: int) -> list[ScreenRow]:
    rows = wrap(description, columns - width(label), columns)
    return [_indent_row(" " * width(label) if number else label, row) for number, row in enumerate(rows)]


def _stacked(label: str, description: str, columns: int) -> list[ScreenRow]:
    rows = wrap(description, columns - len(STACKED_INDENT), columns)
    return wrap(label.rstrip(), columns, columns) + [_indent_row(STACKED_INDENT, row) for row in rows]


def _set_at_edge(rows: list[ScreenRow], *, at_edge: bool) -> list[ScreenRow]:
    for row in rows:
        row.at_edge = row.at_edge or at_edge
    return rows


def _indent_row(prefix: str, row: ScreenRow) -> ScreenRow:
    if not row.at_edge:
        row.fragments.insert(0, ("", prefix))
        row.width += width(prefix)
    return row


NAME_WIDTHS: Final = ((80, 14), (60, 12), (40, 9))
"""From so many columns on, names have a column of at most this width; below, a row of their own."""
MIN_NAME_WIDTH: Final = 6
"""Columns for names in a room, whose members change."""
NOTICE_NAME: Final = "--"
ACTION_NAME: Final = "*"
"""In the place of the name before an action, whose text begins with the name."""
UNKNOWN_QUOTE: Final = N_("an earlier message")
MAX_ENTRY_TEXT: Final = 20_000
"""Characters of an entry that are shown: wrapping more would make a redraw slow."""
MAX_ENTRY_ROWS: Final = 400
MAX_CACHED_ENTRIES: Final = 4000


@dataclass(slots=True)
class RenderedEntry:
    """The rows of an entry at one width."""

    version: int
    width: int
    name_width: int
    rows: list[Fragments]


class EntryRenderer:
    """Render entries, and cache the rows until the entry or the width changes."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._time_width = time_of_day_width()
        self._cache: LruMap[Entry, RenderedEntry] = LruMap(MAX_CACHED_ENTRIES)
        self._text_only = False

    @property
    def text_only(self) -> bool:
        """Show only the text, without times, names' column and symbols, so that it can be copied."""
        return self._text_only

    @text_only.setter
    def text_only(self, enabled: bool) -> None:
        self._text_only = enabled
        self._cache.clear()

    def name_width(self, conversation: Conversation, own_name: str, columns: int) -> int:
        """Return the width of the column for names; 0 if names have a row of their own."""
        max_width = (
            0
            if self._text_only
            else next((max_name for min_columns, max_name in NAME_WIDTHS if columns >= min_columns), 0)
        )
        if not conversation.name:
            return min(len(NOTICE_NAME), max_width)
        names = conversation.members.values() if conversation.is_room else (sanitize(conversation.name),)
        return min(max(MIN_NAME_WIDTH, width(own_name), *map(width, names)), max_width)

    def rows(self, entry: Entry, columns: int, name_width: int) -> list[Fragments]:
        """Return the rows of an entry in `columns` columns, of which `name_width` are for the name."""
        cached = self._cache.get(entry)
        if cached is None or (cached.version, cached.width, cached.name_width) != (entry.version, columns, name_width):
            cached = self._cache[entry] = RenderedEntry(
                entry.version, columns, name_width, self._render(entry, columns, name_width)
            )
        return cached.rows

    def _render(self, entry: Entry, columns: int, name_width: int) -> list[Fragments]:
        return self._render_beside(entry, columns, name_width) if name_width else self._render_below(entry, columns)

    def _render_beside(self, entry: Entry, columns: int, name_width: int) -> list[Fragments]:
        """Render the time and the name to the left of the text."""
        time_width = self._time_width
        gutter = f" {self._symbols.marked if entry.is_marked else self._symbols.vertical_line} "
        first = [
            *self._time_fragments(entry),
            _name_fragment(entry, format_name(_shown_name(entry), name_width, align_right=True)),
        ]
        continuation = [("", " " * (time_width + 1 + name_width))]
        rows = self._text_rows(entry, columns - (time_width + 1 + name_width + width(gutter)), columns)
        rendered = [
            row.fragments if row.at_edge else [*continuation, ("class:gutter", gutter), *row.fragments] for row in rows
        ]
        if rows[0].at_edge:
            return [[*first, ("class:gutter", gutter)], *rendered]
        rendered[0][: len(continuation)] = first
        return rendered

    def _render_below(self, entry: Entry, columns: int) -> list[Fragments]:
        """Render the time and the name in a row of their own, above the text."""
        name_width = max(columns - self._time_width - 1, 1)
        header = [
            *([("class:mark", f"{self._symbols.marked} ")] if entry.is_marked else []),
            *self._time_fragments(entry),
            _name_fragment(entry, format_name(_shown_name(entry), name_width).rstrip()),
        ]
        return [header, *(row.fragments for row in self._text_rows(entry, columns, columns))]

    def _time_fragments(self, entry: Entry) -> Fragments:
        return [("class:time", pad(format_time_of_day(entry.timestamp), self._time_width) + " ")]

    def _text_rows(self, entry: Entry, columns: int, full_width: int) -> list[ScreenRow]:
        text = f"{entry.sender} {entry.text}" if entry.kind == "action" and entry.sender else entry.text
        if entry.file:
            text = f"{text[:MAX_ENTRY_TEXT]}\n{entry.file}"
        rows = (wrap if entry.sender else wrap_notice)(
            text[: MAX_ENTRY_TEXT + len(entry.file) + 1], columns, full_width
        )
        if len(rows) > MAX_ENTRY_ROWS or len(entry.text) > MAX_ENTRY_TEXT:
            rows = rows[:MAX_ENTRY_ROWS] + _styled_rows(
                _("(The rest is too long to be shown here.)"), columns, "class:notice"
            )
        if not entry.sender:
            for row in rows:
                row.fragments = [(style or "class:notice", text) for style, text in row.fragments]
        return self._add_amendments(entry, rows, columns)

    def _add_amendments(self, entry: Entry, rows: list[ScreenRow], columns: int) -> list[ScreenRow]:
        """Add what the message is a reply to above it, whether it was edited, its state, and reactions below it."""
        if entry.about is not None and not entry.is_erased:
            quote = ellipsize(f"{self._symbols.quote} {entry.quote or _(UNKNOWN_QUOTE)}", columns)
            rows = _styled_rows(quote, columns, "class:quote") + rows
        if entry.is_edited:
            rows = _append_mark(rows, " " + _("(edited)"), columns)
        rows = self._add_state(entry, rows, columns)
        if entry.reactions:
            text = "  ".join(
                reaction_text(text, list(reactors.names.values()), len(reactors.names) + reactors.more)
                for text, reactors in entry.reactions.items()
            )
            rows = rows + _styled_rows(text, columns, "class:reaction")
        return rows

    def _add_state(self, entry: Entry, rows: list[ScreenRow], columns: int) -> list[ScreenRow]:
        """Append the state of an own message: a symbol, and the reason of a rejection in a row below."""
        if entry.state is None:
            return rows
        symbol = self._symbols.state(entry.state)
        if entry.state is MessageState.REJECTED:
            return rows + _styled_rows(
                _("{sign} {reason} (Alt-e edits it)", sign=symbol, reason=entry.reason), columns, "class:refused"
            )
        return _append_mark(rows, f" {symbol} ({entry.reason})" if entry.reason else f" {symbol}", columns)


def _append_mark(rows: list[ScreenRow], mark: str, columns: int) -> list[ScreenRow]:
    """Append a mark to the last row, or in a row of its own if it does not fit."""
    if rows[-1].at_edge or rows[-1].width + width(mark) > columns:
        return rows + _styled_rows(mark.lstrip(), columns, "class:mark")
    rows[-1].append(mark, width(mark), "class:mark")
    return rows


def _styled_rows(text: str, columns: int, style: str) -> list[ScreenRow]:
    rows = wrap(text, columns, columns)
    for row in rows:
        row.fragments = [(style, part) for _style, part in row.fragments]
    return rows


def _shown_name(entry: Entry) -> str:
    return (ACTION_NAME if entry.kind == "action" else entry.sender) if entry.sender else NOTICE_NAME


def _name_fragment(entry: Entry, shown: str) -> tuple[str, str]:
    if not entry.sender:
        return ("class:notice", shown)
    style = name_style(entry.sender) + (" class:marked" if entry.is_marked else "")
    return (f"{style} class:own" if entry.is_own else f"{style} class:mention" if entry.is_mention else style, shown)
