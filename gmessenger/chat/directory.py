"""Lists of who and what there is, in pages by name: what the answers to `users`, `members` and `rooms` hold."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any, Final

from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import PresenceTracker
from gmessenger.chat.rooms import Room, RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.constants import OFFLINE
from gmessenger.names import fold

USERS_PAGE: Final = 200
ROOMS_PAGE: Final = USERS_PAGE // 4
"""Topics are long."""
MAX_ENTRY_BYTES: Final = 320
"""Bytes one entry of a list of names may take: name and status of the longest, with what is around them."""


class Directory:
    """Every page begins behind the name `after`, and says with `more` whether another follows; it fits `max_frame`.

    `hide` says of two keys whether the first does not want to be seen by the second, the `asker`.
    """

    def __init__(
        self,
        router: Router,
        rooms: RoomRegistry,
        presence: PresenceTracker,
        is_hidden: Callable[[str, str], bool],
        policy: Policy,
    ) -> None:
        self._router = router
        self._rooms = rooms
        self._presence = presence
        self._is_hidden = is_hidden
        self._policy = policy

    @property
    def page_size(self) -> int:
        """How many names a page holds."""
        return min(USERS_PAGE, max(1, self._policy.max_frame // MAX_ENTRY_BYTES))

    def users(self, viewer: str, after: str | None) -> dict[str, Any]:
        """Who is present, with their status."""
        return self._user_page(self._router.names, viewer, after, lambda key: self._is_hidden(key, viewer))

    def members(self, room: Room, viewer: str, after: str | None) -> dict[str, Any]:
        """Who is in a room, with their status, and what it is about."""
        return self._user_page({fold(name): name for name in room.names}, viewer, after) | {"topic": room.topic}

    def rooms(self, after: str | None) -> dict[str, Any]:
        """The rooms there are."""
        start = fold(after) if after else ""
        later = (room for room in self._rooms if room.key > start)
        rooms = heapq.nsmallest(ROOMS_PAGE + 1, later, key=lambda room: room.key)
        listed = [
            {"room": room.name, "topic": room.topic, "members": room.size} | ({"closed": True} if room.closure else {})
            for room in rooms[:ROOMS_PAGE]
        ]
        return {"rooms": listed, "more": len(rooms) > ROOMS_PAGE}

    def _user_page(
        self,
        names: Mapping[str, str],
        viewer: str,
        after: str | None,
        is_excluded: Callable[[str], bool] = lambda key: False,
    ) -> dict[str, Any]:
        start, wanted = fold(after) if after else "", self.page_size + 1
        keys: list[str] = []
        more = True
        while more and len(keys) < wanted:  # asked of those on the page only: thousands may be present
            next_keys = heapq.nsmallest(wanted, [key for key in names if key > start])
            keys += [key for key in next_keys if not is_excluded(key)]
            more = len(next_keys) == wanted
            start = next_keys[-1] if next_keys else start
        cards = [{"account_name": names[key], "status": self._status(key, viewer)} for key in keys[: self.page_size]]
        return {"users": cards, "more": len(keys) > self.page_size}

    def _status(self, key: str, viewer: str) -> str:
        return OFFLINE if self._is_hidden(key, viewer) else self._presence.status(key)
