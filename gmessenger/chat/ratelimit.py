"""Limits: how much of what, and how fast. Buckets of tokens say who may go on, who is held back and who is refused.

Pure: the time is passed in, in seconds of a clock that only goes forward.

Charges: tokens taken from buckets, returned where they were not owed; and tables of buckets, one for each key.

Everything that charges does so through `Charge` or `settle`, so that whatever is raised leaves the buckets right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import Final, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar
from weakref import WeakValueDictionary

MAX_PREFETCH: Final = 100.0
RECIPIENTS_PER_UNIT: Final = 10
"""As many more who are to hear a message make it count as one message more."""
EPSILON: Final = 1e-6
"""Seconds that do not matter: sums of many small ones are not exact."""
CHARACTERS_PER_UNIT: Final = 1024
"""Characters of a text that cost as much as another message."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many tokens a second, and so many at once. A rate of 0 is no limit.

    Who has none left may owe up to `patience` seconds' worth and is only held back meanwhile; beyond that is refused.
    """

    per_second: float = 0.0
    burst: float = 1.0
    max_debt: float = 0.0

    @classmethod
    def per_period(cls, count: float, seconds: float) -> RateLimit:
        """So many at once, which come back within that time; 0 is no limit."""
        return cls(count / seconds, max(count, 1.0))

    def scaled(self, factor: float) -> RateLimit:
        """The rate of so many of those whom this one is for."""
        return replace(self, per_second=self.per_second * factor, burst=self.burst * factor) if factor != 1 else self


NO_LIMIT: Final = RateLimit()


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit on what people do; those on what is read and written are the front's.

    `guest_messages` and `guest_requests` are what all guests of one address may say and ask together.
    """

    messages: RateLimit = NO_LIMIT
    requests: RateLimit = NO_LIMIT
    guest_messages: RateLimit = NO_LIMIT
    guest_requests: RateLimit = NO_LIMIT
    registrations: RateLimit = NO_LIMIT
    login_failures_per_address: RateLimit = NO_LIMIT
    login_failures_per_name: RateLimit = NO_LIMIT
    max_rooms: int = 10_000
    max_rooms_created: int = 100
    max_rooms_joined: int = 1000
    max_members: int = 10_000

    @property
    def announced(self) -> dict[str, int]:
        """What a client can make use of, by the names it is told."""
        rates = {"message": self.messages, "request": self.requests}
        told = {f"{name}_rate": int(rate.per_second) for name, rate in rates.items()}
        told |= {f"{name}_burst": int(rate.burst) for name, rate in rates.items() if rate.per_second}
        told |= {"message_size": CHARACTERS_PER_UNIT} if self.messages.per_second else {}
        return told | {
            "rooms_made": self.max_rooms_created,
            "rooms_joined": self.max_rooms_joined,
            "members": self.max_members,
        }

    @property
    def for_guests(self) -> Limits:
        """Those of a guest who has its address to itself."""
        messages, requests = stricter(self.messages, self.guest_messages), stricter(self.requests, self.guest_requests)
        return replace(self, messages=messages, requests=requests)


def stricter(one: RateLimit, other: RateLimit) -> RateLimit:
    """A rate that keeps to both."""
    if not (one.per_second and other.per_second):
        return one if one.per_second else other
    return replace(one, per_second=min(one.per_second, other.per_second), burst=min(one.burst, other.burst))


def message_cost(characters: int, recipients: int = 0) -> int:
    """As how many messages a text counts that so many hear in a room: its cost is what has to be written."""
    return (1 + recipients // RECIPIENTS_PER_UNIT) * (1 + characters // CHARACTERS_PER_UNIT)


class Throttled(NamedTuple):
    """There are not enough tokens: wait for `hold` seconds, then go on, or be refused if there is a `retry_after`."""

    delay: float
    retry_after: float | None = None


class TokenBucket:
    """Tokens of one name or address. Takes a number to subtract, as long as there is something in hand:

        bucket.in_hand -= price
        if bucket.in_hand < 0:
            overdraft = bucket.draw(price, rate, now)

    What is in hand has been drawn from the bucket before, a handful at a time, so that the clock is looked at seldom.
    """

    __slots__ = ("__weakref__", "_full_at", "_refusing", "tokens")

    def __init__(self) -> None:
        self.tokens = 0.0
        self._full_at = 0.0  # that of a bucket that is full lies in the past
        self._refusing = False

    def spend(self, cost: float, rate: RateLimit, now: float) -> Throttled | None:
        """Take so many tokens, or None of them where that is refused."""
        self.tokens -= cost
        return self.refill(cost, rate, now) if self.tokens < 0 else None

    def refill(self, cost: float, rate: RateLimit, now: float, max_prefetch: float = MAX_PREFETCH) -> Throttled | None:
        """What was in hand is overdrawn after a `price`, of at most `rate.burst`: draw more, if there is more."""
        if not rate.per_second:
            self.tokens = max_prefetch
            return None
        missing = -self.tokens
        full_at = max(self._full_at, now)
        owed = full_at - now - rate.burst / rate.per_second  # in seconds; below 0 is what can be had at once
        over = owed + missing / rate.per_second
        if over > EPSILON:
            return self._go_into_debt(cost, rate, full_at, owed, over)
        drawn = min(missing + min(max_prefetch, rate.burst / 10), -owed * rate.per_second)
        self._full_at = full_at + drawn / rate.per_second
        self.tokens = drawn - missing
        self._refusing = False
        return None

    def prefill(self, tokens: float, rate: RateLimit, now: float) -> None:
        """Have so much in hand, if that much is there to be drawn."""
        missing, full_at = tokens - self.tokens, max(self._full_at, now)
        there = rate.burst - (full_at - now) * rate.per_second if not self._refusing else 0.0
        if missing <= there or not rate.per_second:
            self.tokens = tokens
            self._full_at = full_at + missing / rate.per_second if rate.per_second else full_at

    def _go_into_debt(self, cost: float, rate: RateLimit, full_at: float, owed: float, over: float) -> Throttled:
        """Who goes on is read at twice the rate until the debt is too large; then all of it has to be paid first.

        (Else every other message would get through, and no longer in order.)
        """
        slowly = 0.5 / rate.per_second
        if over > rate.max_debt or (self._refusing and owed > 0):
            self._refusing = owed > 0
            self.tokens += cost
            return Throttled(min(slowly, rate.max_debt), over)
        missing, self.tokens = -self.tokens, 0.0
        self._full_at = full_at + missing / rate.per_second
        self._refusing = False
        return Throttled(min(over, missing * slowly))

    def refund(self, cost: float) -> None:
        """It was not used after all."""
        self.tokens += cost

    def is_full(self, now: float) -> bool:
        """Whether a new bucket would hold no more than this one."""
        return self._full_at <= now and self.tokens >= 0

    def lower_to(self, other: TokenBucket) -> None:
        """Hold no more than the other does."""
        self._full_at = max(self._full_at, other._full_at)
        self._refusing = self._refusing or other._refusing
        self.tokens = min(self.tokens, other.tokens)


class SenderBuckets:
    """What one name, or all guests of one network, have left to say and to ask."""

    __slots__ = ("__weakref__", "messages", "requests")

    def __init__(self) -> None:
        self.messages = TokenBucket()
        self.requests = TokenBucket()

    def is_full(self, now: float) -> bool:
        """Whether a new one would hold no more."""
        return self.messages.is_full(now) and self.requests.is_full(now)

    def lower_to(self, other: SenderBuckets) -> None:
        """Have no more left than the other."""
        self.messages.lower_to(other.messages)
        self.requests.lower_to(other.requests)


MAX_SHARED_PREFETCH: Final = 10.0
"""Tokens drawn at a time from a shared bucket: they are lost to the others when their owner leaves."""
MAX_BUCKETS: Final = 10_000
"""Names or addresses of one table that have a bucket of their own."""
OVERFLOW_BUCKETS: Final = 256
"""Buckets that further ones share while none of those can be forgotten."""
EVICTION_BATCH: Final = 8
"""Buckets looked at, for each new one, for one that can be forgotten."""

KeyT = TypeVar("KeyT", bound=Hashable)
SharedBuckets: TypeAlias = "Sequence[tuple[TokenBucket, RateLimit]]"
"""Buckets that several share, each with the rate at which it is filled."""


class Charge:
    """Tokens taken from buckets while it is not known whether they are owed: a context manager.

    At its end everything is given back, whatever was raised, unless the body has called `keep`.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: list[tuple[TokenBucket, float]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bucket, price in self._taken:
            bucket.refund(price)

    def take(self, bucket: TokenBucket, cost: float, rate: RateLimit, now: float) -> Throttled | None:
        """Take so many tokens, or none where that is refused."""
        cost = min(cost, rate.burst)
        overdraft = bucket.spend(cost, rate, now)
        self.record(bucket, cost if overdraft is None or overdraft.retry_after is None else 0.0)
        return overdraft

    def take_all(self, shared: SharedBuckets, cost: float, now: float) -> Throttled | None:
        """Take so much from each; the refusal of one, or the longest hold."""
        held = 0.0
        for bucket, rate in shared:
            overdraft = self.take(bucket, cost, rate, now)
            if overdraft is not None and overdraft.retry_after is not None:
                return overdraft
            held = max(held, overdraft.delay if overdraft is not None else 0.0)
        return Throttled(held) if held else None

    def record(self, bucket: TokenBucket, cost: float) -> None:
        """So much has been taken from a bucket."""
        self._taken.append((bucket, cost))

    def commit(self) -> None:
        """It is owed: nothing is given back."""
        self._taken.clear()


@contextmanager
def in_flight(counter: Counter[KeyT], key: KeyT) -> Iterator[None]:
    """Count one more for as long as the block lasts; a count of 0 leaves nothing behind."""
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


def refill_bucket(
    bucket: TokenBucket, cost: float, rate: RateLimit, now: float, shared: SharedBuckets = ()
) -> Throttled | None:
    """Draw more tokens for a bucket whose tokens in hand are overdrawn by a `price`, and as many from its `shares`.

    Tokens in hand were drawn from the shares before, so those are looked at no more often than the clock. Where it is
    refused, nothing is taken anywhere.
    """
    excess = max(0.0, cost - rate.burst) if rate.per_second else 0.0  # more than the bucket can ever hold
    bucket.refund(excess)
    if bucket.tokens >= 0:
        return None
    cost -= excess
    if not shared:
        return bucket.refill(cost, rate, now)
    handful = min(MAX_SHARED_PREFETCH, *(each.burst // 100 for _, each in shared if each.per_second), rate.burst // 10)
    with Charge() as charge:
        there = charge.take_all(shared, handful - bucket.tokens, now)
        if there is not None and there.retry_after is not None:
            bucket.refund(cost)
            return there
        here = bucket.refill(cost, rate, now, handful)
        if here is None or here.retry_after is None:
            charge.commit()
            return max((each for each in (here, there) if each), default=None, key=lambda each: each.delay)
        return here


def prefill_bucket(bucket: TokenBucket, tokens: float, rate: RateLimit, now: float, shared: SharedBuckets = ()) -> bool:
    """Have so much in hand, if that much is there to be drawn, here and where it is shared; whether it is."""
    needed = tokens - bucket.tokens
    if needed <= 0:
        return True
    for each, its_rate in shared:
        each.prefill(needed, its_rate, now)
        if each.tokens < needed:
            return False
    bucket.prefill(tokens, rate, now)
    if bucket.tokens < tokens:
        return False
    for each, _ in shared:
        each.tokens -= needed
    return True


class Evictable(Protocol):
    """What can be forgotten while it is full."""

    def is_full(self, now: float) -> bool:
        """Whether a new one would hold no more."""


BucketT = TypeVar("BucketT", bound=Evictable)


class BucketTable(Generic[KeyT, BucketT]):
    """A bucket for each key, made when it is first asked for, which no other key can push out.

    Beyond `most`, only a full one is forgotten, and comes back as it was if it is still in use somewhere. While there
    is none, new keys share a few: who has filled the table has not emptied it for himself.
    """

    def __init__(self, factory: Callable[[], BucketT], max_size: int = MAX_BUCKETS) -> None:
        self._factory = factory
        self._max_size = max_size
        self._buckets: dict[KeyT, BucketT] = {}
        self._evicted: WeakValueDictionary[KeyT, BucketT] = WeakValueDictionary()
        self._overflow: dict[int, BucketT] = {}

    def __contains__(self, key: KeyT) -> bool:
        return key in self._buckets

    def __len__(self) -> int:
        """How many buckets there are, those that are shared included."""
        return len(self._buckets) + len(self._overflow)

    def get(self, key: KeyT, now: float) -> BucketT:
        """The bucket of a key, which counts as use."""
        kept = self._buckets.pop(key, None) or self._evicted.pop(key, None)
        if kept is None:
            if len(self._buckets) >= self._max_size and not self._evict_full(now):
                return self._overflow_bucket(key)
            kept = self._factory()
        self._buckets[key] = kept
        return kept

    def _evict_full(self, now: float) -> bool:
        """Look at the longest unused and forget those that are full; whether there is room for another."""
        for key in list(islice(self._buckets, EVICTION_BATCH)):
            kept = self._buckets.pop(key)
            if kept.is_full(now):
                self._evicted[key] = kept
            else:
                self._buckets[key] = kept
        return len(self._buckets) < self._max_size

    def _overflow_bucket(self, key: KeyT) -> BucketT:
        shard = hash(key) % OVERFLOW_BUCKETS
        kept = self._overflow.get(shard)
        if kept is None:
            kept = self._overflow[shard] = self._factory()
        return kept
