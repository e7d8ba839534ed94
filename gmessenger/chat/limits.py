"""Limits: how much of what, and how fast. Buckets of tokens say who may go on, who is held back and who is refused.

Pure: the time is passed in, in seconds of a clock that only goes forward.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

LARGEST_HANDFUL: Final = 100.0
MOST_REMEMBERED: Final = 10_000
"""Names or addresses whose buckets are remembered. Who is forgotten begins with a full one."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many tokens a second, and so many at once. A rate of 0 is no limit.

    Who has none left may owe up to `patience` seconds' worth and is only held back meanwhile; beyond that is refused.
    """

    a_second: float = 0.0
    burst: float = 1.0
    patience: float = 0.0

    @classmethod
    def within(cls, count: float, seconds: float) -> Rate:
        """So many at once, which come back within that time; 0 is no limit."""
        return cls(count / seconds, max(count, 1.0))


NO_LIMIT: Final = Rate()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Every limit on what people do; those on what is read and written are the front's."""

    messages: Rate = NO_LIMIT
    requests: Rate = NO_LIMIT
    registrations: Rate = NO_LIMIT
    failures_of_address: Rate = NO_LIMIT
    failures_on_name: Rate = NO_LIMIT
    rooms: int = 10_000
    rooms_made: int = 100
    rooms_joined: int = 1000
    members: int = 10_000

    @property
    def announced(self) -> dict[str, int]:
        """What a client can make use of, by the names it is told."""
        rates = {"message": self.messages, "request": self.requests}
        told = {f"{name}_rate": int(rate.a_second) for name, rate in rates.items()}
        told |= {f"{name}_burst": int(rate.burst) for name, rate in rates.items() if rate.a_second}
        return told | {"rooms_made": self.rooms_made, "rooms_joined": self.rooms_joined, "members": self.members}


class Overdraft(NamedTuple):
    """There are not enough tokens: wait for `hold` seconds, then go on, or be refused if there is a `retry_after`."""

    hold: float
    retry_after: float | None = None


class Bucket:
    """Tokens of one name or address. Takes a number to subtract, as long as there is something in hand:

        bucket.in_hand -= price
        if bucket.in_hand < 0:
            overdraft = bucket.draw(price, rate, now)

    What is in hand has been drawn from the bucket before, a handful at a time, so that the clock is looked at seldom.
    """

    __slots__ = ("_full_at", "_refusing", "in_hand")

    def __init__(self) -> None:
        self.in_hand = 0.0
        self._full_at = 0.0  # that of a bucket that is full lies in the past
        self._refusing = False

    def spend(self, price: float, rate: Rate, now: float) -> Overdraft | None:
        """Take so many tokens, or None of them where that is refused."""
        self.in_hand -= price
        return self.draw(price, rate, now) if self.in_hand < 0 else None

    def draw(self, price: float, rate: Rate, now: float) -> Overdraft | None:
        """What was in hand is overdrawn after a `price`, of at most `rate.burst`: draw more, if there is more."""
        if not rate.a_second:
            self.in_hand = LARGEST_HANDFUL
            return None
        missing = -self.in_hand
        full_at = max(self._full_at, now)
        owed = full_at - now - rate.burst / rate.a_second  # in seconds; below 0 is what can be had at once
        over = owed + missing / rate.a_second
        if over > 0:
            return self._overdraw(price, rate, full_at, owed, over)
        drawn = min(missing + min(LARGEST_HANDFUL, rate.burst / 10), -owed * rate.a_second)
        self._full_at = full_at + drawn / rate.a_second
        self.in_hand = drawn - missing
        self._refusing = False
        return None

    def fill_up(self, count: float, rate: Rate, now: float) -> None:
        """Have so much in hand, if that much is there to be drawn."""
        missing, full_at = count - self.in_hand, max(self._full_at, now)
        there = rate.burst - (full_at - now) * rate.a_second if not self._refusing else 0.0
        if missing <= there or not rate.a_second:
            self.in_hand = count
            self._full_at = full_at + missing / rate.a_second if rate.a_second else full_at

    def _overdraw(self, price: float, rate: Rate, full_at: float, owed: float, over: float) -> Overdraft:
        """Who goes on is read at twice the rate until the debt is too large; then all of it has to be paid first.

        (Else every other message would get through, and no longer in order.)
        """
        slowly = 0.5 / rate.a_second
        if over > rate.patience or (self._refusing and owed > 0):
            self._refusing = owed > 0
            self.in_hand += price
            return Overdraft(min(slowly, rate.patience), over)
        missing, self.in_hand = -self.in_hand, 0.0
        self._full_at = full_at + missing / rate.a_second
        self._refusing = False
        return Overdraft(min(over, missing * slowly))

    def give_back(self, price: float) -> None:
        """It was not used after all."""
        self.in_hand += price


class Pace:
    """What one name has left to say, and to ask."""

    __slots__ = ("messages", "requests")

    def __init__(self) -> None:
        self.messages = Bucket()
        self.requests = Bucket()


Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")


class Remembered(Generic[Key, Kept]):
    """Something for each key, made when it is first asked for; beyond `most` the longest unused is forgotten."""

    def __init__(self, make: Callable[[], Kept], most: int = MOST_REMEMBERED) -> None:
        self._make = make
        self._most = most
        self._kept: dict[Key, Kept] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def of(self, key: Key) -> Kept:
        """What is kept for it, which counts as use."""
        kept = self._kept.pop(key, None)
        self._kept[key] = kept = self._make() if kept is None else kept
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return kept
