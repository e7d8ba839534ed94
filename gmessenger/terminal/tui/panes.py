"""What is around the conversation: the others at its left, who is in it at its right, the title, the status bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from gmessenger.client import fold
from gmessenger.constants import OFFLINE, ONLINE
from gmessenger.sanitize import sanitize
from gmessenger.terminal.format_events import format_status
from gmessenger.terminal.i18n import _, ngettext
from gmessenger.terminal.tui.conversation import Conversation
from gmessenger.terminal.tui.graphemes import ellipsize, format_name, pad, width
from gmessenger.terminal.tui.model import HOME_NAME, ConnectionPhase, Model
from gmessenger.terminal.tui.style import Symbols, name_style
from gmessenger.terminal.tui.text_wrap import Fragments

PROGRAM_NAME: Final = "gmessenger"
LIST_WIDTHS: Final = ((140, 26), (100, 20), (70, 18))
"""From so many columns of the terminal on, the list of conversations has so many."""
MEMBER_WIDTHS: Final = ((140, 22), (100, 16))
MAX_STATUS_WIDTH: Final = 24
"""Columns of one's own status in the status bar."""
MIN_ROWS_FOR_COUNTS: Final = 3
"""From so many rows on, the list says what is new above and below: the current conversation is between."""
ACTIVITY_PRIORITY: Final = 5
"""How soon the other conversations with something new give way in the status bar."""
MAX_ACTIVE: Final = 50
"""Conversations that have room in the widest status bar."""


def pane_width(widths: Sequence[tuple[int, int]], columns: int) -> int:
    """What a pane has of a terminal that is so wide; 0 where it is better left out."""
    return next((own for least, own in widths if columns >= least), 0)


def display_name(conversation: Conversation) -> str:
    """`#room` or `@name`; this program's own name for home."""
    name = sanitize(conversation.name)
    return PROGRAM_NAME if conversation.name == HOME_NAME else name if conversation.is_room else f"@{name}"


@dataclass(frozen=True, slots=True)
class OffscreenCounts:
    """What of the conversation is not in sight: entries `below`, None where the newest is in sight; `new_above`."""

    below: int | None = None
    new_above: int = 0


@dataclass(slots=True)
class Panes:
    """Draws them, each in the columns and rows it is given."""

    model: Model
    symbols: Symbols

    def conversations(self, columns: int, rows: int) -> list[Fragments]:
        """All of them, numbered; at the right how much is unread, and `!` where something was meant for oneself.

        Where not all have room, the first and the last row say how much is new above and below.
        """
        book = self.model
        place = book.conversations.index(book.current)
        first = max(0, min(place - rows // 2, len(book.conversations) - rows))
        last = first + rows
        shown = [self._conversation_row(number, each, columns) for number, each in list(enumerate(book))[first:last]]
        if rows >= MIN_ROWS_FOR_COUNTS:
            if _unread_count(book.conversations[:first]):
                shown[0] = _offscreen_row(self.symbols.above, book.conversations[: first + 1], columns)
            if _unread_count(book.conversations[last:]):
                shown[-1] = _offscreen_row(self.symbols.below, book.conversations[last - 1 :], columns)
        return shown

    def _conversation_row(self, number: int, conversation: Conversation, columns: int) -> Fragments:
        count = _format_unread([conversation]) if conversation.unread else ""
        current = conversation is self.model.current
        mark = ">" if current else " "
        left = f"{mark}{number:>2} "
        name = format_name(display_name(conversation), max(columns - len(left) - len(count) - 1, 1))
        style = "class:current" if current else "class:counted" if conversation.unread else ""
        return [(style, f"{left}{name} {count}")]

    def members(self, columns: int, rows: int) -> list[Fragments]:
        """Who is in the room, those who are there first."""
        members = sorted(self.model.current.members.values(), key=lambda name: (self._presence_order(name), fold(name)))
        shown = members if len(members) <= rows else members[: rows - 1]
        lines = [self._member_row(name, columns) for name in shown]
        if len(members) > len(shown):
            lines.append(
                [
                    (
                        "class:notice",
                        pad(ngettext("  {count} more", "  {count} more", len(members) - len(shown)), columns),
                    )
                ]
            )
        return lines

    def _member_row(self, name: str, columns: int) -> Fragments:
        return [("", self._presence_symbol(name)), (name_style(name), format_name(sanitize(name), columns - 1))]

    def _status_of(self, name: str) -> str:
        if fold(name) == fold(self.model.own_name):
            return self._own_status() if self.model.connection.phase is ConnectionPhase.CONNECTED else OFFLINE
        return self.model.presence.get(fold(name), "")

    def _own_status(self) -> str:
        return self.model.presence.get(fold(self.model.own_name), ONLINE)

    def _presence_order(self, name: str) -> int:
        status = self._status_of(name)
        return 2 if not status else 1 if status == OFFLINE else 0

    def _presence_symbol(self, name: str) -> str:
        signs = {ONLINE: self.symbols.online, OFFLINE: self.symbols.offline, "": " "}
        return signs.get(self._status_of(name), self.symbols.away)

    def title(self, columns: int) -> list[Fragments]:
        """The conversation and what it is about, or how the other is."""
        current = self.model.current
        name = display_name(current)
        about = current.topic if current.is_room else format_status(self.model.presence.get(current.key, ""))
        words = _("{name} (closed)", name=name) if current.is_closed else name
        return [[("class:title", pad(f" {words}  {about}", columns))]]

    def status(self, columns: int, now: float, pending_count: int, offscreen: OffscreenCounts) -> list[Fragments]:
        """The line to the server, one's name, the conversation, where else something is new, what is not in sight.

        Where there is not room for all of it, what matters least is left out; before that, all but the first of what is
        new elsewhere.
        """
        number = self.model.conversations.index(self.model.current)
        sign, words = self._connection_part(now)
        more = _more_below(offscreen.below)
        line = f"[{sign} {words}]"
        if width(line) + 1 + width(more) > columns - 2:
            line = f"[{sign}]"
        waits = pending_count and self.model.connection.phase is not ConnectionPhase.CONNECTED
        activity = self._activity_forms()
        parts = [
            (0, line),
            (2, ngettext("[{count} waiting]", "[{count} waiting]", pending_count) if waits else ""),
            (6, self._own_name_part()),
            (3, f"{number}:{display_name(self.model.current)}"),
            (ACTIVITY_PRIORITY, activity[0]),
            (4, _new_above(offscreen.new_above)),
            (1, more),
        ]
        style = "class:lost" if self.model.connection.phase is ConnectionPhase.LOST else "class:status"
        return [[(style, pad(" " + " ".join(_fit_parts(parts, activity, columns - 2)), columns))]]

    def _own_name_part(self) -> str:
        """One's name, and how one is where that is something to know."""
        status, name = self._own_status(), sanitize(self.model.own_name)
        return f"[{name}]" if status == ONLINE else f"[{name}: {ellipsize(format_status(status), MAX_STATUS_WIDTH)}]"

    def _connection_part(self, now: float) -> tuple[str, str]:
        """A sign, and words."""
        line, signs = self.model.connection, self.symbols
        if line.phase is ConnectionPhase.CONNECTED:
            return signs.online, _("connected")
        if line.phase is ConnectionPhase.CONNECTING:
            return signs.away, _("connecting")
        seconds = ceil(line.retry_at - now)
        if seconds > 0:
            return signs.offline, _("offline, next try in {seconds} s", seconds=seconds)
        return signs.away, _("reconnecting")

    def _activity_forms(self) -> list[str]:
        """The numbers of conversations with something new, and how much: shortly, and in more and more words.

        Those come first that mean oneself, then people, then rooms.
        """
        new = [(number, each) for number, each in enumerate(self.model) if each.unread]
        new.sort(key=lambda pair: (not pair[1].mentions, pair[1].is_room))
        counts = [f"{number}({_format_unread([each])})" for number, each in new[:MAX_ACTIVE]]
        return [self._format_activity(counts[:shown], len(new) - shown) for shown in range(1, len(counts) + 1)] or [""]

    def _format_activity(self, counts: list[str], omitted_count: int) -> str:
        more = [f"{self.symbols.ellipsis}+{omitted_count}"] if omitted_count else []
        return _("[Act: {counts}]", counts=",".join([*counts, *more]))


def _unread_count(conversations: Iterable[Conversation]) -> int:
    return sum(each.unread for each in conversations)


def _format_unread(conversations: Sequence[Conversation]) -> str:
    """How much is new in them, with `!` where something was meant for oneself."""
    return f"{_unread_count(conversations)}{'!' if any(each.mentions for each in conversations) else ''}"


def _offscreen_row(symbol: str, conversations: Sequence[Conversation], columns: int) -> Fragments:
    words = _("{sign} {count} new", sign=symbol, count=_format_unread(conversations))
    return [("class:counted", pad(f"  {words}", columns))]


def _more_below(below: int | None) -> str:
    if below is None:
        return ""
    return _("-- MORE ({count}) --", count=below) if below else _("-- MORE --")


def _new_above(count: int) -> str:
    return ngettext("[{count} new above: Alt-u]", "[{count} new above: Alt-u]", count) if count else ""


def _fit_parts(parts: Iterable[tuple[int, str]], activity: Sequence[str], columns: int) -> list[str]:
    """Those for which there is room, in their order; the one with the highest number goes first.

    Of the forms of `activity`, the shortest of which is one of the parts, the longest for which there is room is taken.
    """
    kept = [part for part in parts if part[1]]
    while len(kept) > 1 and _total_width(kept) > columns:
        kept.remove(max(kept))
    room = columns - _total_width(kept)
    longest = [each for each in activity if width(each) - width(activity[0]) <= room][-1:]
    words = (longest[0] if place == ACTIVITY_PRIORITY and longest else text for place, text in kept)
    return [ellipsize(text, max(columns, 1)) for text in words]


def _total_width(parts: Sequence[tuple[int, str]]) -> int:
    """Columns of all of them."""
    return sum(width(text) + 1 for _, text in parts) - 1
