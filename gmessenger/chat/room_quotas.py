"""The limits on rooms, their creation and their members, while what is being stored counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from gmessenger.chat.ratelimit import Limits, in_flight
from gmessenger.chat.room import Room
from gmessenger.chat.session import Session
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.errors import RoomFull, TooManyRooms

GUESTS_SHARE: Final = 4
"""Guests' rooms are at most one in so many: names are free to choose, and accounts need room, too."""


class RoomQuotas:
    """Checks the limits on rooms. What is being stored counts, or many requests at once would exceed them.

    `pending_creations`: rooms that are being created, by account id; with None those of guests, which are counted by
    network as well, in `pending_passing`.
    `pending_joins_by_name`, `pending_joins_by_room`: joins that are being stored, by key.
    """

    def __init__(self) -> None:
        self.pending_creations: Counter[int | None] = Counter()
        self.pending_passing: Counter[str] = Counter()
        self.pending_joins_by_name: Counter[str] = Counter()
        self.pending_joins_by_room: Counter[str] = Counter()

    @contextmanager
    def reserve_room(self, limits: Limits, rooms: Iterable[Room], account: int) -> Iterator[None]:
        """Count a room that the account creates within the block. Raises `TooManyRooms`."""
        is_own = [room.creator == account for room in rooms]
        self._check_total(len(is_own), limits)
        if sum(is_own) + self.pending_creations[account] >= limits.max_rooms_created:
            raise TooManyRooms(
                f"An account can create at most {limits.max_rooms_created} rooms.", limit=limits.max_rooms_created
            )
        with in_flight(self.pending_creations, account):
            yield

    @contextmanager
    def reserve_passing_room(self, limits: Limits, rooms: Iterable[Room], networks: WeightedNetworks) -> Iterator[None]:
        """Count a room that a guest from these networks creates within the block. Raises `TooManyRooms`."""
        rooms = list(rooms)
        self._check_total(len(rooms), limits)
        passing = [room for room in rooms if room.is_passing]
        most = max(1, limits.max_rooms // GUESTS_SHARE)
        if len(passing) + self.pending_creations[None] >= most:
            raise TooManyRooms("This server has reached its limit of guests' rooms.", limit=most)
        for network, factor in networks:
            most = limits.max_rooms_created * factor
            if sum(network in room.made_from for room in passing) + self.pending_passing[network] >= most:
                raise TooManyRooms(f"Guests from one network can create at most {most} rooms.", limit=most)
        with ExitStack() as pending:
            pending.enter_context(in_flight(self.pending_creations, None))
            for network, _ in networks:
                pending.enter_context(in_flight(self.pending_passing, network))
            yield

    def _check_total(self, count: int, limits: Limits) -> None:
        if count + self.pending_creations.total() >= limits.max_rooms:
            raise TooManyRooms("This server has reached its limit of rooms.", limit=limits.max_rooms)

    @contextmanager
    def reserve_join(self, limits: Limits, rooms: Iterable[Room], session: Session, room: Room) -> Iterator[None]:
        """Count a join that is stored within the block. Raises `TooManyRooms` or `RoomFull`."""
        limit = limits.max_members
        if room.rules.most and not room.is_invited(session):
            limit = min(limit, room.rules.most)
        # A guest that has resumed its session has its place already.
        if not room.has_place_for(session) and room.size + self.pending_joins_by_room[room.key] >= limit:
            raise RoomFull(limit=limit)
        self.check_join_quota(limits, rooms, session)
        with in_flight(self.pending_joins_by_name, session.key), in_flight(self.pending_joins_by_room, room.key):
            yield

    def check_join_quota(self, limits: Limits, rooms: Iterable[Room], session: Session) -> None:
        """Raise `TooManyRooms` if the session may not join one more room."""
        joined = sum(room.has_member(session) for room in rooms)
        if joined + self.pending_joins_by_name[session.key] >= limits.max_rooms_joined:
            raise TooManyRooms(
                f"You can be a member of at most {limits.max_rooms_joined} rooms.", limit=limits.max_rooms_joined
            )
