"""Rooms and their members, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from gmessenger.chat.records import Room
from gmessenger.errors import AccountDeleted, NoSuchRoom, StoreUnavailable
from gmessenger.store.postgres.erasing import Erasing
from gmessenger.store.postgres.lines import ATTEMPTS, Line

ROOMS: Final = (
    "SELECT c.id, c.key, c.name, c.topic, c.creator, c.head, c.first, "
    "ARRAY(SELECT p.account_id FROM participants p WHERE p.conversation_id = c.id ORDER BY p.account_id), "
    "ARRAY(SELECT p.visible FROM participants p WHERE p.conversation_id = c.id ORDER BY p.account_id) "
    "FROM conversations c WHERE "
)
ALL: Final = f"{ROOMS} c.key >= '#' AND c.key < '$' ORDER BY c.id"
ONE: Final = f"{ROOMS} c.key = %s"
MAKE: Final = (
    "INSERT INTO conversations (key, name, creator) VALUES (%s, %s, %s) ON CONFLICT (key) DO NOTHING RETURNING id"
)
HOLD: Final = "SELECT id, head FROM conversations WHERE key = %s FOR KEY SHARE"
JOIN: Final = (
    # Of an account that is being deleted nothing must come to stay.
    "INSERT INTO participants (account_id, conversation_id, visible) SELECT id, %s, %s FROM accounts WHERE id = %s "
    "FOR KEY SHARE ON CONFLICT DO NOTHING"
)
VISIBLE: Final = "SELECT visible FROM participants WHERE account_id = %s AND conversation_id = %s"
LEAVE: Final = (
    "DELETE FROM participants WHERE account_id = %s AND conversation_id = (SELECT id FROM conversations WHERE key = %s)"
)
SET_TOPIC: Final = "UPDATE conversations SET topic = %s WHERE key = %s"
SET_ASIDE: Final = "UPDATE conversations SET key = '!' || id WHERE key = %s"
OPEN: Final = "DELETE FROM sanctions WHERE kind = 'close' AND target = %s"


class Rooms(Erasing):
    """The part of the contract that is about rooms; what is said in them is `Messages`'."""

    def rooms(self) -> Sequence[Room]:
        return [_room(row) for row in self.read(lambda db: db.execute(ALL).fetchall())]

    def room(self, key: str) -> Room | None:
        row = self.read(lambda db: db.execute(ONE, (key,)).fetchone())
        return _room(row) if row else None

    def create_room(self, key: str, name: str, creator: int | None, time: float) -> Room:
        def change(db: Line) -> Room:
            for _ in range(ATTEMPTS):
                if db.execute(MAKE, (key, name, creator)).fetchone():
                    self.leave_word(db, "room", key)
                if row := db.execute(ONE, (key,)).fetchone():
                    return _room(row)
            raise StoreUnavailable  # there was one each time, and each time it was deleted before it could be read

        return self.change(change)

    def join(self, room: str, account: int) -> int:
        def change(db: Line) -> int:
            row = db.execute(HOLD, (room,)).fetchone()
            if row is None:
                raise NoSuchRoom
            id, head = row
            if db.execute(JOIN, (id, head + 1, account)).rowcount:
                self.leave_word(db, "member", room, account)
            found = db.execute(VISIBLE, (account, id)).fetchone()
            if found is None:
                raise AccountDeleted
            return int(found[0]) - 1

        return self.change(change)

    def leave(self, room: str, account: int, by: str = "") -> None:
        def change(db: Line) -> None:
            if db.execute(LEAVE, (account, room)).rowcount:
                self.leave_word(db, "member", room, account, by=by)

        self.change(change)

    def set_topic(self, room: str, topic: str, by: str = "") -> None:
        def change(db: Line) -> None:
            if db.execute(SET_TOPIC, (topic, room)).rowcount:
                self.leave_word(db, "room", room, by=by)

        self.change(change)

    def delete_room(self, room: str) -> None:
        def change(db: Line) -> None:
            # Out of everybody's sight at once; what was said goes after it, and a new room of the name is another.
            if db.execute(SET_ASIDE, (room,)).rowcount:
                self.leave_word(db, "room", room)
            if db.execute(OPEN, (room,)).rowcount:
                self.leave_word(db, "sanction", "close", room)

        self.change(change)
        with suppress(StoreUnavailable):
            self.tidy()


def _room(row: tuple[Any, ...]) -> Room:
    id, key, name, topic, creator, head, first, accounts, visible = row
    return Room(key, name, topic, creator, head, first, dict(zip(accounts, visible, strict=True)), id)
