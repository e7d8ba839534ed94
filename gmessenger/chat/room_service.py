"""The verbs about rooms: what a session may do with them besides speaking there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gmessenger.chat.carrying import Carrying
from gmessenger.chat.delivery import Delivery
from gmessenger.chat.lists import LIST_PAGE, Lists
from gmessenger.chat.room import OpenRoom
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.session import Session

Reply = Callable[[Session, str | None, dict[str, Any]], None]


class RoomService:
    """Every verb answers the request `id`; refusals are raised as `WireError`."""

    def __init__(
        self,
        rooms: Rooms,
        delivery: Delivery,
        lists: Lists,
        carry: Carrying,
        answer: Reply,
        check_voice: Callable[[str], None],
    ) -> None:
        self._rooms = rooms
        self._delivery = delivery
        self._lists = lists
        self._carry = carry
        self._answer = answer
        self._check_voice = check_voice

    def join(self, session: Session, id: str | None, room: str) -> None:
        """Enter a room, or make it; answers who is in it, its last seq and its topic."""
        self._carry.out(session, id, lambda: self._join(session, room))

    def leave(self, session: Session, id: str | None, room: str) -> None:
        """Be in a room no more."""
        self._carry.out(session, id, lambda: _about(self._rooms.leave(session, room)))

    def remove(self, session: Session, id: str | None, room: str, user: str) -> None:
        """Take somebody out of a room one has made."""
        self._carry.out(session, id, lambda: self._rooms.remove(session, room, user))

    def set_topic(self, session: Session, id: str | None, room: str, topic: str) -> None:
        """Say what a room is about."""
        self._check_voice(session.key)
        self._carry.out(session, id, lambda: self._rooms.set_topic(session, room, topic))

    def members(self, session: Session, id: str | None, room: str, after: str | None = None) -> None:
        """Answer with who is in a room one is in, by name, with their status."""
        self._answer(session, id, self._lists.members(self._rooms.entered(room, session), session.key, after))

    def list_rooms(self, session: Session, id: str | None, after: str | None = None) -> None:
        """Answer with the rooms there are, by name."""
        self._answer(session, id, self._lists.rooms(after))

    def _join(self, session: Session, name: str) -> dict[str, Any]:
        room, head = self._rooms.join(session, name)
        for each in self._rooms.sessions_of(session):
            self._delivery.look(each, room.key, room.head)
        return _about(room) | {"seq": head}


def _about(room: OpenRoom) -> dict[str, Any]:
    return {"room": room.name, "members": room.names[:LIST_PAGE], "seq": room.head, "topic": room.topic}
