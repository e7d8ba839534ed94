"""Which accounts are notified of a message while none of their devices is connected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from gmessenger.account_settings import AccountSettings, decode_settings
from gmessenger.chat.delivery import CommittedMessage
from gmessenger.chat.records import Account
from gmessenger.chat.room import Room
from gmessenger.lru_map import LruMap
from gmessenger.names import fold

NOTIFY_INTERVAL: Final = 60.0
"""Seconds in which an account is notified of one message of a conversation, not of each."""
MAX_REMEMBERED: Final = 10_000
"""Accounts and conversations whose last notification is remembered; the longest ago is forgotten first."""
WORD: Final = re.compile(r"[^\s@,:;!?()\"']+")


class Notification(Struct, frozen=True):
    """A message to notify an account of. `user`: its name as shown; `conversation`: as it is shown to the account."""

    user: str
    conversation: str
    sender: str
    text: str
    time: float
    seq: int


class AbsenceNotifier:
    """Finds the accounts to notify of committed messages: of direct ones, and of mentions in rooms. Never blocks.

    The settings of an account say more or less than that. Amendments of messages and notices notify of nothing.

    `is_online`: whether a folded name is connected, to any node. `notify` is called for each notification.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        is_online: Callable[[str], bool],
        notify: Callable[[Notification], None],
        monotonic: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._is_online = is_online
        self._notify = notify
        self._monotonic = monotonic
        self._clock = clock
        self._notified_at: LruMap[tuple[int, str], float] = LruMap(MAX_REMEMBERED)

    def on_committed(self, committed: Sequence[CommittedMessage]) -> None:
        """Notify of messages of one conversation that this node has committed."""
        for each in committed:
            about = each.message.about
            if each.message.kind == "notice" or (about is not None and about.what):
                continue
            for account in self._absent_recipients(each):
                self._notify_once(account, each)

    def _absent_recipients(self, committed: CommittedMessage) -> Iterator[Account]:
        if committed.room is None:
            account = self._accounts.get(committed.to_key)
            candidates = [account] if account is not None else []
        else:
            candidates = self._candidates(committed.room, committed.message.text)
        for account in candidates:
            if account.key != committed.sender_key and not account.disabled and not self._is_online(account.key):
                yield account

    def _candidates(self, room: Room, text: str) -> list[Account]:
        """Return the members who are named in a text, and those with settings, which may say more."""
        named = {fold(word.rstrip(".")) for word in WORD.findall(text)}
        return [account for account in room.members.values() if account.settings or account.key in named]

    def _notify_once(self, account: Account, committed: CommittedMessage) -> None:
        message = committed.message
        conversation = message.to if committed.room is not None else message.sender
        settings = decode_settings(account.settings)
        if not _notifies(settings, account, conversation, message.text, self._clock()):
            return
        key, now = (account.id, fold(conversation)), self._monotonic()
        last = self._notified_at.get(key)
        if last is None or now - last >= NOTIFY_INTERVAL:
            self._notified_at[key] = now
            self._notify(
                Notification(account.name, conversation, message.sender, message.text, message.time, committed.seq)
            )


def _notifies(settings: AccountSettings, account: Account, conversation: str, text: str, now: float) -> bool:
    level = settings.level(conversation, now)
    return level == "all" or (level == "mentions" and settings.mention_finder(account.name)(text))
