"""Rooms and their members, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gmessenger.chat.contract import Room
from gmessenger.store import statements
from gmessenger.store.erasing import Erasing


class Rooms(Erasing):
    """The part of the contract that is about rooms; what is said in them is `Messages`'."""

    def rooms(self) -> Sequence[Room]:
        def find(db: sqlite3.Connection) -> list[Room]:
            return [
                Room(key, name, topic, creator, head, first, dict(statements.PARTICIPANTS(db, conversation=id)))
                for id, key, name, topic, creator, head, first in statements.ROOMS(db).fetchall()
            ]

        return self.read(find)

    def create_room(self, key: str, name: str, creator: int | None, time: float) -> Room:
        self.commits.change(lambda db: self.posts.known(db, key, name, creator))
        return Room(key, name, "", creator, 0, 1, {})

    def join(self, room: str, account: int) -> int:
        def change(db: sqlite3.Connection) -> int:
            known = self.posts.known(db, room)
            db.execute("INSERT OR IGNORE INTO participants VALUES (?,?,?,0)", (account, known.id, known.head + 1))
            known.participants.add(account)
            return known.head

        return self.commits.change(change)

    def leave(self, room: str, account: int) -> None:
        def change(db: sqlite3.Connection) -> None:
            known = self.posts.known(db, room)
            statements.LEAVE(db, conversation=known.id, account=account)
            known.participants.discard(account)

        self.commits.change(change)

    def set_topic(self, room: str, topic: str) -> None:
        self.commits.change(lambda db: statements.SET_TOPIC(db, new=topic, room=room))

    def delete_room(self, room: str) -> None:
        while not self._dropped(room):
            pass

    def _dropped(self, room: str) -> bool:
        """Drop what was said in a room, then the room; not if something was said meanwhile."""
        row = self.read(lambda db: statements.CONVERSATION(db, key=room).fetchone())
        if row is None:
            return True
        conversation, head, _ = row
        self.drop_older([(conversation, head + 1)])

        def change(db: sqlite3.Connection) -> bool:
            known = self.posts.known(db, room)
            if known.head > head:
                return False
            for statement in (
                statements.DROP_PARTICIPANTS,
                statements.DROP_CURSORS_IN,
                statements.DROP_CONVERSATION,
            ):
                statement(db, conversation=known.id)
            statements.LIFT(db, kind="close", target=room)
            self.posts.forget()
            return True

        return self.commits.change(change)
