"""Waiting for the outbox: until there is room in it, or until everything in it was answered."""

from __future__ import annotations

from gevent.event import Event
from gevent.queue import Full

from gmessenger.client.inbox import Inbox
from gmessenger.client.outbox import Outbox


class Room:
    """At most `size` messages wait. Who waits here is let go when the link has ended, and may overfill the inbox."""

    def __init__(self, inbox: Inbox, outbox: Outbox, size: int) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._size = size
        self._room = Event()
        self._idle = Event()
        self.look()

    def look(self) -> None:
        """Let those go on who wait for what has come about."""
        for event, due in ((self._room, len(self._outbox) < self._size), (self._idle, not len(self._outbox))):
            if due or self._inbox.ended:
                event.set()
            else:
                event.clear()

    def wait(self, seconds: float) -> None:
        """Wait for room. Raises `gevent.queue.Full` when there was none for so many seconds."""
        with self._inbox.stretched():
            if not self._room.wait(seconds):
                raise Full

    def wait_until_empty(self, seconds: float) -> None:
        with self._inbox.stretched():
            self._idle.wait(seconds)
