"""Rooms, their members and quotas: create, load, join and leave, and room events to those present."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gmessenger.chat.confusables import ConfusableIndex
from gmessenger.chat.outbox import RoomEvent
from gmessenger.chat.ratelimit import Limits, in_flight
from gmessenger.chat.records import Account, RoomRecord, Sanction
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import with_reason
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import (
    BadRequest,
    NoSuchRoom,
    NotCreator,
    NotFound,
    NotMember,
    RoomClosed,
    RoomFull,
    TooManyRooms,
)
from gmessenger.field_types import MAX_TOPIC
from gmessenger.names import check_name, fold, is_room


@dataclass(slots=True)
class Room:
    """A room, as this node knows it.

    `key`: the name folded. `creator`: an account id; None once that account is deleted.
    `head`: the highest seq known here.
    `members`: accounts by id, present or not. `guests`: local sessions by key. `remote_guests`: names by key.
    `is_being_deleted`: no messages and no members are accepted.
    `closure`: the sanction by which the room is closed: members can read its history, but nothing else.
    `id`: tells it from earlier rooms of its name.
    """

    key: str
    name: str
    topic: str
    creator: int | None
    head: int = 0
    members: dict[int, Account] = field(default_factory=dict)
    guests: dict[str, Session] = field(default_factory=dict)
    remote_guests: dict[str, str] = field(default_factory=dict)
    is_being_deleted: bool = False
    closure: Sanction | None = None
    id: int = 0

    def has_member(self, session: Session) -> bool:
        """Return whether the session's account, or this very session of a guest, is in the room."""
        if session.account is not None:
            return session.account.id in self.members
        return self.guests.get(session.key) is session

    def check_open(self) -> None:
        """Raise `RoomClosed` if an operator has closed the room."""
        if self.closure is not None:
            raise with_reason(RoomClosed, self.closure.reason)

    @property
    def size(self) -> int:
        """The number of members and guests, on all nodes."""
        return len(self.members) + len(self.guests) + len(self.remote_guests)

    @property
    def names(self) -> list[str]:
        """The names of members, then of guests, as shown."""
        local = [account.name for account in self.members.values()] + [guest.name for guest in self.guests.values()]
        return local + list(self.remote_guests.values())


class RoomQuotas:
    """Checks the limits on rooms. What is being stored counts, or many requests at once would exceed them.

    `pending_creations`: rooms that are being created, by account id.
    `pending_joins_by_name`, `pending_joins_by_room`: joins that are being stored, by key.
    """

    def __init__(self) -> None:
        self.pending_creations: Counter[int] = Counter()
        self.pending_joins_by_name: Counter[str] = Counter()
        self.pending_joins_by_room: Counter[str] = Counter()

    @contextmanager
    def reserve_room(self, limits: Limits, rooms: Iterable[Room], account: int) -> Iterator[None]:
        """Count a room that the account creates within the block. Raises `TooManyRooms`."""
        is_own = [room.creator == account for room in rooms]
        if len(is_own) + self.pending_creations.total() >= limits.max_rooms:
            raise TooManyRooms("This server has reached its limit of rooms.", limit=limits.max_rooms)
        if sum(is_own) + self.pending_creations[account] >= limits.max_rooms_created:
            raise TooManyRooms(
                f"An account can create at most {limits.max_rooms_created} rooms.", limit=limits.max_rooms_created
            )
        with in_flight(self.pending_creations, account):
            yield

    @contextmanager
    def reserve_join(self, limits: Limits, rooms: Iterable[Room], session: Session, room: Room) -> Iterator[None]:
        """Count a join that is stored within the block. Raises `TooManyRooms` or `RoomFull`."""
        if room.size + self.pending_joins_by_room[room.key] >= limits.max_members:
            raise RoomFull(limit=limits.max_members)
        self.check_join_quota(limits, rooms, session)
        with in_flight(self.pending_joins_by_name, session.key), in_flight(self.pending_joins_by_room, room.key):
            yield

    def check_join_quota(self, limits: Limits, rooms: Iterable[Room], session: Session) -> None:
        """Raise `TooManyRooms` if the session may not join one more room."""
        joined = sum(room.has_member(session) for room in rooms)
        if joined + self.pending_joins_by_name[session.key] >= limits.max_rooms_joined:
            raise TooManyRooms(
                f"You can be a member of at most {limits.max_rooms_joined} rooms.", limit=limits.max_rooms_joined
            )


MAX_PRESENCE_MEMBERS = 100
"""Members of a room beyond which their presence is not announced to each other."""


class RoomRegistry:
    """All rooms, in memory, with what is done to them. What changes an account's membership or a room blocks.

    `accounts_by_id` is the authenticator's, which changes it. `limits` returns the current limits. `find_closure`
    returns the sanction by which a room is closed, by key.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        accounts_by_id: Mapping[int, Account],
        clock: Callable[[], float],
        limits: Callable[[], Limits],
        find_closure: Callable[[str], Sanction | None],
    ) -> None:
        self._store = store
        self._router = router
        self._accounts_by_id = accounts_by_id
        self._clock = clock
        self._limits = limits
        self._find_closure = find_closure
        self._rooms: dict[str, Room] = {}
        self._quotas = RoomQuotas()
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

    def join(self, session: Session, name: str) -> tuple[Room, int]:
        """Join a room, which an account creates if there is none.

        Returns:
            The room, and the last seq before the join: what is up to there is not for the session.

        Raises:
            BadRequest: the name does not begin with `#`.
            BadName: there is no such room, and the name is not allowed.
            NameConfusable: there is no such room, and its name looks like another room's.
            NoSuchRoom, RoomClosed, TooManyRooms, RoomFull
        """
        if not is_room(name):
            raise BadRequest("The name of a room begins with '#'.")
        self._router.peers.sync()  # the response lists the members
        room = self.get(fold(name)) or self._create(session, f"#{check_name(name[1:])}")
        if room.is_being_deleted:
            raise NoSuchRoom("This room is being deleted.")
        head = room.head
        if room.has_member(session):
            return room, head
        room.check_open()
        with self._quotas.reserve_join(self._limits(), self, session, room):
            head = self._add_member(room, session)
        if room.remote_guests.pop(session.key, None) is None:  # else the guest came from another node, still a member
            self.notify(room, RoomEvent("join", room.name, session.name), session)
        return room, head

    def _add_member(self, room: Room, session: Session) -> int:
        """Store the membership, unless it is a guest's. Returns the last seq before it."""
        if session.account is None:
            room.guests[session.key] = session
            session.sync.forget(room.key)  # what it was sent of an earlier room of this name
            session.sync.set_start(room.key, room.head)
            self._router.peers.presence_changed(session.key)
            return room.head
        head = self._store.join(room.key, session.account.id)
        room.members[session.account.id] = session.account
        self.set_cursor(session.key, room.key, head)
        return head

    def leave(self, session: Session, name: str) -> Room:
        """Leave a room. Raises `NoSuchRoom` or `NotMember`."""
        room = self.require_member(name, session)
        self._remove_stored_member(
            room, session.key, session.account, RoomEvent("leave", room.name, session.name), session
        )
        return room

    def remove_user(self, session: Session, name: str, user: str) -> None:
        """Remove a user from a room, as its creator. Raises `NotCreator`, or `NotFound` if the user is not in it."""
        room = self.require_member(name, session)
        if session.account is None or session.account.id != room.creator:
            raise NotCreator
        key = fold(user)
        account = next((member for member in room.members.values() if member.key == key), None)
        if key in room.remote_guests:
            return self._router.peers.expel(room.key, key, session.name)
        if account is None and key not in room.guests:
            raise NotFound("There is no member of that name in the room.")
        shown = account.name if account is not None else room.guests[key].name
        return self._remove_stored_member(
            room, key, account, RoomEvent("leave", room.name, shown, by=session.name), session
        )

    def set_topic(self, session: Session, name: str, topic: str) -> None:
        """Set the topic of a room. Raises `AccountsOnly` for a guest, `BadRequest` if it is too long or unprintable."""
        room = self.require_member(name, session)
        session.require_account()
        room.check_open()
        if len(topic) > MAX_TOPIC or not topic.isprintable():
            raise BadRequest(f"A topic is at most {MAX_TOPIC} printable characters.")
        self._store.set_topic(room.key, topic, session.name)
        room.topic = topic
        self.notify(room, RoomEvent("topic", room.name, session.name, topic=topic), session)

    def set_closure(self, room: Room, closure: Sanction | None, by: str, reason: str = "") -> None:
        """Close a room, or reopen it with None, and notify its members."""
        room.closure = closure
        event = RoomEvent("open" if closure is None else "close", room.name, by, reason=reason or None)
        self.notify(room, event, None)

    def remove_session(self, session: Session) -> None:
        """Remove a guest's ended session from its rooms, unless the guest is there from another node by now.

        Sessions that it has replaced, directly or not, are removed from rooms that it did not join again.
        """
        live = self._router.sessions(session.key)
        for room in self:
            guest = room.guests.get(session.key)
            if guest is None or guest in live:
                continue
            if guest is not session and guest.account is not None:
                continue  # it has registered meanwhile: `promote_guest` is about to make it a member
            del room.guests[session.key]
            if room.key in self._router.peers.rooms_of(session.key):
                room.remote_guests[session.key] = session.name
            else:
                self.notify(room, RoomEvent("leave", room.name, session.name), session)

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

    def promote_guest(self, session: Session, rooms: Sequence[Room]) -> None:
        """Make a guest that has registered a member of its rooms. The store has the memberships already."""
        account = session.account
        assert account is not None
        for room in rooms:
            if room.guests.get(session.key) is session:
                del room.guests[session.key]
                room.members[account.id] = account
            else:  # removed meanwhile
                self._store.leave(room.key, account.id)

    def remove_account(self, account: Account) -> None:
        """Remove an account that was deleted from all rooms."""
        for room in self:
            room.members.pop(account.id, None)

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

    def _create(self, session: Session, name: str) -> Room:
        if session.account is None:
            raise NoSuchRoom("There is no such room, and only accounts may create one.")
        self._quotas.check_join_quota(self._limits(), self, session)
        with self._reserve_name(name), self._quotas.reserve_room(self._limits(), self, session.account.id):
            return self.load(self._store.create_room(fold(name), name, session.account.id, self._clock()))

    @contextmanager
    def _reserve_name(self, name: str) -> Iterator[None]:
        """Prevent the creation of a room whose name looks the same within the block. Raises `NameConfusable`."""
        self._room_names.check(name)
        self._room_names.add(name)
        try:
            yield
        finally:
            room = self._rooms.get(fold(name))
            if room is None or room.name != name:  # not created, or created meanwhile under another spelling
                self._room_names.discard(name)

    def set_cursor(self, key: str, room: str, head: int) -> None:
        """Have the sessions of a name that has joined a room begin there behind `head`."""
        for session in self._router.sessions(key):
            session.sync.set_start(room, head)

    def _remove_stored_member(
        self, room: Room, key: str, account: Account | None, event: RoomEvent, actor: Session
    ) -> None:
        """Remove a member from the store first: if that raises, nothing has happened."""
        if account is not None:
            self._store.leave(room.key, account.id, event.by or "")
        self.remove_member(room, key, account, event, actor)

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
        for session in self._router.sessions(account.key):  # should the account join again, it begins anew
            session.sync.forget(room.key)

    def notify(self, room: Room, event: RoomEvent, actor: Session | None) -> None:
        """Send an event to the room's sessions, except the one that caused it, which gets a response."""
        for session in self.sessions(room):
            if session.accepts_push and session is not actor:
                session.outbox.offer(event)
