"""The visible part of a conversation; only that is wrapped, however long the conversation is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gmessenger.terminal import dates
from gmessenger.terminal.format_rooms import absent_messages, hidden_messages
from gmessenger.terminal.i18n import N_, _
from gmessenger.terminal.tui.conversation import Conversation, Entry
from gmessenger.terminal.tui.entries import EntryRenderer
from gmessenger.terminal.tui.graphemes import width
from gmessenger.terminal.tui.model import Model
from gmessenger.terminal.tui.style import Symbols
from gmessenger.terminal.tui.text_wrap import Fragments, wrap

NEW_LABEL: Final = N_("new")
FOUND_LABEL: Final = N_("found")
LOADING_LABEL: Final = N_("earlier messages are being fetched")
BEGINNING_LABEL: Final = N_("the beginning")
LOAD_MORE_LABEL: Final = N_("PgUp fetches earlier messages")


@dataclass(slots=True)
class ScrollPosition:
    """The position in a conversation: the entry of the lowest visible row, and its rows below that row.

    It is bound to the entry, and `index` only helps to find it: entries that are added do not move the view.
    """

    entry: Entry
    rows_below: int
    index: int


class Scrollback:
    """The visible rows of the current conversation, and scrolling."""

    def __init__(self, model: Model, renderer: EntryRenderer, symbols: Symbols) -> None:
        self._model, self._renderer, self._symbols = model, renderer, symbols
        self._positions: dict[Conversation, ScrollPosition] = {}
        self._width, self._height = 80, 1
        self._name_width = 0
        self._top_index = 0
        self._seen_marker: Entry | None = None

    @property
    def at_bottom(self) -> bool:
        """Whether the newest entry is visible."""
        return self._model.current not in self._positions

    @property
    def below(self) -> int:
        """Entries below the visible ones."""
        position = self._position()
        return (
            len(self._model.current.entries) - 1 - position.index + (position.rows_below > 0)
            if position is not None
            else 0
        )

    @property
    def new_above(self) -> int:
        """Unread entries above the visible ones; 0 once the first of them has been visible."""
        current = self._model.current
        if current.marker is None or current.marker is self._seen_marker or current.marker not in current.entries:
            return 0
        above = self._top_index - current.entries.index(current.marker)
        if above <= 0:
            self._seen_marker = current.marker
        return max(above, 0)

    def render(self, width: int, height: int) -> list[Fragments]:
        """Return `height` rows, the lowest visible one last."""
        self._width, self._height = width, height
        self._name_width = self._renderer.name_width(self._model.current, self._model.own_name, width)
        rows = list(self._visible_rows(height))
        return [[] for _row in range(height - len(rows))] + rows[::-1]

    def scroll_pages(self, pages: int) -> bool:
        """Scroll down by pages, or up if `pages` is negative; two rows stay visible."""
        return self.scroll(pages * max(self._height - 2, 1))

    def scroll(self, rows: int) -> bool:
        """Scroll down by rows, or up if `rows` is negative. Return whether the top was reached."""
        current = self._model.current
        if not current.entries:
            return rows < 0
        position = self._position() or ScrollPosition(current.entries[-1], 0, len(current.entries) - 1)
        position.rows_below -= rows
        at_end = self._normalize(position)
        self._positions[current] = position
        if position.rows_below == 0 and position.index == len(current.entries) - 1:
            self.to_bottom()
        return at_end and rows < 0

    def to_top(self) -> None:
        """Scroll to the first loaded entry."""
        current = self._model.current
        if current.entries:
            self._positions[current] = ScrollPosition(current.entries[0], 0, 0)
            self.scroll(-1)

    def to_marker(self) -> None:
        """Scroll the first unread entry to the top of the pane."""
        current = self._model.current
        if current.marker in current.entries:
            index = current.entries.index(current.marker)
            self._positions[current] = ScrollPosition(current.marker, 0, index)
            self.scroll(self._height - len(self._entry_rows(index)))

    def to_entry(self, entry: Entry) -> None:
        """Scroll an entry of the current conversation to the middle of the pane, and mark it as found."""
        current = self._model.current
        if entry in current.entries:
            current.search_hit = entry
            index = current.entries.index(entry)
            self._positions[current] = ScrollPosition(entry, 0, index)
            self.scroll(max((self._height - len(self._entry_rows(index))) // 2, 0))

    def reveal(self, entry: Entry) -> None:
        """Scroll to an entry of the current conversation if it is not visible."""
        entries = self._model.current.entries
        if entry not in entries:
            return
        index, position = entries.index(entry), self._position()
        last_index = position.index if position is not None else len(entries) - 1
        if not self._top_index <= index <= last_index:
            self._positions[self._model.current] = ScrollPosition(entry, 0, index)
            self.scroll(max((self._height - len(self._entry_rows(index))) // 2, 0))

    def to_bottom(self) -> None:
        """Scroll to the newest entry."""
        self._positions.pop(self._model.current, None)

    def drop_closed(self) -> None:
        """Forget the positions of closed conversations."""
        self._positions = {
            conversation: position
            for conversation, position in self._positions.items()
            if conversation in self._model.conversations
        }

    def _position(self) -> ScrollPosition | None:
        position, entries = self._positions.get(self._model.current), self._model.current.entries
        if position is None or not entries:
            return None
        if position.index >= len(entries) or entries[position.index] is not position.entry:
            if position.entry in entries:
                position.index = entries.index(position.entry)
            else:  # the entry was dropped: the conversation is too long
                position.index, position.rows_below = min(position.index, len(entries) - 1), 0
                position.entry = entries[position.index]
        return position

    def _normalize(self, position: ScrollPosition) -> bool:
        """Move the position to the entry whose rows it points to, and fill the pane.

        Return whether the top is visible.
        """
        entries = self._model.current.entries
        while position.rows_below < 0 and position.index < len(entries) - 1:
            position.index += 1
            position.rows_below += len(self._entry_rows(position.index))
        position.rows_below = max(position.rows_below, 0)
        while position.index > 0 and position.rows_below >= (rows := len(self._entry_rows(position.index))):
            position.rows_below -= rows
            position.index -= 1
        position.entry = entries[position.index]
        return self._fill_height(position)

    def _fill_height(self, position: ScrollPosition) -> bool:
        """Move the position down if there are too few rows above it. Return whether there were."""
        missing = self._height - sum(1 for _row in self._rows_above(position.index, position.rows_below, self._height))
        if missing <= 0:
            return False
        position.rows_below -= missing
        entries = self._model.current.entries
        while position.rows_below < 0 and position.index < len(entries) - 1:
            position.index += 1
            position.rows_below += len(self._entry_rows(position.index))
        position.rows_below, position.entry = max(position.rows_below, 0), entries[position.index]
        return True

    def _visible_rows(self, max_rows: int) -> Iterator[Fragments]:
        position, entries = self._position(), self._model.current.entries
        if position is None:
            return self._rows_above(len(entries) - 1, 0, max_rows, self._model.current.cleared)
        last_row = len(self._entry_rows(position.index)) - 1  # there are fewer if the screen has become wider
        return self._rows_above(position.index, min(position.rows_below, last_row), max_rows)

    def _rows_above(self, index: int, below: int, max_rows: int, stop: Entry | None = None) -> Iterator[Fragments]:
        """Yield rows upwards, the lowest first, and above the first entry those of `_top_rows`.

        below: rows of the first entry that are left out.
        stop: the entry from which on nothing is shown.
        """
        while index >= 0 and max_rows > 0:
            if self._model.current.entries[index] is stop:
                return
            block = self._entry_rows(index)
            self._top_index = index
            shown = block[max(len(block) - below - max_rows, 0) : max(len(block) - below, 0)]
            yield from reversed(shown)
            max_rows -= len(shown)
            index, below = index - 1, 0
        yield from islice(reversed(self._top_rows()), max(max_rows, 0))

    def _entry_rows(self, index: int) -> list[Fragments]:
        """Return the rows of an entry, with the separators above it."""
        current = self._model.current
        entry = current.entries[index]
        rows = self._renderer.rows(entry, self._width, self._name_width)
        separators: list[Fragments] = []
        day = dates.local_date(entry.timestamp)
        previous_day = dates.local_date(current.entries[index - 1].timestamp) if index else None
        if day is not None and day != previous_day:
            separators += self._separator(dates.format_day(day), "class:day")
        if absent_count := current.absent_count(index):
            separators += self._separator(absent_messages(absent_count), "class:notice")
        if entry is current.search_hit:
            separators += self._separator(_(FOUND_LABEL), "class:unread")
        if entry is current.marker:
            separators += self._separator(_(NEW_LABEL), "class:unread")
        return separators + rows

    def _top_rows(self) -> list[Fragments]:
        """Return the rows above the first entry: whether there is more to load."""
        current = self._model.current
        if current is self._model.home:
            return []
        if current.is_complete and not current.is_loading and (count := current.hidden_count):
            return self._separator(
                hidden_messages(current.name, count, is_pruned=self._model.is_pruned), "class:notice"
            )
        label = LOADING_LABEL if current.is_loading else BEGINNING_LABEL if current.is_complete else LOAD_MORE_LABEL
        return self._separator(_(label), "class:notice")

    def _separator(self, label: str, style: str) -> list[Fragments]:
        """Return a line with a label in its middle; of several rows if the label is too long for one."""
        columns = max(self._width - 6, 1)
        return [
            [(style, self._draw_line("".join(text for _style, text in row.fragments)))]
            for row in wrap(label, columns, columns)
        ]

    def _draw_line(self, label: str) -> str:
        label = f" {label.strip()} "
        left = max((self._width - width(label)) // 2, 0)
        right = max(self._width - width(label) - left, 0)
        return self._symbols.horizontal_line * left + label + self._symbols.horizontal_line * right
