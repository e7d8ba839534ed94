"""Who is kept out of a room, or silent in it: what moderators and operators impose, and lift again."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET

from gmessenger import log
from gmessenger.chat.membership import RoomMembership
from gmessenger.chat.policy import Policy
from gmessenger.chat.records import Account
from gmessenger.chat.results import SanctionEntry, ShutOutPage, SilencePage
from gmessenger.chat.room import Room
from gmessenger.chat.room_access import RoomSanction, RoomSanctionKind
from gmessenger.chat.room_rights import RoomActor, RoomRights
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import BadRequest, NotFound
from gmessenger.field_types import MAX_REASON
from gmessenger.names import fold

ROOM_SANCTIONS_PAGE: Final = 200


class RoomSanctions:
    """Removes users from rooms, keeps them out or silent, and lifts that again. Changes block on the store.

    Operators of the server need not be in the room. `accounts`, by folded name, belongs to the authenticator.
    `shown_name` returns a name that was online lately as shown, by the folded one. `network_of` returns the network of
    an address that guests may be kept out by; None for this machine and for proxies.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: RoomRegistry,
        rights: RoomRights,
        membership: RoomMembership,
        accounts: Mapping[str, Account],
        shown_name: Callable[[str], str | None],
        network_of: Callable[[str], str | None],
        policy: Policy,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._router = router
        self._rooms = rooms
        self._rights = rights
        self._membership = membership
        self._accounts = accounts
        self._shown_name = shown_name
        self._network_of = network_of
        self._policy = policy
        self._clock = clock

    def remove(self, session: Session, name: str, user: str, reason: str = "") -> None:
        """Remove a user from a room, and keep the name out until it is let in or invited.

        Raises `NoSuchRoom`, `NotOwner`, `BadRequest`, or `NotFound` if the user is not in the room.
        """
        room = self._rights.find_room(name, session, "moderator")
        key = fold(user)
        if not room.has_name(key) and not (self._router.peers.sync() and room.has_name(key)):
            raise NotFound("There is no member of that name in the room.")
        self._shut_out(RoomActor.of(session, room), room, key, user, None, _check_reason(reason))

    def shut_out(self, session: Session, name: str, user: str, seconds: float | None, reason: str) -> None:
        """Keep a name out of a room, for so many seconds or until it is let in or invited; remove it if it is there.

        Raises `NoSuchRoom`, `NotOwner`, `BadRequest`, `NotFound` for a name that was never seen, or `Forbidden` beyond
        `MAX_ROOM_SANCTIONS`.
        """
        room = self._rights.find_room(name, session, "moderator")
        self.shut_out_as(RoomActor.of(session, room), room, user, seconds, reason)

    def shut_out_as(self, actor: RoomActor, room: Room, user: str, seconds: float | None, reason: str) -> None:
        """Keep a name out of a room. Raises as `shut_out`."""
        self._shut_out(actor, room, fold(user), user, seconds, _check_reason(reason))

    def silence(self, session: Session, name: str, user: str, seconds: float | None, reason: str) -> None:
        """Refuse what a name writes in a room. Raises as `shut_out`."""
        room = self._rights.find_room(name, session, "moderator")
        self.silence_as(RoomActor.of(session, room), room, user, seconds, reason)

    def silence_as(self, actor: RoomActor, room: Room, user: str, seconds: float | None, reason: str) -> None:
        """Refuse what a name writes in a room. Raises as `shut_out`."""
        self._add(actor, room, "silence", fold(user), user, seconds, _check_reason(reason))

    def let_in(self, session: Session, name: str, user: str) -> None:
        """Let a name in again, and the network that was shut out with it. Raises `NotFound` if it is not shut out."""
        room = self._rights.find_room(name, session, "moderator")
        self.let_in_as(RoomActor.of(session, room), room, user)

    def let_in_as(self, actor: RoomActor, room: Room, user: str) -> None:
        """Let a name in again. Raises as `let_in`."""
        self._lift(actor, room, "shut_out", user)

    def unsilence(self, session: Session, name: str, user: str) -> None:
        """Let a name write again. Raises `NotFound` if it is not silenced."""
        room = self._rights.find_room(name, session, "moderator")
        self.unsilence_as(RoomActor.of(session, room), room, user)

    def unsilence_as(self, actor: RoomActor, room: Room, user: str) -> None:
        """Let a name write again. Raises as `unsilence`."""
        self._lift(actor, room, "silence", user)

    def check_not_silenced(self, session: Session, name: str) -> None:
        """Raise `Silenced` if the session's name may not write in a room."""
        if (room := self._rooms.get(fold(name))) is not None and room.has_member(session):
            room.check_not_silenced(session, self._clock())

    def shut_outs(self, session: Session, name: str, after: str | None) -> ShutOutPage:
        """Return the names that are kept out of a room, by name, starting after `after`."""
        return self.shut_outs_of(self._rights.find_room(name, session, "moderator"), after)

    def shut_outs_of(self, room: Room, after: str | None) -> ShutOutPage:
        """Return the names that are kept out of a room, as `shut_outs`."""
        return ShutOutPage(*self._page(room, "shut_out", after))

    def all(self, room: Room, kind: RoomSanctionKind) -> list[SanctionEntry]:
        """Return all names that are kept out of a room, or silent in it, by name."""
        self._router.peers.sync()
        sanctions = [room.find_sanction(each, target, self._clock()) for each, target in list(room.access.sanctions)]
        found = [each for each in sanctions if each is not None and each.kind == kind]
        return [_sanction_entry(each) for each in sorted(found, key=lambda each: each.target)]

    def silences(self, session: Session, name: str, after: str | None) -> SilencePage:
        """Return the names that may not write in a room, by name, starting after `after`."""
        return SilencePage(*self._page(self._rights.find_room(name, session, "moderator"), "silence", after))

    def shut_out_guest_here(self, room: Room, key: str, by: str) -> None:
        """Keep the network of the guest that is connected to this server under a folded name out of a room, if one is.

        Other nodes ask for it: only this one knows where the guest comes from. Raises `StoreUnavailable`.
        """
        duration = self._policy.guest_shut_out
        guests = [session for session in self._router.sessions(key) if session.account is None]
        networks = {network for session in guests if (network := self._network_of(session.address)) is not None}
        for network in networks:
            now = self._clock()
            self._store_sanction(room, RoomSanction("network", network, key, by, "", now, now + duration), None)

    def _shut_out(self, actor: RoomActor, room: Room, key: str, user: str, seconds: float | None, reason: str) -> None:
        self._add(actor, room, "shut_out", key, user, seconds, reason)
        self._router.peers.sync()  # it may have joined on another node before that was stored
        self._rooms.take_guest_invitation(room, key)
        self.shut_out_guest_here(room, key, actor.name)
        self._membership.remove(room, key, actor, reason)

    def _add(
        self,
        actor: RoomActor,
        room: Room,
        kind: RoomSanctionKind,
        key: str,
        user: str,
        seconds: float | None,
        reason: str,
    ) -> None:
        if actor.session is not None and key == actor.session.key:
            raise BadRequest("You cannot do this to yourself.")
        self._rights.check_may_act_on(room, actor, key)
        now = self._clock()
        until = now + seconds if seconds is not None else None
        shown = self._find_name(room, key, user)
        self._store_sanction(room, RoomSanction(kind, key, shown, actor.name, reason, now, until), actor.session)
        self._log(actor, kind, room, shown, seconds, reason)

    def _store_sanction(self, room: Room, sanction: RoomSanction, actor: Session | None) -> None:
        with room.access_lock:
            access = self._store.add_room_sanction(room.key, sanction)
            self._rooms.update_access(room, access, sanction.by, self._clock(), actor)

    def _lift(self, actor: RoomActor, room: Room, kind: RoomSanctionKind, user: str) -> None:
        key = fold(user)
        if (kind, key) not in room.access.sanctions:
            self._router.peers.sync()
        if room.find_sanction(kind, key, self._clock()) is None:
            raise NotFound(f"There is no such ban or silence for {user} in this room.")
        with room.access_lock:
            access = self._store.lift_room_sanction(room.key, kind, key, actor.name)
            self._rooms.update_access(room, access, actor.name, self._clock(), actor.session)
        self._log(actor, LIFTED[kind], room, user)

    def _find_name(self, room: Room, key: str, user: str) -> str:
        """Return a name as shown. Raises `NotFound` if it was never seen."""
        account = self._accounts.get(key)
        if account is not None:
            return account.name
        shown = self._shown_name(key) or room.remote_guests.get(key)
        if shown is None and self._router.peers.sync(key):
            account, presence = self._accounts.get(key), self._router.peers.latest(key)
            shown = account.name if account is not None else presence.name if presence is not None else None
        if shown is None:
            raise NotFound(f"No user of the name {user} was ever here.")
        return shown

    def _page(self, room: Room, kind: RoomSanctionKind, after: str | None) -> tuple[list[SanctionEntry], bool]:
        self._router.peers.sync()
        start, now = fold(after) if after else "", self._clock()
        following = (
            sanction
            for (each, target) in list(room.access.sanctions)
            if each == kind and target > start and (sanction := room.find_sanction(kind, target, now)) is not None
        )
        page = heapq.nsmallest(ROOM_SANCTIONS_PAGE + 1, following, key=lambda sanction: sanction.target)
        return [_sanction_entry(each) for each in page[:ROOM_SANCTIONS_PAGE]], len(page) > ROOM_SANCTIONS_PAGE

    def _log(
        self, actor: RoomActor, method: str, room: Room, user: str, seconds: float | None = None, reason: str = ""
    ) -> None:
        if actor.is_operator:
            fields: dict[str, Any] = {"method": method, "what": f"{user} {room.key}", "for": seconds}
            log.log_event("moderated", by=actor.name, reason=reason or None, **fields)


LIFTED: Final[dict[RoomSanctionKind, str]] = {"shut_out": "let_in", "silence": "unsilence", "network": "let_in"}
"""What it is called when a sanction is lifted, by its kind: an event, and a method in the log."""


def _check_reason(reason: str) -> str:
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise BadRequest(f"A reason is at most {MAX_REASON} printable characters.")
    return reason


def _sanction_entry(sanction: RoomSanction) -> SanctionEntry:
    return SanctionEntry(
        user=sanction.name,
        by=sanction.by,
        since=sanction.since,
        reason=sanction.reason or UNSET,
        until=UNSET if sanction.until is None else sanction.until,
    )
