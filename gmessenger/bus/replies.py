"""Replies: what single nodes are to be told or asked besides hints, one of each for a node, with the next round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from gmessenger.bus.parcels import LAST_PAGE, NOTHING_NEW
from gmessenger.bus.shelf import Reading, Shelf

MAX_REPLIES: Final = 1000
MAX_READ_AT_ONCE: Final = 4
"""Nodes that are asked for their state at one time: Redis buffers little for a slow reader."""


class Reply(Struct):
    """See `Parcel`."""

    ask: bytes = b""
    proof: bytes = b""
    wants: int | None = None


class Replies:
    """What waits to be told, and the readings of our own shelf. `wake` is called when there is something."""

    def __init__(self, shelf: Shelf, wake: Callable[[], None]) -> None:
        self._shelf = shelf
        self._wake = wake
        self._waiting: dict[str, Reply] = {}
        self._readings: dict[str, Reading | int] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting or self._readings)

    def ask(self, node: str, challenge: bytes) -> None:
        if (reply := self._reply(node)) is not None:
            reply.ask = challenge

    def prove(self, node: str, challenge: bytes) -> None:
        if (reply := self._reply(node)) is not None:
            reply.proof = challenge

    def want(self, node: str, number: int) -> None:
        """Ask a node for its state; `number` is that of the state known here."""
        if (reply := self._reply(node)) is not None:
            reply.wants = number

    def show_to(self, node: str, number: int) -> None:
        """Send our state to a node, unless `number` says that it has the current one."""
        if node in self._readings or len(self._readings) < MAX_REPLIES:
            self._readings[node] = number
            self._wake()

    def take(self) -> dict[str, Reply]:
        waiting, self._waiting = self._waiting, {}
        return waiting

    def take_pages(self) -> dict[str, tuple[dict[str, bytes], int]]:
        """Return a page for each node that reads; of the shelf as it is after its changes were taken."""
        readings, self._readings = self._readings, {}
        pages: dict[str, tuple[dict[str, bytes], int]] = {}
        for node, reading in readings.items():
            if reading == self._shelf.number:
                pages[node] = {}, NOTHING_NEW
                continue
            going_on = reading if isinstance(reading, Reading) else self._shelf.start_reading()
            pages[node] = _, page = going_on.next_page()
            if not page & LAST_PAGE:
                self._readings[node] = going_on
        return pages

    def drop(self) -> None:
        """The link is lost: nodes that wait ask again."""
        self._waiting.clear()
        self._readings.clear()

    def _reply(self, node: str) -> Reply | None:
        reply = self._waiting.get(node)
        if reply is None:
            if len(self._waiting) >= MAX_REPLIES:
                return None
            reply = self._waiting[node] = Reply()
            self._wake()
        return reply


class Wishes:
    """Nodes that have to be asked for their state: a few at a time; one that does not answer is retried later."""

    def __init__(self, ask: Callable[[str], bool], patience: float) -> None:
        """`ask` asks a node, and says whether that is known at all."""
        self._ask = ask
        self._patience = patience
        self._queue: dict[str, None] = {}
        self._asked: dict[str, float] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._queue or node in self._asked

    def __bool__(self) -> bool:
        return bool(self._queue or self._asked)

    def add(self, node: str) -> None:
        self._asked.pop(node, None)
        self._queue[node] = None

    def fulfil(self, node: str) -> None:
        """A node has answered."""
        self._asked.pop(node, None)

    def clear(self) -> None:
        self._queue.clear()
        self._asked.clear()

    def look(self, now: float) -> None:
        """Ask whom it is time to ask."""
        for node, at in list(self._asked.items()):
            if now - at > self._patience:
                self.add(node)
        for node in list(self._queue):
            if len(self._asked) >= MAX_READ_AT_ONCE:
                return
            del self._queue[node]
            if self._ask(node):
                self._asked[node] = now
