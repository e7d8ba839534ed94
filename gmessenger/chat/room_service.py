"""Requests about rooms, other than sending to them."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from gmessenger.chat.delivery import DeliveryService
from gmessenger.chat.listings import USERS_PAGE, ListingService
from gmessenger.chat.membership import RoomMembership
from gmessenger.chat.results import RoomState, UserPage
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.session import Session


class RoomService:
    """Join, leave and change rooms, and list their members.

    `join`, `leave`, `remove` and `set_topic` change what is stored and block on the store: a protocol runs them by
    `ChangeRunner`. Raises as the methods of `RoomMembership`.
    """

    def __init__(
        self,
        rooms: RoomRegistry,
        membership: RoomMembership,
        delivery: DeliveryService,
        listings: ListingService,
        check_not_muted: Callable[[str], None],
    ) -> None:
        """`check_not_muted` raises `Muted` for the folded name of a user who may not speak."""
        self._rooms = rooms
        self._membership = membership
        self._delivery = delivery
        self._listings = listings
        self._check_not_muted = check_not_muted

    def join(self, session: Session, name: str) -> RoomState:
        """Enter a room, which an account creates if there is none; `seq` is the last before that."""
        room, head, readable = self._membership.join(session, name)
        for other in self._rooms.account_sessions(session):
            self._delivery.catch_up_if_behind(other, room.key, room.head)
        state = _room_state(room, head)
        state.first_seq, state.absences = readable.visible_from, readable.absences or UNSET
        return state

    def leave(self, session: Session, name: str) -> RoomState:
        """Leave a room."""
        room = self._membership.leave(session, name)
        return _room_state(room, room.head)

    def remove(self, session: Session, name: str, user: str) -> None:
        """Remove a member of a lower role from a room."""
        self._membership.remove_user(session, name, user)

    def set_topic(self, session: Session, name: str, topic: str) -> None:
        """Set the topic of a room. Raises `Muted`, too."""
        self._check_not_muted(session.key)
        self._membership.set_topic(session, name, topic)

    def members(self, session: Session, name: str, after: str | None = None) -> UserPage:
        """Return the members of a room that the session is in, by name, starting after `after`."""
        return self._listings.members(self._rooms.require_member(name, session), session.key, after)


def _room_state(room: Room, seq: int) -> RoomState:
    return RoomState(room.name, room.names[:USERS_PAGE], seq, room.topic)
