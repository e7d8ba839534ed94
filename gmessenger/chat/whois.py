"""What a user may know of another one."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import UNSET

from gmessenger.chat.listings import MAX_ENTRY_BYTES
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import ABSENT, PresenceTracker
from gmessenger.chat.records import Account
from gmessenger.chat.results import SharedRoom, UserEntry, Whois
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.constants import OFFLINE
from gmessenger.errors import NotFound
from gmessenger.names import fold

MAX_SHARED_ROOMS: Final = 50
"""Rooms that are named, the first by name; fewer where frames are short."""


class WhoisService:
    """Tells the status of a name, since when, and the rooms that both are in. Never blocks.

    `is_hidden(key, viewer)` is whether a user has blocked the viewer; both are folded names. Such a user is shown as
    offline, and a guest only to those who share a room with it, as in the lists of users and members.
    """

    def __init__(
        self,
        router: Router,
        rooms: RoomRegistry,
        presence: PresenceTracker,
        accounts: Mapping[str, Account],
        is_hidden: Callable[[str, str], bool],
        policy: Policy,
    ) -> None:
        self._router = router
        self._rooms = rooms
        self._presence = presence
        self._accounts = accounts
        self._is_hidden = is_hidden
        self._policy = policy

    def whois(self, session: Session, name: str) -> Whois:
        """Return what the session may know of a name. Raises `NotFound` for one that is no account and not here."""
        key = fold(name)
        account = self._accounts.get(key)
        shown = account.name if account is not None else self._router.names.get(key)
        is_hidden = self._is_hidden(key, session.key)
        shared = self._shared_rooms(session, key, account)
        if shown is None or (is_hidden and account is None and not shared):
            raise NotFound
        status, note = ABSENT if is_hidden else self._presence.status(key)
        since = self._presence.since(key) if status != OFFLINE else None
        is_bot = account is not None and account.is_bot
        user = UserEntry(shown, status, note or UNSET, bot=True if is_bot else UNSET)
        return Whois(user, account is not None, UNSET if since is None else since, shared)

    def _shared_rooms(self, session: Session, key: str, account: Account | None) -> list[SharedRoom]:
        shared = (room for room in self._rooms if room.has_member(session) and room.has_user(key, account))
        most = min(MAX_SHARED_ROOMS, max(1, self._policy.max_frame // MAX_ENTRY_BYTES))
        return [SharedRoom(room.name) for room in heapq.nsmallest(most, shared, key=lambda room: room.key)]
