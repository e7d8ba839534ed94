"""Blocks: who does not want to hear from whom. An account's are kept, a guest's last as long as the guest is here."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from gmessenger import log
from gmessenger.chat.directory import USERS_PAGE
from gmessenger.chat.outbox import Response
from gmessenger.chat.ratelimit import in_flight
from gmessenger.chat.records import Account
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.chat.tasks import ChangeRunner
from gmessenger.errors import BadRequest, Blocked, Forbidden, NotFound
from gmessenger.names import fold, normalize_name

MAX_BLOCKED: Final = 1000


class BlockList:
    """A block is of a name, whoever uses it, and outlives the account that had it."""

    def __init__(
        self, store: Store, accounts: dict[int, Account], change_runner: ChangeRunner, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._change_runner = change_runner
        self._clock = clock
        self._pending: Counter[str] = Counter()
        self.by_user: dict[str, dict[str, str]] = {}
        """By the folded name of whoever blocks: those they block, folded and as shown."""
        for id, key, name in store.blocks():
            if id in accounts:
                self.by_user.setdefault(accounts[id].key, {})[key] = name

    def is_hidden(self, blocker: str, other: str) -> bool:
        """Whether one name does not want to be bothered by another; both folded."""
        return blocker in self.by_user and other in self.by_user[blocker]

    def check(self, sender: str, to: str) -> None:
        """Raises `Blocked` where a message would be unwelcome."""
        if to in self.by_user and sender in self.by_user[to]:
            raise Blocked

    def count(self, key: str) -> int:
        return len(self.by_user.get(key, ()))

    def block(self, session: Session, id: str | None, user: str) -> None:
        """Hear no more from a name; answers 200. Raises `BadName`, `BadRequest` for oneself, `Forbidden` for many."""
        shown = normalize_name(user)
        if fold(shown) == session.key:
            raise BadRequest("You cannot block yourself.")
        self._change_runner.run(session, id, lambda: self._block(session, fold(shown), shown))

    def unblock(self, session: Session, id: str | None, user: str) -> None:
        """Hear from a name again; answers 200. Raises `NotFound` where it is not blocked."""
        if not self.is_hidden(session.key, fold(user)):
            raise NotFound(f"{user} is not blocked.")
        self._change_runner.run(session, id, lambda: self._unblock(session, fold(user), user))

    def list(self, session: Session, id: str | None, after: str | None) -> None:
        """Answer with whom one blocks, by name."""
        mine = self.by_user.get(session.key, {})
        start = fold(after) if after else ""
        keys = heapq.nsmallest(USERS_PAGE + 1, (key for key in mine if key > start))
        cards = [{"account_name": mine[key]} for key in keys[:USERS_PAGE]]
        more: dict[str, Any] = {"users": cards, "more": len(keys) > USERS_PAGE}
        session.outbox.push(Response(200, id, self._clock(), more))

    def persist(self, session: Session) -> None:
        """The guest has become an account: what it blocked is kept from now on."""
        if session.account is not None and session.key in self.by_user:
            self._store.block(session.account.id, self.by_user[session.key])

    def load(self, key: str, names: Mapping[str, str]) -> None:
        """Whom a name blocks, as the store has it."""
        self.discard(key)
        if names:
            self.by_user[key] = dict(names)

    def discard(self, key: str) -> None:
        """Nobody has that name any more."""
        self.by_user.pop(key, None)

    def _block(self, session: Session, key: str, shown: str) -> None:
        mine = self.by_user.get(session.key, {})
        if key not in mine and len(mine) + self._pending[session.key] >= MAX_BLOCKED:
            raise Forbidden(f"You can block {MAX_BLOCKED} names.")
        if session.account is not None:
            with in_flight(self._pending, session.key):
                self._store.block(session.account.id, {key: shown})
        self.by_user.setdefault(session.key, {})[key] = shown
        log.log_event("moderated", by=session.name, method="block", what=shown)

    def _unblock(self, session: Session, key: str, user: str) -> None:
        if session.account is not None:
            self._store.unblock(session.account.id, key)
        mine = self.by_user.get(session.key, {})
        mine.pop(key, None)
        if not mine:
            self.discard(session.key)
        log.log_event("moderated", by=session.name, method="unblock", what=user)
