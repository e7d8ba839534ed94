"""The requests about rooms that belong to owners: rules, roles and removals."""

from __future__ import annotations

from collections.abc import Mapping

from gmessenger.client.request_retry import RetryingRequests
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import RuleValue
from gmessenger.wire.events import RemoveRequest, RoleRequest, RuleRequest


class RoomRequests(RetryingRequests):
    """The requests of a room's owners and moderators. They raise as those of `ChatRequests` do, and `NotOwner`."""

    def rules(self, room: str) -> dict[str, RuleValue]:
        """Return all rules of a room that one is in, by key."""
        return self._request(RuleRequest(room=room)).rules or {}

    def set_rules(self, room: str, changes: Mapping[str, RuleValue]) -> dict[str, RuleValue]:
        """Set rules of a room that one owns; return all of them. With an unknown key or value, none is set."""
        return self._request(RuleRequest(room=room, changes=dict(changes))).rules or {}

    def set_role(self, room: str, name: str, role: RoomRole) -> None:
        """Give a member of a room another role: `owner`, `moderator`, `speaker` or `member`."""
        self._request(RoleRequest(room=room, user=name, role=role))

    def remove_member(self, room: str, name: str) -> None:
        """Remove a member with a lower role from a room."""
        self._request(RemoveRequest(room=room, user=name))
