"""How many rooms there may be, and how many of them one may make and be in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from gmessenger.chat.charges import counted
from gmessenger.chat.limits import Bounds
from gmessenger.chat.session import Session
from gmessenger.errors import RoomFull, TooManyRooms


class Bounded(Protocol):
    """What has to be known of a room."""

    creator: int | None

    @property
    def key(self) -> str:
        """Its name folded."""

    @property
    def size(self) -> int:
        """How many are in it."""

    def holds(self, session: Session) -> bool:
        """Whether the session is in it."""


class Reservations:
    """What is on its way to the disk counts as if it were there: else many that are asked at one time exceed a bound.

    `made` counts the rooms that accounts are making, `joined` those that names are joining, and `entered`, by room, who
    is joining it.
    """

    def __init__(self) -> None:
        self.made: Counter[int] = Counter()
        self.joined: Counter[str] = Counter()
        self.entered: Counter[str] = Counter()

    @contextmanager
    def making(self, bounds: Bounds, rooms: Iterable[Bounded], account: int) -> Iterator[None]:
        """The account makes a room within. Raises `TooManyRooms`."""
        made = [room.creator == account for room in rooms]
        if len(made) + self.made.total() >= bounds.rooms:
            raise TooManyRooms("This server has reached its limit of rooms.", limit=bounds.rooms)
        if sum(made) + self.made[account] >= bounds.rooms_made:
            raise TooManyRooms(f"An account can create at most {bounds.rooms_made} rooms.", limit=bounds.rooms_made)
        with counted(self.made, account):
            yield

    @contextmanager
    def joining(self, bounds: Bounds, rooms: Iterable[Bounded], session: Session, room: Bounded) -> Iterator[None]:
        """The session joins the room within. Raises `TooManyRooms` or `RoomFull`."""
        if room.size + self.entered[room.key] >= bounds.members:
            raise RoomFull(limit=bounds.members)
        self.check_joining(bounds, rooms, session)
        with counted(self.joined, session.key), counted(self.entered, room.key):
            yield

    def check_joining(self, bounds: Bounds, rooms: Iterable[Bounded], session: Session) -> None:
        """Whether the session may be in one more room. Raises `TooManyRooms`."""
        if sum(each.holds(session) for each in rooms) + self.joined[session.key] >= bounds.rooms_joined:
            raise TooManyRooms(
                f"You can be a member of at most {bounds.rooms_joined} rooms.", limit=bounds.rooms_joined
            )
