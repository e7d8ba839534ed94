"""Completion as one types: commands with what they do, rooms, and names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from gmessenger.client import fold
from gmessenger.terminal.commands import COMMANDS, SLASHED, Command
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.finding import PERSON, ROOM, beginning
from gmessenger.terminal.window.hands import Actions
from gmessenger.terminal.words import _
from gmessenger.terminal_text import visible

WORD: Final = re.compile(r"[^\s]*$")
NUMBERED: Final = "N|NAME"
"""What stands for one of the conversations there are."""
MOST: Final = 50
"""What is offered at once; with more, one types on."""


class Completing(Completer):
    """Offers what may be meant: commands at the beginning of a line, what they are about behind them, names in a text.

    In a text, names are offered when asked for, or behind `@`; rooms behind `#`.
    """

    def __init__(self, book: Book, actions: Actions) -> None:
        self._book, self._actions = book, actions

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What goes where the cursor is, at most `MOST`."""
        offered = self._offered(document.text_before_cursor, asked=complete_event.completion_requested)
        return [*islice(offered, MOST)]

    def _offered(self, before: str, *, asked: bool) -> Iterator[Completion]:
        match = WORD.search(before)
        word = match.group() if match is not None else ""
        behind = before[: len(before) - len(word)]
        if before.startswith("/") and not before.startswith("//"):
            return self._command(word) if not behind else self._argument(behind, word)
        if word.startswith(ROOM):
            return self._rooms(word)
        if asked or word.startswith(PERSON):
            return self._people(word, self._address if not behind else _plain)
        return iter(())

    def _command(self, word: str) -> Iterator[Completion]:
        for command in COMMANDS:
            if command.operators and not self._book.operator:
                continue
            name = next((name for name in command.slashed if name.startswith(word.casefold())), None)
            if name is not None:
                text = f"{name} " if command.arguments else name
                yield Completion(text, -len(word), display=command.usage, display_meta=_(command.what))

    def _argument(self, behind: str, word: str) -> Iterator[Completion]:
        name, *typed = behind.split()
        command = SLASHED.get(name.casefold())
        wanted = _wanted(command, len(typed)) if command is not None else ""
        if wanted == NUMBERED:
            for each in beginning(self._book, word):
                yield Completion(_plain(each.name), -len(word), display=visible(each.name))
        elif ROOM in wanted or (word.startswith(ROOM) and "NAME" in wanted):
            yield from self._rooms(word)
        elif "NAME" in wanted:
            yield from self._people(word, _plain)

    def _rooms(self, word: str) -> Iterator[Completion]:
        known = [each.name for each in self._book if each.is_room]
        for room in {fold(room): room for room in (*known, *self._actions.complete_rooms())}.values():
            if fold(room).startswith(fold(word)) or fold(room).startswith(fold(ROOM + word)):
                yield Completion(f"{room} ", -len(word), display=visible(room))

    def _people(self, word: str, put: Callable[[str], str]) -> Iterator[Completion]:
        start = fold(word.removeprefix(PERSON))
        for name in self._actions.complete_names():
            if fold(name).startswith(start):
                yield Completion(put(name), -len(word), display=visible(name))

    def _address(self, name: str) -> str:
        """At the beginning of a line in a room a name says to whom it is."""
        return f"{name}: " if self._book.current.is_room else _plain(name)


def _plain(name: str) -> str:
    return f"{name} "


def _wanted(command: Command, place: int) -> str:
    """What the argument at this place is called."""
    names = command.arguments.replace("[", "").replace("]", "").split()
    return names[place] if place < len(names) else ""
