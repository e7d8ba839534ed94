"""Tells the server what the owner is done with: the last number of each conversation, several at a time."""

from __future__ import annotations

from typing import Final

import gevent

from gmessenger.client.frames import frame_of
from gmessenger.client.positions import fold
from gmessenger.client.sending import Sender
from gmessenger.wire.events import Ack

BATCH: Final = 0.05
"""Seconds from what is to be acknowledged to its acknowledgement, which then covers what came meanwhile."""


class Acks:
    """Does nothing while it is not `on`: guests acknowledge nothing."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._done: dict[str, Ack] = {}
        self._due: set[str] = set()
        self.on = False

    def done(self, with_: str, seq: int) -> None:
        """The owner needs nothing any more up to `seq` of that conversation."""
        key = fold(with_)
        if self.on and (key not in self._done or self._done[key].seq < seq):
            self._done[key] = Ack(with_=with_, seq=seq)
            self._remember(key)

    def again(self, with_: str) -> None:
        """The server does not know what was said of this conversation, or did not when it sent this."""
        if fold(with_) in self._done:
            self._remember(fold(with_))

    def all_again(self) -> None:
        """The line is new: what was said last on the old one may be lost."""
        for key in self._done:
            self._remember(key)

    def forget(self) -> None:
        self._done.clear()
        self._due.clear()

    def frames(self) -> bytes:
        """Everything, for the last time."""
        return b"".join(frame_of(ack) for ack in self._done.values()) if self.on else b""

    def _remember(self, key: str) -> None:
        if not self._due:
            gevent.spawn_later(BATCH, self._say)
        self._due.add(key)

    def _say(self) -> None:
        for key in self._due:
            self._sender.urge(f"ack {key}", frame_of(self._done[key]))
        self._due.clear()
