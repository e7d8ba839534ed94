"""The shelf: what this node shows, card by card, with a number for its state; it is read by asking the node for pages.

Pages are cut when they are sent, so each card in them is as it is then, and what changes later comes after it: whoever
reads takes pages and changes in the order in which they come.

Replies: what single nodes are to be told or asked besides hints, one of each for a node, with the next round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from gmessenger.bus.protocol import FIRST_PAGE, LAST_PAGE, UNCHANGED

MAX_PRESENCE_PAGE: Final = 128 * 2**10  # bytes, but for its last card
ENTRY_OVERHEAD: Final = 16  # bytes for each card


class OwnPresence:
    """What this node shows. Nothing here blocks."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}
        self._changes: dict[str, bytes | None] = {}
        self.version = 0

    @property
    def has_changes(self) -> bool:
        return bool(self._changes)

    def set(self, key: str, entry: bytes | None) -> bool:
        """Whether that is something new."""
        if self._entries.get(key) == entry:
            return False
        if entry is None:
            del self._entries[key]
        else:
            self._entries[key] = entry
        self._changes[key] = entry
        return True

    def take_changes(self) -> Mapping[str, bytes | None]:
        """What has changed since the last call; where anything has, the number is the next one."""
        changed, self._changes = self._changes, {}
        self.version += bool(changed)
        return changed

    def pages(self) -> PresencePager:
        return PresencePager(self._entries)


class PresencePager:
    """One reader's way through the shelf."""

    def __init__(self, entries: Mapping[str, bytes]) -> None:
        self._entries = entries
        self._remaining = list(entries)
        self._remaining.reverse()
        self._page = FIRST_PAGE

    def next_page(self) -> tuple[dict[str, bytes], int]:
        """Return some cards and which page they are: never fewer than one page, and nothing after the last."""
        cards: dict[str, bytes] = {}
        size, page = 0, self._page
        while self._remaining and size < MAX_PRESENCE_PAGE:
            key = self._remaining.pop()
            card = self._entries.get(key)
            if card is not None:  # else it was taken away since
                cards[key] = card
                size += len(key) + len(card) + ENTRY_OVERHEAD
        self._page = 0
        return cards, page if self._remaining else page | LAST_PAGE


MAX_REPLIES: Final = 1000
MAX_PARALLEL_REQUESTS: Final = 4
"""Nodes that are asked for their state at one time: Redis buffers little for a slow reader."""


class PeerReply(Struct):
    """See `Parcel`."""

    challenge: bytes = b""
    proof: bytes = b""
    requested_from: int | None = None


class ReplyQueue:
    """What waits to be told, and the readings of our own shelf. `wake` is called when there is something."""

    def __init__(self, presence: OwnPresence, on_ready: Callable[[], None]) -> None:
        self._presence = presence
        self._on_ready = on_ready
        self._pending: dict[str, PeerReply] = {}
        self._pagers: dict[str, PresencePager | int] = {}

    def __bool__(self) -> bool:
        return bool(self._pending or self._pagers)

    def send_challenge(self, node: str, challenge: bytes) -> None:
        if (reply := self._reply(node)) is not None:
            reply.challenge = challenge

    def send_proof(self, node: str, challenge: bytes) -> None:
        if (reply := self._reply(node)) is not None:
            reply.proof = challenge

    def request_presence(self, node: str, known_version: int) -> None:
        """Ask a node for its state; `number` is that of the state known here."""
        if (reply := self._reply(node)) is not None:
            reply.requested_from = known_version

    def send_presence(self, node: str, known_version: int) -> None:
        """Send our state to a node, unless `number` says that it has the current one."""
        if node in self._pagers or len(self._pagers) < MAX_REPLIES:
            self._pagers[node] = known_version
            self._on_ready()

    def drain(self) -> dict[str, PeerReply]:
        waiting, self._pending = self._pending, {}
        return waiting

    def drain_pages(self) -> dict[str, tuple[dict[str, bytes], int]]:
        """Return a page for each node that reads; of the shelf as it is after its changes were taken."""
        readings, self._pagers = self._pagers, {}
        pages: dict[str, tuple[dict[str, bytes], int]] = {}
        for node, reading in readings.items():
            if reading == self._presence.version:
                pages[node] = {}, UNCHANGED
                continue
            going_on = reading if isinstance(reading, PresencePager) else self._presence.pages()
            pages[node] = _, page = going_on.next_page()
            if not page & LAST_PAGE:
                self._pagers[node] = going_on
        return pages

    def clear(self) -> None:
        """The link is lost: nodes that wait ask again."""
        self._pending.clear()
        self._pagers.clear()

    def _reply(self, node: str) -> PeerReply | None:
        reply = self._pending.get(node)
        if reply is None:
            if len(self._pending) >= MAX_REPLIES:
                return None
            reply = self._pending[node] = PeerReply()
            self._on_ready()
        return reply


class PresenceRequests:
    """Nodes that have to be asked for their state: a few at a time; one that does not answer is retried later."""

    def __init__(self, send_request: Callable[[str], bool], timeout: float) -> None:
        """`ask` asks a node, and says whether that is known at all."""
        self._send_request = send_request
        self._timeout = timeout
        self._queue: dict[str, None] = {}
        self._requested_at: dict[str, float] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._queue or node in self._requested_at

    def __bool__(self) -> bool:
        return bool(self._queue or self._requested_at)

    def add(self, node: str) -> None:
        self._requested_at.pop(node, None)
        self._queue[node] = None

    def complete(self, node: str) -> None:
        """A node has answered."""
        self._requested_at.pop(node, None)

    def clear(self) -> None:
        self._queue.clear()
        self._requested_at.clear()

    def send_due(self, now: float) -> None:
        """Ask whom it is time to ask."""
        for node, at in list(self._requested_at.items()):
            if now - at > self._timeout:
                self.add(node)
        for node in list(self._queue):
            if len(self._requested_at) >= MAX_PARALLEL_REQUESTS:
                return
            del self._queue[node]
            if self._send_request(node):
                self._requested_at[node] = now
