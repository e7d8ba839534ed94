"""Rooms and their members, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from gmessenger.chat.records import Room
from gmessenger.errors import NoSuchRoom, StoreUnavailable
from gmessenger.store import statements
from gmessenger.store.erasing import Erasing

SET_ASIDE: Final = "UPDATE conversations SET key = '!' || id WHERE key = ?"


class Rooms(Erasing):
    """The part of the contract that is about rooms; what is said in them is `Messages`'."""

    def rooms(self) -> Sequence[Room]:
        return self.read(_rooms)

    def create_room(self, key: str, name: str, creator: int | None, time: float) -> Room:
        def change(db: sqlite3.Connection) -> Room:
            self.posts.known(db, key, name, creator)
            return _room(db, statements.ROOM(db, key=key).fetchone())

        return self.commits.change(change)

    def join(self, room: str, account: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            known = self.posts.known(db, room)
            if known is None:
                raise NoSuchRoom
            db.execute("INSERT OR IGNORE INTO participants VALUES (?,?,?,0)", (account, known.id, known.head + 1))
            visible: int = statements.VISIBLE(db, conversation=room, account=account).fetchone()[0]
            return visible - 1

        return self.commits.change(change)

    def leave(self, room: str, account: int, by: str = "") -> None:
        def change(db: sqlite3.Connection) -> None:
            known = self.posts.known(db, room)
            if known is not None:
                statements.LEAVE(db, conversation=known.id, account=account)

        self.commits.change(change)

    def set_topic(self, room: str, topic: str, by: str = "") -> None:
        self.commits.change(lambda db: statements.SET_TOPIC(db, new=topic, room=room))
        self.note_erased()

    def delete_room(self, room: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            # Out of everybody's sight at once; what was said goes after it, and a new room of the name is another.
            db.execute(SET_ASIDE, (room,))
            statements.LIFT(db, kind="close", target=room)
            self.posts.forget()

        self.commits.change(change)
        self.note_erased()
        with suppress(StoreUnavailable):
            self.tidy()


def _rooms(db: sqlite3.Connection) -> list[Room]:
    return [_room(db, row) for row in statements.ROOMS(db).fetchall()]


def _room(db: sqlite3.Connection, row: tuple[Any, ...]) -> Room:
    id, key, name, topic, creator, head, first = row
    return Room(key, name, topic, creator, head, first, dict(statements.PARTICIPANTS(db, conversation=id)), id)
