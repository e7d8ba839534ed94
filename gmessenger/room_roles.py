"""The roles of a room's members, and who may act on whom. Pure."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

RoomRole: TypeAlias = Literal["member", "speaker", "moderator", "owner"]
"""A role in a room, the lowest first. Guests and most accounts have the lowest; a store keeps it as an empty string."""
ROOM_ROLES: Final[tuple[RoomRole, ...]] = get_args(RoomRole)
ROLE_RANKS: Final[dict[str, int]] = {role: rank for rank, role in enumerate(ROOM_ROLES)}
GIVEN_BY: Final[dict[RoomRole, RoomRole]] = {
    "member": "moderator",
    "speaker": "moderator",
    "moderator": "owner",
    "owner": "owner",
}
"""The role that one needs at least to give a role."""


def has_rank(role: RoomRole, least: RoomRole) -> bool:
    """Return whether a role is `least` or a higher one."""
    return ROLE_RANKS[role] >= ROLE_RANKS[least]


def may_act_on(actor: RoomRole, other: RoomRole) -> bool:
    """Return whether a role may remove members of another role, or change it: moderators and owners, lower ones."""
    return has_rank(actor, "moderator") and ROLE_RANKS[actor] > ROLE_RANKS[other]


def may_give(actor: RoomRole, role: RoomRole) -> bool:
    """Return whether a role may give another one."""
    return has_rank(actor, GIVEN_BY[role])
