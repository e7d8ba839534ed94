"""How a catch-up is shortened: of each conversation a session is sent only so many of the newest messages."""

from __future__ import annotations

from collections.abc import Mapping

from gmessenger.chat.records import Account
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store


class ShortBacklog:
    """The limit of one catch-up: of each conversation, the newest `most` messages are sent, and older ones skipped.

    Without `most` nothing is skipped, and never what is stored after the catch-up has begun.
    Methods may raise `StoreUnavailable`, and may be called again then.
    """

    def __init__(self, store: Store, most: int | None) -> None:
        self._store = store
        self._most = most
        self._ends: dict[str, int] | None = {} if most is None else None
        self._skipped: dict[str, int] = {}

    def begin(self, heads: Mapping[str, int]) -> None:
        """Take note of the last seqs of conversations, unless that was done before."""
        if self._ends is None and self._most is not None:
            self._ends = {conversation: head - self._most for conversation, head in heads.items()}

    def skip_older(self, session: Session, account: Account, conversation: str) -> None:
        """Mark skipped messages as delivered, and acknowledge them for the session's device. Blocks on the store."""
        end = self._ends.get(conversation, 0) if self._ends else 0
        sync = session.sync
        if end > sync.delivered(conversation):
            # Who is sent none of it is not told how much it is.
            skipped = self._count(account, conversation, sync.delivered(conversation), end) if self._most else 0
            if sync.is_pass_stale:  # it has left the conversation meanwhile
                return
            self._skipped[conversation] = skipped
            sync.advance(conversation, end)
            acknowledged = sync.acknowledge(conversation, end)
            if acknowledged and session.device is not None:
                self._store.acknowledge(session.device.id, conversation, acknowledged)
        if self._ends:
            self._ends.pop(conversation, None)

    def take_skipped(self, conversation: str) -> int:
        """Return how many messages of a conversation were left out, if that was not asked before."""
        return self._skipped.pop(conversation, 0)

    def _count(self, account: Account, conversation: str, after: int, end: int) -> int:
        """Count the messages after a seq, up to another, that are stored and that the account may read."""
        readable = self._store.read_range(account.id, conversation)
        if readable is None:
            return 0
        page = self._store.history(conversation, readable, None, after, 1, amendments=True)
        if not page.messages or (first := page.messages[0].seq) > end:
            return 0
        absent = sum(max(0, min(last, end) - max(start, first) + 1) for start, last in readable.absences)
        return end - first + 1 - absent
