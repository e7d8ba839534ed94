"""Being asked by other nodes for what is to be given to guests who are here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gmessenger.chat.blocks import Blocks
from gmessenger.chat.delivery import Kept
from gmessenger.chat.model import Message
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.posting import OVERHEAD
from gmessenger.chat.presence import Later, Presence
from gmessenger.chat.router import Router
from gmessenger.cluster.contract import Bus
from gmessenger.cluster.frames import LATE, Answered, Offer, Wanted, encode
from gmessenger.errors import Blocked, NotHere, RecipientBusy

REMEMBERED_FOR: Final = 60.0
"""Seconds in which what was given once is not given again."""
MOST_REMEMBERED: Final = 10_000
ON_ITS_WAY: Final = 1.0
"""Seconds for which a message that was stored elsewhere may wait here for what comes before it."""


class Room(Struct):
    """What is kept for a message: who sends it to whom and its weight, and in which outboxes."""

    whose: tuple[str, str, int]
    outboxes: Sequence[Outbox]


class Asked:
    """Does what other nodes ask, for guests who are here. Nothing here blocks.

    Room that is kept for a message is free when the message is given, or when it has not been for a second after it was
    redeemed, or `patience` seconds after it was wanted. `steady` is a clock that only goes forward.
    """

    def __init__(
        self,
        bus: Bus,
        router: Router,
        blocks: Blocks,
        presence: Presence,
        later: Later,
        steady: Callable[[], float],
        patience: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._router = router
        self._blocks = blocks
        self._presence = presence
        self._later = later
        self._steady = steady
        self._patience = patience
        self._given: dict[str, tuple[float, int]] = {}
        self._rooms: dict[tuple[str, int], Room] = {}
        self._awaited: dict[tuple[str, str, int], dict[tuple[str, int], None]] = {}

    def offered(self, node: str, offer: Offer) -> None:
        """A message from guest to guest; one that was given already is only answered again."""
        _, taken = self._given.get(offer.mark, (0.0, 0))
        if taken:
            self._answer(node, offer.ref, taken)
            return
        message = Message(offer.sender, offer.to, offer.text, offer.time, offer.said)
        error, took = self._take(offer, lambda outbox: outbox.offer(message))
        if took:
            self._presence.conversed(offer.by, offer.key)
            self._remember(offer.mark, len(took))
        self._answer(node, offer.ref, len(took), error)

    def wanted(self, node: str, wanted: Wanted) -> None:
        """Room for a message."""
        place = node, wanted.ref
        if place in self._rooms:  # the bus has brought it twice
            return
        error, took = self._take(wanted, lambda outbox: outbox.promise(wanted.weight))
        if took:
            whose = wanted.by, wanted.key, wanted.weight
            self._rooms[place] = Room(whose, took)
            self._awaited.setdefault(whose, {})[place] = None
            self._later(self._patience(), lambda: self._free(place))
        self._answer(node, wanted.ref, len(took), error)  # last: it is given back whatever becomes of the answer

    def redeem(self, node: str, ref: int) -> None:
        """The message comes, if it has not come, or will not come."""
        place = node, ref
        if place in self._rooms:
            self._later(ON_ITS_WAY, lambda: self._free(place))

    def giving(self, kept: Sequence[Kept]) -> None:
        """These are given now: whoever has room kept for one of them needs it now."""
        if not self._rooms or kept[0].room is not None:
            return
        for each in kept:
            # One that weighs as much, of the same two, may take the place of another.
            awaited = self._awaited.get((each.key, each.to, len(each.post.text) + OVERHEAD))
            if awaited:
                self._free(next(iter(awaited)))

    def _free(self, place: tuple[str, int]) -> None:
        room = self._rooms.pop(place, None)
        if room is None:
            return
        awaited = self._awaited[room.whose]
        del awaited[place]
        if not awaited:
            del self._awaited[room.whose]
        for outbox in room.outboxes:
            outbox.redeem(room.whose[2])

    def _take(self, asked: Offer | Wanted, take: Callable[[Outbox], bool]) -> tuple[str, list[Outbox]]:
        """Which outboxes took it, or why none did."""
        outboxes = [each.outbox for each in self._router.sessions(asked.key) if each.account is None]
        error: str = ""
        taken: list[Outbox] = []
        if self._steady() > asked.until:
            error = LATE
        elif not outboxes:
            error = NotHere.word
        elif self._blocks.hide(asked.key, asked.by):
            error = Blocked.word
        elif not (taken := [outbox for outbox in outboxes if take(outbox)]):
            error = RecipientBusy.word
        return error, taken

    def _answer(self, node: str, ref: int, taken: int, error: str = "") -> None:
        self._bus.send(encode(Answered(ref, taken, error, self._steady())), {node})

    def _remember(self, mark: str, taken: int) -> None:
        now = self._steady()
        while self._given:
            oldest = next(iter(self._given))
            if len(self._given) < MOST_REMEMBERED and now - self._given[oldest][0] < REMEMBERED_FOR:
                break
            del self._given[oldest]
        if mark:
            self._given[mark] = now, taken
