"""What is around the conversation: the others at its left, who is in it at its right, the title, the status bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from gmessenger.client import fold
from gmessenger.terminal.render import how
from gmessenger.terminal.visible import visible
from gmessenger.terminal.window.book import HOME, OFFLINE, Book
from gmessenger.terminal.window.colours import name_style
from gmessenger.terminal.window.conversation import Conversation
from gmessenger.terminal.window.graphemes import fitted, named, shortened, width
from gmessenger.terminal.window.signs import Signs
from gmessenger.terminal.window.wrapping import Fragments
from gmessenger.terminal.words import _, counted

PROGRAM: Final = "gmessenger"
ONLINE: Final = "online"
LIST_WIDTHS: Final = ((140, 26), (100, 20), (70, 18))
"""From so many columns of the terminal on, the list of conversations has so many."""
MEMBER_WIDTHS: Final = ((140, 22), (100, 16))


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
        """All of them, numbered; at the right how much is unread, and `!` where something was meant for oneself."""
        book = self.book
        place = book.conversations.index(book.current)
        first = max(0, min(place - rows // 2, len(book.conversations) - rows))
        numbered = list(enumerate(book))[first : first + rows]
        return [self._conversation(number, each, columns) for number, each in numbered]

    def _conversation(self, number: int, each: Conversation, columns: int) -> Fragments:
        count = f"{each.unread}{'!' if each.mentions else ''}" if each.unread else ""
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
            return ONLINE if self.book.line.state == "connected" else OFFLINE
        return self.book.presence.get(fold(name), "")

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

        Where there is not room for all of it, what matters least is left out.
        """
        number = self.book.conversations.index(self.book.current)
        sign, words = self._line(now)
        more = _more(beyond.below)
        line = f"[{sign} {words}]"
        if width(line) + 1 + width(more) > columns - 2:
            line = f"[{sign}]"
        waits = unanswered and self.book.line.state != "connected"
        parts = [
            (0, line),
            (2, counted("[{count} waiting]", "[{count} waiting]", unanswered) if waits else ""),
            (6, f"[{visible(self.book.me)}]"),
            (3, f"{number}:{shown_name(self.book.current)}"),
            (5, self._activity()),
            (4, _above(beyond.new_above)),
            (1, more),
        ]
        style = "class:lost" if self.book.line.state == "lost" else "class:status"
        return [[(style, fitted(" " + " ".join(_most_important(parts, columns - 2)), columns))]]

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

    def _activity(self) -> str:
        """The numbers of conversations with something new, and how much; those that mean oneself first."""
        new = [(number, each) for number, each in enumerate(self.book) if each.unread]
        new.sort(key=lambda pair: not pair[1].mentions)
        counts = (f"{number}({each.unread}{'!' if each.mentions else ''})" for number, each in new)
        return _("[Act: {counts}]", counts=",".join(counts)) if new else ""


def _more(below: int | None) -> str:
    if below is None:
        return ""
    return _("-- MORE ({count}) --", count=below) if below else _("-- MORE --")


def _above(count: int) -> str:
    return counted("[{count} new above: Alt-u]", "[{count} new above: Alt-u]", count) if count else ""


def _most_important(parts: Iterable[tuple[int, str]], columns: int) -> list[str]:
    """Those for which there is room, in their order; the one with the highest number goes first."""
    kept = [part for part in parts if part[1]]
    while len(kept) > 1 and sum(width(text) + 1 for _, text in kept) - 1 > columns:
        kept.remove(max(kept))
    return [shortened(text, max(columns, 1)) for _, text in kept]
