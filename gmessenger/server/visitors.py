"""Connections that others must not be kept out by: who waits for nothing of ours makes room for who comes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gevent import Greenlet, getcurrent


class Visit:
    """One connection, served by the current greenlet. While it is `busy` the server owes it something."""

    __slots__ = ("busy", "greenlet")

    def __init__(self) -> None:
        self.busy = False
        self.greenlet = getcurrent()


class Visitors:
    """At most `limit` connections that are not busy; one more, and the one that has been idle for longest is closed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._idle: dict[Visit, None] = {}

    @contextlib.contextmanager
    def visit(self) -> Iterator[Visit]:
        """Count the current greenlet, which is killed to make room for others unless it is busy."""
        visit = Visit()
        self._admit(visit)
        try:
            yield visit
        finally:
            self._idle.pop(visit, None)

    @contextlib.contextmanager
    def serving(self, visit: Visit) -> Iterator[None]:
        """Not to be killed for others until the block ends."""
        visit.busy = True
        self._idle.pop(visit, None)
        try:
            yield
        finally:
            visit.busy = False
            self._admit(visit)

    def _admit(self, visit: Visit) -> None:
        while len(self._idle) >= self._limit:
            longest = next(iter(self._idle))
            del self._idle[longest]
            if isinstance(longest.greenlet, Greenlet):
                longest.greenlet.kill(block=False)
        self._idle[visit] = None
