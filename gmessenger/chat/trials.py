"""Trials: passwords are tried and made no more often than the operator allows, by address and by name.

Strangers who guess cannot lock an owner out: where somebody logged in to an account lately, only the address's own
failures count, and a session's token is no guess. What is refused here costs no hash, and what came to no end, because
the server was busy or whoever asked has gone, counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from gmessenger.chat.charges import BucketTable, Charge
from gmessenger.chat.limits import Bounds, Bucket, Rate
from gmessenger.chat.pacing import Origins
from gmessenger.chat.passwords import Passwords
from gmessenger.errors import InviteRefused, TooManyFailures, TooManyRegistrations

MAX_HOMES: Final = 16
"""Networks from which an account was used lately."""
MAX_AT_HOME: Final = 10_000
"""Accounts of which that is remembered."""

Buckets: TypeAlias = "BucketTable[str, Bucket]"
Refusal: TypeAlias = type[TooManyFailures] | type[TooManyRegistrations]


class Homes:
    """From where accounts were used lately, the longest ago forgotten first: of each account no more than a few."""

    def __init__(self) -> None:
        self._networks: dict[str, dict[str | None, None]] = {}

    def __contains__(self, where: tuple[str, str | None]) -> bool:
        key, network = where
        return network in self._networks.get(key, ())

    def add(self, key: str, network: str | None) -> None:
        """An account was used from there."""
        networks = self._networks.pop(key, {})
        networks.pop(network, None)
        networks[network] = None
        if len(networks) > MAX_HOMES:
            del networks[next(iter(networks))]
        self._networks[key] = networks
        if len(self._networks) > MAX_AT_HOME:
            del self._networks[next(iter(self._networks))]


class Trials:
    """Blocks as `Passwords` does.

    `origins` says for which networks an address counts; for none where nothing is counted.
    """

    def __init__(
        self,
        passwords: Passwords,
        bounds: Callable[[], Bounds],
        clock: Callable[[], float],
        origins: Callable[[str], Origins],
    ) -> None:
        self._passwords = passwords
        self._bounds = bounds
        self._clock = clock
        self._origins = origins
        self._of_network: Buckets = BucketTable(Bucket)
        self._on_name: Buckets = BucketTable(Bucket)
        self._registered: Buckets = BucketTable(Bucket)
        self._homes = Homes()

    def matches(self, key: str, address: str, hashed: str | None, password: str) -> bool:
        """Whether it is the password of that name, be there one or not. Raises `TooManyFailures` or `TooFast`.

        Each trial counts as a failure until it is known to be none, or many could be made at one time.
        """
        origins, bounds, now = self._origins(address), self._bounds(), self._clock()
        network = origins[0][0] if origins else None
        with Charge() as charge:
            self._take(charge, self._of_network, origins, bounds.failures_of_address, TooManyFailures)
            if (key, network) not in self._homes:
                _take(charge, self._on_name.of(key, now), bounds.failures_on_name, now, TooManyFailures)
            right = self._passwords.matches(hashed, password, network)
            if right:
                self._homes.add(key, network)
            else:
                charge.keep()
        return right

    @contextmanager
    def registering(self, address: str, password: str) -> Iterator[str]:
        """The hash of a new account's password; within, the account is made, and counts where it was.

        An invite that is refused counts as well: it may have been guessed. Raises `TooManyRegistrations`,
        `BadPassword` or `TooFast`.
        """
        origins = self._origins(address)
        with Charge() as charge:
            self._take(charge, self._registered, origins, self._bounds().registrations, TooManyRegistrations)
            try:
                yield self._passwords.hash(password, origins[0][0] if origins else None)
            except InviteRefused:
                charge.keep()
                raise
            charge.keep()

    def _take(self, charge: Charge, table: Buckets, origins: Origins, rate: Rate, refusal: Refusal) -> None:
        now = self._clock()
        for network, factor in origins:
            _take(charge, table.of(network, now), rate.times(factor), now, refusal)


def _take(charge: Charge, bucket: Bucket, rate: Rate, now: float, refusal: Refusal) -> None:
    overdraft = charge.take(bucket, 1, rate, now)
    if overdraft is not None:
        raise refusal(retry_after=round(overdraft.retry_after or 0.0, 1))
