"""Promises: room that outboxes keep for a message which is stored before it is delivered."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from gmessenger.chat.elsewhere import Promise
from gmessenger.chat.outbox import Outbox


class Promised:
    """Room of that `weight` which outboxes keep for a message: given back once, when it is settled or where the `with`
    block raises.
    """

    __slots__ = ("room", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.room: list[Promise] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.redeem()

    def ask(self, outbox: Outbox) -> None:
        """Have room kept in an outbox, if it has any."""
        if outbox.promise(self.weight):
            self.room.append(outbox)

    def redeem(self) -> None:
        """Give it back: now the message comes, or will not come."""
        room, self.room = self.room, []
        for promise in room:
            promise.redeem(self.weight)
