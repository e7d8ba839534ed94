"""Pacing: who says or asks too much too fast is read more slowly first, and refused if that does not help.

What is counted is counted by name, so that all sessions of an account share it, and coming back does not renew it. A
guest chooses its name, so what guests say is counted by their address, too: all of one network share that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

import gevent

from gmessenger.chat.ratelimit import (
    BucketTable,
    Charge,
    Limits,
    RateLimit,
    SenderBuckets,
    SharedBuckets,
    Throttled,
    TokenBucket,
    message_cost,
    prefill_bucket,
    refill_bucket,
)
from gmessenger.chat.session import Session
from gmessenger.errors import NotLoggedIn, RateLimited

WeightedNetworks: TypeAlias = Sequence[tuple[str, int]]
"""The networks that an address counts for, the narrowest first, each with how much more than one address it may do."""
MESSAGE_BUCKET: Final = attrgetter("messages")
REQUEST_BUCKET: Final = attrgetter("requests")


class Throttle:
    """May block the greenlet that calls it, and so hold back reading. `bounds` gives those that hold now.

    `origins` says for which networks an address counts; for none where nothing is counted.
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
        # Three tables: no number of guests' names takes anything from the accounts' one.
        self._accounts: BucketTable[str, SenderBuckets] = BucketTable(SenderBuckets)
        self._guests: BucketTable[str, SenderBuckets] = BucketTable(SenderBuckets)
        self._networks: BucketTable[str, SenderBuckets] = BucketTable(SenderBuckets)

    def attach(self, session: Session) -> None:
        """The session says and asks on its name's account, and a guest's on its network's, too."""
        now = self._clock()
        if session.account is None:
            session.buckets = self._guests.get(session.key, now)
            session.network_buckets = self._network_buckets(session.address, now)
        else:
            session.buckets = self._accounts.get(session.key, now)
            session.network_buckets = ()

    def promote_guest(self, session: Session) -> None:
        """A guest has become an account, which has no more left than the guest had."""
        before = session.buckets
        self.attach(session)
        session.buckets.lower_to(before)

    def anonymous_buckets(self, address: str) -> AnonymousBuckets:
        """What a connection where nobody has logged in has left to ask."""
        return AnonymousBuckets(self._network_buckets(address, self._clock()))

    def charge_message(self, session: Session, characters: int, recipients: int = 0) -> None:
        """The session sends a message of that length, which so many hear in a room. Raises `RateLimited`."""
        bucket, price = session.buckets.messages, message_cost(characters, recipients)
        bucket.tokens -= price
        if bucket.tokens < 0:
            self._refill_or_wait(bucket, price, self._limits().messages, self._shared_message_buckets(session))
            if session.outbox.closed:  # meanwhile
                raise NotLoggedIn

    def try_charge_batch(self, session: Session, cost: int) -> Charge | None:
        """The session sends what counts as so many messages; None, and none is counted, where that is too fast."""
        bucket = session.buckets.messages
        if bucket.tokens < cost:
            shares = self._shared_message_buckets(session)
            if not prefill_bucket(bucket, cost, self._limits().messages, self._clock(), shares):
                return None
        bucket.tokens -= cost
        charge = Charge()
        charge.record(bucket, cost)
        return charge

    def charge_request(self, requester: Session | AnonymousBuckets, cost: float) -> None:
        """Something is asked that costs so much, by a session or by somebody not logged in. Raises `RateLimited`."""
        bucket = requester.buckets.requests
        bucket.tokens -= cost
        if bucket.tokens < 0:
            bounds = self._limits()
            shares = (
                _scaled_buckets(requester.network_buckets, bounds.guest_requests, REQUEST_BUCKET)
                if requester.network_buckets
                else ()
            )
            self._refill_or_wait(bucket, cost, bounds.requests, shares)

    def _shared_message_buckets(self, session: Session) -> SharedBuckets:
        return (
            _scaled_buckets(session.network_buckets, self._limits().guest_messages, MESSAGE_BUCKET)
            if session.network_buckets
            else ()
        )

    def _network_buckets(self, address: str, now: float) -> Sequence[tuple[SenderBuckets, int]]:
        return tuple((self._networks.get(network, now), factor) for network, factor in self.networks_of(address))

    def _refill_or_wait(self, bucket: TokenBucket, cost: float, rate: RateLimit, shared: SharedBuckets) -> None:
        overdraft = refill_bucket(bucket, cost, rate, self._clock(), shared)
        if overdraft is not None:
            with Charge() as charge:
                charge.record(bucket, cost if overdraft.retry_after is None else 0.0)
                delay_or_refuse(overdraft)
                charge.commit()


class AnonymousBuckets:
    """What somebody who has not logged in has left to ask."""

    __slots__ = ("buckets", "network_buckets")

    def __init__(self, network_buckets: Sequence[tuple[SenderBuckets, int]]) -> None:
        self.buckets = SenderBuckets()
        self.network_buckets = network_buckets


def _scaled_buckets(
    network_buckets: Sequence[tuple[SenderBuckets, int]],
    rate: RateLimit,
    bucket_of: Callable[[SenderBuckets], TokenBucket],
) -> SharedBuckets:
    return [(bucket_of(pace), rate.scaled(factor)) for pace, factor in network_buckets]


def delay_or_refuse(throttled: Throttled) -> None:
    """Hold back for as long as is due. Raises `RateLimited` where it is not to go on."""
    gevent.sleep(throttled.delay)
    if throttled.retry_after is not None:
        raise RateLimited(retry_after=round(throttled.retry_after, 2))
