"""All rooms in memory: find them, load them, and send events to those who are in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from gmessenger.chat.confusables import ConfusableIndex
from gmessenger.chat.outbox import RoomEvent
from gmessenger.chat.records import Account, RoomRecord, Sanction
from gmessenger.chat.room import Room
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import NoSuchRoom, NotMember
from gmessenger.names import fold

MAX_PRESENCE_MEMBERS: Final = 100
"""Members of a room beyond which their presence is not announced to each other."""


class RoomRegistry:
    """All rooms, in memory. What changes an account's membership in the store is in `RoomMembership`.

    `accounts_by_id` is the authenticator's, which changes it. `find_closure` returns the sanction by which a room is
    closed, by key.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        accounts_by_id: Mapping[int, Account],
        find_closure: Callable[[str], Sanction | None],
    ) -> None:
        self._router = router
        self._accounts_by_id = accounts_by_id
        self._find_closure = find_closure
        self._rooms: dict[str, Room] = {}
        self._room_names = ConfusableIndex()
        for record in store.rooms():
            self.load(record)

    def __iter__(self) -> Iterator[Room]:
        """Iterate over a copy: rooms may be created and deleted meanwhile."""
        return iter(list(self._rooms.values()))

    def load(self, record: RoomRecord) -> Room:
        """Add a room that the store has, unless there is one of its key. Returns the room of that key."""
        members = {id: self._accounts_by_id[id] for id in record.members if id in self._accounts_by_id}
        room = Room(record.key, record.name, record.topic, record.creator, record.head, members, id=record.id)
        room.rules, room.roles = record.rules, record.roles
        room.closure = self._find_closure(record.key)
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

    def member_count(self, name: str) -> int:
        """Return the size of the room of that name; 0 if there is none."""
        room = self._rooms.get(fold(name))
        return room.size if room is not None else 0

    def require_member(self, name: str, session: Session) -> Room:
        """Return the room of that name. Raises `NoSuchRoom`, or `NotMember` if the session is not in it."""
        room = self.find(name)
        if not room.has_member(session) and not (self._router.peers.sync() and room.has_member(session)):
            raise NotMember
        return room

    def writable_by(self, key: str, session: Session) -> Room | None:
        """Return the room of that key if the session may send to it, else None. Never blocks."""
        room = self._rooms.get(key)
        if room is None or room.is_being_deleted or room.closure is not None or not room.has_member(session):
            return None
        return room

    def set_closure(self, room: Room, closure: Sanction | None, by: str, reason: str = "") -> None:
        """Close a room, or reopen it with None, and notify its members."""
        room.closure = closure
        event = RoomEvent("open" if closure is None else "close", room.name, by, reason=reason or None)
        self.notify(room, event, None)

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

    def remove_account(self, account: Account) -> None:
        """Remove an account that was deleted from all rooms."""
        for room in self:
            room.members.pop(account.id, None)
            room.roles.pop(account.id, None)

    def remove_member(
        self, room: Room, key: str, account: Account | None, event: RoomEvent, actor: Session | None
    ) -> None:
        """Remove a guest, or an account's membership that the store has removed, and notify the room.

        Does nothing if the member was removed before, by another device or node.
        """
        if account is None:
            if key in room.guests:
                self.notify(room, event, actor)
                del room.guests[key]
                self._router.peers.presence_changed(key)
            return
        if account.id not in room.members:
            return
        self.notify(room, event, actor)
        del room.members[account.id]
        room.roles.pop(account.id, None)
        for session in self._router.sessions(account.key):  # should the account join again, it begins anew
            session.sync.forget(room.key)

    @contextmanager
    def reserve_name(self, name: str) -> Iterator[None]:
        """Prevent the creation of a room whose name looks the same within the block. Raises `NameConfusable`."""
        self._room_names.check(name)
        self._room_names.add(name)
        try:
            yield
        finally:
            room = self._rooms.get(fold(name))
            if room is None or room.name != name:  # not created, or created meanwhile under another spelling
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
        for session in self.sessions(room):
            if session.accepts_push and session is not actor:
                session.outbox.offer(event)
