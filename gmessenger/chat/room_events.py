"""What those who are in a room are told of it, and who is invited to one. The rules of the events of an outbox hold."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from gmessenger.chat.room_access import MaskKind
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import RuleValue

EncodingCache: TypeAlias = dict[Hashable, Any]
"""How protocols have encoded one event, each by a key of its own, with what of the session makes a difference to it."""
NOT_ENCODED: Final[EncodingCache] = {}
"""Stands in for the cache of an event that no protocol has encoded yet. Never written to."""
RoomAction: TypeAlias = Literal[
    "join",
    "leave",
    "topic",
    "rule",
    "role",
    "close",
    "open",
    "shut_out",
    "let_in",
    "silence",
    "unsilence",
    "mask",
    "unmask",
]


class RoomEvent(Struct):
    """A user joined a room, left it, changed its topic or rules or got a role; or an operator closed or reopened it.

    Or a user was shut out of it, or silenced there, or that was lifted. `by`: who has done it, removed the user or
    gave the role; `former_role`: the one before it. `reason`: of that, of the closure, or what the user said when it
    left. `until`: when it ends. `rules`: those that were set. `is_removal`: who is shut out is in the room, and is
    removed next. `quit`: a guest left all its rooms, since its session ended. `mask`, `mask_kind`: which the user has
    added to a list of the room, or removed.
    """

    action: RoomAction
    room: str
    name: str
    topic: str | None = None
    by: str | None = None
    reason: str | None = None
    role: RoomRole | None = None
    former_role: RoomRole | None = None
    rules: dict[str, RuleValue] | None = None
    until: float | None = None
    is_removal: bool = False
    quit: bool = False
    mask: str | None = None
    mask_kind: MaskKind | None = None
    size: int = 160


class UserRenamed(Struct):
    """A guest has another name. `rooms`: those that this session shares with it. `encoded` as in `Message`."""

    former_name: str
    name: str
    rooms: tuple[str, ...]
    encoded: EncodingCache | None = None

    @property
    def size(self) -> int:
        return 320 * max(1, len(self.rooms))


class InvitationEvent(Struct):
    """`by` has invited the session's name to a room."""

    room: str
    by: str
    size: int = 96
