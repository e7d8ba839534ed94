"""Rooms and their members, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from gmessenger.chat.records import Room
from gmessenger.errors import NoSuchRoom, StoreUnavailable
from gmessenger.store.erasing import Erasing
from gmessenger.store.messages import VISIBLE
from gmessenger.store.sanctions import LIFT

ROOM: Final = "SELECT id, key, name, topic, creator, head, first FROM conversations WHERE key = ?"
ROOMS: Final = "SELECT id, key, name, topic, creator, head, first FROM conversations WHERE key LIKE '#%'"
MEMBERS: Final = "SELECT account_id, visible FROM participants WHERE conversation_id = ?"
JOIN: Final = "INSERT OR IGNORE INTO participants VALUES (?,?,?,0)"
LEAVE: Final = "DELETE FROM participants WHERE conversation_id = ? AND account_id = ?"
SET_TOPIC: Final = "UPDATE conversations SET topic = ? WHERE key = ?"
SET_ASIDE: Final = "UPDATE conversations SET key = '!' || id WHERE key = ?"


class Rooms(Erasing):
    """The part of the contract that is about rooms; what is said in them is `Messages`'."""

    def rooms(self) -> Sequence[Room]:
        return self.read(_rooms)

    def create_room(self, key: str, name: str, creator: int | None, time: float) -> Room:
        def change(db: sqlite3.Connection) -> Room:
            self.posts.known(db, key, name, creator)
            return _room(db, db.execute(ROOM, (key,)).fetchone())

        return self.commits.change(change)

    def join(self, room: str, account: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            known = self.posts.known(db, room)
            if known is None:
                raise NoSuchRoom
            db.execute(JOIN, (account, known.id, known.head + 1))
            visible: int = db.execute(VISIBLE, (room, account)).fetchone()[0]
            return visible - 1

        return self.commits.change(change)

    def leave(self, room: str, account: int, by: str = "") -> None:
        def change(db: sqlite3.Connection) -> None:
            known = self.posts.known(db, room)
            if known is not None:
                db.execute(LEAVE, (known.id, account))

        self.commits.change(change)

    def set_topic(self, room: str, topic: str, by: str = "") -> None:
        self.commits.change(lambda db: db.execute(SET_TOPIC, (topic, room)))
        self.note_erased()

    def delete_room(self, room: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            # Out of everybody's sight at once; what was said goes after it, and a new room of the name is another.
            db.execute(SET_ASIDE, (room,))
            db.execute(LIFT, ("close", room))
            self.posts.forget()

        self.commits.change(change)
        self.note_erased()
        with suppress(StoreUnavailable):
            self.tidy()


def _rooms(db: sqlite3.Connection) -> list[Room]:
    return [_room(db, row) for row in db.execute(ROOMS).fetchall()]


def _room(db: sqlite3.Connection, row: tuple[Any, ...]) -> Room:
    id, key, name, topic, creator, head, first = row
    return Room(key, name, topic, creator, head, first, dict(db.execute(MEMBERS, (id,))), id)
