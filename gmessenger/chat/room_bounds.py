"""How many rooms there may be, and how many of them one may make and be in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gmessenger.chat.limits import Bounds
from gmessenger.chat.session import Session
from gmessenger.errors import RoomFull, TooManyRooms


class Bounded(Protocol):
    """What has to be known of a room."""

    creator: int | None

    @property
    def size(self) -> int:
        """How many are in it."""

    def holds(self, session: Session) -> bool:
        """Whether the session is in it."""


def check_making(bounds: Bounds, rooms: Iterable[Bounded], account: int) -> None:
    """Whether the account may make one more. Raises `TooManyRooms`."""
    made = [room.creator == account for room in rooms]
    if len(made) >= bounds.rooms:
        raise TooManyRooms("This server has as many rooms as it may have.", limit=bounds.rooms)
    if sum(made) >= bounds.rooms_made:
        raise TooManyRooms(f"One account makes at most {bounds.rooms_made} rooms.", limit=bounds.rooms_made)


def check_joining(bounds: Bounds, rooms: Iterable[Bounded], session: Session, room: Bounded | None) -> None:
    """Whether the session may be in one more, a new one or this. Raises `TooManyRooms` or `RoomFull`."""
    if room is not None and room.size >= bounds.members:
        raise RoomFull(limit=bounds.members)
    if sum(each.holds(session) for each in rooms) >= bounds.rooms_joined:
        raise TooManyRooms(f"One is in at most {bounds.rooms_joined} rooms.", limit=bounds.rooms_joined)
