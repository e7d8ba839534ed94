"""Lists of who and what there is, in pages by name: what the answers to `users`, `members` and `rooms` hold."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any, Final

from gmessenger.chat.model import OFFLINE
from gmessenger.chat.names import fold
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import Presence
from gmessenger.chat.room import OpenRoom
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router

LIST_PAGE: Final = 200
ROOMS_PAGE: Final = LIST_PAGE // 4
"""Topics are long."""
LARGEST_ENTRY: Final = 320
"""Bytes one entry of a list of names may take: name and status of the longest, with what is around them."""


class Lists:
    """Every page begins behind the name `after`, and says with `more` whether another follows; it fits `max_frame`.

    `hide` says of two keys whether the first does not want to be seen by the second, the `asker`.
    """

    def __init__(
        self, router: Router, rooms: Rooms, presence: Presence, hide: Callable[[str, str], bool], policy: Policy
    ) -> None:
        self._router = router
        self._rooms = rooms
        self._presence = presence
        self._hide = hide
        self._policy = policy

    @property
    def page(self) -> int:
        """How many names a page holds."""
        return min(LIST_PAGE, max(1, self._policy.max_frame // LARGEST_ENTRY))

    def users(self, asker: str, after: str | None) -> dict[str, Any]:
        """Who is present, with their status."""
        return self._cards(self._router.names, asker, after, lambda key: self._hide(key, asker))

    def members(self, room: OpenRoom, asker: str, after: str | None) -> dict[str, Any]:
        """Who is in a room, with their status, and what it is about."""
        return self._cards({fold(name): name for name in room.names}, asker, after) | {"topic": room.topic}

    def rooms(self, after: str | None) -> dict[str, Any]:
        """The rooms there are."""
        start = fold(after) if after else ""
        later = (room for room in self._rooms if room.key > start)
        rooms = heapq.nsmallest(ROOMS_PAGE + 1, later, key=lambda room: room.key)
        listed = [
            {"room": room.name, "topic": room.topic, "members": room.size} | ({"closed": True} if room.closed else {})
            for room in rooms[:ROOMS_PAGE]
        ]
        return {"rooms": listed, "more": len(rooms) > ROOMS_PAGE}

    def _cards(
        self,
        names: Mapping[str, str],
        asker: str,
        after: str | None,
        is_left_out: Callable[[str], bool] = lambda key: False,
    ) -> dict[str, Any]:
        start, wanted = fold(after) if after else "", self.page + 1
        keys: list[str] = []
        more = True
        while more and len(keys) < wanted:  # asked of those on the page only: thousands may be present
            next_keys = heapq.nsmallest(wanted, [key for key in names if key > start])
            keys += [key for key in next_keys if not is_left_out(key)]
            more = len(next_keys) == wanted
            start = next_keys[-1] if next_keys else start
        cards = [{"account_name": names[key], "status": self._status(key, asker)} for key in keys[: self.page]]
        return {"users": cards, "more": len(keys) > self.page}

    def _status(self, key: str, asker: str) -> str:
        return OFFLINE if self._hide(key, asker) else self._presence.status(key)
