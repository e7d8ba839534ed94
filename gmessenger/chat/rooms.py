"""Rooms, their members and quotas: create, load, join and leave, and room events to those present."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from gmessenger.chat.confusables import ConfusableIndex
from gmessenger.chat.outbox import RoomEvent
from gmessenger.chat.ratelimit import Limits, in_flight
from gmessenger.chat.records import Account, RoomRecord, Sanction
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import with_reason
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import (
    AccountsOnly,
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
    """A room as it is now: `members` by account id, `guests` by the key of their name, while they are here; `elsewhere`
    are the names of guests on other servers.

    While it is `closed` its members can read what was said, and nobody says anything or comes in.
    """

    key: str
    name: str
    topic: str
    creator: int | None
    head: int = 0
    members: dict[int, Account] = field(default_factory=dict)
    guests: dict[str, Session] = field(default_factory=dict)
    remote_guests: dict[str, str] = field(default_factory=dict)
    is_being_deleted: bool = False  # it is being deleted: nobody speaks or comes in
    closure: Sanction | None = None
    id: int = 0  # of this room, among those that had its name

    def has_member(self, session: Session) -> bool:
        if session.account is not None:
            return session.account.id in self.members
        return self.guests.get(session.key) is session

    def check_open(self) -> None:
        """Raises `RoomClosed`."""
        if self.closure is not None:
            raise with_reason(RoomClosed, self.closure.reason)

    @property
    def size(self) -> int:
        return len(self.members) + len(self.guests) + len(self.remote_guests)

    @property
    def names(self) -> list[str]:
        here = [account.name for account in self.members.values()] + [guest.name for guest in self.guests.values()]
        return here + list(self.remote_guests.values())


class LimitedRoom(Protocol):
    """What has to be known of a room."""

    creator: int | None

    @property
    def key(self) -> str:
        """Its name folded."""

    @property
    def size(self) -> int:
        """How many are in it."""

    def has_member(self, session: Session) -> bool:
        """Whether the session is in it."""


class RoomQuotas:
    """What is on its way to the disk counts as if it were there: else many that are asked at one time exceed a bound.

    `made` counts the rooms that accounts are making, `joined` those that names are joining, and `entered`, by room, who
    is joining it.
    """

    def __init__(self) -> None:
        self.pending_creations: Counter[int] = Counter()
        self.pending_joins_by_name: Counter[str] = Counter()
        self.pending_joins_by_room: Counter[str] = Counter()

    @contextmanager
    def reserve_room(self, limits: Limits, rooms: Iterable[LimitedRoom], account: int) -> Iterator[None]:
        """The account makes a room within. Raises `TooManyRooms`."""
        made = [room.creator == account for room in rooms]
        if len(made) + self.pending_creations.total() >= limits.max_rooms:
            raise TooManyRooms("This server has reached its limit of rooms.", limit=limits.max_rooms)
        if sum(made) + self.pending_creations[account] >= limits.max_rooms_created:
            raise TooManyRooms(
                f"An account can create at most {limits.max_rooms_created} rooms.", limit=limits.max_rooms_created
            )
        with in_flight(self.pending_creations, account):
            yield

    @contextmanager
    def reserve_join(
        self, limits: Limits, rooms: Iterable[LimitedRoom], session: Session, room: LimitedRoom
    ) -> Iterator[None]:
        """The session joins the room within. Raises `TooManyRooms` or `RoomFull`."""
        if room.size + self.pending_joins_by_room[room.key] >= limits.max_members:
            raise RoomFull(limit=limits.max_members)
        self.check_join_quota(limits, rooms, session)
        with in_flight(self.pending_joins_by_name, session.key), in_flight(self.pending_joins_by_room, room.key):
            yield

    def check_join_quota(self, limits: Limits, rooms: Iterable[LimitedRoom], session: Session) -> None:
        """Whether the session may be in one more room. Raises `TooManyRooms`."""
        if (
            sum(each.has_member(session) for each in rooms) + self.pending_joins_by_name[session.key]
            >= limits.max_rooms_joined
        ):
            raise TooManyRooms(
                f"You can be a member of at most {limits.max_rooms_joined} rooms.", limit=limits.max_rooms_joined
            )


MAX_PRESENCE_MEMBERS = 100
"""Members beyond which a room is too large for everybody to be told of everybody's coming and going."""


class RoomRegistry:
    """Every room. Joining and creating wait for the store."""

    def __init__(
        self,
        store: Store,
        router: Router,
        accounts_by_id: dict[int, Account],
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
        for kept in store.rooms():
            self.load(kept)

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def load(self, record: RoomRecord) -> Room:
        """A room that the store has, there from now on, or the one that is there already."""
        members = {id: self._accounts_by_id[id] for id in record.members if id in self._accounts_by_id}
        room = Room(record.key, record.name, record.topic, record.creator, record.head, members, id=record.id)
        room.closure = self._find_closure(record.key)
        self._room_names.add(record.name)
        return self._rooms.setdefault(record.key, room)

    def get(self, key: str) -> Room | None:
        """The room of that key as far as this server knows."""
        return self._rooms.get(key)

    def find(self, name: str) -> Room:
        """The room of that name. Raises `NoSuchRoom`."""
        key = fold(name)
        if key not in self._rooms:  # another server may have made it a moment ago
            self._router.peers.sync()
        room = self._rooms.get(key)
        if room is None or room.is_being_deleted:
            raise NoSuchRoom
        return room

    def member_count(self, name: str) -> int:
        """How many are in the room of that name, if there is one."""
        room = self._rooms.get(fold(name))
        return room.size if room is not None else 0

    def require_member(self, name: str, session: Session) -> Room:
        """The room, if the session is in it. Raises `NoSuchRoom` or `NotMember`."""
        room = self.find(name)
        if not room.has_member(session) and not (self._router.peers.sync() and room.has_member(session)):
            raise NotMember
        return room

    def writable_by(self, key: str, session: Session) -> Room | None:
        """The room of that key, if the session is in it and may be heard there."""
        room = self._rooms.get(key)
        heard = room is not None and not room.is_being_deleted and room.closure is None and room.has_member(session)
        return room if heard else None

    def join(self, session: Session, name: str) -> tuple[Room, int]:
        """Enter a room, and what was the last seq before; an account makes a room where there is none.

        Raises `BadName`, `NameConfusable` where another room looks the same, `BadRequest`, `NoSuchRoom`, `RoomClosed`,
        `TooManyRooms` or `RoomFull`.
        """
        if not is_room(name):
            raise BadRequest("The name of a room begins with '#'.")
        self._router.peers.sync()  # who is told who is there should be told of everybody
        room = self.get(fold(name)) or self._create(session, f"#{check_name(name[1:])}")
        if room.is_being_deleted:
            raise NoSuchRoom("This room is being deleted.")
        head = room.head
        if room.has_member(session):
            return room, head
        room.check_open()
        with self._quotas.reserve_join(self._limits(), self, session, room):
            head = self._add_member(room, session)
        if room.remote_guests.pop(session.key, None) is None:  # else it has moved here, and they know it
            self.notify(room, RoomEvent("join", room.name, session.name), session)
        return room, head

    def _add_member(self, room: Room, session: Session) -> int:
        """Be in the room from now on; returns what was the last seq before."""
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
        """Be in the room no more."""
        room = self.require_member(name, session)
        self._remove_stored_member(
            room, session.key, session.account, RoomEvent("leave", room.name, session.name), session
        )
        return room

    def remove_user(self, session: Session, name: str, user: str) -> None:
        """The creator takes somebody out. Raises `NotCreator`, or `NotFound` for somebody who is not in."""
        room = self.require_member(name, session)
        if session.account is None or session.account.id != room.creator:
            raise NotCreator
        key = fold(user)
        account = next((each for each in room.members.values() if each.key == key), None)
        if key in room.remote_guests:
            return self._router.peers.expel(room.key, key, session.name)
        if account is None and key not in room.guests:
            raise NotFound("There is no member of that name in the room.")
        shown = account.name if account is not None else room.guests[key].name
        return self._remove_stored_member(
            room, key, account, RoomEvent("leave", room.name, shown, by=session.name), session
        )

    def set_topic(self, session: Session, name: str, topic: str) -> None:
        """Say what the room is about. Raises `BadRequest` for a topic that is too long or not printable."""
        room = self.require_member(name, session)
        if session.account is None:
            raise AccountsOnly
        room.check_open()
        if len(topic) > MAX_TOPIC or not topic.isprintable():
            raise BadRequest(f"A topic is at most {MAX_TOPIC} printable characters.")
        self._store.set_topic(room.key, topic, session.name)
        room.topic = topic
        self.notify(room, RoomEvent("topic", room.name, session.name, topic=topic), session)

    def set_closure(self, room: Room, closure: Sanction | None, by: str, reason: str = "") -> None:
        """The room is closed, or open again: everybody in it is told."""
        room.closure = closure
        change = RoomEvent("open" if closure is None else "close", room.name, by, reason=reason or None)
        self.notify(room, change, None)

    def remove_session(self, session: Session) -> None:
        """A session is over: a guest is in no room any more, unless it is there from elsewhere by now."""
        for room in self.guest_rooms(session):
            del room.guests[session.key]
            if room.key in self._router.peers.rooms_of(session.key):
                room.remote_guests[session.key] = session.name
            else:
                self.notify(room, RoomEvent("leave", room.name, session.name), session)

    @contextmanager
    def deleting(self, room: Room) -> Iterator[None]:
        """A room is deleted within: then there is none of its name. It goes on where that raises."""
        room.is_being_deleted = True
        try:
            yield
        except BaseException:
            room.is_being_deleted = False
            raise
        self.discard(room)

    def discard(self, room: Room) -> None:
        """There is no such room any more: everybody in it is told that they have left."""
        if self._rooms.get(room.key) is not room:  # there is another of its name already
            return
        del self._rooms[room.key]
        self._room_names.discard(room.name)
        self._router.peers.conversation_deleted(room.key)
        for session in self.sessions(room):
            session.sync.forget(room.key)
            if session.accepts_push:
                session.outbox.offer(RoomEvent("leave", room.name, session.name, by="server"))

    def guest_rooms(self, session: Session) -> list[Room]:
        """The rooms a guest is in."""
        return [room for room in self if room.guests.get(session.key) is session]

    def promote_guest(self, session: Session, rooms: Sequence[Room]) -> None:
        """A guest has become an account, which the store has as a member of the rooms it was in."""
        account = session.account
        assert account is not None
        for room in rooms:
            if room.guests.get(session.key) is session:
                del room.guests[session.key]
                room.members[account.id] = account
            else:  # taken out meanwhile
                self._store.leave(room.key, account.id)

    def remove_account(self, account: Account) -> None:
        """The account has been deleted."""
        for room in self:
            room.members.pop(account.id, None)

    def roommates(self, account: Account | None) -> set[str]:
        """The keys of those who share a room with an account, large rooms left out."""
        if account is None:
            return set()
        shared = [room for room in self._rooms.values() if account.id in room.members]
        return {
            each.key for room in shared if len(room.members) <= MAX_PRESENCE_MEMBERS for each in room.members.values()
        }

    def sessions(self, room: Room) -> Sequence[Session]:
        """Every session of every member, and every guest's."""
        members = [session for account in room.members.values() for session in self._router.sessions(account.key)]
        return members + list(room.guests.values())

    def account_sessions(self, session: Session) -> Sequence[Session]:
        """Those that are in a room when this session is: every one of its account, or it alone."""
        return (session,) if session.account is None else self._router.sessions(session.key)

    def _create(self, session: Session, name: str) -> Room:
        if session.account is None:
            raise NoSuchRoom("There is no such room, and only accounts may create one.")
        self._quotas.check_join_quota(self._limits(), self, session)
        with self._reserve_name(name), self._quotas.reserve_room(self._limits(), self, session.account.id):
            return self.load(self._store.create_room(fold(name), name, session.account.id, self._clock()))

    @contextmanager
    def _reserve_name(self, name: str) -> Iterator[None]:
        """A room of that name is made within, and none that looks like it meanwhile. Raises `NameConfusable`."""
        self._room_names.check(name)
        self._room_names.add(name)
        try:
            yield
        finally:
            room = self._rooms.get(fold(name))
            if room is None or room.name != name:  # not made, or made meanwhile under another spelling
                self._room_names.discard(name)

    def set_cursor(self, key: str, room: str, head: int) -> None:
        """A name has joined a room: what was said before is not for it."""
        for session in self._router.sessions(key):
            session.sync.set_start(room, head)

    def _remove_stored_member(
        self, room: Room, key: str, account: Account | None, event: RoomEvent, actor: Session
    ) -> None:
        """On disk first: where that fails nothing has happened, and it can be asked for again."""
        if account is not None:
            self._store.leave(room.key, account.id, event.by or "")
        self.remove_member(room, key, account, event, actor)

    def remove_member(
        self, room: Room, key: str, account: Account | None, event: RoomEvent, actor: Session | None
    ) -> None:
        """Somebody is in a room no more, and the store knows it: everybody is told, unless they have been."""
        if account is None:
            if key in room.guests:
                self.notify(room, event, actor)
                del room.guests[key]
                self._router.peers.presence_changed(key)
            return
        if account.id not in room.members:  # another device was faster
            return
        self.notify(room, event, actor)
        del room.members[account.id]
        for session in self._router.sessions(account.key):  # should it come back, it begins anew
            session.sync.forget(room.key)

    def notify(self, room: Room, event: RoomEvent, actor: Session | None) -> None:
        """Everybody in the room but the session whose doing it is: that one has its answer."""
        for session in self.sessions(room):
            if session.accepts_push and session is not actor:
                session.outbox.offer(event)
