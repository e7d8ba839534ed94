"""Rooms and their members, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from gmessenger.chat.records import RoomRecord
from gmessenger.errors import NoSuchRoom, StoreUnavailable
from gmessenger.room_rules import rules_from_json
from gmessenger.store.sqlite.accounts import LIFT
from gmessenger.store.sqlite.messages import VISIBLE
from gmessenger.store.sqlite.pruning import Pruner

ROOM: Final = "SELECT id, key, name, topic, creator, head, first, rules FROM conversations WHERE key = ?"
ROOMS: Final = "SELECT id, key, name, topic, creator, head, first, rules FROM conversations WHERE key LIKE '#%'"
MEMBERS: Final = "SELECT account_id, visible, role FROM participants WHERE conversation_id = ? AND left_seq IS NULL"
JOIN: Final = (
    "INSERT OR IGNORE INTO participants (account_id, conversation_id, visible, joined, role) VALUES (?,?,?,?,?)"
)
LEAVE: Final = "DELETE FROM participants WHERE conversation_id = ? AND account_id = ?"
SET_TOPIC: Final = "UPDATE conversations SET topic = ? WHERE key = ?"
MARK_DELETED: Final = "UPDATE conversations SET key = '!' || id WHERE key = ?"


class RoomStore(Pruner):
    """The part of the store that has rooms and their members; their messages are in `MessageStore`."""

    def rooms(self) -> Sequence[RoomRecord]:
        return self.read(_select_rooms)

    def create_room(self, key: str, name: str, creator: int | None, time: float) -> RoomRecord:
        def change(db: sqlite3.Connection) -> RoomRecord:
            is_new = db.execute(ROOM, (key,)).fetchone() is None
            conversation = self.inserter.conversation(db, key, name, creator)
            if is_new and creator is not None and conversation is not None:
                db.execute(JOIN, (creator, conversation.id, 1, time, "owner"))
            return _room_from_row(db, db.execute(ROOM, (key,)).fetchone())

        return self.writer.execute(change)

    def join(self, room: str, account: int, time: float = 0.0) -> int:
        def change(db: sqlite3.Connection) -> int:
            conversation = self.inserter.conversation(db, room)
            if conversation is None:
                raise NoSuchRoom
            db.execute(JOIN, (account, conversation.id, conversation.head + 1, time, ""))
            visible: int = db.execute(VISIBLE, (room, account)).fetchone()[0]
            return visible - 1

        return self.writer.execute(change)

    def leave(self, room: str, account: int, by: str = "") -> None:
        def change(db: sqlite3.Connection) -> None:
            conversation = self.inserter.conversation(db, room)
            if conversation is not None:
                db.execute(LEAVE, (conversation.id, account))

        self.writer.execute(change)

    def set_topic(self, room: str, topic: str, by: str = "") -> None:
        self.writer.execute(lambda db: db.execute(SET_TOPIC, (topic, room)))
        self.schedule_purge()

    def delete_room(self, room: str) -> None:
        def change(db: sqlite3.Connection) -> None:
            # Hidden at once; its messages are deleted afterwards. A new room of the name is another conversation.
            db.execute(MARK_DELETED, (room,))
            db.execute(LIFT, ("close", room))
            self.inserter.reset_cache()

        self.writer.execute(change)
        self.schedule_purge()
        with suppress(StoreUnavailable):
            self.finish_deletions()


def _select_rooms(db: sqlite3.Connection) -> list[RoomRecord]:
    return [_room_from_row(db, row) for row in db.execute(ROOMS).fetchall()]


def _room_from_row(db: sqlite3.Connection, row: tuple[Any, ...]) -> RoomRecord:
    id, key, name, topic, creator, head, first, rules = row
    members = db.execute(MEMBERS, (id,)).fetchall()
    visible = {account: first_visible for account, first_visible, _ in members}
    roles = {account: role for account, _, role in members if role}
    return RoomRecord(key, name, topic, creator, head, first, visible, id, rules_from_json(rules), roles)
