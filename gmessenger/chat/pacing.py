"""Pacing: who says or asks too much too fast is read more slowly first, and refused if that does not help.

What is counted is counted by name, so that all sessions of an account share it, and coming back does not renew it. A
guest chooses its name, so what guests say is counted by their address, too: all of one network share that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

import gevent

from gmessenger.chat.charges import BucketTable, Charge, Shares, fill_up, settle
from gmessenger.chat.limits import Bounds, Bucket, Overdraft, Pace, Rate, price_of
from gmessenger.chat.session import Session
from gmessenger.errors import NotLoggedIn, TooFast

Origins: TypeAlias = Sequence[tuple[str, int]]
"""The networks that an address counts for, the narrowest first, each with how much more than one address it may do."""
MESSAGES: Final = attrgetter("messages")
REQUESTS: Final = attrgetter("requests")


class Pacing:
    """May block the greenlet that calls it, and so hold back reading. `bounds` gives those that hold now.

    `origins` says for which networks an address counts; for none where nothing is counted.
    """

    def __init__(
        self,
        bounds: Callable[[], Bounds],
        clock: Callable[[], float],
        origins: Callable[[str], Origins] = lambda address: (),
    ) -> None:
        self._bounds = bounds
        self._clock = clock
        self.origins = origins
        # Three tables: no number of guests' names takes anything from the accounts' one.
        self._accounts: BucketTable[str, Pace] = BucketTable(Pace)
        self._guests: BucketTable[str, Pace] = BucketTable(Pace)
        self._networks: BucketTable[str, Pace] = BucketTable(Pace)

    def begin(self, session: Session) -> None:
        """The session says and asks on its name's account, and a guest's on its network's, too."""
        now = self._clock()
        if session.account is None:
            session.pace = self._guests.of(session.key, now)
            session.shares = self._shares(session.address, now)
        else:
            session.pace = self._accounts.of(session.key, now)
            session.shares = ()

    def promote(self, session: Session) -> None:
        """A guest has become an account, which has no more left than the guest had."""
        before = session.pace
        self.begin(session)
        session.pace.take_over(before)

    def stranger(self, address: str) -> Stranger:
        """What a connection where nobody has logged in has left to ask."""
        return Stranger(self._shares(address, self._clock()))

    def message(self, session: Session, characters: int, audience: int = 0) -> None:
        """The session sends a message of that length, which so many hear in a room. Raises `TooFast`."""
        bucket, price = session.pace.messages, price_of(characters, audience)
        bucket.in_hand -= price
        if bucket.in_hand < 0:
            self._settle(bucket, price, self._bounds().messages, self._message_shares(session))
            if session.outbox.closed:  # meanwhile
                raise NotLoggedIn

    def at_once(self, session: Session, price: int) -> Charge | None:
        """The session sends what counts as so many messages; None, and none is counted, where that is too fast."""
        bucket = session.pace.messages
        if bucket.in_hand < price:
            shares = self._message_shares(session)
            if not fill_up(bucket, price, self._bounds().messages, self._clock(), shares):
                return None
        bucket.in_hand -= price
        charge = Charge()
        charge.hold(bucket, price)
        return charge

    def request(self, asker: Session | Stranger, price: float) -> None:
        """Something is asked that costs so much, by a session or by somebody not logged in. Raises `TooFast`."""
        bucket = asker.pace.requests
        bucket.in_hand -= price
        if bucket.in_hand < 0:
            bounds = self._bounds()
            shares = _scaled(asker.shares, bounds.guest_requests, REQUESTS) if asker.shares else ()
            self._settle(bucket, price, bounds.requests, shares)

    def _message_shares(self, session: Session) -> Shares:
        return _scaled(session.shares, self._bounds().guest_messages, MESSAGES) if session.shares else ()

    def _shares(self, address: str, now: float) -> Sequence[tuple[Pace, int]]:
        return tuple((self._networks.of(network, now), factor) for network, factor in self.origins(address))

    def _settle(self, bucket: Bucket, price: float, rate: Rate, shares: Shares) -> None:
        overdraft = settle(bucket, price, rate, self._clock(), shares)
        if overdraft is not None:
            with Charge() as charge:
                charge.hold(bucket, price if overdraft.retry_after is None else 0.0)
                hold(overdraft)
                charge.keep()


class Stranger:
    """What somebody who has not logged in has left to ask."""

    __slots__ = ("pace", "shares")

    def __init__(self, shares: Sequence[tuple[Pace, int]]) -> None:
        self.pace = Pace()
        self.shares = shares


def _scaled(shares: Sequence[tuple[Pace, int]], rate: Rate, bucket: Callable[[Pace], Bucket]) -> Shares:
    return [(bucket(pace), rate.times(factor)) for pace, factor in shares]


def hold(overdraft: Overdraft) -> None:
    """Hold back for as long as is due. Raises `TooFast` where it is not to go on."""
    gevent.sleep(overdraft.hold)
    if overdraft.retry_after is not None:
        raise TooFast(retry_after=round(overdraft.retry_after, 2))
