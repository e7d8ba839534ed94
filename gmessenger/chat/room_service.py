"""Requests about rooms, other than sending to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from gmessenger.chat.delivery import DeliveryService
from gmessenger.chat.invitations import Invitations
from gmessenger.chat.listings import USERS_PAGE, ListingService
from gmessenger.chat.membership import RoomMembership
from gmessenger.chat.results import RoomState, RulesResult, UserPage
from gmessenger.chat.room import Room
from gmessenger.chat.room_rights import RoomRights
from gmessenger.chat.room_sanctions import RoomSanctions
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.session import Session
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import shown_rules


class RoomService:
    """Join, leave and change rooms, and list their members.

    All but `members` may change what is stored and block on the store: a protocol runs them by `ChangeRunner`. Raise as
    the methods of `RoomMembership` and `RoomRights`.
    """

    def __init__(
        self,
        rooms: RoomRegistry,
        membership: RoomMembership,
        rights: RoomRights,
        invitations: Invitations,
        sanctions: RoomSanctions,
        delivery: DeliveryService,
        listings: ListingService,
        check_not_muted: Callable[[str], None],
    ) -> None:
        """`check_not_muted` raises `Muted` for the folded name of a user who may not speak."""
        self._rooms = rooms
        self._membership = membership
        self._rights = rights
        self._invitations = invitations
        self._sanctions = sanctions
        self._delivery = delivery
        self._listings = listings
        self._check_not_muted = check_not_muted

    def join(
        self, session: Session, name: str, rules: Mapping[str, Any] | None = None, key: str | None = None
    ) -> RoomState:
        """Enter a room, which an account creates if there is none; `seq` is the last before that."""
        room, head, readable = self._membership.join(session, name, rules, key)
        for other in self._rooms.account_sessions(session):
            self._delivery.catch_up_if_behind(other, room.key, room.head)
        state = _room_state(room, head)
        state.first_seq, state.absences = readable.visible_from, readable.absences or UNSET
        role = room.role_of(session)
        state.rules, state.role = shown_rules(room.rules, is_member=True), role if role != "member" else UNSET
        return state

    def leave(self, session: Session, name: str, reason: str = "") -> RoomState:
        """Leave a room, or decline the invitation to one. `reason`: what its members are told, if anything."""
        if (room := self._invitations.decline(session, name)) is not None:
            return RoomState(room.name, [], 0, "")
        room = self._membership.leave(session, name, reason)
        return _room_state(room, room.head)

    def set_topic(self, session: Session, name: str, topic: str) -> None:
        """Set the topic of a room. Raises `Muted` and `Silenced`, too."""
        self._check_not_muted(session.key)
        self._sanctions.check_not_silenced(session, name)
        self._rights.set_topic(session, name, topic)

    def rules(self, session: Session, name: str, changes: Mapping[str, Any] | None = None) -> RulesResult:
        """Return the rules of a room, of which an owner sets some. Raises as the methods of `RoomRights`."""
        if changes is None:
            return RulesResult(self._rights.rules(session, name))
        return RulesResult(self._rights.change_rules(session, name, changes))

    def change_role(self, session: Session, name: str, user: str, role: RoomRole) -> None:
        """Change the role of a member of a room. Raises as the method of `RoomRights`."""
        self._rights.change_role(session, name, user, role)

    def members(self, session: Session, name: str, after: str | None = None) -> UserPage:
        """Return the members of a room that the session is in, by name, starting after `after`."""
        return self._listings.members(self._rooms.require_member(name, session), session.key, after)


def _room_state(room: Room, seq: int, **extra: Any) -> RoomState:
    return RoomState(room.name, room.names[:USERS_PAGE], seq, room.topic, **extra)
