"""The roles of a room's members, and who may act on whom. Pure."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from gmessenger.errors import LastOwner, NotOwner

RoomRole: TypeAlias = Literal["member", "speaker", "moderator", "owner"]
"""A role in a room, the lowest first. Most members have the lowest; a store keeps it as an empty string."""
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


def may_act_on(actor: RoomRole, other: RoomRole, *, needs_owner: bool = True) -> bool:
    """Return whether a role may remove members of another role, or change it: moderators and owners, lower ones.

    `needs_owner`: the room always has an owner, who cannot be removed. In another, owners may act on each other, too.
    """
    is_equal = actor == other == "owner" and not needs_owner
    return is_equal or (has_rank(actor, "moderator") and ROLE_RANKS[actor] > ROLE_RANKS[other])


def may_give(actor: RoomRole, role: RoomRole) -> bool:
    """Return whether a role may give another one."""
    return has_rank(actor, GIVEN_BY[role])


def check_role_change(
    actor: RoomRole | None,
    before: RoomRole,
    after: RoomRole,
    *,
    is_own: bool,
    owner_count: int,
    needs_owner: bool = True,
) -> None:
    """Check whether a member's role may be changed.

    Args:
        actor: the role of who changes it; None for an operator of the server, who may change any.
        is_own: it is the actor's own role, which may be lowered.
        owner_count: the number of owners before.
        needs_owner: the room may not lose its last owner; a passing room may, and owners there act on each other.

    Raises:
        NotOwner: the actor's role does not allow it.
        LastOwner: the room would have no owner.
    """
    is_lowered_by_oneself = is_own and ROLE_RANKS[after] <= ROLE_RANKS[before]
    may_act = actor is None or (may_act_on(actor, before, needs_owner=needs_owner) and may_give(actor, after))
    if not may_act and not is_lowered_by_oneself:
        raise NotOwner
    if needs_owner and before == "owner" != after and owner_count <= 1:
        raise LastOwner
