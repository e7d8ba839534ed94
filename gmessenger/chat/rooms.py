"""All rooms in memory: find them, load them, and send events to those who are in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from gmessenger.chat.confusables import ConfusableIndex
from gmessenger.chat.records import Account, RoomRecord, Sanction
from gmessenger.chat.room import GuestInvitation, MaskMatcher, Room, match_none
from gmessenger.chat.room_access import RoomAccess, RoomSanctionKind
from gmessenger.chat.room_events import InvitationEvent, RoomEvent
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import NoSuchRoom, NotMember, OnlySpeakers
from gmessenger.names import fold
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import RoomRules, changed_rules

MAX_PRESENCE_MEMBERS: Final = 100
"""Members of a room beyond which their presence is not announced to each other."""


class RoomRegistry:
    """All rooms, in memory. What changes an account's membership in the store is in `RoomMembership`.

    `accounts_by_id` is the authenticator's, which changes it. `find_closure` returns the sanction by which a room is
    closed, by key. `matches_mask`: what masks of rooms mean.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        accounts_by_id: Mapping[int, Account],
        find_closure: Callable[[str], Sanction | None],
        matches_mask: MaskMatcher = match_none,
    ) -> None:
        self._router = router
        self._accounts_by_id = accounts_by_id
        self._find_closure = find_closure
        self._matches_mask = matches_mask
        self._rooms: dict[str, Room] = {}
        self._room_names = ConfusableIndex()
        self.on_left: Callable[[Room], None] = lambda room: None
        """Called after a user has left a room, on any node. It must not block."""
        self.invitation_watchers: list[Callable[[Room, str, str], None]] = []
        """Each is called with a room, the name that is invited to it, and who has invited it. None may block."""
        accesses = store.room_accesses()
        for record in store.rooms():
            self.load(record).set_access(accesses.get(record.key) or RoomAccess())

    def __iter__(self) -> Iterator[Room]:
        """Iterate over a copy: rooms may be created and deleted meanwhile."""
        return iter(list(self._rooms.values()))

    def load(self, record: RoomRecord) -> Room:
        """Add a room that the store has, unless there is one of its key. Returns the room of that key."""
        members = {id: self._accounts_by_id[id] for id in record.members if id in self._accounts_by_id}
        room = Room(record.key, record.name, record.topic, record.creator, record.head, members, id=record.id)
        room.roles, room.is_passing = dict(record.roles), record.passing
        room.topic_by, room.topic_at, room.created = record.topic_by, record.topic_at, record.created
        room.profile = record.profile
        room.matches_mask = self._matches_mask
        room.set_rules(record.rules)
        room.set_closure(self._find_closure(record.key))
        if not room.rules.is_private:
            self._room_names.add(record.name)
        return self._rooms.setdefault(record.key, room)

    def get(self, key: str) -> Room | None:
        """Return the room of that key, if this node knows it."""
        return self._rooms.get(key)

    def find(self, name: str) -> Room:
        """Return the room of that name. Raises `NoSuchRoom`. Blocks on a cluster where the name is unknown."""
        key = fold(name)
        if key not in self._rooms:  # another node may have created it a moment ago
            self._router.peers.sync()
        room = self._rooms.get(key)
        if room is None or room.is_being_deleted:
            raise NoSuchRoom
        return room

    def member_count(self, name: str, session: Session) -> int:
        """Return the size of the room of that name; 0 if the session may not write to it. Never blocks."""
        room = self._rooms.get(fold(name))
        if room is None or not (room.has_member(session) or room.lets_write(session)):
            return 0
        return len(room.members) + len(room.guests) + len(room.remote_guests)  # `size`, without the call: each message

    def find_known(self, name: str, session: Session) -> Room:
        """Return the room of that name, if the session may know of it. Raises `NoSuchRoom`.

        Blocks on a cluster unless the session is in the room. The same is done for a room of which it may not know as
        for one that does not exist: neither the answer nor the time tells them apart.
        """
        key = fold(name)
        room = self._rooms.get(key)
        if room is None or not room.has_member(session):  # another node may have changed that a moment ago
            self._router.peers.sync()
            room = self._rooms.get(key)
        if room is None or room.is_being_deleted or not room.is_known_to(session):
            raise NoSuchRoom
        return room

    def require_member(self, name: str, session: Session) -> Room:
        """Return the room of that name. Raises as `find_known`, or `NotMember` if the session is not in it."""
        room = self._rooms.get(fold(name))
        if room is not None and not room.is_being_deleted and room.has_member(session):  # as nearly always
            return room
        room = self.find_known(name, session)
        if not room.has_member(session):
            raise NotMember
        return room

    def is_passing_for(self, name: str, session: Session) -> bool:
        """Return whether the room of that name is a passing one that the session is in. Never blocks."""
        room = self._rooms.get(fold(name))
        return room is not None and room.is_passing and room.has_member(session)

    def writable_by(self, key: str, session: Session) -> Room | None:
        """Return the room of that key if the session may send to it, else None. Never blocks."""
        room = self._rooms.get(key)
        if room is None or room.is_being_deleted or room.is_restricted or not room.has_member(session):
            return None
        return room

    def check_may_write(self, room: Room, session: Session) -> None:
        """Raise why a session may not write to a restricted room. Blocks on a cluster before `OnlySpeakers`."""
        try:
            room.check_may_write(session)
        except OnlySpeakers:  # it may have become a speaker on another node a moment ago
            if not self._router.peers.sync():
                raise
            room.check_may_write(session)

    def set_closure(self, room: Room, closure: Sanction | None, by: str, reason: str = "") -> None:
        """Close a room, or reopen it with None, and notify its members."""
        room.set_closure(closure)
        event = RoomEvent("open" if closure is None else "close", room.name, by, reason=reason or None)
        self.notify(room, event, None)

    def set_rules(self, room: Room, rules: RoomRules, by: str, actor: Session | None) -> None:
        """Replace the rules of a room in memory, and notify its members of those that differ; `by` has set them."""
        changes = changed_rules(room.rules, rules)
        if not changes:
            return
        room.set_rules(rules)
        (self._room_names.discard if rules.is_private else self._room_names.add)(room.name)
        self.notify(room, RoomEvent("rule", room.name, by, rules=changes), actor)

    def set_role(self, room: Room, account: int, role: RoomRole, by: str, actor: Session | None) -> None:
        """Set the role of a member in memory, and notify the room, if it has another one.

        `by` has given it; it is empty where a member follows the last owner.
        """
        member = room.members.get(account)
        if member is None or room.roles.get(account, "member") == role:
            return
        former = room.roles.get(account, "member")
        room.set_role(account, role)
        event = RoomEvent("role", room.name, member.name, by=by or None, role=role, former_role=former)
        self.notify(room, event, actor)

    def set_guest_role(self, room: Room, key: str, role: RoomRole, by: str, actor: Session | None) -> None:
        """Set the role of a guest of this node, and notify the room, if it has another one. `by` has given it."""
        former = room.guest_roles.get(key, "member")
        if former != role:
            room.set_guest_role(key, role)
            event = RoomEvent("role", room.name, room.guests[key].name, by=by, role=role, former_role=former)
            self.notify(room, event, actor)

    def update_access(self, room: Room, access: RoomAccess, by: str, now: float, actor: Session | None) -> None:
        """Replace who is kept out, silenced or invited in memory; tell those concerned. `by` has changed it.

        `by` is empty where that is not known; then no event says what was lifted.
        """
        before = room.access
        room.set_access(access)
        for key in access.invitations.keys() - before.invitations.keys():
            for session in self._router.sessions(key):
                if session.accepts_push:
                    session.outbox.offer(InvitationEvent(room.name, access.invitations[key].by))
            self.announce_invitation(room, access.invitations[key].name, access.invitations[key].by)
        for event in (*_sanction_events(room, before, by, now), *_mask_events(room, before, by)):
            self.notify(room, event, actor)

    def announce_invitation(self, room: Room, name: str, by: str) -> None:
        """Call the watchers of invitations: `by` has invited a name to a room."""
        for watch in self.invitation_watchers:
            watch(room, name, by)

    @contextmanager
    def deleting(self, room: Room) -> Iterator[None]:
        """Delete the room in the store within the block; discard it at its end, unless that raises."""
        room.is_being_deleted = True
        try:
            yield
        except BaseException:
            room.is_being_deleted = False
            raise
        self.discard(room)

    def discard(self, room: Room) -> None:
        """Remove a room that was deleted, and notify its members that they have left it."""
        if self._rooms.get(room.key) is not room:  # another room has its name already
            return
        del self._rooms[room.key]
        self._room_names.discard(room.name)
        self._router.peers.conversation_deleted(room.key)
        for session in self.sessions(room):
            session.sync.forget(room.key)
            if session.accepts_push:
                session.outbox.offer(RoomEvent("leave", room.name, session.name, by="server"))

    def guest_rooms(self, session: Session) -> list[Room]:
        """Return the rooms that a guest is in."""
        return [room for room in self if room.guests.get(session.key) is session]

    def rename_guest(self, session: Session, key: str) -> None:
        """Move a guest that is about to have another folded name. It leaves rooms that its predecessor alone is in."""
        for room in self:
            guest = room.guests.get(session.key)
            if guest is not None and guest is not session:  # it has resumed that one's session, and not joined again
                self.remove_member(room, session.key, None, RoomEvent("leave", room.name, session.name), session)
            elif guest is session:
                room.guests[key] = room.guests.pop(session.key)
                if (role := room.guest_roles.pop(session.key, None)) is not None:
                    room.guest_roles[key] = role
            if (invitation := room.guest_invitations.pop(session.key, None)) is not None:
                room.guest_invitations[key] = invitation

    def guest_invitations(self, session: Session) -> list[tuple[str, str]]:
        """Return the keys of the rooms that a guest is invited to, each with who has invited it."""
        return [(room.key, room.inviter_of(session)) for room in self if room.is_invited(session)]

    def take_guest_invitation(self, room: Room, key: str) -> GuestInvitation | None:
        """Remove the invitation of the guest of that folded name, and return it; None if there is none here."""
        invitation = room.guest_invitations.pop(key, None)
        if invitation is not None:
            self._router.peers.presence_changed(key)
        return invitation

    def remove_account(self, account: Account, new_owners: Mapping[str, int]) -> None:
        """Remove an account that was deleted from all rooms; `new_owners` are those of its rooms, by key."""
        for room in self:
            was_member = room.members.pop(account.id, None) is not None
            room.roles.pop(account.id, None)
            room.forget_access(account.key)
            if was_member:
                self.on_left(room)
        for key, owner in new_owners.items():
            if key in self._rooms:
                self.set_role(self._rooms[key], owner, "owner", "", None)

    def remove_member(
        self, room: Room, key: str, account: Account | None, event: RoomEvent, actor: Session | None
    ) -> None:
        """Remove a guest, or an account's membership that the store has removed, and notify the room.

        Does nothing if the member was removed before, by another device or node.
        """
        if account is None:
            if key in room.guests:
                self.notify(room, event, actor)
                room.guest_roles.pop(key, None)
                room.guests.pop(key).forget_former_room(room.key)
                self._router.peers.note_departure(key, room.key, event.by or "", event.reason or "")
                self._router.peers.presence_changed(key)
                self.on_left(room)
            return
        if account.id not in room.members:
            return
        self.notify(room, event, actor)
        del room.members[account.id]
        room.roles.pop(account.id, None)
        for session in self._router.sessions(account.key):  # should the account join again, it begins anew
            session.sync.forget(room.key)
        self.on_left(room)

    def remove_remote_guest(self, room: Room, key: str, event: RoomEvent, actor: Session | None) -> None:
        """Remove a guest of another node, which is known to be in a room, and notify the room."""
        del room.remote_guests[key]
        self.notify(room, event, actor)
        self.on_left(room)

    @contextmanager
    def reserve_name(self, name: str) -> Iterator[None]:
        """Prevent the creation of a room whose name looks the same within the block. Raises `NameConfusable`."""
        self._room_names.check(name)
        self._room_names.add(name)
        try:
            yield
        finally:
            room = self._rooms.get(fold(name))
            # Not created, or created meanwhile under another spelling; nor does a name tell of a private room.
            if room is None or room.name != name or room.rules.is_private:
                self._room_names.discard(name)

    def roommates(self, account: Account | None) -> set[str]:
        """Return the keys of accounts that share a room with an account, itself included, large rooms left out."""
        if account is None:
            return set()
        rooms = [room for room in self._rooms.values() if account.id in room.members]
        return {
            member.key
            for room in rooms
            if len(room.members) <= MAX_PRESENCE_MEMBERS
            for member in room.members.values()
        }

    def sessions(self, room: Room) -> Sequence[Session]:
        """Return the local sessions of all members and guests of a room."""
        members = [session for account in room.members.values() for session in self._router.sessions(account.key)]
        return members + list(room.guests.values())

    def account_sessions(self, session: Session) -> Sequence[Session]:
        """Return the sessions that are in the same rooms: all local ones of its account, or a guest's alone."""
        return (session,) if session.account is None else self._router.sessions(session.key)

    def set_cursor(self, key: str, room: str, head: int) -> None:
        """Have the sessions of a name that has joined a room begin there behind `head`."""
        for session in self._router.sessions(key):
            session.sync.set_start(room, head)

    def notify(self, room: Room, event: RoomEvent, actor: Session | None) -> None:
        """Send an event to the room's sessions, except the one that caused it, which gets a response."""
        if actor is not None and actor.on_change_made is not None:
            actor.on_change_made(event)
        for session in self.sessions(room):
            if session.accepts_push and session is not actor:
                session.outbox.offer(event)


IMPOSED: Final[dict[RoomSanctionKind, Literal["shut_out", "silence"]]] = {"shut_out": "shut_out", "silence": "silence"}
LIFTED: Final[dict[RoomSanctionKind, Literal["let_in", "unsilence"]]] = {"shut_out": "let_in", "silence": "unsilence"}
"""The event when a sanction is imposed, and when it is lifted, by its kind. Nobody is told of networks."""


def _sanction_events(room: Room, before: RoomAccess, by: str, now: float) -> Iterator[RoomEvent]:
    """Yield the events of what was imposed since `before`, and of what was lifted and had not ended."""
    after = room.access.sanctions
    for key, sanction in after.items():
        if sanction.kind in IMPOSED and before.sanctions.get(key) != sanction:
            reason = sanction.reason or None
            event = RoomEvent(IMPOSED[sanction.kind], room.name, sanction.name, by=sanction.by, reason=reason)
            event.until, event.is_removal = sanction.until, sanction.kind == "shut_out" and room.has_name(key[1])
            yield event
    for key, sanction in before.sanctions.items() if by else ():
        if sanction.kind in LIFTED and key not in after and (sanction.until is None or sanction.until > now):
            yield RoomEvent(LIFTED[sanction.kind], room.name, sanction.name, by=by)


def _mask_events(room: Room, before: RoomAccess, by: str) -> Iterator[RoomEvent]:
    """Yield the events of masks that were added since `before`, and removed; by whom is known of those added."""
    after = room.access.masks
    for key, added in after.items():
        if key not in before.masks:
            yield RoomEvent("mask", room.name, added.by, mask=added.mask, mask_kind=added.kind)
    for key, removed in before.masks.items() if by else ():
        if key not in after:
            yield RoomEvent("unmask", room.name, by, mask=removed.mask, mask_kind=removed.kind)
