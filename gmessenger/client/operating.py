"""What an operator can have the server do to those who disturb others."""

from __future__ import annotations

from typing import Any

from gmessenger.client.pages import whole_list
from gmessenger.client.repeating import Repeating
from gmessenger.wire.events import Answer, Ban, Bans, Close, Kick, Mute, Mutes, Open, Unban, Unmute


def is_address(whom: str) -> bool:
    """Whether this is an IPv6 address, or a network in CIDR notation, and cannot be a name as `203.0.113.7` can."""
    return ":" in whom or "/" in whom


class Operating(Repeating):
    """Everything raises as a question does; `OperatorsOnly` for everybody else. The counts are of sessions concerned.

    `whom` is a name, or an address or network where it has a `:` or a `/`, which no name has (so one IPv4 address is
    `203.0.113.7/32`); without `seconds` a thing lasts until it is lifted.
    """

    def kick(self, name: str, reason: str = "") -> int:
        """Close all connections of a name; it may come again."""
        return self._ask(Kick(user=name, reason=reason)).sessions or 0

    def mute(self, name: str, seconds: float | None = None, reason: str = "") -> int:
        """Have what a name says refused."""
        return self._ask(Mute(user=name, for_=seconds, reason=reason)).sessions or 0

    def unmute(self, name: str) -> None:
        """Let it speak again."""
        self._ask(Unmute(user=name))

    def ban(self, whom: str, seconds: float | None = None, reason: str = "") -> Answer:
        """Let nobody in under a name or from an address; the answer has how many `sessions` that closed, and the
        `address` as it was understood.
        """
        user, address = (None, whom) if is_address(whom) else (whom, None)
        return self._ask(Ban(user=user, address=address, for_=seconds, reason=reason))

    def unban(self, whom: str) -> None:
        """Let them in again."""
        self._ask(Unban(address=whom) if is_address(whom) else Unban(user=whom))

    def bans(self) -> list[dict[str, Any]]:
        """Who may not come in: `user` or `address`, `by`, `since`, and where there are any, `reason` and `until`."""
        return self._sanctions(Bans())

    def mutes(self) -> list[dict[str, Any]]:
        """Who may not speak, likewise."""
        return self._sanctions(Mutes())

    def close_room(self, room: str, reason: str = "") -> None:
        """Have nothing more said in a room, and nobody come in."""
        self._ask(Close(room=room, reason=reason))

    def open_room(self, room: str) -> None:
        """Let it be used again."""
        self._ask(Open(room=room))

    def _sanctions(self, request: Bans | Mutes) -> list[dict[str, Any]]:
        return whole_list(
            self._ask,
            request,
            lambda page: page.bans or page.mutes or [],
            lambda each: each.get("user") or each.get("address"),
        )
