"""Lists of users, members and rooms, in pages by name."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import UNSET

from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import ABSENT, PresenceTracker
from gmessenger.chat.results import RoomEntry, RoomPage, UserEntry, UserPage
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.names import fold

USERS_PAGE: Final = 200
ROOMS_PAGE: Final = USERS_PAGE // 4
"""Topics are long."""
MAX_ENTRY_BYTES: Final = 320
"""Bytes that an entry of a list may take without a note: the longest name and status, with the JSON around them."""


class ListingService:
    """Makes pages of users and rooms from memory; never blocks. A protocol shortens a page that exceeds its frames.

    `is_hidden(key, viewer)` is whether a user has blocked the viewer; both are folded names.
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
        """The number of names in a page."""
        return min(USERS_PAGE, max(1, self._policy.max_frame // MAX_ENTRY_BYTES))

    def users(self, viewer: str, after: str | None) -> UserPage:
        """Return the users who are present and visible to `viewer`."""
        return self._user_page(self._router.names, viewer, after, lambda key: self._is_hidden(key, viewer))

    def members(self, room: Room, viewer: str, after: str | None) -> UserPage:
        """Return the members of a room, and its topic."""
        page = self._user_page({fold(name): name for name in room.names}, viewer, after)
        page.topic = room.topic
        roles = {fold(name): role for name, role in room.named_roles.items()}
        bots = {account.key for account in room.members.values() if account.is_bot}
        for user in page.users:
            user.role = roles.get(fold(user.name), UNSET)
            user.bot = True if fold(user.name) in bots else UNSET
        return page

    def rooms(self, session: Session, after: str | None) -> RoomPage:
        """Return the rooms there are, without those hidden ones that the session is not in."""
        start = fold(after) if after else ""
        following = (
            room
            for room in self._rooms
            if room.key > start and not room.is_being_deleted and (not room.rules.hidden or room.has_member(session))
        )
        rooms = heapq.nsmallest(ROOMS_PAGE + 1, following, key=lambda room: room.key)
        entries = [
            RoomEntry(room.name, room.topic, room.size, True if room.closure else UNSET) for room in rooms[:ROOMS_PAGE]
        ]
        return RoomPage(entries, len(rooms) > ROOMS_PAGE)

    def _user_page(
        self,
        names: Mapping[str, str],
        viewer: str,
        after: str | None,
        is_excluded: Callable[[str], bool] = lambda key: False,
    ) -> UserPage:
        start, wanted = fold(after) if after else "", self.page_size + 1
        keys: list[str] = []
        more = True
        while more and len(keys) < wanted:  # only of those on the page: thousands may be present
            next_keys = heapq.nsmallest(wanted, [key for key in names if key > start])
            keys += [key for key in next_keys if not is_excluded(key)]
            more = len(next_keys) == wanted
            start = next_keys[-1] if next_keys else start
        entries = [self._user_entry(key, names[key], viewer) for key in keys[: self.page_size]]
        return UserPage(entries, len(keys) > self.page_size)

    def _user_entry(self, key: str, name: str, viewer: str) -> UserEntry:
        status, note = ABSENT if self._is_hidden(key, viewer) else self._presence.status(key)
        return UserEntry(name, status, note or UNSET)
