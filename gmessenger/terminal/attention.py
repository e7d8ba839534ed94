"""Line mode's regard for who sits there: what calls for them, and what they have read."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gmessenger.client import Accepted, Link, LinkEvent, Received, SentElsewhere, fold
from gmessenger.errors import MessengerError
from gmessenger.terminal.mentions import mentions_of

QUIET: Final = 1.0
"""Seconds between two bells: what has waited for somebody comes all at once."""


class Attention:
    """What was shown counts as read when a line is typed: until then nobody may be there. `clock` is monotonic."""

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._is_meant = mentions_of(link.name)
        self._unread: dict[str, tuple[str, int]] = {}
        self._rang = -QUIET

    def shown(self, event: LinkEvent) -> bool:
        """To be told of everything that was shown; says whether it is worth a bell."""
        if isinstance(event, Received):
            to, sender, seq = event.delivery.to, event.delivery.sender, event.delivery.seq
            room = to.startswith("#")
            self._note(to if room else sender, seq or None)
            return (not room or self._is_meant(event.delivery.message)) and self._rings()
        if isinstance(event, SentElsewhere):
            self._note(event.delivery.to, event.delivery.seq or None)
        elif isinstance(event, Accepted):
            self._note(event.message.to, event.answer.seq)
        return False

    def typed(self) -> None:
        """Somebody is there, and has what was shown before their eyes. Guests' reading is kept by nobody."""
        unread, self._unread = self._unread, {}
        with suppress(MessengerError):  # the link has ended, which is said elsewhere
            for with_, seq in unread.values() if self._link.account else ():
                self._link.read(with_, seq)

    def _note(self, with_: str, seq: int | None) -> None:
        if seq is not None:
            _name, before = self._unread.get(fold(with_), (with_, 0))
            self._unread[fold(with_)] = (with_, max(before, seq))

    def _rings(self) -> bool:
        now = self._clock()
        if now - self._rang < QUIET:
            return False
        self._rang = now
        return True
