"""The verbs about rooms: what a session may do with them besides speaking there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gmessenger.chat.delivery import DeliveryService
from gmessenger.chat.directory import USERS_PAGE, Directory
from gmessenger.chat.rooms import Room, RoomRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.tasks import ChangeRunner

Respond = Callable[[Session, str | None, dict[str, Any]], None]


class RoomService:
    """Every verb answers the request `id`; refusals are raised as `WireError`."""

    def __init__(
        self,
        rooms: RoomRegistry,
        delivery: DeliveryService,
        directory: Directory,
        change_runner: ChangeRunner,
        respond: Respond,
        check_not_muted: Callable[[str], None],
    ) -> None:
        self._rooms = rooms
        self._delivery = delivery
        self._directory = directory
        self._change_runner = change_runner
        self._respond = respond
        self._check_not_muted = check_not_muted

    def join(self, session: Session, id: str | None, room: str) -> None:
        """Enter a room, or make it; answers who is in it, its last seq and its topic."""
        self._change_runner.run(session, id, lambda: self._join(session, room))

    def leave(self, session: Session, id: str | None, room: str) -> None:
        """Be in a room no more."""
        self._change_runner.run(session, id, lambda: _room_fields(self._rooms.leave(session, room)))

    def remove(self, session: Session, id: str | None, room: str, user: str) -> None:
        """Take somebody out of a room one has made."""
        self._change_runner.run(session, id, lambda: self._rooms.remove_user(session, room, user))

    def set_topic(self, session: Session, id: str | None, room: str, topic: str) -> None:
        """Say what a room is about."""
        self._check_not_muted(session.key)
        self._change_runner.run(session, id, lambda: self._rooms.set_topic(session, room, topic))

    def members(self, session: Session, id: str | None, room: str, after: str | None = None) -> None:
        """Answer with who is in a room one is in, by name, with their status."""
        self._respond(
            session, id, self._directory.members(self._rooms.require_member(room, session), session.key, after)
        )

    def list_rooms(self, session: Session, id: str | None, after: str | None = None) -> None:
        """Answer with the rooms there are, by name."""
        self._respond(session, id, self._directory.rooms(after))

    def _join(self, session: Session, name: str) -> dict[str, Any]:
        room, head = self._rooms.join(session, name)
        for each in self._rooms.account_sessions(session):
            self._delivery.check_gap(each, room.key, room.head)
        return _room_fields(room) | {"seq": head}


def _room_fields(room: Room) -> dict[str, Any]:
    return {"room": room.name, "members": room.names[:USERS_PAGE], "seq": room.head, "topic": room.topic}
