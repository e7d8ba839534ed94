"""The queue of events that the program has not read yet; while it is full, reading from the connection pauses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event
from gevent.queue import Queue

from gmessenger.client.events import ChatEvent


class EventQueue:
    """Events for the program: about `size` at most, since the receiver waits for room before it reads on.

    A program that is blocked in a call of the client cannot read events. Meanwhile twice as many may be queued, so
    that the receiver reaches the response.
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
        """Append an event, whatever the size. Does not block."""
        self._events.put_nowait(event)
        self._update()

    def wait_for_room(self, timeout: float) -> bool:
        """Block until there is room; return False if there is none within `timeout` seconds."""
        return bool(self._has_room.wait(timeout))

    def close(self, error: Exception | None = None) -> None:
        """End the queue, with an error or without; events in it can still be read. Only the first call counts."""
        if not self.closed:
            self.closed = True
            self._error = error
            self._events.put_nowait(None)

    def get(self) -> ChatEvent | None:
        """Return the next event; blocks. At the end return None, or raise the error the queue ended with, each time."""
        event = self._events.get()
        self._update()
        if event is None:
            self._events.put_nowait(None)
            if self._error is not None:
                raise self._error
        return event

    @property
    def error(self) -> Exception | None:
        """The error that the queue ended with."""
        return self._error

    @contextmanager
    def extended(self) -> Iterator[None]:
        """Within the block the program is blocked in a call, so twice as many events may be queued."""
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
