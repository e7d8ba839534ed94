"""Rooms and their members, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from gmessenger.chat.records import ReadRange, RoomRecord
from gmessenger.errors import NoSuchRoom, StoreUnavailable
from gmessenger.room_roles import RoomRole
from gmessenger.room_rules import OPEN_ROOM, RoomRules, rules_from_json
from gmessenger.store.sqlite import roles
from gmessenger.store.sqlite.accounts import LIFT
from gmessenger.store.sqlite.hooks import drop_hooks
from gmessenger.store.sqlite.membership import find_read_range, join_room, leave_room
from gmessenger.store.sqlite.pruning import Pruner
from gmessenger.store.sqlite.room_access import check_may_join

COLUMNS: Final = (
    "SELECT id, key, name, topic, creator, head, first, rules, passing, topic_by, topic_at, created, "
    "profile "
    "FROM conversations WHERE "
)
ROOM: Final = f"{COLUMNS} key = ?"
ROOMS: Final = f"{COLUMNS} key LIKE '#%'"
MEMBERS: Final = (
    "SELECT account_id, max(visible, joined_seq + 1), role FROM participants "
    "WHERE conversation_id = ? AND left_seq IS NULL"
)
ADD_OWNER: Final = (
    "INSERT INTO participants (account_id, conversation_id, visible, joined, role) VALUES (?,?,1,?,'owner')"
)
SET_TOPIC: Final = "UPDATE conversations SET topic = ?, topic_by = ?, topic_at = ? WHERE key = ?"
SET_CREATED: Final = "UPDATE conversations SET created = ?, passing = ? WHERE id = ?"
IS_DESERTED: Final = (
    "SELECT 1 FROM conversations c WHERE id = ? AND key = ? AND passing "
    "AND NOT EXISTS (SELECT 1 FROM participants p WHERE p.conversation_id = c.id AND left_seq IS NULL)"
)
MARK_DELETED: Final = "UPDATE conversations SET key = '!' || id WHERE key = ?"


class RoomStore(Pruner):
    """The part of the store that has rooms and their members; their messages are in `MessageStore`."""

    def rooms(self) -> Sequence[RoomRecord]:
        return self.read(_select_rooms)

    def create_room(
        self,
        key: str,
        name: str,
        creator: int | None,
        time: float,
        rules: RoomRules = OPEN_ROOM,
        *,
        passing: bool = False,
    ) -> RoomRecord:
        def change(db: sqlite3.Connection) -> RoomRecord:
            is_new = db.execute(ROOM, (key,)).fetchone() is None
            conversation = self.inserter.conversation(db, key, name, creator)
            if is_new and conversation is not None:
                roles.set_rules(db, conversation.id, rules)
                db.execute(SET_CREATED, (time, passing, conversation.id))
                if creator is not None:
                    db.execute(ADD_OWNER, (creator, conversation.id, time))
            return _room_from_row(db, db.execute(ROOM, (key,)).fetchone())

        return self.writer.execute(change)

    def join(
        self, room: str, account: int, time: float, *, is_welcome: bool = False, spared_since: float = 0.0
    ) -> ReadRange:
        def change(db: sqlite3.Connection) -> ReadRange | None:
            check_may_join(db, room, account, time, is_welcome=is_welcome, spared_since=spared_since)
            return find_read_range(db, account, room) if join_room(db, room, account, time) else None

        if (readable := self.writer.execute(change)) is None:
            raise NoSuchRoom
        return readable

    def leave(self, room: str, account: int, by: str = "", reason: str = "") -> int | None:
        def change(db: sqlite3.Connection) -> int | None:
            owned = roles.find_owned(db, room, account)
            leave_room(db, room, account)
            return roles.replace_owner(db, owned) if owned is not None else None

        return self.writer.execute(change)

    def change_rules(self, room: str, changes: Mapping[str, Any], by: str = "", actor: int | None = None) -> RoomRules:
        return self.writer.execute(lambda db: roles.change_rules(db, room, changes, actor))

    def change_role(self, room: str, account: int, role: RoomRole, by: str = "", actor: int | None = None) -> None:
        self.writer.execute(lambda db: roles.change_role(db, room, account, role, actor))

    def set_topic(self, room: str, topic: str, by: str = "", time: float | None = None) -> None:
        self.writer.execute(lambda db: db.execute(SET_TOPIC, (topic, by, time, room)))
        self.schedule_purge()

    def change_room_profile(
        self, room: str, change: Callable[[str], str], by: str = "", actor: int | None = None
    ) -> str:
        changed = self.writer.execute(lambda db: roles.change_profile(db, room, change, actor))
        self.schedule_purge()
        return changed

    def delete_room(self, room: str) -> None:
        self.writer.execute(lambda db: self._mark_deleted(db, room))
        self._finish_deletion()

    def drop_passing_room(self, room: str, id: int) -> bool:
        def change(db: sqlite3.Connection) -> bool:
            is_deserted = db.execute(IS_DESERTED, (id, room)).fetchone() is not None
            if is_deserted:
                self._mark_deleted(db, room)
            return is_deserted

        is_dropped = self.writer.execute(change)
        if is_dropped:
            self._finish_deletion()
        return is_dropped

    def _mark_deleted(self, db: sqlite3.Connection, room: str) -> None:
        # Hidden at once; its messages are deleted afterwards. A new room of the name is another conversation.
        drop_hooks(db, room)
        db.execute(MARK_DELETED, (room,))
        db.execute(LIFT, ("close", room))
        self.inserter.reset_cache()

    def _finish_deletion(self) -> None:
        self.schedule_purge()
        with suppress(StoreUnavailable):
            self.finish_deletions()


def _select_rooms(db: sqlite3.Connection) -> list[RoomRecord]:
    return [_room_from_row(db, row) for row in db.execute(ROOMS).fetchall()]


def _room_from_row(db: sqlite3.Connection, row: tuple[Any, ...]) -> RoomRecord:
    id, key, name, topic, creator, head, first, rules, passing, *others = row
    members = db.execute(MEMBERS, (id,)).fetchall()
    starts = {account: start for account, start, _ in members}
    having_role = {account: role for account, _, role in members if role}
    parsed, is_passing = rules_from_json(rules), bool(passing)
    return RoomRecord(key, name, topic, creator, head, first, starts, id, parsed, having_role, is_passing, *others)
