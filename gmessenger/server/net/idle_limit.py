"""Connections that others must not be kept out by: who waits for nothing of ours makes room for who comes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gevent import Greenlet, getcurrent


class TrackedConnection:
    """One connection, served by the current greenlet. While it is `busy` the server owes it something."""

    __slots__ = ("greenlet", "is_busy")

    def __init__(self) -> None:
        self.is_busy = False
        self.greenlet = getcurrent()


class IdleConnectionLimit:
    """At most `limit` connections that are not busy; one more, and the one that has been idle for longest is closed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._idle: dict[TrackedConnection, None] = {}

    @contextlib.contextmanager
    def track(self) -> Iterator[TrackedConnection]:
        """Count the current greenlet, which is killed to make room for others unless it is busy."""
        visit = TrackedConnection()
        self._add_idle(visit)
        try:
            yield visit
        finally:
            self._idle.pop(visit, None)

    @contextlib.contextmanager
    def busy(self, connection: TrackedConnection) -> Iterator[None]:
        """Not to be killed for others until the block ends."""
        connection.is_busy = True
        self._idle.pop(connection, None)
        try:
            yield
        finally:
            connection.is_busy = False
            self._add_idle(connection)

    def _add_idle(self, connection: TrackedConnection) -> None:
        while len(self._idle) >= self._limit:
            longest = next(iter(self._idle))
            del self._idle[longest]
            if isinstance(longest.greenlet, Greenlet):
                longest.greenlet.kill(block=False)
        self._idle[connection] = None
