"""The requests about rooms that belong to owners: rules, roles, invitations, and who is kept out or silenced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gmessenger.client.request_retry import RetryingRequests
from gmessenger.client.responses import CreatedHook, HookInfo, InvitationInfo, SanctionInfo, fetch_all, parse_rows
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import RuleValue
from gmessenger.wire.events import (
    HookRequest,
    HooksRequest,
    InvitationsRequest,
    InviteRequest,
    LetInRequest,
    RemoveRequest,
    RoleRequest,
    RuleRequest,
    ShutOutRequest,
    ShutOutsRequest,
    SilenceRequest,
    SilencesRequest,
    UnhookRequest,
    UninviteRequest,
    UnsilenceRequest,
)


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
        """Remove a member with a lower role from a room; the name stays out until it is let in or invited."""
        self._request(RemoveRequest(room=room, user=name))

    def invite(self, room: str, name: str) -> None:
        """Invite a user to a room, who gets an `Invited` now and after each login, until joining it or leaving it."""
        self._request(InviteRequest(room=room, user=name))

    def uninvite(self, room: str, name: str) -> None:
        """Take an invitation back."""
        self._request(UninviteRequest(room=room, user=name))

    def invitations(self, room: str) -> list[InvitationInfo]:
        """Return who is invited to a room and has not joined it, each with `user`, `by` and `since`."""
        rows = fetch_all(
            self._request,
            InvitationsRequest(room=room),
            lambda page: page.invitations or [],
            lambda row: row.get("user"),
        )
        return parse_rows(rows, InvitationInfo)

    def shut_out(self, room: str, name: str, seconds: float | None = None, reason: str = "") -> None:
        """Remove a name from a room, and keep it out: until it is let in, or for `seconds`."""
        self._request(ShutOutRequest(room=room, user=name, duration=seconds, reason=reason))

    def let_in(self, room: str, name: str) -> None:
        """Let a name join a room again that was removed from it or shut out."""
        self._request(LetInRequest(room=room, user=name))

    def shut_outs(self, room: str) -> list[SanctionInfo]:
        """Return the names that are kept out of a room, as `bans` does."""
        rows = fetch_all(self._request, ShutOutsRequest(room=room), lambda page: page.shut_outs or [], _user_of)
        return parse_rows(rows, SanctionInfo)

    def silence(self, room: str, name: str, seconds: float | None = None, reason: str = "") -> None:
        """Have what a name writes in a room refused: until that is lifted, or for `seconds`."""
        self._request(SilenceRequest(room=room, user=name, duration=seconds, reason=reason))

    def unsilence(self, room: str, name: str) -> None:
        """Let a name write in a room again."""
        self._request(UnsilenceRequest(room=room, user=name))

    def silences(self, room: str) -> list[SanctionInfo]:
        """Return the names that are silenced in a room, as `bans` does."""
        rows = fetch_all(self._request, SilencesRequest(room=room), lambda page: page.silences or [], _user_of)
        return parse_rows(rows, SanctionInfo)

    def add_hook(self, room: str, name: str) -> CreatedHook:
        """Make a hook of a room that one owns, and return its secret. `NameTaken` may mean that the answer was lost."""
        made = self._request(HookRequest(room=room, name=name))
        return CreatedHook(made.name or name, made.token or "", made.url or "")

    def hooks(self, room: str) -> list[HookInfo]:
        """Return the hooks of a room that one owns, without their secrets."""
        return parse_rows(self._request(HooksRequest(room=room)).hooks or [], HookInfo)

    def revoke_hook(self, room: str, name: str) -> None:
        """Delete a hook of a room of which one is an owner; its messages stay."""
        self._request(UnhookRequest(room=room, name=name))


def _user_of(row: dict[str, Any]) -> object:
    return row.get("user")
