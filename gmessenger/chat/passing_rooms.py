"""Passing rooms: those that guests make, which are deleted as soon as they are empty."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from gevent.event import Event

from gmessenger.chat.delivery import Spawn
from gmessenger.chat.policy import Policy
from gmessenger.chat.room import Room
from gmessenger.chat.room_quotas import RoomQuotas
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.errors import NoSuchRoom, StoreUnavailable
from gmessenger.names import fold
from gmessenger.room_rules import RoomRules, with_changes


class PassingRooms:
    """Creates the rooms of guests in the store, and deletes them there once they are empty.

    On a cluster each node deletes a room in which no user is known to it, on whatever node; the store keeps one that an
    account has joined meanwhile. A guest that has joined on another node in the same moment is told that it has left.
    """

    def __init__(
        self,
        store: Store,
        rooms: RoomRegistry,
        quotas: RoomQuotas,
        policy: Policy,
        clock: Callable[[], float],
        spawn: Spawn,
        networks_of: Callable[[str], WeightedNetworks],
    ) -> None:
        """`networks_of` returns the networks that an address counts for; none where nothing is counted."""
        self._store = store
        self._rooms = rooms
        self._quotas = quotas
        self._policy = policy
        self._clock = clock
        self._spawn = spawn
        self._networks_of = networks_of
        self._deletions: dict[str, Event] = {}
        rooms.on_left = self.delete_if_deserted

    def create(self, session: Session, name: str, rules: RoomRules) -> Room:
        """Create a room for a guest, or return the one that was created meanwhile. Blocks on the store.

        Its maker may be in it, whatever rules are given. Raises `NoSuchRoom` where guests may make none,
        `NameConfusable` or `TooManyRooms`.
        """
        if not self._policy.guest_rooms:
            raise NoSuchRoom("There is no such room, and only accounts may create one.")
        key, networks = fold(name), self._networks_of(session.address)
        with (
            self._rooms.reserve_name(name),
            self._quotas.reserve_passing_room(self._policy.limits, self._rooms, networks),
        ):
            if self._rooms.get(key) is None:
                rules = with_changes(rules, {"guests": True})
                record = self._store.create_room(key, name, None, self._clock(), rules, passing=True)
                room = self._rooms.load(record)
                room.made_from = [network for network, _ in networks]
        created = self._rooms.get(key)
        if created is None:
            raise NoSuchRoom
        return created

    def delete_if_deserted(self, room: Room) -> None:
        """Delete a passing room in a greenlet, unless a user is in it or is about to be. Never blocks."""
        if not self._is_deserted(room):
            return
        room.is_being_deleted = True
        self._deletions[room.key] = deletion = Event()
        self._spawn("a deserted room", self._delete, room, deletion)

    def await_deletion(self, key: str) -> None:
        """Block until the deletion of the room of that key, if it is under way, has ended; then it can be made anew.

        Not longer than the store may take; so the table of deletions has at most an entry for each room.
        """
        if (deletion := self._deletions.get(key)) is not None:
            deletion.wait(self._policy.store_timeout)

    def delete_leftovers(self, wait: Callable[[float], object], delay: float) -> None:
        """Delete the passing rooms that were empty when the server started. Blocks.

        `wait` blocks for so many seconds, or returns True if the server has stopped. `delay`: seconds after which the
        guests of all other nodes are known here.
        """
        leftovers = [room for room in self._rooms if self._is_deserted(room)]
        if leftovers and delay and wait(delay):
            return
        for room in leftovers:
            self.delete_if_deserted(room)
            self.await_deletion(room.key)

    def _is_deserted(self, room: Room) -> bool:
        is_awaited = self._quotas.pending_joins_by_room[room.key] > 0
        return room.is_passing and not room.is_being_deleted and not room.size and not is_awaited

    def _delete(self, room: Room, deletion: Event) -> None:
        is_dropped = False
        try:
            with suppress(StoreUnavailable):  # tried again when another user leaves the room, and at the next start
                is_dropped = self._store.drop_passing_room(room.key, room.id)
        finally:
            if is_dropped:
                self._rooms.discard(room)
            else:
                room.is_being_deleted = False
            if self._deletions.get(room.key) is deletion:  # else that of the next room of its name
                del self._deletions[room.key]
            deletion.set()
