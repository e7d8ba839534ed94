"""What a link has to tell and its owner has not read yet: a bounded queue that holds back receiving when it is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event
from gevent.queue import Queue

from gmessenger.client.events import ChatEvent


class EventQueue:
    """Events for the owner, about `size` of them at most: whoever puts waits for room first.

    While the owner waits inside a call of the link it cannot read events; then twice as many may wait, so that the
    answer behind them is reached.
    """

    def __init__(self, size: int) -> None:
        self._events: Queue[ChatEvent | None] = Queue()
        self._size = size
        self._blocked_callers = 0
        self._has_room = Event()
        self._has_room.set()
        self._error: Exception | None = None
        self.closed = False

    def put(self, event: ChatEvent) -> None:
        self._events.put_nowait(event)
        self._update()

    def wait_for_room(self, timeout: float) -> bool:
        """False when there was none for `timeout` seconds."""
        return bool(self._has_room.wait(timeout))

    def close(self, error: Exception | None = None) -> None:
        """Nothing follows; only the first call counts. What waits can still be read."""
        if not self.closed:
            self.closed = True
            self._error = error
            self._events.put_nowait(None)

    def get(self) -> ChatEvent | None:
        """The next event; at the end None, or the error it ended with is raised, however often it is asked."""
        event = self._events.get()
        self._update()
        if event is None:
            self._events.put_nowait(None)
            if self._error is not None:
                raise self._error
        return event

    @property
    def error(self) -> Exception | None:
        """What it ended with."""
        return self._error

    @contextmanager
    def extended(self) -> Iterator[None]:
        """While the owner waits inside a call."""
        self._blocked_callers += 1
        self._update()
        try:
            yield
        finally:
            self._blocked_callers -= 1
            self._update()

    def _update(self) -> None:
        if self._events.qsize() < self._size * (2 if self._blocked_callers else 1):
            self._has_room.set()
        else:
            self._has_room.clear()
