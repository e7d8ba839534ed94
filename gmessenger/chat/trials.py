"""Trials: passwords are tried and made no more often than the operator allows, by address and by name.

Strangers who guess cannot lock an owner out: where somebody logged in to an account lately, only the address's own
failures count, and a session's token is no guess. What is refused here costs no hash.
"""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.chat.limits import Bounds, Bucket, Rate, Remembered
from gmessenger.chat.passwords import Passwords
from gmessenger.errors import TooManyFailures, TooManyRegistrations


class Trials:
    """Blocks as `Passwords` does.

    `origin` says to which network an address belongs, which is counted as one; None where nothing is counted.
    """

    def __init__(
        self,
        passwords: Passwords,
        bounds: Callable[[], Bounds],
        clock: Callable[[], float],
        origin: Callable[[str], str | None],
    ) -> None:
        self._passwords = passwords
        self._bounds = bounds
        self._clock = clock
        self._origin = origin
        self._of_address: Remembered[str, Bucket] = Remembered(Bucket)
        self._on_name: Remembered[str, Bucket] = Remembered(Bucket)
        self._registered: Remembered[str, Bucket] = Remembered(Bucket)
        self._at_home: Remembered[tuple[str, str | None], bool] = Remembered(bool)

    def matches(self, key: str, address: str, hashed: str | None, password: str) -> bool:
        """Whether it is the password of that name, be there one or not. Raises `TooManyFailures`.

        Each trial counts as a failure until it is known to be none, or many could be made at one time.
        """
        origin, bounds, now = self._origin(address), self._bounds(), self._clock()
        charged: list[Bucket] = []
        if origin is not None:
            self._charge(self._of_address.of(origin), bounds.failures_of_address, now, charged)
        if (key, origin) not in self._at_home:
            self._charge(self._on_name.of(key), bounds.failures_on_name, now, charged)
        right = self._passwords.matches(hashed, password)
        if right:
            self._at_home.of((key, origin))
            for bucket in charged:
                bucket.give_back(1)
        return right

    def hash(self, address: str, password: str) -> str:
        """The hash of a new account's password. Raises `TooManyRegistrations` or `BadPassword`."""
        origin = self._origin(address)
        if origin is not None:
            bucket = self._registered.of(origin)
            self._take(bucket, self._bounds().registrations, self._clock(), TooManyRegistrations)
        return self._passwords.hash(password)

    def _charge(self, bucket: Bucket, rate: Rate, now: float, charged: list[Bucket]) -> None:
        try:
            self._take(bucket, rate, now, TooManyFailures)
        except TooManyFailures:
            for each in charged:
                each.give_back(1)
            raise
        charged.append(bucket)

    def _take(
        self, bucket: Bucket, rate: Rate, now: float, refusal: type[TooManyFailures] | type[TooManyRegistrations]
    ) -> None:
        overdraft = bucket.spend(1, rate, now)
        if overdraft is not None:
            raise refusal(retry_after=round(overdraft.retry_after or 0.0, 1))
