"""Quotas: how many bytes of text the store keeps of one account, and of all guests together.

The store counts, and is asked once a minute for each account that sends; what is sent meanwhile is added here. So what
was erased makes room within a minute, and on a cluster a quota can be exceeded by what the nodes accept in a minute."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gmessenger.chat.policy import Policy
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import QuotaExceeded
from gmessenger.lru_map import LruMap

USAGE_TTL: Final = 60.0  # seconds
MAX_CACHED_USAGES: Final = 10_000  # accounts


class StorageUsage:
    """The bytes that are stored, as the store counted them at `fetched_at`, and those that are being stored."""

    __slots__ = ("fetched_at", "pending", "stored")

    def __init__(self) -> None:
        self.fetched_at: float | None = None
        self.stored = 0
        self.pending = 0


class QuotaReservation:
    """Bytes that a message will take. They are released once: by `complete`, or where the `with` block raises."""

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
        """Count the bytes as stored, or release them."""
        bytes_, self._bytes = self._bytes, 0
        self._usage.pending -= bytes_
        self._usage.stored += bytes_ if is_stored else 0


class StorageQuotas:
    """Checks quotas. Blocks where the store has to be asked. `clock` never goes back."""

    def __init__(self, store: Store, policy: Policy, clock: Callable[[], float]) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._usages: LruMap[int | None, StorageUsage] = LruMap(MAX_CACHED_USAGES)

    def limit_for(self, session: Session) -> int:
        """Return the quota that a session's messages count for, in bytes; 0 is no limit."""
        return self._policy.guest_quota if session.account is None else self._policy.account_quota

    def reserve(self, session: Session, text: str) -> QuotaReservation:
        """Reserve the bytes of a text, for a session that has a quota. Raises `QuotaExceeded` or `StoreUnavailable`.

        An empty text always has room, whatever is stored: an erase has none, and erasing is how to make room.
        """
        limit, usage = self.limit_for(session), self._cached_usage(session.account_id)
        size = len(text.encode("utf-8", "surrogatepass"))
        if size and usage.stored + usage.pending + size > limit:
            raise QuotaExceeded(limit=limit)
        return QuotaReservation(usage, size)

    def _cached_usage(self, account: int | None) -> StorageUsage:
        usage = self._usages.get(account) or StorageUsage()
        self._usages[account] = usage
        now = self._clock()
        if usage.fetched_at is None or now - usage.fetched_at >= USAGE_TTL:
            before, usage.fetched_at = usage.fetched_at, now  # calls that come meanwhile use the earlier count
            try:
                usage.stored = self._store.stored_bytes(account)
            except BaseException:
                usage.fetched_at = before
                raise
        return usage
