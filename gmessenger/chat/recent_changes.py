"""Which messages were edited or erased while a page was read from the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from gmessenger.chat.records import StoredMessage
from gmessenger.errors import StoreUnavailable
from gmessenger.lru_map import LruMap

PageT = TypeVar("PageT")
MAX_RECENT: Final = 10_000
"""Changed messages that are remembered: far more than change while a page is read."""
MAX_READS: Final = 4


class RecentChanges:
    """Remembers which messages were edited or erased lately, by conversation and seq.

    A page that is read from the store in a thread may have been read before a change that is delivered before the page
    is: such a page is read again, so that no text comes back after its erase. Nothing here blocks but `read`.
    """

    def __init__(self) -> None:
        self._count = 0
        self._changed_at: LruMap[tuple[str, int], int] = LruMap(MAX_RECENT)

    @property
    def count(self) -> int:
        """The number of changes so far."""
        return self._count

    def note(self, conversation: str, seq: int) -> None:
        """Note that a message was changed, before that is delivered."""
        self._count += 1
        self._changed_at[conversation, seq] = self._count

    def is_outdated(self, messages: Sequence[StoredMessage], count: int) -> bool:
        """Return whether any of these messages was changed after there were `count` changes."""
        if count == self._count:
            return False
        if self._count - count > MAX_RECENT:
            return True
        return any((self._changed_at.peek((each.conversation, each.seq)) or 0) > count for each in messages)

    def read(self, query: Callable[[], PageT], messages_of: Callable[[PageT], Sequence[StoredMessage]]) -> PageT:
        """Read a page that no change has outdated meanwhile. Raises `StoreUnavailable` where changes never end."""
        for _ in range(MAX_READS):
            count = self._count
            page = query()
            if not self.is_outdated(messages_of(page), count):
                return page
        raise StoreUnavailable
