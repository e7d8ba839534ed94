"""Quotas: how many bytes of text the store keeps of one account, and of guests together, where the operator says so.

The store counts, and is asked once a minute for each who says something; what is said meanwhile is added here. So what
was erased gives room again within that time, and what several servers take in at once exceeds a quota by no more than
they take in within it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gmessenger.chat.contract import Store
from gmessenger.chat.policy import Policy
from gmessenger.chat.session import Session
from gmessenger.errors import QuotaExceeded

ASKED_AGAIN_AFTER: Final = 60.0
"""Seconds."""
MAX_KNOWN: Final = 10_000
"""Accounts of which it is known how much is kept; the longest unused is forgotten, and asked for again."""


class Used:
    """How many bytes are kept, as the store said `at` that time, and how many are on their way there."""

    __slots__ = ("at", "kept", "on_its_way")

    def __init__(self) -> None:
        self.at: float | None = None
        self.kept = 0
        self.on_its_way = 0


class QuotaUse:
    """Bytes that a message will take, until it is settled: once, or when the `with` block raises."""

    __slots__ = ("_bytes", "_used")

    def __init__(self, used: Used, bytes_: int) -> None:
        self._used = used
        self._bytes = bytes_
        used.on_its_way += bytes_

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.settle(is_kept=False)

    def settle(self, *, is_kept: bool) -> None:
        """It has been stored, or is not kept."""
        bytes_, self._bytes = self._bytes, 0
        self._used.on_its_way -= bytes_
        self._used.kept += bytes_ if is_kept else 0


class Quotas:
    """May block, where the store has to be asked. `clock` only goes forward."""

    def __init__(self, store: Store, policy: Policy, clock: Callable[[], float]) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._used: dict[int | None, Used] = {}

    def limit(self, session: Session) -> int:
        """How many bytes are kept of what such a session says; 0 is no limit."""
        return self._policy.guest_quota if session.account is None else self._policy.account_quota

    def take(self, session: Session, text: str) -> QuotaUse:
        """Bytes for what a session says that has a limit. Raises `QuotaExceeded` or `StoreUnavailable`."""
        account = session.account.id if session.account is not None else None
        limit, used, bytes_ = self.limit(session), self._known(account), len(text.encode("utf-8", "surrogatepass"))
        if used.kept + used.on_its_way + bytes_ > limit:
            raise QuotaExceeded(limit=limit)
        return QuotaUse(used, bytes_)

    def _known(self, account: int | None) -> Used:
        used = self._used.pop(account, None) or Used()
        self._used[account] = used
        now = self._clock()
        if used.at is None or now - used.at >= ASKED_AGAIN_AFTER:
            before, used.at = used.at, now  # calls that come meanwhile use the count from before
            try:
                used.kept = self._store.usage(account)
            except BaseException:
                used.at = before
                raise
        if len(self._used) > MAX_KNOWN:
            del self._used[next(iter(self._used))]
        return used
