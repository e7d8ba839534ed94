"""Quotas: how many bytes of text the store keeps of one account, and of guests together, where the operator says so.

The store counts, and is asked once a minute for each who says something; what is said meanwhile is added here. So what
was erased gives room again within that time, and what several servers take in at once exceeds a quota by no more than
they take in within it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gmessenger.chat.policy import Policy
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import QuotaExceeded
from gmessenger.lru_map import LruMap

USAGE_TTL: Final = 60.0
"""Seconds."""
MAX_CACHED_USAGES: Final = 10_000
"""Accounts of which it is known how much is kept; the longest unused is forgotten, and asked for again."""


class StorageUsage:
    """How many bytes are kept, as the store said `at` that time, and how many are on their way there."""

    __slots__ = ("fetched_at", "pending", "stored")

    def __init__(self) -> None:
        self.fetched_at: float | None = None
        self.stored = 0
        self.pending = 0


class QuotaReservation:
    """Bytes that a message will take, until it is settled: once, or when the `with` block raises."""

    __slots__ = ("_bytes", "_usage")

    def __init__(self, usage: StorageUsage, bytes_: int) -> None:
        self._usage = usage
        self._bytes = bytes_
        usage.pending += bytes_

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.complete(is_stored=False)

    def complete(self, *, is_stored: bool) -> None:
        """It has been stored, or is not kept."""
        bytes_, self._bytes = self._bytes, 0
        self._usage.pending -= bytes_
        self._usage.stored += bytes_ if is_stored else 0


class StorageQuotas:
    """May block, where the store has to be asked. `clock` only goes forward."""

    def __init__(self, store: Store, policy: Policy, clock: Callable[[], float]) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._usages: LruMap[int | None, StorageUsage] = LruMap(MAX_CACHED_USAGES)

    def limit_for(self, session: Session) -> int:
        """How many bytes are kept of what such a session says; 0 is no limit."""
        return self._policy.guest_quota if session.account is None else self._policy.account_quota

    def reserve(self, session: Session, text: str) -> QuotaReservation:
        """Bytes for what a session says that has a limit. Raises `QuotaExceeded` or `StoreUnavailable`."""
        account = session.account.id if session.account is not None else None
        limit, used, bytes_ = (
            self.limit_for(session),
            self._cached_usage(account),
            len(text.encode("utf-8", "surrogatepass")),
        )
        if used.stored + used.pending + bytes_ > limit:
            raise QuotaExceeded(limit=limit)
        return QuotaReservation(used, bytes_)

    def _cached_usage(self, account: int | None) -> StorageUsage:
        used = self._usages.get(account) or StorageUsage()
        self._usages[account] = used
        now = self._clock()
        if used.fetched_at is None or now - used.fetched_at >= USAGE_TTL:
            before, used.fetched_at = used.fetched_at, now  # calls that come meanwhile use the count from before
            try:
                used.stored = self._store.stored_bytes(account)
            except BaseException:
                used.fetched_at = before
                raise
        return used
