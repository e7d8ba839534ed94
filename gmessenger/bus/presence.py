"""Exchange of presence entries: those of this node, requests for those of peers, and replies.

Entries are transferred in pages. A page has each entry as it is when the page is sent, and later changes follow it, so
a reader applies pages and changes in the order in which they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from gmessenger.bus.protocol import FIRST_PAGE, LAST_PAGE, UNCHANGED

MAX_PRESENCE_PAGE: Final = 128 * 2**10  # bytes; the last entry of a page may exceed it
ENTRY_OVERHEAD: Final = 16  # bytes of each entry


class OwnPresence:
    """The presence entries of this node. `version` increases by one with each set of changes published."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}
        self._changes: dict[str, bytes | None] = {}
        self.version = 0

    @property
    def has_changes(self) -> bool:
        return bool(self._changes)

    def set(self, key: str, entry: bytes | None) -> bool:
        """Set or remove (None) an entry; return whether that is a change."""
        if self._entries.get(key) == entry:
            return False
        if entry is None:
            del self._entries[key]
        else:
            self._entries[key] = entry
        self._changes[key] = entry
        return True

    def take_changes(self) -> Mapping[str, bytes | None]:
        """Return the changes since the previous call; if there are any, increase the version."""
        changes, self._changes = self._changes, {}
        self.version += bool(changes)
        return changes

    def pages(self) -> PresencePager:
        """Start a transfer of all entries."""
        return PresencePager(self._entries)


class PresencePager:
    """A transfer of all entries to one peer, page by page."""

    def __init__(self, entries: Mapping[str, bytes]) -> None:
        self._entries = entries
        self._remaining = list(entries)
        self._remaining.reverse()
        self._page = FIRST_PAGE

    def next_page(self) -> tuple[dict[str, bytes], int]:
        """Return the next entries and the flags `FIRST_PAGE` and `LAST_PAGE`. At least one page is sent."""
        entries: dict[str, bytes] = {}
        size, page = 0, self._page
        while self._remaining and size < MAX_PRESENCE_PAGE:
            key = self._remaining.pop()
            entry = self._entries.get(key)
            if entry is not None:  # else it was removed meanwhile
                entries[key] = entry
                size += len(key) + len(entry) + ENTRY_OVERHEAD
        self._page = 0
        return entries, page if self._remaining else page | LAST_PAGE


MAX_REPLIES: Final = 1000
MAX_PARALLEL_REQUESTS: Final = 4
"""Peers whose entries are requested at one time: Redis buffers little for a slow subscriber."""


class PeerReply(Struct):
    """Fields of the next `Packet` to one peer."""

    challenge: bytes = b""
    proof: bytes = b""
    requested_from: int | None = None


class ReplyQueue:
    """Replies for the publisher's next round, one per peer, and transfers of this node's entries."""

    def __init__(self, presence: OwnPresence, on_ready: Callable[[], None]) -> None:
        """Create an empty queue; `on_ready` is called when it has something to send."""
        self._presence = presence
        self._on_ready = on_ready
        self._pending: dict[str, PeerReply] = {}
        self._pagers: dict[str, PresencePager | int] = {}

    def __bool__(self) -> bool:
        return bool(self._pending or self._pagers)

    def send_challenge(self, node: str, challenge: bytes) -> None:
        """Challenge a stranger."""
        if (reply := self._reply(node)) is not None:
            reply.challenge = challenge

    def send_proof(self, node: str, challenge: bytes) -> None:
        """Answer the challenge of a node."""
        if (reply := self._reply(node)) is not None:
            reply.proof = challenge

    def request_presence(self, node: str, known_version: int) -> None:
        """Request the entries of a peer, unless it still has `known_version`."""
        if (reply := self._reply(node)) is not None:
            reply.requested_from = known_version

    def send_presence(self, node: str, known_version: int) -> None:
        """Send the entries of this node to a peer, unless `known_version` is the current one."""
        if node in self._pagers or len(self._pagers) < MAX_REPLIES:
            self._pagers[node] = known_version
            self._on_ready()

    def drain(self) -> dict[str, PeerReply]:
        """Take all replies, by peer."""
        replies, self._pending = self._pending, {}
        return replies

    def drain_pages(self) -> dict[str, tuple[dict[str, bytes], int]]:
        """Take the next page, or `UNCHANGED`, for each peer with a transfer. Call `take_changes` before."""
        transfers, self._pagers = self._pagers, {}
        pages: dict[str, tuple[dict[str, bytes], int]] = {}
        for node, transfer in transfers.items():
            if transfer == self._presence.version:
                pages[node] = {}, UNCHANGED
                continue
            pager = transfer if isinstance(transfer, PresencePager) else self._presence.pages()
            pages[node] = _, page = pager.next_page()
            if not page & LAST_PAGE:
                self._pagers[node] = pager
        return pages

    def clear(self) -> None:
        """Drop everything after the connection was lost: the peers ask again."""
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


class EntryRequests:
    """Peers whose entries have to be requested: a few at a time; one that does not answer is asked again."""

    def __init__(self, send_request: Callable[[str], bool], timeout: float) -> None:
        """Create an empty queue.

        Args:
            send_request: sends a request to a peer; returns False if it is not known any more.
            timeout: seconds after which an unanswered request is repeated.
        """
        self._send_request = send_request
        self._timeout = timeout
        self._queue: dict[str, None] = {}
        self._requested_at: dict[str, float] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._queue or node in self._requested_at

    def __bool__(self) -> bool:
        return bool(self._queue or self._requested_at)

    def add(self, node: str) -> None:
        """Request the entries of a peer, again if that is under way."""
        self._requested_at.pop(node, None)
        self._queue[node] = None

    def complete(self, node: str) -> None:
        """Note that a peer has answered."""
        self._requested_at.pop(node, None)

    def clear(self) -> None:
        """Forget all requests."""
        self._queue.clear()
        self._requested_at.clear()

    def send_due(self, now: float) -> None:
        """Send the requests whose turn it is; `now` is in monotonic seconds."""
        for node, requested_at in list(self._requested_at.items()):
            if now - requested_at > self._timeout:
                self.add(node)
        for node in list(self._queue):
            if len(self._requested_at) >= MAX_PARALLEL_REQUESTS:
                return
            del self._queue[node]
            if self._send_request(node):
                self._requested_at[node] = now
