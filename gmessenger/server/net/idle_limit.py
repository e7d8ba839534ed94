"""A limit of idle connections: the one that has been idle for longest is closed for a new one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gevent import Greenlet, getcurrent


class TrackedConnection:
    """A connection that the current greenlet serves. `is_busy`: a request of it is being handled."""

    __slots__ = ("greenlet", "is_busy")

    def __init__(self) -> None:
        self.is_busy = False
        self.greenlet = getcurrent()


class IdleConnectionLimit:
    """Allows so many idle connections: one more closes the oldest of them. Never blocks."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._idle: dict[TrackedConnection, None] = {}

    @contextlib.contextmanager
    def track(self) -> Iterator[TrackedConnection]:
        """Count the current greenlet as an idle connection, until the block ends."""
        connection = TrackedConnection()
        self._add_idle(connection)
        try:
            yield connection
        finally:
            self._idle.pop(connection, None)

    @contextlib.contextmanager
    def busy(self, connection: TrackedConnection) -> Iterator[None]:
        """Count a connection as busy until the block ends: it is not killed for others."""
        connection.is_busy = True
        self._idle.pop(connection, None)
        try:
            yield
        finally:
            connection.is_busy = False
            self._add_idle(connection)

    def _add_idle(self, connection: TrackedConnection) -> None:
        while len(self._idle) >= self._limit:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            if isinstance(oldest.greenlet, Greenlet):
                oldest.greenlet.kill(block=False)
        self._idle[connection] = None
