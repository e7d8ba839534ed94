"""The push messages that wait: one for each device and conversation, in the order in which they are due."""

from __future__ import annotations

import heapq
from typing import Final, TypeAlias

from msgspec import Struct

from gmessenger.chat.push_notifier import DevicePush

MAX_WAITING: Final = 1000
"""Devices and conversations with a push message that waits; a further one is not taken."""
MAX_WAITING_CONNECTED: Final = MAX_WAITING // 2
"""Beyond so many none is taken for a device that is connected, which nearly always acknowledges the message."""
MAX_SEQS: Final = 8
"""Messages that a waiting push message can tell of; the newest that can be shown is told."""

PushKey: TypeAlias = tuple[int, str]
"""Device and conversation."""


class QueuedPush(Struct):
    """A push message that waits. `seqs`: of the messages that it can tell of, the newest last.

    `due`: monotonic seconds. `attempts`: how often it was tried to be sent. `awaited_seq`: the message that the
    device, while it is connected, has until `due` to acknowledge; 0 for none.
    """

    push: DevicePush
    seqs: tuple[int, ...]
    due: float
    attempts: int = 0
    awaited_seq: int = 0

    @property
    def key(self) -> PushKey:
        return (self.push.device, self.push.conversation)


class PushQueue:
    """Push messages by device and conversation. Nothing here yields."""

    def __init__(self) -> None:
        self._waiting: dict[PushKey, QueuedPush] = {}
        self._due: list[tuple[float, int, QueuedPush]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, push: DevicePush, due: float) -> bool:
        """Add a push message, or the seq to the one that waits. Returns False if the queue is full."""
        waiting = self._waiting.get((push.device, push.conversation))
        if waiting is not None:
            waiting.seqs = (*waiting.seqs, push.seq)[-MAX_SEQS:]
            return True
        if len(self._waiting) >= (MAX_WAITING_CONNECTED if push.is_connected else MAX_WAITING):
            return False
        self._put(QueuedPush(push, (push.seq,), due, awaited_seq=push.seq if push.is_connected else 0))
        return True

    def put_back(self, waiting: QueuedPush) -> bool:
        """Have a push message that was taken wait again, until its `due`. Returns False if the queue is full."""
        newer = self._waiting.pop(waiting.key, None)
        if newer is None and len(self._waiting) >= MAX_WAITING:
            return False
        if newer is not None:
            waiting.seqs = (*waiting.seqs, *newer.seqs)[-MAX_SEQS:]
            waiting.due = max(waiting.due, newer.due)
        self._put(waiting)
        return True

    def take(self, now: float) -> QueuedPush | None:
        """Take the push message that is due the longest; None if none is."""
        while self._due and self._due[0][0] <= now:
            _, _, waiting = heapq.heappop(self._due)
            if self._waiting.get(waiting.key) is waiting:
                del self._waiting[waiting.key]
                return waiting
        return None

    def next_due(self) -> float | None:
        """Return when the next push message is due, in monotonic seconds; None if none waits."""
        return self._due[0][0] if self._due else None

    def _put(self, waiting: QueuedPush) -> None:
        self._count += 1  # so that the heap never compares two messages
        self._waiting[waiting.key] = waiting
        heapq.heappush(self._due, (waiting.due, self._count, waiting))
