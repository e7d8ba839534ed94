"""The panes around the messages: conversations, members, title and status bar."""

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
"""The same for the list of members."""
MAX_STATUS_WIDTH: Final = 24
"""Columns of the user's own status in the status bar."""
MIN_ROWS_FOR_COUNTS: Final = 3
"""Rows from which the list shows unread counts above and below: the current conversation is between."""
ACTIVITY_PRIORITY: Final = 5
"""The priority of the list of other unread conversations in the status bar; see `_fit_parts`."""
MAX_ACTIVE: Final = 50
"""Conversations for which the widest status bar has room."""


def pane_width(widths: Sequence[tuple[int, int]], columns: int) -> int:
    """Return the columns of a pane in a terminal of this width; 0 if it is not shown."""
    return next((pane_columns for min_columns, pane_columns in widths if columns >= min_columns), 0)


def display_name(conversation: Conversation) -> str:
    """Return `#room` or `@name`; for `home`, the program's name."""
    name = sanitize(conversation.name)
    return PROGRAM_NAME if conversation.name == HOME_NAME else name if conversation.is_room else f"@{name}"


@dataclass(frozen=True, slots=True)
class OffscreenCounts:
    """Counts of entries that are not visible.

    below: entries below; None if the newest is visible.
    new_above: unread entries above.
    """

    below: int | None = None
    new_above: int = 0


@dataclass(slots=True)
class Panes:
    """Draw the panes, each in the columns and rows that it gets."""

    model: Model
    symbols: Symbols

    def conversations(self, columns: int, rows: int) -> list[Fragments]:
        """Draw the conversations with their numbers and unread counts, and `!` where the user is mentioned.

        If there are too many, the first and the last row show what is unread above and below.
        """
        model = self.model
        index = model.conversations.index(model.current)
        first = max(0, min(index - rows // 2, len(model.conversations) - rows))
        last = first + rows
        visible = [
            self._conversation_row(number, conversation, columns)
            for number, conversation in list(enumerate(model))[first:last]
        ]
        if rows >= MIN_ROWS_FOR_COUNTS:
            if _unread_count(model.conversations[:first]):
                visible[0] = _offscreen_row(self.symbols.above, model.conversations[: first + 1], columns)
            if _unread_count(model.conversations[last:]):
                visible[-1] = _offscreen_row(self.symbols.below, model.conversations[last - 1 :], columns)
        return visible

    def _conversation_row(self, number: int, conversation: Conversation, columns: int) -> Fragments:
        count = _format_unread([conversation]) if conversation.unread else ""
        current = conversation is self.model.current
        mark = ">" if current else " "
        left = f"{mark}{number:>2} "
        name = format_name(display_name(conversation), max(columns - len(left) - len(count) - 1, 1))
        style = "class:current" if current else "class:counted" if conversation.unread else ""
        return [(style, f"{left}{name} {count}")]

    def members(self, columns: int, rows: int) -> list[Fragments]:
        """Draw the members of the room, those who are online first."""
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

    def _status_with_note(self, key: str) -> str:
        return format_status(self.model.presence.get(key, ""), self.model.notes.get(key, ""))

    def _presence_order(self, name: str) -> int:
        status = self._status_of(name)
        return 2 if not status else 1 if status == OFFLINE else 0

    def _presence_symbol(self, name: str) -> str:
        symbols = {ONLINE: self.symbols.online, OFFLINE: self.symbols.offline, "": " "}
        return symbols.get(self._status_of(name), self.symbols.away)

    def title(self, columns: int) -> list[Fragments]:
        """Draw the conversation's name, and the room's topic or the user's status."""
        current = self.model.current
        name = display_name(current)
        description = current.topic if current.is_room else self._status_with_note(current.key)
        text = _("{name} (closed)", name=name) if current.is_closed else name
        return [[("class:title", pad(f" {text}  {description}", columns))]]

    def status(self, columns: int, now: float, pending_count: int, offscreen: OffscreenCounts) -> list[Fragments]:
        """Draw the status bar: connection, name, conversation, others with unread messages, offscreen counts.

        What does not fit is left out, the least important first; before that, the list of other unread conversations is
        cut.
        """
        number = self.model.conversations.index(self.model.current)
        symbol, text = self._connection_part(now)
        more_below = _more_below(offscreen.below)
        connection = f"[{symbol} {text}]"
        if width(connection) + 1 + width(more_below) > columns - 2:
            connection = f"[{symbol}]"
        has_pending = pending_count and self.model.connection.phase is not ConnectionPhase.CONNECTED
        activity = self._activity_forms()
        parts = [
            (0, connection),
            (2, ngettext("[{count} waiting]", "[{count} waiting]", pending_count) if has_pending else ""),
            (6, self._own_name_part()),
            (3, f"{number}:{display_name(self.model.current)}"),
            (ACTIVITY_PRIORITY, activity[0]),
            (4, _new_above(offscreen.new_above)),
            (1, more_below),
        ]
        style = "class:lost" if self.model.connection.phase is ConnectionPhase.LOST else "class:status"
        return [[(style, pad(" " + " ".join(_fit_parts(parts, activity, columns - 2)), columns))]]

    def _own_name_part(self) -> str:
        """Return the user's name, with the status if one is set."""
        status, name = self._own_status(), sanitize(self.model.own_name)
        return f"[{name}]" if status == ONLINE else f"[{name}: {ellipsize(format_status(status), MAX_STATUS_WIDTH)}]"

    def _connection_part(self, now: float) -> tuple[str, str]:
        """Return a symbol for the state of the connection, and its description."""
        connection, symbols = self.model.connection, self.symbols
        if connection.phase is ConnectionPhase.CONNECTED:
            return symbols.online, _("connected")
        if connection.phase is ConnectionPhase.CONNECTING:
            return symbols.away, _("connecting")
        seconds = ceil(connection.retry_at - now)
        if seconds > 0:
            return symbols.offline, _("offline, next try in {seconds} s", seconds=seconds)
        return symbols.away, _("reconnecting")

    def _activity_forms(self) -> list[str]:
        """Return the list of other unread conversations in all lengths, the shortest first.

        Conversations that mention the user come first, then direct ones, then rooms.
        """
        unread = [(number, conversation) for number, conversation in enumerate(self.model) if conversation.unread]
        unread.sort(key=lambda pair: (not pair[1].mentions, pair[1].is_room))
        counts = [f"{number}({_format_unread([conversation])})" for number, conversation in unread[:MAX_ACTIVE]]
        return [self._format_activity(counts[:shown], len(unread) - shown) for shown in range(1, len(counts) + 1)] or [
            ""
        ]

    def _format_activity(self, counts: list[str], omitted_count: int) -> str:
        """Return a list of counts; `omitted_count` says how many conversations are left out."""
        omitted = [f"{self.symbols.ellipsis}+{omitted_count}"] if omitted_count else []
        return _("[Act: {counts}]", counts=",".join([*counts, *omitted]))


def _unread_count(conversations: Iterable[Conversation]) -> int:
    return sum(conversation.unread for conversation in conversations)


def _format_unread(conversations: Sequence[Conversation]) -> str:
    """Return the unread count of conversations, with `!` if the user is mentioned."""
    return (
        f"{_unread_count(conversations)}{'!' if any(conversation.mentions for conversation in conversations) else ''}"
    )


def _offscreen_row(symbol: str, conversations: Sequence[Conversation], columns: int) -> Fragments:
    text = _("{sign} {count} new", sign=symbol, count=_format_unread(conversations))
    return [("class:counted", pad(f"  {text}", columns))]


def _more_below(below: int | None) -> str:
    if below is None:
        return ""
    return _("-- MORE ({count}) --", count=below) if below else _("-- MORE --")


def _new_above(count: int) -> str:
    return ngettext("[{count} new above: Alt-u]", "[{count} new above: Alt-u]", count) if count else ""


def _fit_parts(parts: Iterable[tuple[int, str]], activity: Sequence[str], columns: int) -> list[str]:
    """Return the parts that fit into `columns`, in order; high numbers are left out first.

    activity: the forms of one of the parts, the shortest of which is in `parts`; the longest that fits is taken.
    """
    kept = [part for part in parts if part[1]]
    while len(kept) > 1 and _total_width(kept) > columns:
        kept.remove(max(kept))
    remaining = columns - _total_width(kept)
    longest = [form for form in activity if width(form) - width(activity[0]) <= remaining][-1:]
    texts = (longest[0] if priority == ACTIVITY_PRIORITY and longest else text for priority, text in kept)
    return [ellipsize(text, max(columns, 1)) for text in texts]


def _total_width(parts: Sequence[tuple[int, str]]) -> int:
    """Return the columns of the parts, with spaces between."""
    return sum(width(text) + 1 for _, text in parts) - 1
