"""How far each conversation has come: what was handed on, what was sent from here, what waits behind a hole."""

from __future__ import annotations

import unicodedata
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gmessenger.wire.events import Delivery

MOST_OWN: Final = 1000
"""Numbers of one's own messages that are remembered before the conversation's place is known."""


def fold(name: str) -> str:
    """What the spellings of one name have in common."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def conversation(delivery: Delivery, me: str) -> str:
    """The room, or the other end; `me` is folded."""
    if delivery.to.startswith("#") or fold(delivery.sender) == me:
        return delivery.to
    return delivery.sender


@dataclass(slots=True, eq=False)
class Position:
    """One conversation's: everything up to `last` was handed on or sent from here; None where nobody knows yet."""

    with_: str
    last: int | None = None
    held: deque[tuple[Delivery, bytes]] = field(default_factory=deque)
    told: bool = False  # of the present hole
    _own: set[int] = field(default_factory=set)

    def begin(self, seq: int) -> None:
        """Where the place is not known, it is before `seq` and all of one's own."""
        if self.last is None:
            self.last = min(seq, *self._own) - 1 if self._own else seq - 1
            self._skip_own()

    def reach(self, seq: int) -> None:
        """Everything up to `seq` is done with."""
        self.last = max(self.last or 0, seq)
        self._skip_own()

    def sent(self, seq: int) -> None:
        """A message sent from here has this number; it will not come."""
        if self.last is None or seq > self.last:
            self._own.add(seq)
        if self.last is not None:
            self._skip_own()
        elif len(self._own) > MOST_OWN:
            self._own.remove(min(self._own))

    def missing(self, before: int) -> int:
        """How many there are between what was had and the number `before`, one's own left out."""
        last = self.last or 0
        return max(0, before - last - 1 - sum(last < seq < before for seq in self._own))

    def _skip_own(self) -> None:
        last = self.last or 0
        while last + 1 in self._own:
            last += 1
        self.last = last
        self._own = {seq for seq in self._own if seq > last}
