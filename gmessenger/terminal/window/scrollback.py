"""What of a conversation is in sight. Only that is wrapped, however long the conversation is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gmessenger.terminal import dates
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.conversation import Conversation, Entry
from gmessenger.terminal.window.days import Calendar
from gmessenger.terminal.window.entries import Entries
from gmessenger.terminal.window.graphemes import shortened, width
from gmessenger.terminal.window.signs import Signs
from gmessenger.terminal.window.wrapping import Fragments
from gmessenger.terminal.words import N_, _

NEW: Final = N_("new")
FOUND: Final = N_("found")
LOADING: Final = N_("earlier messages are being fetched")
BEGINNING: Final = N_("the beginning")
FURTHER: Final = N_("PgUp fetches earlier messages")


@dataclass(slots=True)
class Place:
    """Where somebody who scrolled back is: the lowest row in sight is of this entry, and so many of its rows are below.

    It hangs on the entry, which `index` only helps to find, so nothing that comes before it or after moves the view.
    """

    entry: Entry
    below: int
    index: int


class Scrollback:
    """The rows of the current conversation that are in sight, and the ways through it."""

    def __init__(self, book: Book, entries: Entries, signs: Signs, calendar: Calendar) -> None:
        self._book, self._entries, self._signs, self._calendar = book, entries, signs, calendar
        self._places: dict[Conversation, Place] = {}
        self._width, self._height = 80, 1
        self._names = 0
        self._top = 0
        self._found_marker: Entry | None = None

    @property
    def at_bottom(self) -> bool:
        return self._book.current not in self._places

    @property
    def below(self) -> int:
        """How many entries are below what is in sight."""
        place = self._found()
        return len(self._book.current.entries) - 1 - place.index + (place.below > 0) if place is not None else 0

    @property
    def new_above(self) -> int:
        """How many entries are above what is in sight and new, unless the first of them has been in sight already."""
        current = self._book.current
        if current.marker is None or current.marker is self._found_marker or current.marker not in current.entries:
            return 0
        above = self._top - current.entries.index(current.marker)
        if above <= 0:
            self._found_marker = current.marker
        return max(above, 0)

    def draw(self, width: int, height: int) -> list[Fragments]:
        """Exactly `height` rows, the lowest of them at the bottom."""
        self._width, self._height = width, height
        self._names = self._entries.names(self._book.current, self._book.me, width)
        rows = list(self._upwards(height))
        return [[] for _row in range(height - len(rows))] + rows[::-1]

    def page(self, pages: int) -> bool:
        """A page further down, or up where `pages` is negative. Two rows stay in sight."""
        return self.scroll(pages * max(self._height - 2, 1))

    def scroll(self, rows: int) -> bool:
        """So many rows further down, or up; says whether that hits the upper end."""
        current = self._book.current
        if not current.entries:
            return rows < 0
        place = self._found() or Place(current.entries[-1], 0, len(current.entries) - 1)
        place.below -= rows
        at_end = self._settle(place)
        self._places[current] = place
        if place.below == 0 and place.index == len(current.entries) - 1:
            self.to_bottom()
        return at_end and rows < 0

    def to_top(self) -> None:
        """To the first that is here."""
        current = self._book.current
        if current.entries:
            self._places[current] = Place(current.entries[0], 0, 0)
            self.scroll(-1)

    def to_marker(self) -> None:
        """To the first that was new, at the top of what is in sight."""
        current = self._book.current
        if current.marker in current.entries:
            index = current.entries.index(current.marker)
            self._places[current] = Place(current.marker, 0, index)
            self.scroll(self._height - len(self._block(index)))

    def to_entry(self, entry: Entry) -> None:
        """Scroll an entry of the current conversation to the middle of the pane, with a mark above it."""
        current = self._book.current
        if entry in current.entries:
            current.found = entry
            index = current.entries.index(entry)
            self._places[current] = Place(entry, 0, index)
            self.scroll(max((self._height - len(self._block(index))) // 2, 0))

    def to_bottom(self) -> None:
        self._places.pop(self._book.current, None)

    def forget(self) -> None:
        """Conversations that are closed need no place any more."""
        self._places = {each: place for each, place in self._places.items() if each in self._book.conversations}

    def _found(self) -> Place | None:
        place, entries = self._places.get(self._book.current), self._book.current.entries
        if place is None or not entries:
            return None
        if place.index >= len(entries) or entries[place.index] is not place.entry:
            if place.entry in entries:
                place.index = entries.index(place.entry)
            else:  # it was so old that it is not kept any more
                place.index, place.below = min(place.index, len(entries) - 1), 0
                place.entry = entries[place.index]
        return place

    def _settle(self, place: Place) -> bool:
        """Bring the place to where its entry has those rows, and not so high that there is nothing above.

        Says whether the upper end is in sight.
        """
        entries = self._book.current.entries
        while place.below < 0 and place.index < len(entries) - 1:
            place.index += 1
            place.below += len(self._block(place.index))
        place.below = max(place.below, 0)
        while place.index > 0 and place.below >= (rows := len(self._block(place.index))):
            place.below -= rows
            place.index -= 1
        place.entry = entries[place.index]
        return self._lowered(place)

    def _lowered(self, place: Place) -> bool:
        missing = self._height - sum(1 for _row in self._rows_above(place.index, place.below, self._height))
        if missing <= 0:
            return False
        place.below -= missing
        entries = self._book.current.entries
        while place.below < 0 and place.index < len(entries) - 1:
            place.index += 1
            place.below += len(self._block(place.index))
        place.below, place.entry = max(place.below, 0), entries[place.index]
        return True

    def _upwards(self, most: int) -> Iterator[Fragments]:
        place, entries = self._found(), self._book.current.entries
        if place is None:
            return self._rows_above(len(entries) - 1, 0, most)
        fewer = len(self._block(place.index)) - 1  # than before, where the screen has become wider
        return self._rows_above(place.index, min(place.below, fewer), most)

    def _rows_above(self, index: int, below: int, most: int) -> Iterator[Fragments]:
        """The rows from there upwards, the lowest first, and above them what there is before them."""
        while index >= 0 and most > 0:
            block = self._block(index)
            self._top = index
            shown = block[max(len(block) - below - most, 0) : max(len(block) - below, 0)]
            yield from reversed(shown)
            most -= len(shown)
            index, below = index - 1, 0
        if most > 0 and (head := self._head()):
            yield head

    def _block(self, index: int) -> list[Fragments]:
        """An entry's rows, with what separates it from the one before."""
        current = self._book.current
        entry = current.entries[index]
        rows = self._entries.rows(entry, self._width, self._names)
        separators = []
        day = self._calendar.day(entry.at)
        before = self._calendar.day(current.entries[index - 1].at) if index else None
        if day is not None and day != before:
            separators.append(self._across(dates.day(day), "class:day"))
        if entry is current.found:
            separators.append(self._across(_(FOUND), "class:unread"))
        if entry is current.marker:
            separators.append(self._across(_(NEW), "class:unread"))
        return separators + rows

    def _head(self) -> Fragments:
        """What is above the first entry."""
        current = self._book.current
        if current is self._book.home:
            return []
        words = LOADING if current.loading else BEGINNING if current.complete else FURTHER
        return self._across(_(words), "class:notice")

    def _across(self, words: str, style: str) -> Fragments:
        words = f" {shortened(words, max(self._width - 6, 1))} "
        left = max((self._width - width(words)) // 2, 0)
        right = max(self._width - width(words) - left, 0)
        return [(style, self._signs.level * left + words + self._signs.level * right)]
