"""Tells the server how far one has read, so that one's other devices need not show it as new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.client import Link, fold
from gmessenger.terminal.window.conversation import Conversation

TOGETHER: Final = 0.3
"""Seconds in which what is read is told of at once."""


class Reading:
    """Does nothing while it is not `on`: what guests read is not kept. `failed` is told of an error."""

    def __init__(self, link: Link, failed: Callable[[Exception], object]) -> None:
        self._link = link
        self._failed = failed
        self._told: dict[str, int] = {}
        self._due: dict[str, str] = {}
        self.on = False

    def known(self, name: str, seq: int) -> None:
        """The server knows of so much."""
        self._told[fold(name)] = max(seq, self._told.get(fold(name), 0))

    def begin_anew(self) -> None:
        """The server counts from the beginning, and knows nothing of what was read."""
        self._told.clear()
        self._due.clear()

    def seen(self, conversation: Conversation) -> None:
        """Somebody has the newest of it before their eyes. Takes no time."""
        key, seq = conversation.key, conversation.latest
        if self.on and seq > self._told.get(key, 0):
            self._told[key] = seq
            if not self._due:
                gevent.spawn_later(TOGETHER, self.tell)
            self._due[key] = conversation.name

    def tell(self) -> None:
        """What is due, now."""
        due = dict(self._due)
        self._due.clear()
        try:
            for key, name in due.items():
                if not self._link.ended:
                    self._link.read(name, self._told[key])
        except Exception as error:
            self._failed(error)
