"""What is around the conversation: the others at its left, who is in it at its right, the title, the status bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from gmessenger.client import fold
from gmessenger.terminal.render import how
from gmessenger.terminal.window.book import HOME, OFFLINE, Book
from gmessenger.terminal.window.colours import name_style
from gmessenger.terminal.window.conversation import Conversation
from gmessenger.terminal.window.graphemes import fitted, named, shortened, width
from gmessenger.terminal.window.signs import Signs
from gmessenger.terminal.window.wrapping import Fragments
from gmessenger.terminal.words import _, counted
from gmessenger.terminal_text import visible

PROGRAM: Final = "gmessenger"
ONLINE: Final = "online"
LIST_WIDTHS: Final = ((140, 26), (100, 20), (70, 18))
"""From so many columns of the terminal on, the list of conversations has so many."""
MEMBER_WIDTHS: Final = ((140, 22), (100, 16))
LONGEST_STATUS: Final = 24
"""Columns of one's own status in the status bar."""
ROWS_TO_SPARE: Final = 3
"""From so many rows on, the list says what is new above and below: the current conversation is between."""
ACTIVITY: Final = 5
"""How soon the other conversations with something new give way in the status bar."""
MOST_ACTIVE: Final = 50
"""Conversations that have room in the widest status bar."""


def share(widths: Sequence[tuple[int, int]], columns: int) -> int:
    """What a pane has of a terminal that is so wide; 0 where it is better left out."""
    return next((own for least, own in widths if columns >= least), 0)


def shown_name(conversation: Conversation) -> str:
    """`#room` or `@name`; this program's own name for home."""
    name = visible(conversation.name)
    return PROGRAM if conversation.name == HOME else name if conversation.is_room else f"@{name}"


@dataclass(frozen=True, slots=True)
class Beyond:
    """What of the conversation is not in sight: entries `below`, None where the newest is in sight; `new_above`."""

    below: int | None = None
    new_above: int = 0


@dataclass(slots=True)
class Panes:
    """Draws them, each in the columns and rows it is given."""

    book: Book
    signs: Signs

    def conversations(self, columns: int, rows: int) -> list[Fragments]:
        """All of them, numbered; at the right how much is unread, and `!` where something was meant for oneself.

        Where not all have room, the first and the last row say how much is new above and below.
        """
        book = self.book
        place = book.conversations.index(book.current)
        first = max(0, min(place - rows // 2, len(book.conversations) - rows))
        last = first + rows
        shown = [self._conversation(number, each, columns) for number, each in list(enumerate(book))[first:last]]
        if rows >= ROWS_TO_SPARE:
            if _unread(book.conversations[:first]):
                shown[0] = _out_of_sight(self.signs.above, book.conversations[: first + 1], columns)
            if _unread(book.conversations[last:]):
                shown[-1] = _out_of_sight(self.signs.below, book.conversations[last - 1 :], columns)
        return shown

    def _conversation(self, number: int, each: Conversation, columns: int) -> Fragments:
        count = _news([each]) if each.unread else ""
        current = each is self.book.current
        mark = ">" if current else " "
        left = f"{mark}{number:>2} "
        name = named(shown_name(each), max(columns - len(left) - len(count) - 1, 1))
        style = "class:current" if current else "class:counted" if each.unread else ""
        return [(style, f"{left}{name} {count}")]

    def members(self, columns: int, rows: int) -> list[Fragments]:
        """Who is in the room, those who are there first."""
        members = sorted(self.book.current.members.values(), key=lambda name: (self._order(name), fold(name)))
        shown = members if len(members) <= rows else members[: rows - 1]
        lines = [self._member(name, columns) for name in shown]
        if len(members) > len(shown):
            lines.append(
                [
                    (
                        "class:notice",
                        fitted(counted("  {count} more", "  {count} more", len(members) - len(shown)), columns),
                    )
                ]
            )
        return lines

    def _member(self, name: str, columns: int) -> Fragments:
        return [("", self._presence(name)), (name_style(name), named(visible(name), columns - 1))]

    def _status_of(self, name: str) -> str:
        if fold(name) == fold(self.book.me):
            return self._own_status() if self.book.line.state == "connected" else OFFLINE
        return self.book.presence.get(fold(name), "")

    def _own_status(self) -> str:
        return self.book.presence.get(fold(self.book.me), ONLINE)

    def _order(self, name: str) -> int:
        status = self._status_of(name)
        return 2 if not status else 1 if status == OFFLINE else 0

    def _presence(self, name: str) -> str:
        signs = {ONLINE: self.signs.here, OFFLINE: self.signs.gone, "": " "}
        return signs.get(self._status_of(name), self.signs.away)

    def title(self, columns: int) -> list[Fragments]:
        """The conversation and what it is about, or how the other is."""
        current = self.book.current
        name = shown_name(current)
        about = current.topic if current.is_room else how(self.book.presence.get(current.key, ""))
        words = _("{name} (closed)", name=name) if current.closed else name
        return [[("class:title", fitted(f" {words}  {about}", columns))]]

    def status(self, columns: int, now: float, unanswered: int, beyond: Beyond) -> list[Fragments]:
        """The line to the server, one's name, the conversation, where else something is new, what is not in sight.

        Where there is not room for all of it, what matters least is left out; before that, all but the first of what is
        new elsewhere.
        """
        number = self.book.conversations.index(self.book.current)
        sign, words = self._line(now)
        more = _more(beyond.below)
        line = f"[{sign} {words}]"
        if width(line) + 1 + width(more) > columns - 2:
            line = f"[{sign}]"
        waits = unanswered and self.book.line.state != "connected"
        activity = self._activity()
        parts = [
            (0, line),
            (2, counted("[{count} waiting]", "[{count} waiting]", unanswered) if waits else ""),
            (6, self._oneself()),
            (3, f"{number}:{shown_name(self.book.current)}"),
            (ACTIVITY, activity[0]),
            (4, _above(beyond.new_above)),
            (1, more),
        ]
        style = "class:lost" if self.book.line.state == "lost" else "class:status"
        return [[(style, fitted(" " + " ".join(_most_important(parts, activity, columns - 2)), columns))]]

    def _oneself(self) -> str:
        """One's name, and how one is where that is something to know."""
        status, name = self._own_status(), visible(self.book.me)
        return f"[{name}]" if status == ONLINE else f"[{name}: {shortened(how(status), LONGEST_STATUS)}]"

    def _line(self, now: float) -> tuple[str, str]:
        """A sign, and words."""
        line, signs = self.book.line, self.signs
        if line.state == "connected":
            return signs.here, _("connected")
        if line.state == "connecting":
            return signs.away, _("connecting")
        seconds = ceil(line.retry_at - now)
        if seconds > 0:
            return signs.gone, _("offline, next try in {seconds} s", seconds=seconds)
        return signs.away, _("reconnecting")

    def _activity(self) -> list[str]:
        """The numbers of conversations with something new, and how much: shortly, and in more and more words.

        Those come first that mean oneself, then people, then rooms.
        """
        new = [(number, each) for number, each in enumerate(self.book) if each.unread]
        new.sort(key=lambda pair: (not pair[1].mentions, pair[1].is_room))
        counts = [f"{number}({_news([each])})" for number, each in new[:MOST_ACTIVE]]
        return [self._activity_of(counts[:shown], len(new) - shown) for shown in range(1, len(counts) + 1)] or [""]

    def _activity_of(self, counts: list[str], further: int) -> str:
        more = [f"{self.signs.further}+{further}"] if further else []
        return _("[Act: {counts}]", counts=",".join([*counts, *more]))


def _unread(conversations: Iterable[Conversation]) -> int:
    return sum(each.unread for each in conversations)


def _news(conversations: Sequence[Conversation]) -> str:
    """How much is new in them, with `!` where something was meant for oneself."""
    return f"{_unread(conversations)}{'!' if any(each.mentions for each in conversations) else ''}"


def _out_of_sight(sign: str, conversations: Sequence[Conversation], columns: int) -> Fragments:
    words = _("{sign} {count} new", sign=sign, count=_news(conversations))
    return [("class:counted", fitted(f"  {words}", columns))]


def _more(below: int | None) -> str:
    if below is None:
        return ""
    return _("-- MORE ({count}) --", count=below) if below else _("-- MORE --")


def _above(count: int) -> str:
    return counted("[{count} new above: Alt-u]", "[{count} new above: Alt-u]", count) if count else ""


def _most_important(parts: Iterable[tuple[int, str]], activity: Sequence[str], columns: int) -> list[str]:
    """Those for which there is room, in their order; the one with the highest number goes first.

    Of the forms of `activity`, the shortest of which is one of the parts, the longest for which there is room is taken.
    """
    kept = [part for part in parts if part[1]]
    while len(kept) > 1 and _together(kept) > columns:
        kept.remove(max(kept))
    room = columns - _together(kept)
    longest = [each for each in activity if width(each) - width(activity[0]) <= room][-1:]
    words = (longest[0] if place == ACTIVITY and longest else text for place, text in kept)
    return [shortened(text, max(columns, 1)) for text in words]


def _together(parts: Sequence[tuple[int, str]]) -> int:
    """Columns of all of them."""
    return sum(width(text) + 1 for _, text in parts) - 1
