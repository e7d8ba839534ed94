"""What a link has to tell and its owner has not read yet: a bounded queue that holds back receiving when it is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event
from gevent.queue import Queue

from gmessenger.client.events import LinkEvent


class Inbox:
    """Events for the owner, about `size` of them at most: whoever puts waits for room first.

    While the owner waits inside a call of the link it cannot read events; then twice as many may wait, so that the
    answer behind them is reached.
    """

    def __init__(self, size: int) -> None:
        self._events: Queue[LinkEvent | None] = Queue()
        self._size = size
        self._callers = 0
        self._room = Event()
        self._room.set()
        self._end: Exception | None = None
        self.ended = False

    def put(self, event: LinkEvent) -> None:
        self._events.put_nowait(event)
        self._look()

    def wait_for_room(self, timeout: float) -> bool:
        """False when there was none for `timeout` seconds."""
        return bool(self._room.wait(timeout))

    def end(self, error: Exception | None = None) -> None:
        """Nothing follows; only the first call counts. What waits can still be read."""
        if not self.ended:
            self.ended = True
            self._end = error
            self._events.put_nowait(None)

    def get(self) -> LinkEvent | None:
        """The next event; at the end None, or the error it ended with is raised, however often it is asked."""
        event = self._events.get()
        self._look()
        if event is None:
            self._events.put_nowait(None)
            if self._end is not None:
                raise self._end
        return event

    @property
    def error(self) -> Exception | None:
        """What it ended with."""
        return self._end

    @contextmanager
    def stretched(self) -> Iterator[None]:
        """While the owner waits inside a call."""
        self._callers += 1
        self._look()
        try:
            yield
        finally:
            self._callers -= 1
            self._look()

    def _look(self) -> None:
        if self._events.qsize() < self._size * (2 if self._callers else 1):
            self._room.set()
        else:
            self._room.clear()
