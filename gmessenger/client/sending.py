"""The sending half of a link: one greenlet that writes what is urgent, then what the outbox gives out."""

from __future__ import annotations

import time

from gevent.event import Event

from gmessenger.client.connection import Connection
from gmessenger.client.outbox import Outbox
from gmessenger.client.patience import Patience


class Sender:
    """Has frames written in batches. While `paused`, messages stay in the outbox and only urgent frames go out."""

    def __init__(self, outbox: Outbox, patience: Patience) -> None:
        self._outbox = outbox
        self._patience = patience
        self._urgent: dict[str, bytes] = {}
        self._awake = Event()
        self.paused = False

    def urge(self, what: str, frame: bytes) -> None:
        """Send a frame before all messages; of several of the same `what` that wait only the last is sent."""
        self._urgent[what] = frame
        self._awake.set()

    def wake(self) -> None:
        """Have another look at the outbox."""
        self._awake.set()

    def start_over(self) -> None:
        """A new line: nothing is urgent, nothing was sent, nothing holds messages back."""
        self._urgent.clear()
        self._outbox.rewind()
        self.paused = False

    def run(self, connection: Connection) -> None:
        """Send for as long as the connection lives. Raises OSError when it is down."""
        while True:
            self._awake.clear()
            now = time.monotonic()
            if frames := self._frames(now):
                connection.send(b"".join(frames), self._patience)
            else:
                due = self._outbox.next_due(now)
                self._awake.wait(None if due is None else due - now)

    def _frames(self, now: float) -> list[bytes]:
        urgent = list(self._urgent.values())
        self._urgent.clear()
        messages = [] if self.paused else self._outbox.take(now)
        return urgent + [message.frame for message in messages]
