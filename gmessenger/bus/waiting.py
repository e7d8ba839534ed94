"""What waits to be sent: batches of hints by destination, within a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final

MOST_WAITING: Final = 16 * 2**20
"""Bytes, counted once for each destination."""
LARGEST_BATCH: Final = 256 * 2**10
"""Bytes from which on the next batch is begun: a large parcel holds up everybody's small ones."""


class Batch:
    """What goes out together: hints to all, and to single nodes."""

    __slots__ = ("apart", "count", "size", "together")

    def __init__(self) -> None:
        self.together: list[bytes] = []
        self.apart: dict[str, list[bytes]] = {}
        self.count = 0
        self.size = 0


class Waiting:
    """The batches, oldest first. The bound is one of memory: who sends more than goes out loses what is too much."""

    __slots__ = ("_batches", "_most", "size")

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._batches: deque[Batch] = deque()
        self._most = most
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._batches)

    def add(self, data: bytes, nodes: Collection[str] | None) -> bool:
        """Whether there was room for it."""
        size = len(data) if nodes is None else len(data) * len(nodes)
        if self.size + size > self._most:
            return False
        batch = self._batches[-1] if self._batches else None
        if batch is None or batch.size >= LARGEST_BATCH:
            self._batches.append(batch := Batch())
        if nodes is None:
            batch.together.append(data)
        else:
            for node in nodes:
                batch.apart.setdefault(node, []).append(data)
        batch.count += 1
        batch.size += size
        self.size += size
        return True

    def take(self) -> Batch | None:
        """The oldest batch, if any."""
        if not self._batches:
            return None
        batch = self._batches.popleft()
        self.size -= batch.size
        return batch

    def drop(self) -> int:
        """Nobody can be sent any of it; how many hints that were."""
        count = sum(batch.count for batch in self._batches)
        self._batches.clear()
        self.size = 0
        return count
