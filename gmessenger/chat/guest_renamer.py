"""Other names for guests who stay connected: the checks of a login, then everything that is held by name is moved."""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.chat.auth import Authenticator
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.presence import PresenceTracker, RecentNames
from gmessenger.chat.room import Room
from gmessenger.chat.room_events import UserRenamed
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionRegistry, sanction_error
from gmessenger.chat.session import Session
from gmessenger.chat.throttle import Throttle
from gmessenger.errors import Forbidden, NameInUse, NotLoggedIn, PasswordRequired, ShutOut
from gmessenger.names import check_name, fold


class GuestRenamer:
    """Renames guests. A name of an account is never changed.

    On a cluster, the rooms on other nodes are told of a join and then of a leave.
    """

    def __init__(
        self,
        router: Router,
        rooms: RoomRegistry,
        authenticator: Authenticator,
        sanctions: SanctionRegistry,
        throttle: Throttle,
        presence: PresenceTracker,
        recent_names: RecentNames,
        blocks: BlockList,
        clock: Callable[[], float],
    ) -> None:
        self._router = router
        self._rooms = rooms
        self._authenticator = authenticator
        self._sanctions = sanctions
        self._throttle = throttle
        self._presence = presence
        self._recent_names = recent_names
        self._blocks = blocks
        self._clock = clock

    def rename(self, session: Session, new_name: str) -> str:
        """Give a guest another name; those who share a room are sent `UserRenamed`. Returns the name as shown.

        Blocks on a cluster. Raises `Forbidden` for an account, `Muted` and `Silenced` for who would evade that,
        `BadName`, `NameConfusable`, `NameInUse`, `PasswordRequired` for an account's name, `Banned`, `ShutOut` if a
        room that the guest is in keeps the name out, `StoreUnavailable`, or `NotLoggedIn` if it has left meanwhile.
        """
        if session.account is not None:
            raise Forbidden("Your name is that of your account.")
        name = check_name(new_name)
        if name == session.name:
            return name
        key = fold(name)
        self._check(session, key, name)
        if key == session.key:
            self._move(session, key, name)
            return name
        if self._router.peers.sync(key):
            self._check(session, key, name)
        self._router.peers.claim(session, None, key)
        try:
            self._check(session, key, name)
        except BaseException:
            self._router.peers.release(key)
            raise
        self._move(session, key, name)
        return name

    def _check(self, session: Session, key: str, name: str) -> None:
        """Raise why the guest cannot have the name, as far as is known here. Never blocks."""
        if session not in self._router.sessions(session.key) or session.account is not None:
            raise NotLoggedIn
        self._sanctions.check_not_muted(session.key)
        self._sanctions.check_login(key, session.address)
        if key in self._authenticator.accounts:
            raise PasswordRequired("This name belongs to an account.")
        if key != session.key and key in self._router:
            raise NameInUse
        self._authenticator.check_not_confusable_with_accounts(name)
        self._authenticator.guests.check_other_name(session, name)
        for room in self._rooms.guest_rooms(session):
            self._check_in_room(room, session, key)

    def _check_in_room(self, room: Room, session: Session, key: str) -> None:
        now = self._clock()
        room.check_not_silenced(session, now)
        if (found := room.find_sanction("shut_out", key, now)) is not None:
            raise sanction_error(ShutOut, found.reason, found.until, now)

    def _move(self, session: Session, key: str, name: str) -> None:
        """Move all that is held by name, and tell those who share a room. Nothing here yields."""
        former_key, former_name = session.key, session.name
        self._presence.before_change(former_key, former_name)
        self._presence.before_change(key, name)
        self._rooms.rename_guest(session, key)
        self._router.rename(session, key, name)
        self._authenticator.guests.rename(session, former_name)
        if key != former_key:
            self._throttle.keep_pace(session)
            self._blocks.rename(former_key, key)
            self._presence.rename(former_key, key)
            self._router.peers.release(former_key)
        networks = [network for network, _ in self._throttle.networks_of(session.address)[-1:]]
        self._recent_names.add(key, name, *networks)
        self._tell(session, former_name)

    def _tell(self, session: Session, former_name: str) -> None:
        """Send one event to each session that shares rooms with the guest, but its own."""
        shared: dict[Session, list[str]] = {}
        for room in self._rooms.guest_rooms(session):
            for other in self._rooms.sessions(room):
                if other.accepts_push and other is not session:
                    shared.setdefault(other, []).append(room.name)
        events: dict[tuple[str, ...], UserRenamed] = {}
        for other, names in shared.items():
            rooms = tuple(names)
            if rooms not in events:
                events[rooms] = UserRenamed(former_name, session.name, rooms)
            other.outbox.offer(events[rooms])
