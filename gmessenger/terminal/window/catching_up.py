"""What happened while the line was down, in one sentence when it is back."""

from __future__ import annotations

from gmessenger.client import Accepted, CaughtUp, Connected, LinkEvent, Received, Rejected, fold
from gmessenger.terminal.words import _, counted


class CatchingUp:
    """Counts between a line that has come back and the last of what had waited, here and there."""

    def __init__(self) -> None:
        self._counting = False
        self._caught_up = False
        self._waiting = 0
        self._sent = 0
        self._came: dict[str, int] = {}

    def note(self, event: LinkEvent, unanswered: int) -> str | None:
        """Take account of an event; returns the sentence once all is told. `unanswered` counts one's own messages."""
        if isinstance(event, Connected):
            self._begin(event.again, unanswered)
        elif self._counting:
            self._count(event)
            if self._caught_up and not self._waiting:
                self._counting = False
                return self._sentence()
        return None

    def _begin(self, again: bool, unanswered: int) -> None:
        self._counting, self._caught_up = again, False
        self._waiting, self._sent = unanswered, 0
        self._came.clear()

    def _count(self, event: LinkEvent) -> None:
        if isinstance(event, CaughtUp):
            self._caught_up = True
        elif isinstance(event, Received) and not self._caught_up:
            delivery = event.delivery
            where = fold(delivery.to if delivery.to.startswith("#") else delivery.sender)
            self._came[where] = self._came.get(where, 0) + 1
        elif isinstance(event, Accepted | Rejected) and self._waiting:
            self._waiting -= 1
            self._sent += isinstance(event, Accepted)

    def _sentence(self) -> str | None:
        said = counted("{count} of your messages was sent", "{count} of your messages were sent", self._sent)
        if not self._came:
            return _("caught up: {sent}", sent=said) if self._sent else None
        came = counted("{count} message", "{count} messages", sum(self._came.values()))
        where = counted("{count} conversation", "{count} conversations", len(self._came))
        if not self._sent:
            return _("caught up: {messages} in {conversations}", messages=came, conversations=where)
        return _("caught up: {messages} in {conversations}; {sent}", messages=came, conversations=where, sent=said)
