"""Which accounts are notified of a message while none of their devices is connected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gmessenger.chat.attention import AttentionPolicy
from gmessenger.chat.delivery import CommittedMessage
from gmessenger.chat.records import Account
from gmessenger.lru_map import LruMap
from gmessenger.names import fold

NOTIFY_INTERVAL: Final = 60.0
"""Seconds in which an account is notified of one message of a conversation, not of each."""
MAX_REMEMBERED: Final = 10_000
"""Accounts and conversations whose last notification is remembered; the longest ago is forgotten first."""


class Notification(Struct, frozen=True):
    """A message to notify an account of. `user`: its name as shown; `conversation`: as it is shown to the account."""

    user: str
    conversation: str
    sender: str
    text: str
    time: float
    seq: int


class AbsenceNotifier:
    """Notifies the accounts that committed messages call for, and that are not connected. Never blocks.

    `is_online`: whether a folded name is connected, to any node. `notify` is called for each notification.
    """

    def __init__(
        self,
        attention: AttentionPolicy,
        is_online: Callable[[str], bool],
        notify: Callable[[Notification], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._attention = attention
        self._is_online = is_online
        self._notify = notify
        self._monotonic = monotonic
        self._notified_at: LruMap[tuple[int, str], float] = LruMap(MAX_REMEMBERED)

    def on_committed(self, committed: Sequence[CommittedMessage]) -> None:
        """Notify of messages of one conversation that this node has committed."""
        for each in committed:
            for account, conversation in self._attention.find(each, self._is_absent):
                self._notify_once(account, conversation, each)

    def _is_absent(self, account: Account) -> bool:
        return not self._is_online(account.key)

    def _notify_once(self, account: Account, conversation: str, committed: CommittedMessage) -> None:
        message = committed.message
        key, now = (account.id, fold(conversation)), self._monotonic()
        last = self._notified_at.get(key)
        if last is None or now - last >= NOTIFY_INTERVAL:
            self._notified_at[key] = now
            self._notify(
                Notification(account.name, conversation, message.sender, message.text, message.time, committed.seq)
            )
