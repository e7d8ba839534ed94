"""Rooms: who is in them, and telling them who comes and goes. What is said there is the service's business."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from gmessenger.chat.contract import Store
from gmessenger.chat.limits import Bounds
from gmessenger.chat.lookalikes import LookAlikes
from gmessenger.chat.model import RoomChange
from gmessenger.chat.names import check_name, fold
from gmessenger.chat.records import Account, Room, Sanction
from gmessenger.chat.room import OpenRoom
from gmessenger.chat.room_bounds import Reservations
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.errors import AccountsOnly, BadRequest, NeverSeen, NoSuchRoom, NotCreator, NotMember

LONGEST_TOPIC = 400
LARGEST_SHARED = 100
"""Members beyond which a room is too large for everybody to be told of everybody's coming and going."""


class Rooms:
    """Every room. Joining and creating wait for the store."""

    def __init__(
        self,
        store: Store,
        router: Router,
        accounts: dict[int, Account],
        clock: Callable[[], float],
        bounds: Callable[[], Bounds],
    ) -> None:
        self._store = store
        self._router = router
        self._accounts = accounts
        self._clock = clock
        self._bounds = bounds
        self._rooms: dict[str, OpenRoom] = {}
        self._on_their_way = Reservations()
        self._alike = LookAlikes()
        for kept in store.rooms():
            self.take_in(kept)

    def __iter__(self) -> Iterator[OpenRoom]:
        return iter(list(self._rooms.values()))

    def take_in(self, kept: Room) -> OpenRoom:
        """A room that the store has, there from now on, or the one that is there already."""
        members = {id: self._accounts[id] for id in kept.members if id in self._accounts}
        room = OpenRoom(kept.key, kept.name, kept.topic, kept.creator, kept.head, members, id=kept.id)
        self._alike.add(kept.name)
        return self._rooms.setdefault(kept.key, room)

    def known(self, key: str) -> OpenRoom | None:
        """The room of that key as far as this server knows."""
        return self._rooms.get(key)

    def find(self, name: str) -> OpenRoom:
        """The room of that name. Raises `NoSuchRoom`."""
        key = fold(name)
        if key not in self._rooms:  # another server may have made it a moment ago
            self._router.elsewhere.freshen()
        room = self._rooms.get(key)
        if room is None or room.ending:
            raise NoSuchRoom
        return room

    def audience(self, name: str) -> int:
        """How many are in the room of that name, if there is one."""
        room = self._rooms.get(fold(name))
        return room.size if room is not None else 0

    def entered(self, name: str, session: Session) -> OpenRoom:
        """The room, if the session is in it. Raises `NoSuchRoom` or `NotMember`."""
        room = self.find(name)
        if not room.holds(session) and not (self._router.elsewhere.freshen() and room.holds(session)):
            raise NotMember
        return room

    def open_to(self, key: str, session: Session) -> OpenRoom | None:
        """The room of that key, if the session is in it and may be heard there."""
        room = self._rooms.get(key)
        heard = room is not None and not room.ending and room.closed is None and room.holds(session)
        return room if heard else None

    def join(self, session: Session, name: str) -> tuple[OpenRoom, int]:
        """Enter a room, and what was the last seq before; an account makes a room where there is none.

        Raises `BadName`, `NameConfusable` where another room looks the same, `BadRequest`, `NoSuchRoom`, `RoomClosed`,
        `TooManyRooms` or `RoomFull`.
        """
        if name[:1] != "#":
            raise BadRequest("The name of a room begins with '#'.")
        self._router.elsewhere.freshen()  # who is told who is there should be told of everybody
        room = self.known(fold(name)) or self._create(session, f"#{check_name(name[1:])}")
        if room.ending:
            raise NoSuchRoom("This room is being deleted.")
        head = room.head
        if room.holds(session):
            return room, head
        room.check_open()
        with self._on_their_way.joining(self._bounds(), self, session, room):
            head = self._enter(room, session)
        if room.elsewhere.pop(session.key, None) is None:  # else it has moved here, and they know it
            self.tell(room, RoomChange("join", room.name, session.name), session)
        return room, head

    def _enter(self, room: OpenRoom, session: Session) -> int:
        """Be in the room from now on; returns what was the last seq before."""
        if session.account is None:
            room.guests[session.key] = session
            session.sent[room.key] = room.head  # what it had of one of this name before is nothing
            self._router.elsewhere.showing(session.key)
            return room.head
        head = self._store.join(room.key, session.account.id)
        room.members[session.account.id] = session.account
        self.begin_at(session.key, room.key, head)
        return head

    def leave(self, session: Session, name: str) -> OpenRoom:
        """Be in the room no more."""
        room = self.entered(name, session)
        self._take_out(room, session.key, session.account, RoomChange("leave", room.name, session.name), session)
        return room

    def remove(self, session: Session, name: str, user: str) -> None:
        """The creator takes somebody out. Raises `NotCreator`, or `NeverSeen` for somebody who is not in."""
        room = self.entered(name, session)
        if session.account is None or session.account.id != room.creator:
            raise NotCreator
        key = fold(user)
        account = next((each for each in room.members.values() if each.key == key), None)
        if key in room.elsewhere:
            return self._router.elsewhere.expel(room.key, key, session.name)
        if account is None and key not in room.guests:
            raise NeverSeen("There is no member of that name in the room.")
        shown = account.name if account is not None else room.guests[key].name
        return self._take_out(room, key, account, RoomChange("leave", room.name, shown, by=session.name), session)

    def set_topic(self, session: Session, name: str, topic: str) -> None:
        """Say what the room is about. Raises `BadRequest` for a topic that is too long or not printable."""
        room = self.entered(name, session)
        if session.account is None:
            raise AccountsOnly
        room.check_open()
        if len(topic) > LONGEST_TOPIC or not topic.isprintable():
            raise BadRequest(f"A topic is at most {LONGEST_TOPIC} printable characters.")
        self._store.set_topic(room.key, topic, session.name)
        room.topic = topic
        self.tell(room, RoomChange("topic", room.name, session.name, topic=topic), session)

    def set_closed(self, room: OpenRoom, closed: Sanction | None, by: str, reason: str = "") -> None:
        """The room is closed, or open again: everybody in it is told."""
        room.closed = closed
        change = RoomChange("open" if closed is None else "close", room.name, by, reason=reason or None)
        self.tell(room, change, None)

    def left(self, session: Session) -> None:
        """A session is over: a guest is in no room any more, unless it is there from elsewhere by now."""
        for room in self.of_guest(session):
            del room.guests[session.key]
            if room.key in self._router.elsewhere.rooms(session.key):
                room.elsewhere[session.key] = session.name
            else:
                self.tell(room, RoomChange("leave", room.name, session.name), session)

    @contextmanager
    def ending(self, room: OpenRoom) -> Iterator[None]:
        """A room is deleted within: then there is none of its name. It goes on where that raises."""
        room.ending = True
        try:
            yield
        except BaseException:
            room.ending = False
            raise
        self.drop(room)

    def drop(self, room: OpenRoom) -> None:
        """There is no such room any more: everybody in it is told that they have left."""
        if self._rooms.get(room.key) is not room:  # there is another of its name already
            return
        del self._rooms[room.key]
        self._alike.discard(room.name)
        self._router.elsewhere.ended(room.key)
        for session in self.sessions(room):
            session.sent.pop(room.key, None)
            session.acked.pop(room.key, None)
            if session.told:
                session.outbox.offer(RoomChange("leave", room.name, session.name, by="server"))

    def of_guest(self, session: Session) -> list[OpenRoom]:
        """The rooms a guest is in."""
        return [room for room in self if room.guests.get(session.key) is session]

    def adopt(self, session: Session, rooms: Sequence[OpenRoom]) -> None:
        """A guest has become an account, which the store has as a member of the rooms it was in."""
        account = session.account
        assert account is not None
        for room in rooms:
            if room.guests.get(session.key) is session:
                del room.guests[session.key]
                room.members[account.id] = account
            else:  # taken out meanwhile
                self._store.leave(room.key, account.id)

    def forget_account(self, account: Account) -> None:
        """The account has been deleted."""
        for room in self:
            room.members.pop(account.id, None)

    def companions(self, account: Account | None) -> set[str]:
        """The keys of those who share a room with an account, large rooms left out."""
        if account is None:
            return set()
        shared = [room for room in self._rooms.values() if account.id in room.members]
        return {each.key for room in shared if len(room.members) <= LARGEST_SHARED for each in room.members.values()}

    def sessions(self, room: OpenRoom) -> Sequence[Session]:
        """Every session of every member, and every guest's."""
        members = [session for account in room.members.values() for session in self._router.sessions(account.key)]
        return members + list(room.guests.values())

    def sessions_of(self, session: Session) -> Sequence[Session]:
        """Those that are in a room when this session is: every one of its account, or it alone."""
        return (session,) if session.account is None else self._router.sessions(session.key)

    def _create(self, session: Session, name: str) -> OpenRoom:
        if session.account is None:
            raise NoSuchRoom("There is no such room, and only accounts may create one.")
        self._on_their_way.check_joining(self._bounds(), self, session)
        with self._unlike_others(name), self._on_their_way.making(self._bounds(), self, session.account.id):
            return self.take_in(self._store.create_room(fold(name), name, session.account.id, self._clock()))

    @contextmanager
    def _unlike_others(self, name: str) -> Iterator[None]:
        """A room of that name is made within, and none that looks like it meanwhile. Raises `NameConfusable`."""
        self._alike.check(name)
        self._alike.add(name)
        try:
            yield
        finally:
            room = self._rooms.get(fold(name))
            if room is None or room.name != name:  # not made, or made meanwhile under another spelling
                self._alike.discard(name)

    def begin_at(self, key: str, room: str, head: int) -> None:
        """A name has joined a room: what was said before is not for it."""
        for session in self._router.sessions(key):
            session.sent[room] = max(head, session.sent.get(room, 0))
            session.acked[room] = max(head, session.acked.get(room, 0))

    def _take_out(self, room: OpenRoom, key: str, account: Account | None, change: RoomChange, actor: Session) -> None:
        """On disk first: where that fails nothing has happened, and it can be asked for again."""
        if account is not None:
            self._store.leave(room.key, account.id, change.by or "")
        self.take_out(room, key, account, change, actor)

    def take_out(
        self, room: OpenRoom, key: str, account: Account | None, change: RoomChange, actor: Session | None
    ) -> None:
        """Somebody is in a room no more, and the store knows it: everybody is told, unless they have been."""
        if account is None:
            if key in room.guests:
                self.tell(room, change, actor)
                del room.guests[key]
                self._router.elsewhere.showing(key)
            return
        if account.id not in room.members:  # another device was faster
            return
        self.tell(room, change, actor)
        del room.members[account.id]
        for session in self._router.sessions(account.key):  # should it come back, it begins anew
            session.sent.pop(room.key, None)
            session.acked.pop(room.key, None)

    def tell(self, room: OpenRoom, change: RoomChange, actor: Session | None) -> None:
        """Everybody in the room but the session whose doing it is: that one has its answer."""
        for session in self.sessions(room):
            if session.told and session is not actor:
                session.outbox.offer(change)
