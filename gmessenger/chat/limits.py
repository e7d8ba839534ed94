"""Limits: how much of what, and how fast. Buckets of tokens say who may go on, who is held back and who is refused.

Pure: the time is passed in, in seconds of a clock that only goes forward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

LARGEST_HANDFUL: Final = 100.0
AUDIENCE_OF_ONE: Final = 10
"""As many more who are to hear a message make it count as one message more."""
A_MOMENT: Final = 1e-6
"""Seconds that do not matter: sums of many small ones are not exact."""
CHARACTERS_PER_MESSAGE: Final = 1024
"""Characters of a text that cost as much as another message."""


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

    def times(self, factor: float) -> Rate:
        """The rate of so many of those whom this one is for."""
        return replace(self, a_second=self.a_second * factor, burst=self.burst * factor) if factor != 1 else self


NO_LIMIT: Final = Rate()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Every limit on what people do; those on what is read and written are the front's.

    `guest_messages` and `guest_requests` are what all guests of one address may say and ask together.
    """

    messages: Rate = NO_LIMIT
    requests: Rate = NO_LIMIT
    guest_messages: Rate = NO_LIMIT
    guest_requests: Rate = NO_LIMIT
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
        told |= {"message_size": CHARACTERS_PER_MESSAGE} if self.messages.a_second else {}
        return told | {"rooms_made": self.rooms_made, "rooms_joined": self.rooms_joined, "members": self.members}

    @property
    def of_guests(self) -> Bounds:
        """Those of a guest who has its address to itself."""
        messages, requests = narrower(self.messages, self.guest_messages), narrower(self.requests, self.guest_requests)
        return replace(self, messages=messages, requests=requests)


def narrower(one: Rate, other: Rate) -> Rate:
    """A rate that keeps to both."""
    if not (one.a_second and other.a_second):
        return one if one.a_second else other
    return replace(one, a_second=min(one.a_second, other.a_second), burst=min(one.burst, other.burst))


def price_of(characters: int, audience: int = 0) -> int:
    """As how many messages a text counts that so many hear in a room: its cost is what has to be written."""
    return (1 + audience // AUDIENCE_OF_ONE) * (1 + characters // CHARACTERS_PER_MESSAGE)


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

    __slots__ = ("__weakref__", "_full_at", "_refusing", "in_hand")

    def __init__(self) -> None:
        self.in_hand = 0.0
        self._full_at = 0.0  # that of a bucket that is full lies in the past
        self._refusing = False

    def spend(self, price: float, rate: Rate, now: float) -> Overdraft | None:
        """Take so many tokens, or None of them where that is refused."""
        self.in_hand -= price
        return self.draw(price, rate, now) if self.in_hand < 0 else None

    def draw(self, price: float, rate: Rate, now: float, largest_handful: float = LARGEST_HANDFUL) -> Overdraft | None:
        """What was in hand is overdrawn after a `price`, of at most `rate.burst`: draw more, if there is more."""
        if not rate.a_second:
            self.in_hand = largest_handful
            return None
        missing = -self.in_hand
        full_at = max(self._full_at, now)
        owed = full_at - now - rate.burst / rate.a_second  # in seconds; below 0 is what can be had at once
        over = owed + missing / rate.a_second
        if over > A_MOMENT:
            return self._overdraw(price, rate, full_at, owed, over)
        drawn = min(missing + min(largest_handful, rate.burst / 10), -owed * rate.a_second)
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

    def is_full(self, now: float) -> bool:
        """Whether a new bucket would hold no more than this one."""
        return self._full_at <= now and self.in_hand >= 0

    def take_over(self, other: Bucket) -> None:
        """Hold no more than the other does."""
        self._full_at = max(self._full_at, other._full_at)
        self._refusing = self._refusing or other._refusing
        self.in_hand = min(self.in_hand, other.in_hand)


class Pace:
    """What one name, or all guests of one network, have left to say and to ask."""

    __slots__ = ("__weakref__", "messages", "requests")

    def __init__(self) -> None:
        self.messages = Bucket()
        self.requests = Bucket()

    def is_full(self, now: float) -> bool:
        """Whether a new one would hold no more."""
        return self.messages.is_full(now) and self.requests.is_full(now)

    def take_over(self, other: Pace) -> None:
        """Have no more left than the other."""
        self.messages.take_over(other.messages)
        self.requests.take_over(other.requests)
