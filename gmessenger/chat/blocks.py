"""Blocks: names that users want no messages from. Those of accounts are stored, of guests not."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from typing import Final

from gmessenger import log
from gmessenger.chat.listings import USERS_PAGE
from gmessenger.chat.ratelimit import in_flight
from gmessenger.chat.records import Account
from gmessenger.chat.results import UserEntry, UserPage
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import BadRequest, Blocked, Forbidden, NotFound
from gmessenger.names import fold, normalize_name

MAX_BLOCKED: Final = 1000


class BlockList:
    """The names that each user has blocked. A block is of a name, and outlives the account that had it.

    `block` and `unblock` block on the store: a protocol runs them by `ChangeRunner`.
    """

    def __init__(self, store: Store, accounts: Mapping[int, Account]) -> None:
        """Read the blocks of `accounts`, by id, from the store."""
        self._store = store
        self._pending: Counter[str] = Counter()
        self.by_user: dict[str, dict[str, str]] = {}
        """By the folded name of the user: the names it has blocked, folded, and as shown."""
        for id, key, name in store.blocks():
            if id in accounts:
                self.by_user.setdefault(accounts[id].key, {})[key] = name

    def is_hidden(self, blocker: str, other: str) -> bool:
        """Return whether `blocker` has blocked `other`; both are folded names."""
        return blocker in self.by_user and other in self.by_user[blocker]

    def check(self, sender: str, to: str) -> None:
        """Raise `Blocked` if the recipient has blocked the sender."""
        if to in self.by_user and sender in self.by_user[to]:
            raise Blocked

    def count(self, key: str) -> int:
        return len(self.by_user.get(key, ()))

    def block(self, session: Session, user: str) -> None:
        """Block a name. Raises `BadName`, `BadRequest` for the session's own, `Forbidden` above MAX_BLOCKED."""
        shown = normalize_name(user)
        key = fold(shown)
        if key == session.key:
            raise BadRequest("You cannot block yourself.")
        blocked = self.by_user.get(session.key, {})
        if key not in blocked and len(blocked) + self._pending[session.key] >= MAX_BLOCKED:
            raise Forbidden(f"You can block {MAX_BLOCKED} names.")
        if session.account is not None:
            with in_flight(self._pending, session.key):
                self._store.block(session.account.id, {key: shown})
        self.by_user.setdefault(session.key, {})[key] = shown
        log.log_event("moderated", by=session.name, method="block", what=shown)

    def unblock(self, session: Session, user: str) -> None:
        """Unblock a name. Raises `NotFound` if it is not blocked."""
        key = fold(user)
        if not self.is_hidden(session.key, key):
            raise NotFound(f"{user} is not blocked.")
        if session.account is not None:
            self._store.unblock(session.account.id, key)
        blocked = self.by_user.get(session.key, {})
        blocked.pop(key, None)
        if not blocked:
            self.discard(session.key)
        log.log_event("moderated", by=session.name, method="unblock", what=user)

    def list(self, session: Session, after: str | None) -> UserPage:
        """Return the names that the session's user has blocked, by name, starting after `after`."""
        blocked = self.by_user.get(session.key, {})
        start = fold(after) if after else ""
        keys = heapq.nsmallest(USERS_PAGE + 1, (key for key in blocked if key > start))
        return UserPage([UserEntry(blocked[key]) for key in keys[:USERS_PAGE]], len(keys) > USERS_PAGE)

    def persist(self, session: Session) -> None:
        """Store the blocks of a guest who has become an account. Blocks on the store."""
        if session.account is not None and session.key in self.by_user:
            self._store.block(session.account.id, self.by_user[session.key])

    def load(self, key: str, names: Mapping[str, str]) -> None:
        """Replace the blocks of a user by those that the store has, as shown by folded name."""
        self.discard(key)
        if names:
            self.by_user[key] = dict(names)

    def rename(self, former_key: str, key: str) -> None:
        """Move the blocks of a guest that has another name."""
        if (blocked := self.by_user.pop(former_key, None)) is not None:
            self.by_user[key] = blocked

    def discard(self, key: str) -> None:
        """Forget the blocks of a user who is gone."""
        self.by_user.pop(key, None)
