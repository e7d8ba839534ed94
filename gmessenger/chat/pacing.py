"""Pacing: who says or asks too much too fast is read more slowly first, and refused if that does not help.

What is counted is counted by name, so that all sessions of an account share it, and coming back does not renew it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import gevent

from gmessenger.chat.limits import Bounds, Bucket, Overdraft, Pace, Rate, Remembered
from gmessenger.chat.session import Session
from gmessenger.errors import NotLoggedIn, TooFast

AUDIENCE_OF_ONE: Final = 10
"""As many more who are to hear a message make it count as one message more."""


class Pacing:
    """May block the greenlet that calls it, and so hold back reading. `bounds` gives those that hold now."""

    def __init__(self, bounds: Callable[[], Bounds], clock: Callable[[], float]) -> None:
        self._bounds = bounds
        self._clock = clock
        self._paces: Remembered[str, Pace] = Remembered(Pace)

    def begin(self, session: Session) -> None:
        """The session says and asks on its name's account."""
        session.pace = self._paces.of(session.key)

    def message(self, session: Session, audience: int = 0) -> None:
        """The session sends a message, which so many hear in a room. Raises `TooFast`."""
        bucket, price = session.pace.messages, price_of(audience)
        bucket.in_hand -= price
        if bucket.in_hand < 0:
            self._settle(bucket, price, self._bounds().messages)
            if session.outbox.closed:  # meanwhile
                raise NotLoggedIn

    def at_once(self, session: Session, count: int) -> bool:
        """The session sends what counts as so many messages; False, and none is counted, where that is too fast."""
        bucket = session.pace.messages
        if bucket.in_hand < count:
            bucket.fill_up(count, self._bounds().messages, self._clock())
        enough = bucket.in_hand >= count
        bucket.in_hand -= count if enough else 0
        return enough

    def give_back(self, session: Session, count: int) -> None:
        """So many messages were not sent after all."""
        session.pace.messages.give_back(count)

    def request(self, bucket: Bucket, price: float) -> None:
        """Something is asked that costs so much, by a session or by somebody not logged in. Raises `TooFast`."""
        bucket.in_hand -= price
        if bucket.in_hand < 0:
            self._settle(bucket, price, self._bounds().requests)

    def _settle(self, bucket: Bucket, price: float, rate: Rate) -> None:
        excess = max(0.0, price - rate.burst)  # what nobody could ever have together
        bucket.give_back(excess)
        overdraft = bucket.draw(price - excess, rate, self._clock()) if bucket.in_hand < 0 else None
        if overdraft is not None:
            hold(overdraft)


def price_of(audience: int) -> int:
    """As how many a message counts that so many hear in a room."""
    return 1 + audience // AUDIENCE_OF_ONE


def hold(overdraft: Overdraft) -> None:
    """Hold back for as long as is due. Raises `TooFast` where it is not to go on."""
    gevent.sleep(overdraft.hold)
    if overdraft.retry_after is not None:
        raise TooFast(retry_after=round(overdraft.retry_after, 2))
