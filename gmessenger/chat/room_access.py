"""Who may come into a room and write there, beside its rules: sanctions, invitations and lists of masks."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct, field

RoomSanctionKind: TypeAlias = Literal["shut_out", "network", "silence"]


class RoomSanction(Struct):
    """What keeps a name out of a room or silent there, or guests of a network out.

    `target`: the folded name, or the network. `name`: as shown; of a network, the folded name of the guest that was
    shut out, with which it is let in again. `by`: who did it. `since`, `until`: Unix seconds; without `until` it holds
    until it is lifted.
    """

    kind: RoomSanctionKind
    target: str
    name: str
    by: str
    reason: str
    since: float
    until: float | None = None


class Invitation(Struct):
    """An account that may join a room, by its folded name. `name`: as shown. `by`: who has invited it, and `since`."""

    key: str
    name: str
    by: str
    since: float


MaskKind: TypeAlias = Literal["ban", "spared", "welcome", "silenced", "heard"]
MASK_KINDS: Final[tuple[MaskKind, ...]] = get_args(MaskKind)


ACCOUNT_MASK: Final = "account:"
"""Begins a mask of the names of accounts: no guest matches it, whatever its name."""


class RoomMask(Struct):
    """A pattern in one of a room's lists of users. The protocol that defines its syntax matches sessions against it.

    `kind`: who matches a `ban` can neither join nor write, unless a mask of kind `spared` matches, too; who matches one
    of kind `silenced` cannot write, unless one of kind `heard` matches; who matches one of kind `welcome` needs no
    invitation. Those of the kinds `spared` and `heard` lift what was imposed on one name before them, too, as long as
    they are there. `by`: who has added it, and `since`.
    """

    kind: MaskKind
    mask: str
    by: str
    since: float


class RoomAccess(Struct):
    """Who is kept out of a room, by kind and target, or invited to it, by folded name; some of it may have expired.

    `masks`: by kind and mask.
    """

    sanctions: dict[tuple[RoomSanctionKind, str], RoomSanction] = field(default_factory=dict)
    invitations: dict[str, Invitation] = field(default_factory=dict)
    masks: dict[tuple[MaskKind, str], RoomMask] = field(default_factory=dict)


MAX_MASKS: Final = 100  # of a kind and a room
MAX_MASK: Final = 255  # characters
MAX_INVITATIONS: Final = 100  # that wait, of a room
MAX_ROOM_SANCTIONS: Final = 1000  # of a room
