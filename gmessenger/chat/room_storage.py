"""The part of the interface of a store that has rooms, who is in them, and who may be. The rules of `Store` hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gmessenger.chat.records import ReadRange, RoomRecord
from gmessenger.chat.room_access import Invitation, MaskKind, RoomAccess, RoomMask, RoomSanction, RoomSanctionKind
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import OPEN_ROOM, RoomRules


class RoomStorage(Protocol):
    """What the chat requires of a store for rooms; `Store` has it, too."""

    def rooms(self) -> Sequence[RoomRecord]:
        """Return all rooms, with their members."""

    def create_room(
        self,
        key: str,
        name: str,
        creator: int | None,
        time: float,
        rules: RoomRules = OPEN_ROOM,
        *,
        passing: bool = False,
    ) -> RoomRecord:
        """Create a room with its creator as its only member and owner, or return the one of that key.

        `passing`: a guest makes it. It may have no owner, and `drop_passing_room` deletes it.

        Raises `Upgrading` for rules other than an open room's, as `change_rules`.
        """

    def join(
        self, room: str, account: int, time: float, *, is_welcome: bool = False, spared_since: float = 0.0
    ) -> ReadRange:
        """Add an account to the members, unless it is one. Returns the range of seqs that it may read.

        Who was a member before may read again what it could read then; what was sent since it has left is an absence,
        unless the room's rule `history` is `all`. Who was not may read what is sent from now on, or then everything.

        An invitation is used up; who `is_welcome` needs none. What shuts the account out since before `spared_since`
        does not count. Raises `NoSuchRoom`, `ShutOut` or `InvitedOnly` if the account may not join, or `AccountDeleted`
        where another node has deleted it.
        """

    def leave(self, room: str, account: int, by: str = "", reason: str = "") -> int | None:
        """Remove a member. (`by`, here and below: the name that did it, for the events on other nodes; so is `reason`.)

        In place of the last owner, in the same transaction, the eldest moderator becomes one, else the eldest member:
        who joined first; in a passing room none does. Returns its id; None if none did.
        """

    def change_rules(self, room: str, changes: Mapping[str, Any], by: str = "", actor: int | None = None) -> RoomRules:
        """Set rules of a room, and return all of them.

        `actor`, here and below: the account that does it, which must have the right to in the same transaction; None
        for an operator of the server.

        Raises `NoSuchRoom`, `NotOwner`, `BadRequest` for an unknown key or value: then nothing is changed. Raises
        `Upgrading` while a node of an earlier release, which knows no rules, has the store open.
        """

    def change_role(self, room: str, account: int, role: RoomRole, by: str = "", actor: int | None = None) -> None:
        """Change the role of a member.

        Raises `NoSuchRoom`, `NotFound` if it is no member, `NotOwner`, `LastOwner`, and `Upgrading` as `change_rules`.
        """

    def room_accesses(self) -> Mapping[str, RoomAccess]:
        """Return who is kept out of rooms or invited to them, by the room's key; rooms without such are left out."""

    def invite(self, room: str, invitation: Invitation) -> RoomAccess:
        """Add an invitation, unless there is one of its name; lift what keeps the name out. Returns all there is then.

        Raises `NoSuchRoom`, `AlreadyMember`, `AccountDeleted` if there is no account of that name (any more), or
        `Forbidden` beyond `MAX_INVITATIONS`.
        """

    def uninvite(self, room: str, key: str, by: str = "") -> RoomAccess:
        """Remove the invitation of a name, if there is one. Returns all there is then. Raises `NoSuchRoom`."""

    def add_room_sanction(self, room: str, sanction: RoomSanction) -> RoomAccess:
        """Add a sanction, in place of one of its kind on the same target. Returns all there is then.

        Who is shut out is not invited any more. Expired sanctions of the room are removed. Raises `NoSuchRoom`, or
        `Forbidden` beyond `MAX_ROOM_SANCTIONS`.
        """

    def lift_room_sanction(self, room: str, kind: RoomSanctionKind, key: str, by: str = "") -> RoomAccess:
        """Remove a sanction on a name, if there is one. Returns all there is then. Raises `NoSuchRoom`.

        Who is let in is let in from the network that was shut out with it.
        """

    def add_room_mask(self, room: str, mask: RoomMask) -> RoomAccess:
        """Add a mask, unless it is in the list. Returns all there is then.

        Raises `NoSuchRoom`, `Forbidden` beyond `MAX_MASKS`, and `Upgrading` as `change_rules`.
        """

    def remove_room_mask(self, room: str, kind: MaskKind, mask: str, by: str = "") -> RoomAccess:
        """Remove a mask, if it is in the list. Returns all there is then. Raises `NoSuchRoom`."""

    def set_topic(self, room: str, topic: str, by: str = "", time: float | None = None) -> None:
        """Set the topic of a room, and store who did that, and when."""

    def change_room_profile(
        self, room: str, change: Callable[[str], str], by: str = "", actor: int | None = None
    ) -> str:
        """Replace the profile of a room by `change(profile)` in one transaction; return the new profile.

        The old one is purged later. `change` as for `Store.change_settings`. Raises `NoSuchRoom`, or `NotOwner` if the
        actor is no moderator.
        """

    def delete_room(self, room: str) -> None:
        """Delete a room with its closure at once, and its messages before this returns, or later if the disk fails."""

    def drop_passing_room(self, room: str, id: int) -> bool:
        """Delete a passing room as `delete_room`, unless an account is in it, or the room of that key has another id.

        Returns whether it was deleted.
        """
