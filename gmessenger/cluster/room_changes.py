"""What other nodes change about rooms, made so here; whoever is in a room here is told as if it had been done here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gmessenger.chat.delivery import Delivery
from gmessenger.chat.model import RoomChange
from gmessenger.chat.records import Account, Room, Sanction
from gmessenger.chat.room import OpenRoom
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import Sanctions


class RoomChanges:
    """Nothing here blocks. `taken_in` is told of rooms that were not known here before."""

    def __init__(
        self,
        rooms: Rooms,
        router: Router,
        delivery: Delivery,
        sanctions: Sanctions,
        accounts: Mapping[int, Account],
        taken_in: Callable[[OpenRoom], None],
    ) -> None:
        self._rooms = rooms
        self._router = router
        self._delivery = delivery
        self._sanctions = sanctions
        self._accounts = accounts
        self._taken_in = taken_in

    def follow(self, key: str, kept: Room | None, by: str) -> None:
        """A room is so now, or is gone."""
        room = self._rooms.known(key)
        if room is not None and (kept is None or kept.id != room.id):
            self._sanctions.drop("close", key)
            self._rooms.drop(room)
            room = None
        if room is not None and kept is not None:
            self._compare(room, kept, by)
        elif kept is not None:
            room = self._rooms.take_in(kept)
            room.closed = self._sanctions.find("close", key)
            self._taken_in(room)
            for id, account in room.members.items():
                self._begin(room, account, kept.members[id])

    def follow_member(self, key: str, account: Account, visible: int | None, by: str) -> None:
        """An account is in a room and may read from a seq on, or is in it no more."""
        room = self._rooms.known(key)
        if room is None:
            return
        if visible is None:
            self._rooms.take_out(
                room, account.key, account, RoomChange("leave", room.name, account.name, by=by or None), None
            )
            return
        new = account.id not in room.members
        room.members[account.id] = account
        if new:
            self._rooms.tell(room, RoomChange("join", room.name, account.name), None)
        self._begin(room, account, visible)

    def _begin(self, room: OpenRoom, account: Account, visible: int) -> None:
        """Its sessions here are owed what was said from there on."""
        self._rooms.begin_at(account.key, room.key, visible - 1)
        for session in self._router.sessions(account.key):
            self._delivery.look(session, room.key, room.head)

    def follow_closing(self, key: str, closed: Sanction | None, by: str) -> None:
        """A room is closed, or open."""
        room = self._rooms.known(key)
        if room is None or (room.closed is None) == (closed is None):
            return
        self._rooms.set_closed(room, closed, closed.by if closed is not None else by, closed.reason if closed else "")

    def expel(self, key: str, guest: str, by: str) -> None:
        """A guest has been taken out of a room, wherever that guest is."""
        room = self._rooms.known(key)
        if room is None:
            return
        if guest in room.guests:
            change = RoomChange("leave", room.name, room.guests[guest].name, by=by)
            self._rooms.take_out(room, guest, None, change, None)
        elif (name := room.elsewhere.pop(guest, None)) is not None:
            self._rooms.tell(room, RoomChange("leave", room.name, name, by=by), None)

    def _compare(self, room: OpenRoom, kept: Room, by: str) -> None:
        room.head = max(room.head, kept.head)
        if kept.topic != room.topic:
            room.topic = kept.topic
            self._rooms.tell(room, RoomChange("topic", room.name, by, topic=kept.topic), None)
        for id in room.members.keys() ^ kept.members.keys():
            if (account := self._accounts.get(id)) is not None:
                self.follow_member(room.key, account, kept.members.get(id), by)
