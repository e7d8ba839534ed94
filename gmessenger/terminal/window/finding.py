"""Which conversations somebody may mean by what they type."""

from __future__ import annotations

from typing import Final

from gmessenger.client import fold
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.conversation import Conversation

ROOM: Final = "#"
PERSON: Final = "@"


def meant(book: Book, where: str) -> Conversation | None:
    """The conversation with this number; else with this name; else the first that begins so."""
    if where.isdecimal() and int(where) < len(book.conversations):
        return book.conversations[int(where)]
    bare = fold(where).lstrip(ROOM + PERSON)
    found = beginning(book, where) if bare else []
    return min(found, key=lambda each: each.key.lstrip(ROOM) != bare, default=None)


def beginning(book: Book, word: str) -> list[Conversation]:
    """Those whose names begin so, with `#` or `@` before them or without."""
    bare = fold(word).lstrip(ROOM + PERSON)
    named = (each for each in book if each.name and (each.is_room or not word.startswith(ROOM)))
    return [each for each in named if each.key.lstrip(ROOM).startswith(bare)]
