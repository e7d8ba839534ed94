"""Rate limits: token buckets that delay senders, then refuse them, and tables of buckets by key.

Pure: the time is passed in, in seconds of a clock that never goes back. Tokens are taken through `Charge` or
`charge_buckets`, so that the buckets are right whatever is raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Final, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

MAX_PREFETCH: Final = 100.0  # tokens that are drawn ahead, so that the clock is read seldom
RECIPIENTS_PER_UNIT: Final = 10  # recipients that add the cost of one message
CHARACTERS_PER_UNIT: Final = 1024  # characters of text that add the cost of one message
EPSILON: Final = 1e-6  # seconds: sums of many small numbers are not exact


class RateLimit(Struct, frozen=True):
    """Tokens per second, and at once (`burst`). A rate of 0 is no limit.

    A sender without tokens may owe as many as come in `max_debt` seconds, and is only delayed meanwhile; beyond that
    it is refused.
    """

    per_second: float = 0.0
    burst: float = 1.0
    max_debt: float = 0.0

    @classmethod
    def per_period(cls, count: float, seconds: float) -> RateLimit:
        """Return the rate at which a burst of `count` comes back in so many seconds. A count of 0 is no limit."""
        return cls(count / seconds, max(count, 1.0))

    def scaled(self, factor: float) -> RateLimit:
        """Return the rate for a network that may do as much as `factor` addresses."""
        return replace(self, per_second=self.per_second * factor, burst=self.burst * factor) if factor != 1 else self


NO_LIMIT: Final = RateLimit()


class Limits(Struct, frozen=True):
    """The limits on what users do. (Those on reading and writing are the protocol's.)

    `guest_messages`, `guest_requests`: for all guests of one address together.
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
        """The limits that clients can use, by their names on the wire."""
        rates = {"message": self.messages, "request": self.requests}
        limits = {f"{name}_rate": int(rate.per_second) for name, rate in rates.items()}
        limits |= {f"{name}_burst": int(rate.burst) for name, rate in rates.items() if rate.per_second}
        limits |= {"message_size": CHARACTERS_PER_UNIT} if self.messages.per_second else {}
        return limits | {
            "rooms_made": self.max_rooms_created,
            "rooms_joined": self.max_rooms_joined,
            "members": self.max_members,
        }

    @property
    def for_guests(self) -> Limits:
        """The limits of a guest that is the only one of its address."""
        messages, requests = stricter(self.messages, self.guest_messages), stricter(self.requests, self.guest_requests)
        return replace(self, messages=messages, requests=requests)


def stricter(one: RateLimit, other: RateLimit) -> RateLimit:
    """Return a rate that keeps within both."""
    if not (one.per_second and other.per_second):
        return one if one.per_second else other
    return replace(one, per_second=min(one.per_second, other.per_second), burst=min(one.burst, other.burst))


def message_cost(characters: int, recipients: int = 0) -> int:
    """Return the tokens that a text costs, by its length and its recipients in a room: by what has to be written."""
    return (1 + recipients // RECIPIENTS_PER_UNIT) * (1 + characters // CHARACTERS_PER_UNIT)


class Throttled(NamedTuple):
    """There are not enough tokens: the sender must wait for `delay` seconds.

    Then it may go on, or is refused if there is a `retry_after` (seconds).
    """

    delay: float
    retry_after: float | None = None


class TokenBucket:
    """The tokens of one name or network. To spend some is a subtraction while there are any:

        bucket.tokens -= cost
        if bucket.tokens < 0:
            throttled = bucket.refill(cost, rate, now)

    `tokens` were drawn before, up to `MAX_PREFETCH` at a time, so that the clock is read seldom.
    """

    __slots__ = ("__weakref__", "_full_at", "_refusing", "tokens")

    def __init__(self) -> None:
        self.tokens = 0.0
        self._full_at = 0.0  # when it will be full again if nothing more is drawn; that of a full bucket is past
        self._refusing = False

    def spend(self, cost: float, rate: RateLimit, now: float) -> Throttled | None:
        """Take so many tokens, or none where it is refused. Returns None if there were enough."""
        self.tokens -= cost
        return self.refill(cost, rate, now) if self.tokens < 0 else None

    def refill(self, cost: float, rate: RateLimit, now: float, max_prefetch: float = MAX_PREFETCH) -> Throttled | None:
        """Draw more tokens after `cost` was subtracted, at most `rate.burst`, and `tokens` is below 0.

        Returns None if there were enough. Where it is refused, the cost is given back.
        """
        if not rate.per_second:
            self.tokens = max_prefetch
            return None
        missing = -self.tokens
        full_at = max(self._full_at, now)
        owed = full_at - now - rate.burst / rate.per_second  # seconds; below 0: what can be drawn at once
        over = owed + missing / rate.per_second
        if over > EPSILON:
            return self._go_into_debt(cost, rate, full_at, owed, over)
        drawn = min(missing + min(max_prefetch, rate.burst / 10), -owed * rate.per_second)
        self._full_at = full_at + drawn / rate.per_second
        self.tokens = drawn - missing
        self._refusing = False
        return None

    def prefill(self, tokens: float, rate: RateLimit, now: float) -> None:
        """Draw tokens until there are so many, if there are enough to draw; else draw none."""
        missing, full_at = tokens - self.tokens, max(self._full_at, now)
        available = rate.burst - (full_at - now) * rate.per_second if not self._refusing else 0.0
        if missing <= available or not rate.per_second:
            self.tokens = tokens
            self._full_at = full_at + missing / rate.per_second if rate.per_second else full_at

    def _go_into_debt(self, cost: float, rate: RateLimit, full_at: float, owed: float, over: float) -> Throttled:
        """Delay a sender to twice the rate until its debt is too large; then refuse it until all of it is paid.

        (Else every other message would get through, and no longer in order.) `owed`, `over`: seconds before and after
        this cost.
        """
        delay_per_token = 0.5 / rate.per_second
        if over > rate.max_debt or (self._refusing and owed > 0):
            self._refusing = owed > 0
            self.tokens += cost
            return Throttled(min(delay_per_token, rate.max_debt), over)
        missing, self.tokens = -self.tokens, 0.0
        self._full_at = full_at + missing / rate.per_second
        self._refusing = False
        return Throttled(min(over, missing * delay_per_token))

    def refund(self, cost: float) -> None:
        """Give back tokens that were taken and are not owed."""
        self.tokens += cost

    def is_full(self, now: float) -> bool:
        """Return whether a new bucket would hold no more than this one."""
        return self._full_at <= now and self.tokens >= 0

    def lower_to(self, other: TokenBucket) -> None:
        """Hold no more than another bucket does."""
        self._full_at = max(self._full_at, other._full_at)
        self._refusing = self._refusing or other._refusing
        self.tokens = min(self.tokens, other.tokens)


class SenderBuckets:
    """The buckets of one name, or of all guests of one network: for messages, and for other requests."""

    __slots__ = ("__weakref__", "messages", "requests")

    def __init__(self) -> None:
        self.messages = TokenBucket()
        self.requests = TokenBucket()

    def is_full(self, now: float) -> bool:
        """Return whether new ones would hold no more."""
        return self.messages.is_full(now) and self.requests.is_full(now)

    def lower_to(self, other: SenderBuckets) -> None:
        """Hold no more than the others do."""
        self.messages.lower_to(other.messages)
        self.requests.lower_to(other.requests)


MAX_SHARED_PREFETCH: Final = 10.0  # tokens drawn ahead from a shared bucket: the others lose them if the owner leaves
MAX_BUCKETS: Final = 10_000  # keys of one table that have a bucket of their own
OVERFLOW_BUCKETS: Final = 256  # buckets that further keys share while no bucket can be evicted
EVICTION_BATCH: Final = 8  # buckets that are checked for eviction for each new one

KeyT = TypeVar("KeyT", bound=Hashable)
SharedBuckets: TypeAlias = "Sequence[tuple[TokenBucket, RateLimit]]"
"""Buckets of networks, which several senders share, each with its rate."""


class Charge:
    """Tokens that were taken while it is not known whether they are owed: a context manager.

    At its end they are given back, whatever was raised, unless the block has called `commit`.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: list[tuple[TokenBucket, float]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bucket, cost in self._taken:
            bucket.refund(cost)

    def take(self, bucket: TokenBucket, cost: float, rate: RateLimit, now: float) -> Throttled | None:
        """Take so many tokens, at most the burst, or none where it is refused. Returns as `TokenBucket.spend`."""
        cost = min(cost, rate.burst)
        throttled = bucket.spend(cost, rate, now)
        self.record(bucket, cost if throttled is None or throttled.retry_after is None else 0.0)
        return throttled

    def take_all(self, shared: SharedBuckets, cost: float, now: float) -> Throttled | None:
        """Take so many tokens from each bucket. Returns the first refusal, or the longest delay."""
        longest = 0.0
        for bucket, rate in shared:
            throttled = self.take(bucket, cost, rate, now)
            if throttled is not None and throttled.retry_after is not None:
                return throttled
            longest = max(longest, throttled.delay if throttled is not None else 0.0)
        return Throttled(longest) if longest else None

    def record(self, bucket: TokenBucket, cost: float) -> None:
        """Record tokens that were taken from a bucket already."""
        self._taken.append((bucket, cost))

    def commit(self) -> None:
        """Make the charge final: nothing is given back."""
        self._taken.clear()


@contextmanager
def in_flight(counter: Counter[KeyT], key: KeyT) -> Iterator[None]:
    """Count a key once more within the block. Keys with a count of 0 are removed."""
    counter[key] += 1
    try:
        yield
    finally:
        decrement(counter, key)


def decrement(counter: Counter[KeyT], key: KeyT) -> None:
    """Count a key once less, and remove it at 0."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def charge_buckets(
    bucket: TokenBucket, cost: float, rate: RateLimit, now: float, shared: SharedBuckets = ()
) -> Throttled | None:
    """Draw tokens for a bucket after `cost` was subtracted and it is below 0, and as many from the shared buckets.

    Tokens that are drawn ahead come from the shared buckets too, so those are looked at as seldom as the clock. Where
    it is refused, nothing is taken from any. Returns None if there were enough.
    """
    excess = max(0.0, cost - rate.burst) if rate.per_second else 0.0  # more than the bucket can ever hold
    bucket.refund(excess)
    if bucket.tokens >= 0:
        return None
    cost -= excess
    if not shared:
        return bucket.refill(cost, rate, now)
    shared_bursts = (shared_rate.burst // 100 for _, shared_rate in shared if shared_rate.per_second)
    prefetch = min(MAX_SHARED_PREFETCH, *shared_bursts, rate.burst // 10)
    with Charge() as charge:
        of_network = charge.take_all(shared, prefetch - bucket.tokens, now)
        if of_network is not None and of_network.retry_after is not None:
            bucket.refund(cost)
            return of_network
        of_name = bucket.refill(cost, rate, now, prefetch)
        if of_name is None or of_name.retry_after is None:
            charge.commit()
            delays = [throttled for throttled in (of_name, of_network) if throttled]
            return max(delays, default=None, key=lambda throttled: throttled.delay)
        return of_name


def charge_buckets_ahead(
    bucket: TokenBucket, tokens: float, rate: RateLimit, now: float, shared: SharedBuckets = ()
) -> bool:
    """Draw tokens until a bucket has so many, and as many from the shared ones. Returns False if there are too few."""
    needed = tokens - bucket.tokens
    if needed <= 0:
        return True
    for shared_bucket, shared_rate in shared:
        shared_bucket.prefill(needed, shared_rate, now)
        if shared_bucket.tokens < needed:
            return False
    bucket.prefill(tokens, rate, now)
    if bucket.tokens < tokens:
        return False
    for shared_bucket, _ in shared:
        shared_bucket.tokens -= needed
    return True


class Evictable(Protocol):
    """A value of a `BucketTable`: it can be evicted while it is full."""

    def is_full(self, now: float) -> bool:
        """Return whether a new one would hold no more."""


BucketT = TypeVar("BucketT", bound=Evictable)


class BucketTable(Generic[KeyT, BucketT]):
    """A bucket for each key, created at first use. No other key can evict one that is in debt.

    Beyond `max_size`, only full buckets are evicted; one that a session still refers to comes back when its key is used
    again. While none is full, new keys share a few buckets: to fill the table gives an attacker no fresh buckets.
    """

    def __init__(self, factory: Callable[[], BucketT], max_size: int = MAX_BUCKETS) -> None:
        self._factory = factory
        self._max_size = max_size
        self._buckets: dict[KeyT, BucketT] = {}
        self._evicted: WeakValueDictionary[KeyT, BucketT] = WeakValueDictionary()
        self._overflow: dict[int, BucketT] = {}

    def __contains__(self, key: KeyT) -> bool:
        """Return whether a key has a bucket of its own."""
        return key in self._buckets

    def __len__(self) -> int:
        """The number of buckets, shared ones included."""
        return len(self._buckets) + len(self._overflow)

    def get(self, key: KeyT, now: float) -> BucketT:
        """Return the bucket of a key, which becomes the last to be evicted."""
        bucket = self._buckets.pop(key, None) or self._evicted.pop(key, None)
        if bucket is None:
            if len(self._buckets) >= self._max_size and not self._evict_full(now):
                return self._overflow_bucket(key)
            bucket = self._factory()
        self._buckets[key] = bucket
        return bucket

    def _evict_full(self, now: float) -> bool:
        """Evict the full ones of the least recently used buckets. Returns whether there is room for another."""
        for key in list(islice(self._buckets, EVICTION_BATCH)):
            bucket = self._buckets.pop(key)
            if bucket.is_full(now):
                self._evicted[key] = bucket
            else:
                self._buckets[key] = bucket
        return len(self._buckets) < self._max_size

    def _overflow_bucket(self, key: KeyT) -> BucketT:
        shard = hash(key) % OVERFLOW_BUCKETS
        bucket = self._overflow.get(shard)
        if bucket is None:
            bucket = self._overflow[shard] = self._factory()
        return bucket
