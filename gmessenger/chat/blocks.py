"""Blocks: who does not want to hear from whom. An account's are kept, a guest's last as long as the guest is here."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from gmessenger import logs
from gmessenger.chat.carrying import Carrying
from gmessenger.chat.charges import counted
from gmessenger.chat.contract import Store
from gmessenger.chat.lists import LIST_PAGE
from gmessenger.chat.model import Answer
from gmessenger.chat.names import fold, normalize_name
from gmessenger.chat.records import Account
from gmessenger.chat.session import Session
from gmessenger.errors import BadRequest, Blocked, Forbidden, NeverSeen

MOST_BLOCKED: Final = 1000


class Blocks:
    """A block is of a name, whoever uses it, and outlives the account that had it."""

    def __init__(self, store: Store, accounts: dict[int, Account], carry: Carrying, clock: Callable[[], float]) -> None:
        self._store = store
        self._carry = carry
        self._clock = clock
        self._on_their_way: Counter[str] = Counter()
        self.lists: dict[str, dict[str, str]] = {}
        """By the folded name of whoever blocks: those they block, folded and as shown."""
        for id, key, name in store.blocks():
            if id in accounts:
                self.lists.setdefault(accounts[id].key, {})[key] = name

    def hide(self, blocker: str, other: str) -> bool:
        """Whether one name does not want to be bothered by another; both folded."""
        return blocker in self.lists and other in self.lists[blocker]

    def check(self, sender: str, to: str) -> None:
        """Raises `Blocked` where a message would be unwelcome."""
        if to in self.lists and sender in self.lists[to]:
            raise Blocked

    def count(self, key: str) -> int:
        return len(self.lists.get(key, ()))

    def block(self, session: Session, id: str | None, user: str) -> None:
        """Hear no more from a name; answers 200. Raises `BadName`, `BadRequest` for oneself, `Forbidden` for many."""
        shown = normalize_name(user)
        if fold(shown) == session.key:
            raise BadRequest("You cannot block yourself.")
        self._carry.out(session, id, lambda: self._block(session, fold(shown), shown))

    def unblock(self, session: Session, id: str | None, user: str) -> None:
        """Hear from a name again; answers 200. Raises `NeverSeen` where it is not blocked."""
        if not self.hide(session.key, fold(user)):
            raise NeverSeen(f"{user} is not blocked.")
        self._carry.out(session, id, lambda: self._unblock(session, fold(user), user))

    def list(self, session: Session, id: str | None, after: str | None) -> None:
        """Answer with whom one blocks, by name."""
        mine = self.lists.get(session.key, {})
        start = fold(after) if after else ""
        keys = heapq.nsmallest(LIST_PAGE + 1, (key for key in mine if key > start))
        cards = [{"account_name": mine[key]} for key in keys[:LIST_PAGE]]
        more: dict[str, Any] = {"users": cards, "more": len(keys) > LIST_PAGE}
        session.outbox.insist(Answer(200, id, self._clock(), more))

    def keep(self, session: Session) -> None:
        """The guest has become an account: what it blocked is kept from now on."""
        if session.account is not None and session.key in self.lists:
            self._store.block(session.account.id, self.lists[session.key])

    def know(self, key: str, names: Mapping[str, str]) -> None:
        """Whom a name blocks, as the store has it."""
        self.forget(key)
        if names:
            self.lists[key] = dict(names)

    def forget(self, key: str) -> None:
        """Nobody has that name any more."""
        self.lists.pop(key, None)

    def _block(self, session: Session, key: str, shown: str) -> None:
        mine = self.lists.get(session.key, {})
        if key not in mine and len(mine) + self._on_their_way[session.key] >= MOST_BLOCKED:
            raise Forbidden(f"You can block {MOST_BLOCKED} names.")
        if session.account is not None:
            with counted(self._on_their_way, session.key):
                self._store.block(session.account.id, {key: shown})
        self.lists.setdefault(session.key, {})[key] = shown
        logs.event("moderated", by=session.name, method="block", what=shown)

    def _unblock(self, session: Session, key: str, user: str) -> None:
        if session.account is not None:
            self._store.unblock(session.account.id, key)
        mine = self.lists.get(session.key, {})
        mine.pop(key, None)
        if not mine:
            self.forget(session.key)
        logs.event("moderated", by=session.name, method="unblock", what=user)
