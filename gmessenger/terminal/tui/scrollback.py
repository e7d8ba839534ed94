"""What of a conversation is in sight. Only that is wrapped, however long the conversation is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gmessenger.terminal import dates
from gmessenger.terminal.i18n import N_, _
from gmessenger.terminal.tui.conversation import Conversation, Entry
from gmessenger.terminal.tui.entries import EntryRenderer
from gmessenger.terminal.tui.graphemes import ellipsize, width
from gmessenger.terminal.tui.model import Model
from gmessenger.terminal.tui.style import Symbols
from gmessenger.terminal.tui.text_wrap import Fragments

NEW_LABEL: Final = N_("new")
FOUND_LABEL: Final = N_("found")
LOADING_LABEL: Final = N_("earlier messages are being fetched")
BEGINNING_LABEL: Final = N_("the beginning")
LOAD_MORE_LABEL: Final = N_("PgUp fetches earlier messages")


@dataclass(slots=True)
class ScrollPosition:
    """Where somebody who scrolled back is: the lowest row in sight is of this entry, and so many of its rows are below.

    It hangs on the entry, which `index` only helps to find, so nothing that comes before it or after moves the view.
    """

    entry: Entry
    rows_below: int
    index: int


class Scrollback:
    """The rows of the current conversation that are in sight, and the ways through it."""

    def __init__(self, model: Model, renderer: EntryRenderer, symbols: Symbols) -> None:
        self._model, self._renderer, self._symbols = model, renderer, symbols
        self._positions: dict[Conversation, ScrollPosition] = {}
        self._width, self._height = 80, 1
        self._name_width = 0
        self._top_index = 0
        self._seen_marker: Entry | None = None

    @property
    def at_bottom(self) -> bool:
        return self._model.current not in self._positions

    @property
    def below(self) -> int:
        """How many entries are below what is in sight."""
        place = self._position()
        return len(self._model.current.entries) - 1 - place.index + (place.rows_below > 0) if place is not None else 0

    @property
    def new_above(self) -> int:
        """How many entries are above what is in sight and new, unless the first of them has been in sight already."""
        current = self._model.current
        if current.marker is None or current.marker is self._seen_marker or current.marker not in current.entries:
            return 0
        above = self._top_index - current.entries.index(current.marker)
        if above <= 0:
            self._seen_marker = current.marker
        return max(above, 0)

    def render(self, width: int, height: int) -> list[Fragments]:
        """Exactly `height` rows, the lowest of them at the bottom."""
        self._width, self._height = width, height
        self._name_width = self._renderer.name_width(self._model.current, self._model.own_name, width)
        rows = list(self._visible_rows(height))
        return [[] for _row in range(height - len(rows))] + rows[::-1]

    def scroll_pages(self, pages: int) -> bool:
        """A page further down, or up where `pages` is negative. Two rows stay in sight."""
        return self.scroll(pages * max(self._height - 2, 1))

    def scroll(self, rows: int) -> bool:
        """So many rows further down, or up; says whether that hits the upper end."""
        current = self._model.current
        if not current.entries:
            return rows < 0
        place = self._position() or ScrollPosition(current.entries[-1], 0, len(current.entries) - 1)
        place.rows_below -= rows
        at_end = self._normalize(place)
        self._positions[current] = place
        if place.rows_below == 0 and place.index == len(current.entries) - 1:
            self.to_bottom()
        return at_end and rows < 0

    def to_top(self) -> None:
        """To the first that is here."""
        current = self._model.current
        if current.entries:
            self._positions[current] = ScrollPosition(current.entries[0], 0, 0)
            self.scroll(-1)

    def to_marker(self) -> None:
        """To the first that was new, at the top of what is in sight."""
        current = self._model.current
        if current.marker in current.entries:
            index = current.entries.index(current.marker)
            self._positions[current] = ScrollPosition(current.marker, 0, index)
            self.scroll(self._height - len(self._entry_rows(index)))

    def to_entry(self, entry: Entry) -> None:
        """Scroll an entry of the current conversation to the middle of the pane, with a mark above it."""
        current = self._model.current
        if entry in current.entries:
            current.search_hit = entry
            index = current.entries.index(entry)
            self._positions[current] = ScrollPosition(entry, 0, index)
            self.scroll(max((self._height - len(self._entry_rows(index))) // 2, 0))

    def to_bottom(self) -> None:
        self._positions.pop(self._model.current, None)

    def drop_closed(self) -> None:
        """Conversations that are closed need no place any more."""
        self._positions = {each: place for each, place in self._positions.items() if each in self._model.conversations}

    def _position(self) -> ScrollPosition | None:
        place, entries = self._positions.get(self._model.current), self._model.current.entries
        if place is None or not entries:
            return None
        if place.index >= len(entries) or entries[place.index] is not place.entry:
            if place.entry in entries:
                place.index = entries.index(place.entry)
            else:  # it was so old that it is not kept any more
                place.index, place.rows_below = min(place.index, len(entries) - 1), 0
                place.entry = entries[place.index]
        return place

    def _normalize(self, position: ScrollPosition) -> bool:
        """Bring the place to where its entry has those rows, and not so high that there is nothing above.

        Says whether the upper end is in sight.
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
        place, entries = self._position(), self._model.current.entries
        if place is None:
            return self._rows_above(len(entries) - 1, 0, max_rows)
        fewer = len(self._entry_rows(place.index)) - 1  # than before, where the screen has become wider
        return self._rows_above(place.index, min(place.rows_below, fewer), max_rows)

    def _rows_above(self, index: int, below: int, max_rows: int) -> Iterator[Fragments]:
        """The rows from there upwards, the lowest first, and above them what there is before them."""
        while index >= 0 and max_rows > 0:
            block = self._entry_rows(index)
            self._top_index = index
            shown = block[max(len(block) - below - max_rows, 0) : max(len(block) - below, 0)]
            yield from reversed(shown)
            max_rows -= len(shown)
            index, below = index - 1, 0
        if max_rows > 0 and (head := self._top_row()):
            yield head

    def _entry_rows(self, index: int) -> list[Fragments]:
        """An entry's rows, with what separates it from the one before."""
        current = self._model.current
        entry = current.entries[index]
        rows = self._renderer.rows(entry, self._width, self._name_width)
        separators = []
        day = dates.local_date(entry.timestamp)
        before = dates.local_date(current.entries[index - 1].timestamp) if index else None
        if day is not None and day != before:
            separators.append(self._separator(dates.format_day(day), "class:day"))
        if entry is current.search_hit:
            separators.append(self._separator(_(FOUND_LABEL), "class:unread"))
        if entry is current.marker:
            separators.append(self._separator(_(NEW_LABEL), "class:unread"))
        return separators + rows

    def _top_row(self) -> Fragments:
        """What is above the first entry."""
        current = self._model.current
        if current is self._model.home:
            return []
        words = LOADING_LABEL if current.is_loading else BEGINNING_LABEL if current.is_complete else LOAD_MORE_LABEL
        return self._separator(_(words), "class:notice")

    def _separator(self, label: str, style: str) -> Fragments:
        label = f" {ellipsize(label, max(self._width - 6, 1))} "
        left = max((self._width - width(label)) // 2, 0)
        right = max(self._width - width(label) - left, 0)
        return [(style, self._symbols.horizontal_line * left + label + self._symbols.horizontal_line * right)]
