"""Which accounts a message calls for: those that it is said to, or that it mentions, by their settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gmessenger.account_settings import AccountSettings, decode_settings
from gmessenger.chat.delivery import CommittedMessage
from gmessenger.chat.records import Account
from gmessenger.chat.room import Room
from gmessenger.names import fold

WORD: Final = re.compile(r"[^\s@,:;!?()\"']+")


class AttentionPolicy:
    """Finds the accounts that a committed message notifies: of a direct message its recipient, in a room who is named.

    The settings of an account say more or less than that. Amendments of messages and notices notify of nothing, nor
    does what a blocked user says. Never blocks.

    `is_hidden`: whether the first of two folded names has blocked the second. `clock`: Unix seconds.
    """

    def __init__(
        self, accounts: Mapping[str, Account], is_hidden: Callable[[str, str], bool], clock: Callable[[], float]
    ) -> None:
        self._accounts = accounts
        self._is_hidden = is_hidden
        self._clock = clock

    def find(
        self, committed: CommittedMessage, is_candidate: Callable[[Account], bool]
    ) -> Iterator[tuple[Account, str]]:
        """Yield the accounts, of those for which `is_candidate`, each with the conversation as it is shown to it."""
        message = committed.message
        if message.kind == "notice" or (message.about is not None and message.about.what):
            return
        for account in self._recipients(committed, is_candidate):
            conversation = message.to if committed.room is not None else message.sender
            if _notifies(decode_settings(account.settings), account, conversation, message.text, self._clock()):
                yield account, conversation

    def _recipients(self, committed: CommittedMessage, is_candidate: Callable[[Account], bool]) -> Iterator[Account]:
        if committed.room is None:
            account = self._accounts.get(committed.to_key)
            candidates = [account] if account is not None else []
        else:
            candidates = _candidates(committed.room, committed.message.text)
        for account in candidates:
            if account.key == committed.sender_key or account.disabled or not is_candidate(account):
                continue
            if not self._is_hidden(account.key, committed.sender_key):
                yield account


def _candidates(room: Room, text: str) -> list[Account]:
    """Return the members who are named in a text, and those with settings, which may say more."""
    named = {fold(word.rstrip(".")) for word in WORD.findall(text)}
    return [account for account in room.members.values() if account.settings or account.key in named]


def _notifies(settings: AccountSettings, account: Account, conversation: str, text: str, now: float) -> bool:
    level = settings.level(conversation, now)
    return level == "all" or (level == "mentions" and settings.mention_finder(account.name)(text))
