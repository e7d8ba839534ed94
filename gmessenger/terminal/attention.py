"""What the user is notified of, and how joins are shown, by the settings of the account."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gmessenger.account_settings import AccountSettings, JoinDisplay
from gmessenger.client import MemberJoined, MemberLeft
from gmessenger.sanitize import sanitize
from gmessenger.terminal.i18n import _, as_notice

MAX_GATHERED: Final = 100
"""Names in one line, shown or counted; then another line begins."""
MAX_NAMES_SHOWN: Final = 5
"""Of those who came, and of those who left, in one line."""


class Attention:
    """Decides by the settings which messages are for the user. A guest has the default settings.

    clock: Unix seconds.
    """

    def __init__(self, own_name: str, clock: Callable[[], float] = time.time) -> None:
        self._own_name = own_name
        self._clock = clock
        self.apply(AccountSettings())

    def apply(self, settings: AccountSettings) -> None:
        """Go by these settings from now on."""
        self.settings = settings
        self.is_mention = settings.mention_finder(self._own_name)
        """Whether a text has the own name or a highlight as a word, with or without an @."""

    @property
    def joins(self) -> JoinDisplay:
        return self.settings.joins

    @property
    def words(self) -> list[str]:
        """The own name, and the highlights."""
        return [self._own_name, *self.settings.highlights]

    def notifies(self, conversation: str, *, is_mention: bool) -> bool:
        """Return whether a message of a conversation rings the bell."""
        level = self.settings.level(conversation, self._clock())
        return level == "all" or (level == "mentions" and is_mention)


@dataclass(slots=True)
class GatheredMembers:
    """Who came into a room and who left it, since the last message there: for one line that says all."""

    joined: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, event: MemberJoined | MemberLeft) -> None:
        """Add an event. Who comes back at once, or leaves again, was as good as not gone."""
        here, other = (self.joined, self.left) if isinstance(event, MemberJoined) else (self.left, self.joined)
        if event.name in other:
            other.remove(event.name)
        elif event.name not in here:
            here.append(event.name)

    @property
    def is_full(self) -> bool:
        return len(self.joined) + len(self.left) >= MAX_GATHERED

    def format(self, room: str) -> str:
        """Return the line; empty if there is nothing to say."""
        joined, left, shown = _format_names(self.joined), _format_names(self.left), sanitize(room)
        if joined and left:
            return as_notice(_("{room}: joined: {joined}; left: {left}", room=shown, joined=joined, left=left))
        if joined:
            return as_notice(_("{room}: joined: {names}", room=shown, names=joined))
        return as_notice(_("{room}: left: {names}", room=shown, names=left)) if left else ""


def _format_names(names: list[str]) -> str:
    shown = ", ".join(map(sanitize, names[:MAX_NAMES_SHOWN]))
    rest = len(names) - MAX_NAMES_SHOWN
    return _("{names} and {count} more", names=shown, count=rest) if rest > 0 else shown
