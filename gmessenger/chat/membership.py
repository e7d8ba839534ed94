"""Who is in a room: changes are stored first, then made in memory and announced to those present."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any

from gmessenger.chat.passing_rooms import PassingRooms
from gmessenger.chat.policy import Policy
from gmessenger.chat.records import Account, ReadRange
from gmessenger.chat.room import Room
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.room_quotas import RoomQuotas
from gmessenger.chat.room_rights import RoomActor, RoomRights
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import BadRequest, InvitedOnly, NoSuchRoom, NotMember, ShutOut, WireError
from gmessenger.names import check_room_name, fold, is_room
from gmessenger.room_rules import RoomRules, with_changes


class RoomMembership:
    """Create rooms, join and leave them. What changes an account's membership or a room blocks on the store."""

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: RoomRegistry,
        clock: Callable[[], float],
        rights: RoomRights,
        policy: Policy,
        quotas: RoomQuotas,
        passing_rooms: PassingRooms,
        network_of: Callable[[str], str | None] = lambda address: None,
    ) -> None:
        """`network_of` returns the network of an address by which guests may be kept out of a room, if any."""
        self._store = store
        self._router = router
        self._rooms = rooms
        self._clock = clock
        self._rights = rights
        self._policy = policy
        self._network_of = network_of
        self._quotas = quotas
        self._passing_rooms = passing_rooms

    def join(
        self, session: Session, name: str, rules: Mapping[str, Any] | None = None, key: str | None = None
    ) -> tuple[Room, int, ReadRange]:
        """Join a room, which an account creates if there is none; a guest only with the policy's `guest_rooms`.

        Args:
            rules: set in the room by its owner; of a new room, in place of those of `Policy.new_room_rules`.
            key: what is given for the rule `key` of a room that has one.

        Returns:
            The room, the last seq before the join (the sessions are sent what comes after), and what may be read.

        Raises:
            BadRequest: the name does not begin with `#`, or a rule is not valid.
            BadName: there is no such room, and the name is not allowed.
            NameConfusable: there is no such room, and its name looks like another room's.
            NotOwner: rules are given, and the room is not the session's.
            NoSuchRoom, RoomClosed, InvitedOnly, WrongKey, AccountsOnly, TooManyRooms, RoomFull, Upgrading
        """
        if not is_room(name):
            raise BadRequest("The name of a room begins with '#'.")
        new_rules = with_changes(self._policy.new_room_rules, rules or {})
        self._passing_rooms.await_deletion(fold(name))
        self._router.peers.sync()  # the response lists the members
        room = self._rooms.get(fold(name))
        if room is None or not room.is_known_to(session):
            room = self._create(session, check_room_name(name), new_rules)
            if room.has_member(session):  # else another node has just created it
                self._notify_joined(room, session)
        elif room.is_being_deleted:
            raise NoSuchRoom("This room is being deleted.")
        if rules is not None:
            self._rights.change_own_rules(room, session, rules)
        head = room.head
        if room.has_member(session):
            return room, head, self._read_range(room, session)
        if not room.has_place_for(session):
            self._check_not_shut_out(room, session)
            room.check_may_join(session, key)
        try:
            with self._quotas.reserve_join(self._policy.limits, self._rooms, session, room):
                readable = self._add_member(room, session)
        except WireError as error:  # all others may have left it meanwhile
            self._passing_rooms.delete_if_deserted(room)
            self._check_still_known(room, session, error)
            raise
        self._replace_remote_guest(room, session)
        return room, readable.start - 1, readable

    def _check_still_known(self, room: Room, session: Session, error: WireError) -> None:
        """Raise `NoSuchRoom` where a join was refused because the session may know of the room no more."""
        if isinstance(error, InvitedOnly | ShutOut):
            self._router.peers.sync()
            if not room.is_known_to(session):
                raise NoSuchRoom from None

    def find_from_outside(self, session: Session, name: str) -> Room:
        """Return a room that the session is not in, to write to it by the rule `outside`.

        Raises `NoSuchRoom`, `NotMember` without that rule, `ShutOut`, or `AccountsOnly` where guests cannot join.
        """
        room = self._rooms.find_known(name, session)
        if not room.lets_write(session):
            raise NotMember
        self._check_not_shut_out(room, session)
        if not room.rules.guests:
            session.require_account()
        return room

    def _check_not_shut_out(self, room: Room, session: Session) -> None:
        """Raise `ShutOut` if the session may not join or write, as far as is known here."""
        if room.access.sanctions or room.access.masks:
            network = self._network_of(session.address) if session.account is None else None
            room.check_not_shut_out(session, self._clock(), network)

    def _replace_remote_guest(self, room: Room, session: Session) -> None:
        """Notify a room of a join, unless the guest has come from another node, still a member."""
        namesake = room.remote_guests.pop(session.key, None)
        if namesake is not None and session.former_rooms is not None:
            return
        if namesake is not None:  # has left; its node has not told yet
            self._rooms.notify(room, RoomEvent("leave", room.name, namesake, quit=True), session)
        self._notify_joined(room, session)

    def _notify_joined(self, room: Room, session: Session) -> None:
        self._rooms.notify(room, RoomEvent("join", room.name, session.name), session)

    def _read_range(self, room: Room, session: Session) -> ReadRange:
        """Return the seqs that a member may read; a guest reads only messages sent from now on."""
        stored = self._store.read_range(session.account.id, room.key) if session.account is not None else None
        return stored or ReadRange(room.head + 1, room.head + 1)

    def _add_member(self, room: Room, session: Session) -> ReadRange:
        """Store the membership, unless it is a guest's. Returns what may be read."""
        if session.account is None:
            if not room.has_place_for(session):
                room.guest_roles.pop(session.key, None)
            room.guests[session.key] = session
            room.guest_invitations.pop(session.key, None)
            session.sync.forget(room.key)  # what it was sent of an earlier room of this name
            session.sync.set_start(room.key, room.head)
            self._router.peers.presence_changed(session.key)
            return ReadRange(room.head + 1, room.head + 1)
        with room.access_lock if session.key in room.access.invitations else nullcontext():
            is_welcome = room.matches(session, "welcome")
            spared_since = room.matched_since(session, "spared")
            now, account = self._clock(), session.account.id
            readable = self._store.join(room.key, account, now, is_welcome=is_welcome, spared_since=spared_since)
            room.access.invitations.pop(session.key, None)
        room.members[session.account.id] = session.account
        self._rooms.set_cursor(session.key, room.key, readable.start - 1)
        return readable

    def _create(self, session: Session, name: str, rules: RoomRules) -> Room:
        """Create a room that is the session's, or return one that another session or node has just created.

        There may be a private room of which the session may not know: then this is refused after the same checks.
        """
        key, account, limits = fold(name), session.account, self._policy.limits
        self._quotas.check_join_quota(limits, self._rooms, session)
        if account is None:
            return self._create_passing(session, name, rules)
        with self._rooms.reserve_name(name), self._quotas.reserve_room(limits, self._rooms, account.id):
            if self._rooms.get(key) is None:
                self._rooms.load(self._store.create_room(key, name, account.id, self._clock(), rules))
        room = self._rooms.get(key)
        if room is None or room.is_being_deleted or not room.is_known_to(session):
            raise NoSuchRoom
        return room

    def _create_passing(self, session: Session, name: str, rules: RoomRules) -> Room:
        """Create a passing room for a guest, which is in it at once, or return one that was created meanwhile."""
        room = self._passing_rooms.create(session, name, rules)
        if room.is_passing and not room.size and not room.is_being_deleted:
            self._add_member(room, session)
            room.guest_roles[session.key] = "owner"
        if room.is_being_deleted or not room.is_known_to(session):
            raise NoSuchRoom
        return room

    def leave(self, session: Session, name: str, reason: str = "") -> Room:
        """Leave a room; `reason` is for the members. Raises `NoSuchRoom` or `NotMember`."""
        room = self._rooms.require_member(name, session)
        event = RoomEvent("leave", room.name, session.name, reason=reason or None)
        self._remove_stored_member(room, session.key, session.account, event, session)
        return room

    def remove(self, room: Room, key: str, actor: RoomActor, reason: str = "") -> None:
        """Remove the user of that folded name from a room, on whatever node it is; does nothing if it is not there."""
        account = room.find_member(key)
        peers = self._router.peers
        if key in room.remote_guests or (account is None and key in peers):
            peers.expel(room.key, key, actor.name, reason)
        if (name := room.remote_guests.get(key)) is not None:  # as the other nodes will, who has done it is told
            event = RoomEvent("leave", room.name, name, by=actor.name, reason=reason or None)
            self._rooms.remove_remote_guest(room, key, event, actor.session)
        if account is None and key not in room.guests:
            return
        shown = account.name if account is not None else room.guests[key].name
        event = RoomEvent("leave", room.name, shown, by=actor.name, reason=reason or None)
        self._remove_stored_member(room, key, account, event, actor.session)

    def _remove_stored_member(
        self, room: Room, key: str, account: Account | None, event: RoomEvent, actor: Session | None
    ) -> None:
        """Remove a member from the store first: if that raises, nothing has happened."""
        new_owner = None
        if account is not None:
            new_owner = self._store.leave(room.key, account.id, event.by or "", event.reason or "")
        self._rooms.remove_member(room, key, account, event, actor)
        if new_owner is not None:
            self._rooms.set_role(room, new_owner, "owner", "", None)

    def remove_session(self, session: Session, reason: str = "") -> None:
        """Remove a guest's ended session from its rooms, unless the guest is there from another node by now.

        `reason`: what the guest has said about it, for the members.
        Sessions that it has replaced, directly or not, are removed from rooms that it did not join again.
        """
        live = self._router.sessions(session.key)
        for room in self._rooms:
            if not live:
                room.guest_invitations.pop(session.key, None)
            guest = room.guests.get(session.key)
            if guest is None or guest in live:
                continue
            if guest is not session and guest.account is not None:
                continue  # it has registered meanwhile: `promote_guest` is about to make it a member
            del room.guests[session.key]
            room.guest_roles.pop(session.key, None)
            if room.key in self._router.peers.rooms_of(session.key):
                room.remote_guests[session.key] = session.name
            else:
                event = RoomEvent("leave", room.name, session.name, reason=reason or None, quit=True)
                self._rooms.notify(room, event, session)
                self._rooms.on_left(room)

    def promote_guest(self, session: Session, rooms: Sequence[Room]) -> None:
        """Make a guest that has registered a member of its rooms. The store has the memberships already.

        It keeps its roles, as far as the store can: who has given one can give it again.
        """
        account = session.account
        assert account is not None
        for room in rooms:
            if room.guests.get(session.key) is session:
                del room.guests[session.key]
                room.members[account.id] = account
                self._promote_role(room, session.key, account)
            else:  # removed meanwhile
                self._store.leave(room.key, account.id)

    def _promote_role(self, room: Room, key: str, account: Account) -> None:
        role = room.guest_roles.pop(key, None)
        if role is None:
            return
        with suppress(WireError):
            self._store.change_role(room.key, account.id, role, account.name)
            room.set_role(account.id, role)
