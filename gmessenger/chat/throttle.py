"""Throttling: sessions that send or ask too fast are delayed first, then refused.

Rates are counted by name: all sessions of an account share one, and reconnecting does not reset it. A guest can choose
its name, so guests are counted by the networks of their address as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

import gevent

from gmessenger.chat.ratelimit import (
    CHARACTERS_PER_UNIT,
    BucketTable,
    Charge,
    Limits,
    RateLimit,
    SenderBuckets,
    SharedBuckets,
    Throttled,
    TokenBucket,
    charge_buckets,
    charge_buckets_ahead,
    message_cost,
)
from gmessenger.chat.session import Session
from gmessenger.errors import NotLoggedIn, RateLimited, WireError

WeightedNetworks: TypeAlias = Sequence[tuple[str, int]]
"""The networks that an address counts for, the narrowest first, each with the factor by which its rates are higher."""
MESSAGE_BUCKET: Final = attrgetter("messages")
REQUEST_BUCKET: Final = attrgetter("requests")


class Throttle:
    """Charges messages and requests to the buckets of names and networks.

    Called from the connection's greenlet: while that is delayed here, it reads nothing from its socket. `limits`
    returns the current limits. `networks_of` returns the networks an address counts for; none where nothing is counted.
    """

    def __init__(
        self,
        limits: Callable[[], Limits],
        clock: Callable[[], float],
        networks_of: Callable[[str], WeightedNetworks] = lambda address: (),
    ) -> None:
        self._limits = limits
        self._clock = clock
        self.networks_of = networks_of
        # Three tables: however many names guests use, the table of accounts is not affected.
        self._accounts: BucketTable[str, SenderBuckets] = BucketTable(SenderBuckets)
        self._guests: BucketTable[str, SenderBuckets] = BucketTable(SenderBuckets)
        self._networks: BucketTable[str, SenderBuckets] = BucketTable(SenderBuckets)

    def attach(self, session: Session) -> None:
        """Give a session the buckets of its name; a guest's also those of its networks."""
        now = self._clock()
        if session.account is None:
            session.buckets = self._guests.get(session.key, now)
            session.network_buckets = self._network_buckets(session.address, now)
        else:
            session.buckets = self._accounts.get(session.key, now)
            session.network_buckets = ()

    def keep_pace(self, session: Session) -> None:
        """Give a guest that has registered or was renamed the buckets of its name, with no more tokens than it had."""
        before = session.buckets
        self.attach(session)
        session.buckets.lower_to(before)

    def anonymous_buckets(self, address: str) -> AnonymousBuckets:
        """Return the buckets of a connection before its login."""
        return AnonymousBuckets(self._network_buckets(address, self._clock()))

    def charge_message(self, session: Session, characters: int, recipients: int = 0) -> None:
        """Charge a message of that length to so many recipients in a room. Blocks while the session is delayed.

        Raises `RateLimited`, or `NotLoggedIn` if the session was ended meanwhile.
        """
        bucket = session.buckets.messages
        # (Nearly all are short, and to one: without the call.)
        cost = message_cost(characters, recipients) if recipients or characters >= CHARACTERS_PER_UNIT else 1
        bucket.tokens -= cost
        if bucket.tokens < 0:
            self._charge_or_wait(bucket, cost, self._limits().messages, self._shared_message_buckets(session))
            if session.outbox.closed:
                raise NotLoggedIn

    def try_charge_batch(self, session: Session, cost: int) -> Charge | None:
        """Charge several messages at once. Returns None, and charges nothing, if the session would be delayed."""
        bucket = session.buckets.messages
        if bucket.tokens < cost:
            shared = self._shared_message_buckets(session)
            if not charge_buckets_ahead(bucket, cost, self._limits().messages, self._clock(), shared):
                return None
        bucket.tokens -= cost
        charge = Charge()
        charge.record(bucket, cost)
        return charge

    def charge_request(self, requester: Session | AnonymousBuckets, cost: float) -> None:
        """Charge a request, of a session or before a login. Blocks while it is delayed. Raises `RateLimited`."""
        bucket = requester.buckets.requests
        bucket.tokens -= cost
        if bucket.tokens < 0:
            limits = self._limits()
            shared = (
                _scaled_buckets(requester.network_buckets, limits.guest_requests, REQUEST_BUCKET)
                if requester.network_buckets
                else ()
            )
            self._charge_or_wait(bucket, cost, limits.requests, shared)

    def _shared_message_buckets(self, session: Session) -> SharedBuckets:
        return (
            _scaled_buckets(session.network_buckets, self._limits().guest_messages, MESSAGE_BUCKET)
            if session.network_buckets
            else ()
        )

    def _network_buckets(self, address: str, now: float) -> Sequence[tuple[SenderBuckets, int]]:
        return tuple((self._networks.get(network, now), factor) for network, factor in self.networks_of(address))

    def _charge_or_wait(self, bucket: TokenBucket, cost: float, rate: RateLimit, shared: SharedBuckets) -> None:
        throttled = charge_buckets(bucket, cost, rate, self._clock(), shared)
        if throttled is not None:
            with Charge() as charge:
                charge.record(bucket, cost if throttled.retry_after is None else 0.0)
                delay_or_refuse(throttled)
                charge.commit()


class AnonymousBuckets:
    """The buckets of a connection before its login: its own, and those of its networks."""

    __slots__ = ("buckets", "network_buckets")

    def __init__(self, network_buckets: Sequence[tuple[SenderBuckets, int]]) -> None:
        self.buckets = SenderBuckets()
        self.network_buckets = network_buckets


def _scaled_buckets(
    network_buckets: Sequence[tuple[SenderBuckets, int]],
    rate: RateLimit,
    bucket_of: Callable[[SenderBuckets], TokenBucket],
) -> SharedBuckets:
    return [(bucket_of(buckets), rate.scaled(factor)) for buckets, factor in network_buckets]


def charge_networks(
    charge: Charge,
    table: BucketTable[str, TokenBucket],
    networks: WeightedNetworks,
    rate: RateLimit,
    now: float,
    error_type: type[WireError],
) -> None:
    """Take a token from the bucket of each network. Raises `error_type` where there is none."""
    for network, factor in networks:
        charge_or_refuse(charge, table.get(network, now), rate.scaled(factor), now, error_type)


def charge_or_refuse(
    charge: Charge, bucket: TokenBucket, rate: RateLimit, now: float, error_type: type[WireError]
) -> None:
    """Take a token from a bucket. Raises `error_type` where there is none."""
    throttled = charge.take(bucket, 1, rate, now)
    if throttled is not None:
        raise error_type(retry_after=round(throttled.retry_after or 0.0, 1))


def delay_or_refuse(throttled: Throttled) -> None:
    """Block for the delay. Raises `RateLimited` after it if the sender is refused."""
    gevent.sleep(throttled.delay)
    if throttled.retry_after is not None:
        raise RateLimited(retry_after=round(throttled.retry_after, 2))
