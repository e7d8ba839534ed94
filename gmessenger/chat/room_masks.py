"""Lists of masks that a room has: patterns of users who may not join or not write, or who need no invitation."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import astuple

from gmessenger import log
from gmessenger.chat.admin_results import MaskEntry
from gmessenger.chat.room import Room
from gmessenger.chat.room_access import MASK_KINDS, MAX_MASK, MaskKind, RoomMask
from gmessenger.chat.room_rights import RoomActor, RoomRights
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import BadRequest, NotFound, NotMember


class RoomMasks:
    """Changes and lists the masks of rooms. Changes block on the store.

    Moderators, owners and operators of the server change them. A mask is any text without spaces; the same text is the
    same mask. What it means is decided by the room's `matches_mask`.
    """

    def __init__(self, store: Store, rooms: RoomRegistry, rights: RoomRights, clock: Callable[[], float]) -> None:
        self._store = store
        self._rooms = rooms
        self._rights = rights
        self._clock = clock

    def add_mask(self, session: Session, name: str, kind: MaskKind, mask: str) -> None:
        """Add a mask to a list of a room, which removes no user from it.

        Raises `NoSuchRoom`, `NotOwner`, `BadRequest` for a text that is no mask, `Forbidden` beyond `MAX_MASKS`, or
        `Upgrading`.
        """
        room = self._rights.find_room(name, session, "moderator")
        if not 0 < len(mask) <= MAX_MASK or not mask.isprintable() or " " in mask:
            raise BadRequest(f"A mask is 1 to {MAX_MASK} printable characters without spaces.")
        actor = RoomActor.of(session, room)
        with room.access_lock:
            access = self._store.add_room_mask(room.key, RoomMask(kind, mask, actor.name, self._clock()))
            self._rooms.update_access(room, access, actor.name, self._clock(), session)
        self._log(actor, "mask", room)

    def remove_mask(self, session: Session, name: str, kind: MaskKind, mask: str) -> None:
        """Remove a mask from a list of a room. Raises `NoSuchRoom`, `NotOwner`, or `NotFound` if it is not there."""
        room = self._rights.find_room(name, session, "moderator")
        if (kind, mask) not in room.access.masks:
            raise NotFound("There is no such mask in this list.")
        actor = RoomActor.of(session, room)
        with room.access_lock:
            access = self._store.remove_room_mask(room.key, kind, mask, actor.name)
            self._rooms.update_access(room, access, actor.name, self._clock(), session)
        self._log(actor, "unmask", room)

    def masks(self, session: Session, name: str, kind: MaskKind) -> list[RoomMask]:
        """Return a list of a room, the earliest first, to who is in it. Never blocks, but as `find_known`.

        Raises `NoSuchRoom` or `NotMember`, but not for operators.
        """
        room = self._rights.find_room(name, session)
        if not room.has_member(session) and session.role != OPERATOR_ROLE:
            raise NotMember
        return _sorted(room, kind)

    def _log(self, actor: RoomActor, method: str, room: Room) -> None:
        if actor.is_operator:
            log.log_event("moderated", by=actor.name, method=method, what=room.key, reason=None)


def mask_entries(room: Room) -> list[MaskEntry]:
    """Return all lists of a room."""
    return [MaskEntry(*astuple(mask)) for kind in MASK_KINDS for mask in _sorted(room, kind)]


def _sorted(room: Room, kind: MaskKind) -> list[RoomMask]:
    """Return a list of a room, the earliest first."""
    return sorted(room.masks(kind), key=lambda each: (each.since, each.mask))
