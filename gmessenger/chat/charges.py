"""Charges: tokens taken from buckets, returned where they were not owed; and tables of buckets, one for each key.

Everything that charges does so through `Charge` or `settle`, so that whatever is raised leaves the buckets right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Final, Generic, Protocol, Self, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from gmessenger.chat.limits import Bucket, Overdraft, Rate

MAX_SHARED_HANDFUL: Final = 10.0
"""Tokens drawn at a time from a shared bucket: they are lost to the others when their owner leaves."""
MAX_BUCKETS: Final = 10_000
"""Names or addresses of one table that have a bucket of their own."""
OVERFLOW_BUCKETS: Final = 256
"""Buckets that further ones share while none of those can be forgotten."""
SWEPT_AT_ONCE: Final = 8
"""Buckets looked at, for each new one, for one that can be forgotten."""

Key = TypeVar("Key", bound=Hashable)
Shares: TypeAlias = "Sequence[tuple[Bucket, Rate]]"
"""Buckets that several share, each with the rate at which it is filled."""


class Charge:
    """Tokens taken from buckets while it is not known whether they are owed: a context manager.

    At its end everything is given back, whatever was raised, unless the body has called `keep`.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: list[tuple[Bucket, float]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bucket, price in self._taken:
            bucket.give_back(price)

    def take(self, bucket: Bucket, price: float, rate: Rate, now: float) -> Overdraft | None:
        """Take so many tokens, or none where that is refused."""
        price = min(price, rate.burst)
        overdraft = bucket.spend(price, rate, now)
        self.hold(bucket, price if overdraft is None or overdraft.retry_after is None else 0.0)
        return overdraft

    def take_all(self, shares: Shares, price: float, now: float) -> Overdraft | None:
        """Take so much from each; the refusal of one, or the longest hold."""
        held = 0.0
        for bucket, rate in shares:
            overdraft = self.take(bucket, price, rate, now)
            if overdraft is not None and overdraft.retry_after is not None:
                return overdraft
            held = max(held, overdraft.hold if overdraft is not None else 0.0)
        return Overdraft(held) if held else None

    def hold(self, bucket: Bucket, price: float) -> None:
        """So much has been taken from a bucket."""
        self._taken.append((bucket, price))

    def keep(self) -> None:
        """It is owed: nothing is given back."""
        self._taken.clear()


@contextmanager
def counted(counter: Counter[Key], key: Key) -> Iterator[None]:
    """Count one more for as long as the block lasts; a count of 0 leaves nothing behind."""
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


def settle(bucket: Bucket, price: float, rate: Rate, now: float, shares: Shares = ()) -> Overdraft | None:
    """Draw more tokens for a bucket whose tokens in hand are overdrawn by a `price`, and as many from its `shares`.

    Tokens in hand were drawn from the shares before, so those are looked at no more often than the clock. Where it is
    refused, nothing is taken anywhere.
    """
    excess = max(0.0, price - rate.burst) if rate.a_second else 0.0  # more than the bucket can ever hold
    bucket.give_back(excess)
    if bucket.in_hand >= 0:
        return None
    price -= excess
    if not shares:
        return bucket.draw(price, rate, now)
    handful = min(MAX_SHARED_HANDFUL, *(each.burst // 100 for _, each in shares if each.a_second), rate.burst // 10)
    with Charge() as charge:
        there = charge.take_all(shares, handful - bucket.in_hand, now)
        if there is not None and there.retry_after is not None:
            bucket.give_back(price)
            return there
        here = bucket.draw(price, rate, now, handful)
        if here is None or here.retry_after is None:
            charge.keep()
            return max((each for each in (here, there) if each), default=None, key=lambda each: each.hold)
        return here


def fill_up(bucket: Bucket, count: float, rate: Rate, now: float, shares: Shares = ()) -> bool:
    """Have so much in hand, if that much is there to be drawn, here and where it is shared; whether it is."""
    needed = count - bucket.in_hand
    if needed <= 0:
        return True
    for each, its_rate in shares:
        each.fill_up(needed, its_rate, now)
        if each.in_hand < needed:
            return False
    bucket.fill_up(count, rate, now)
    if bucket.in_hand < count:
        return False
    for each, _ in shares:
        each.in_hand -= needed
    return True


class Fillable(Protocol):
    """What can be forgotten while it is full."""

    def is_full(self, now: float) -> bool:
        """Whether a new one would hold no more."""


Kept = TypeVar("Kept", bound=Fillable)


class BucketTable(Generic[Key, Kept]):
    """A bucket for each key, made when it is first asked for, which no other key can push out.

    Beyond `most`, only a full one is forgotten, and comes back as it was if it is still in use somewhere. While there
    is none, new keys share a few: who has filled the table has not emptied it for himself.
    """

    def __init__(self, make: Callable[[], Kept], most: int = MAX_BUCKETS) -> None:
        self._make = make
        self._most = most
        self._kept: dict[Key, Kept] = {}
        self._in_use: WeakValueDictionary[Key, Kept] = WeakValueDictionary()
        self._overflow: dict[int, Kept] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        """How many buckets there are, those that are shared included."""
        return len(self._kept) + len(self._overflow)

    def of(self, key: Key, now: float) -> Kept:
        """The bucket of a key, which counts as use."""
        kept = self._kept.pop(key, None) or self._in_use.pop(key, None)
        if kept is None:
            if len(self._kept) >= self._most and not self._sweep(now):
                return self._shared(key)
            kept = self._make()
        self._kept[key] = kept
        return kept

    def _sweep(self, now: float) -> bool:
        """Look at the longest unused and forget those that are full; whether there is room for another."""
        for key in list(islice(self._kept, SWEPT_AT_ONCE)):
            kept = self._kept.pop(key)
            if kept.is_full(now):
                self._in_use[key] = kept
            else:
                self._kept[key] = kept
        return len(self._kept) < self._most

    def _shared(self, key: Key) -> Kept:
        shard = hash(key) % OVERFLOW_BUCKETS
        kept = self._overflow.get(shard)
        if kept is None:
            kept = self._overflow[shard] = self._make()
        return kept
